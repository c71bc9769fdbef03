"""The rule of what counts: worked cases, and properties over random histories."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.stores.counted import counted, latest_passes, void_reason
from lem.stores.outcomes import Outcome

START = datetime(2026, 5, 4, tzinfo=UTC)


def outcome(arm="a", block=0, attempt=0, *, block_pass=0, kind="record", at_s=0, **changes):
    failed = kind == "failure"
    return Outcome(
        arm_id=arm,
        block=block,
        block_pass=block_pass,
        attempt=attempt,
        kind=kind,
        failure_kind="engine_error" if failed else None,
        consequence="info",
        started_at=(START + timedelta(seconds=at_s)).isoformat(),
        ended_at=(START + timedelta(seconds=at_s + 30)).isoformat(),
        boot_id="boot",
        device_set=("cpu",),
        path=f"blocks/{block:04d}/{arm}/{attempt}",
    )._replace(**changes)


def paths(outcomes):
    return [o.path for o in outcomes]


def test_failures_open_and_excluded_attempts_do_not_count():
    history = [
        outcome("a"),
        outcome("b", kind="failure", at_s=30),
        outcome("c", kind="open", started_at="", ended_at=""),
        outcome("d", consequence="exclude", at_s=60),
    ]
    assert paths(counted(history)) == ["blocks/0000/a/0"]


def test_the_newest_attempt_that_can_count_wins():
    history = [outcome(attempt=n, at_s=40 * n) for n in (0, 2, 10, 9)]
    history.append(outcome(attempt=11, at_s=440, kind="failure"))
    assert paths(counted(history)) == ["blocks/0000/a/10"]


def test_only_the_latest_pass_of_a_block_counts_even_while_it_is_incomplete():
    history = [outcome("a"), outcome("b"), outcome("a", attempt=1, block_pass=1)]
    assert paths(counted(history)) == ["blocks/0000/a/1"]
    assert paths(latest_passes(history)[0]) == ["blocks/0000/a/1"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"boot_id": "other"}, "restarted"),
        ({"device_set": ("GPU-1",)}, "devices"),
        ({"at_s": 30 + 601}, "pause"),
        ({"at_s": 28}, "same time"),
        ({"consequence": "void"}, "disturbed"),
    ],
)
def test_a_void_block_counts_for_nothing(change, reason):
    at_s = change.pop("at_s", 31)
    history = [outcome("a"), outcome("b", at_s=at_s, **change), outcome("a", block=1, at_s=2000)]
    assert reason in (void_reason(history[:2]) or "")
    assert paths(counted(history)) == ["blocks/0001/a/0"]


def test_a_clock_that_was_set_by_less_than_a_second_makes_no_overlap():
    assert void_reason([outcome("a"), outcome("b", at_s=29)]) is None


def test_ten_minutes_is_no_void_pause():
    assert void_reason([outcome("a"), outcome("b", at_s=30 + 600)]) is None


def test_an_attempt_that_was_cut_short_is_no_part_of_its_block():
    cut = outcome("b", kind="failure", failure_kind="interrupted", boot_id="other")
    assert paths(counted([outcome("a"), cut])) == ["blocks/0000/a/0"]


HISTORIES = st.lists(
    st.builds(
        outcome,
        st.sampled_from("abc"),
        st.integers(0, 3),
        st.integers(0, 5),
        block_pass=st.integers(0, 2),
        kind=st.sampled_from(["record", "record", "failure", "open"]),
        at_s=st.integers(0, 500),
        consequence=st.sampled_from(["info", "info", "info", "exclude", "void"]),
        boot_id=st.sampled_from(["boot", "boot", "boot", "other"]),
    ),
    max_size=30,
    unique_by=lambda o: o.path,
)


@given(HISTORIES, st.randoms())
def test_every_arm_and_block_counts_at_most_once_and_nothing_wrong_does(history, random):
    result = counted(history)
    assert max(Counter((o.arm_id, o.block) for o in result).values(), default=1) == 1
    for o in result:
        same_block = [x for x in history if x.block == o.block]
        assert o.kind == "record" and o.consequence == "info"
        assert o.block_pass == max(x.block_pass for x in same_block)
        assert void_reason([x for x in same_block if x.block_pass == o.block_pass]) is None
    # And nothing that should count is left out.
    for (arm, block), _ in Counter((o.arm_id, o.block) for o in history).items():
        latest = latest_passes(history)[block]
        able = [x for x in latest if x.arm_id == arm and x.kind == "record"]
        able = [x for x in able if x.consequence == "info"]
        expected = bool(able) and void_reason(latest) is None
        assert ((arm, block) in {(o.arm_id, o.block) for o in result}) is expected
    shuffled = list(history)
    random.shuffle(shuffled)
    assert counted(shuffled) == result
