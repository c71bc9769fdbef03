"""How many blocks: Stein's two stages as a pure function of lock and outcomes."""

import math
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lem.analysis.blocks import QUICK_BLOCKS, decide
from lem.config import PRESETS
from lem.contract.lock import Overrides
from lem.stats import blocks_needed
from lem.stores.outcomes import Cost, Outcome
from tests import records

ENERGY = "energy_per_output_token_j"
CPU_TIME = "cpu_time_per_output_token_s"
RUN_S, GAP_S = 30, 5
T_975_4 = 2.776445
"""Student's t, 97.5 %, 4 degrees of freedom: a published table."""

# Log-ratios of five blocks with mean 0 and standard deviation 0.04·√(2.5 ÷ 4) = 0.0316228.
SCATTER = [0.04 * d for d in (-1, 0.5, 0, -0.5, 1)]
BASE = {"a": [1.0] * 5}


def lock_of(arms="ab", pilot=5, **changes):
    made = records.lock(
        [
            {"arm_id": a, "label": a, "settings": {}, "experiment": records.experiment()}
            for a in arms
        ],
        blocks=pilot,
    )
    standard = {"preset": "standard", "precision": 0.02, "max_blocks": 40}
    return made.model_copy(update={**standard, **changes})


def energy(value, device_class="gpu", meter="nvml"):
    return Cost(ENERGY, device_class, meter, value)


class Folder:
    """Attempts made one after the other."""

    def __init__(self):
        self.outcomes = []
        self.now = records.START

    def run(self, arm, block, what=1.0, *, block_pass=0, attempt=0, took_s=RUN_S):
        """``what``: joules per token, costs, a consequence, or a failure's kind."""
        started, self.now = self.now, self.now + timedelta(seconds=took_s)
        flagged = what in ("void", "exclude")
        failed = isinstance(what, str) and not flagged
        costs = (energy(what),) if isinstance(what, float) else what
        self.outcomes.append(
            Outcome(
                arm_id=arm,
                block=block,
                block_pass=block_pass,
                attempt=attempt,
                kind="failure" if failed else "record",
                failure_kind=what if failed else None,
                consequence=what if flagged else "info",
                started_at=started.isoformat(),
                ended_at=self.now.isoformat(),
                boot_id="boot-1",
                device_set=("cpu",),
                path=f"blocks/{block:04d}/{arm}/{attempt}",
                costs=tuple(costs) if isinstance(costs, tuple) else (),
            )
        )
        self.now += timedelta(seconds=GAP_S)

    def blocks(self, values, first=0):
        """``values``: arm → one entry for each block."""
        for n in range(max(map(len, values.values()))):
            for arm, own in values.items():
                if n < len(own):
                    self.run(arm, first + n, own[n])
        return self


def scattered(scale=1.0):
    return [math.exp(scale * d) for d in SCATTER]


def test_n_of_two_arms_by_hand():
    # t·s ÷ √n ≤ h: n = ⌈(2.776445·0.0316228 ÷ 0.02)²⌉ = ⌈19.27⌉.
    s = 0.04 * math.sqrt(2.5 / 4)
    assert math.ceil((T_975_4 * s / 0.02) ** 2) == 20
    found = decide(lock_of(), Folder().blocks({**BASE, "b": scattered()}).outcomes)
    assert (found.n, found.final, found.pilot, found.needed, found.capped_by) == (
        20,
        True,
        5,
        20,
        None,
    )
    assert found.reason == "±2 % needs 20, by the scatter of 5 pilot blocks (GPU energy)"


def test_a_level_or_gain_error_of_whole_blocks_changes_nothing():
    gains = [1.0, 1.3, 0.8, 2.0, 1.1]
    both = {
        "a": gains,
        "b": [0.5 * g * v for g, v in zip(gains, scattered(), strict=True)],
    }
    assert decide(lock_of(), Folder().blocks(both).outcomes).n == 20


def test_while_the_pilot_runs_there_are_only_its_blocks():
    folder = Folder().blocks({"a": [1.0] * 5, "b": scattered()[:4]})
    for upto in range(len(folder.outcomes) + 1):
        found = decide(lock_of(), folder.outcomes[:upto])
        assert (found.n, found.final, found.needed) == (5, False, None)
    assert "computed once, for ±2 %, at most 40" in found.reason


def test_a_quiet_pilot_is_enough():
    found = decide(lock_of(), Folder().blocks({**BASE, "b": scattered(0.1)}).outcomes)
    assert (found.n, found.needed, found.final) == (5, 5, True)


def test_max_blocks_caps_and_says_what_would_be_needed():
    outcomes = Folder().blocks({**BASE, "b": scattered()}).outcomes
    found = decide(lock_of(max_blocks=12), outcomes)
    assert (found.n, found.needed, found.capped_by) == (12, 20, "max_blocks")
    assert found.reason.startswith("capped by max_blocks; ±2 % would need 20")


def test_the_time_budget_caps_when_n_is_fixed():
    # Two runs of 30 s with 5 s between them: 65 s a block; 600 s hold 9.
    outcomes = Folder().blocks({**BASE, "b": scattered()}).outcomes
    found = decide(lock_of(time_budget_s=600.0), outcomes)
    assert (found.n, found.needed, found.capped_by) == (9, 20, "time_budget")
    assert decide(lock_of(time_budget_s=1e6), outcomes).n == 20
    found = decide(lock_of(time_budget_s=600.0, max_blocks=7), outcomes)
    assert (found.n, found.capped_by) == (7, "max_blocks")


def test_a_time_budget_smaller_than_the_pilot_ends_it_early_and_for_good():
    folder = Folder().blocks({**BASE, "b": scattered()})
    lock = lock_of(time_budget_s=200.0)
    after_one = decide(lock, folder.outcomes[:2])
    assert (after_one.n, after_one.final, after_one.pilot) == (3, True, None)
    assert decide(lock, folder.outcomes) == after_one


def test_pauses_between_blocks_are_not_time_that_a_block_takes():
    folder = Folder()
    for block, value in enumerate(scattered()):
        folder.blocks({"a": [1.0], "b": [value]}, first=block)
        folder.now += timedelta(hours=9)
    assert decide(lock_of(time_budget_s=600.0), folder.outcomes).n == 9


def test_later_blocks_never_change_n():
    folder = Folder().blocks({**BASE, "b": scattered()})
    before = decide(lock_of(), folder.outcomes)
    wild = {"a": [1.0] * 15, "b": [1.0 + 5 * (i % 2) for i in range(15)]}
    folder.blocks(wild, first=5)
    assert decide(lock_of(), folder.outcomes) == before


def test_repeating_a_pilot_block_afterwards_does_not_change_n():
    """``--retry-failed`` makes a pilot block anew; n was fixed before."""
    folder = Folder().blocks({**BASE, "b": scattered()})
    folder.outcomes[-1] = folder.outcomes[-1]._replace(
        kind="failure", failure_kind="timeout", costs=()
    )
    before = decide(lock_of(), folder.outcomes)
    assert before.final
    folder.run("a", 4, 1.0, block_pass=1, attempt=1)
    folder.run("b", 4, 40.0, block_pass=1, attempt=1)
    assert decide(lock_of(), folder.outcomes) == before


def test_a_void_pilot_block_is_awaited_until_it_was_repeated():
    folder = Folder().blocks({"a": [1.0] * 5, "b": [*scattered()[:4], "void"]})
    assert not decide(lock_of(), folder.outcomes).final
    folder.run("a", 4, 1.0, block_pass=1, attempt=1)
    assert not decide(lock_of(), folder.outcomes).final
    folder.run("b", 4, scattered()[4], block_pass=1, attempt=1)
    assert decide(lock_of(), folder.outcomes).n == 20


def test_a_pilot_block_that_was_given_up_is_not_awaited():
    """Four blocks are left: s of −1, ½, 0, −½ times 0.04, t(0.975, 3) = 3.182446."""
    folder = Folder().blocks({"a": [1.0] * 4, "b": scattered()[:4]})
    for n in range(3):
        assert not decide(lock_of(), folder.outcomes).final
        folder.run("a", 4, "void", block_pass=n, attempt=n)
    s = 0.04 * math.sqrt((0.75**2 + 0.75**2 + 0.25**2 + 0.25**2) / 3)
    found = decide(lock_of(), folder.outcomes)
    assert (found.n, found.final) == (math.ceil((3.182446 * s / 0.02) ** 2), True)


def test_an_arm_that_keeps_failing_leaves():
    """Two arms are left, so there is but one comparison: as if the third had never been."""
    values = {**BASE, "b": scattered(), "c": ["out_of_memory"] * 3}
    assert decide(lock_of("abc"), Folder().blocks(values).outcomes).n == 20


def test_an_arm_that_failed_once_has_a_gap():
    values = {
        "a": [1.0] * 5,
        "b": scattered(),
        "c": ["timeout", 1.01, 0.99, 1.0, 1.02],
    }
    found = decide(lock_of("abc"), Folder().blocks(values).outcomes)
    table = {
        arm: {n: v for n, v in enumerate(own) if isinstance(v, float)}
        for arm, own in values.items()
    }
    expected = blocks_needed(table, "a", 0.02, pilot=5)
    assert expected.n is not None and expected.n > 5
    assert (found.n, found.final) == (expected.n, True)


def test_an_excluded_run_is_not_made_again_and_does_not_enter():
    values = {"a": [1.0] * 5, "b": [*scattered()[:4], "exclude"]}
    s = 0.04 * math.sqrt((0.75**2 + 0.75**2 + 0.25**2 + 0.25**2) / 3)
    found = decide(lock_of(), Folder().blocks(values).outcomes)
    assert (found.n, found.final) == (math.ceil((3.182446 * s / 0.02) ** 2), True)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"a": ["timeout"] * 3, "b": scattered()}, "the baseline has no run that counts"),
        ({"a": [1.0] * 5, "b": ["timeout"] * 3}, "no arm has two blocks with the baseline"),
        ({"a": [1.0] * 5, "b": [2.0] * 5}, "the readings are the same in every block"),
        ({"a": [1.0] * 5, "b": [*[1.0] * 4, ()]}, "no figure is in every run"),
    ],
)
def test_a_pilot_that_cannot_tell_says_why(values, why):
    found = decide(lock_of(), Folder().blocks(values).outcomes)
    assert (found.n, found.final, found.needed) == (5, True, None)
    assert "cannot tell" in found.reason and why in found.reason


def test_the_device_class_that_needs_most_decides():
    both = [(energy(1.0), energy(1.0, "dram", "rapl"))] * 5
    other = [(energy(math.exp(0.1 * d)), energy(math.exp(d), "dram", "rapl")) for d in SCATTER]
    found = decide(lock_of(), Folder().blocks({"a": both, "b": other}).outcomes)
    assert found.n == 20 and "(memory energy)" in found.reason


def test_a_class_that_one_run_lacks_decides_nothing():
    both = [(energy(1.0), energy(1.0, "dram", "rapl"))] * 5
    other = [
        (energy(math.exp(0.1 * d)), *[energy(math.exp(d), "dram", "rapl")][: n < 4])
        for n, d in enumerate(SCATTER)
    ]
    assert decide(lock_of(), Folder().blocks({"a": both, "b": other}).outcomes).n == 5


def test_where_energy_is_estimated_cpu_time_decides():
    def costs(value):
        # The estimate's own figure is CPU time in another unit: were it looked at, it would be 5.
        return (energy(1.0, "estimated", "estimate"), Cost(CPU_TIME, "", "", value))

    values = {"a": [costs(1.0)] * 5, "b": [costs(v) for v in scattered()]}
    found = decide(lock_of(), Folder().blocks(values).outcomes)
    assert found.n == 20 and "(CPU time)" in found.reason


def test_a_number_fixed_beforehand_stays():
    outcomes = Folder().blocks({**BASE, "b": scattered()}).outcomes
    quick = lock_of(pilot=3, preset="quick", precision=None, max_blocks=None)
    assert decide(quick, outcomes)[:3] == (3, True, None)
    assert decide(quick, outcomes).reason == "fixed by the quick preset"
    assert PRESETS["quick"].blocks == QUICK_BLOCKS
    assert [name for name, p in PRESETS.items() if p.fixed] == ["quick"]
    for preset in ("quick", "standard"):
        file = lock_of(pilot=1, preset=preset, precision=None, max_blocks=None)
        assert decide(file, outcomes).reason == "fixed by the campaign file"
    flag = lock_of(pilot=8, max_blocks=None, overrides=Overrides(blocks=8))
    assert decide(flag, outcomes)[:3] == (8, True, None)
    assert decide(flag, outcomes).reason == "fixed by --blocks"


def test_a_lock_of_an_older_version_has_a_fixed_number():
    """It has a precision, which was only reported, and no ``max_blocks``."""
    outcomes = Folder().blocks({**BASE, "b": scattered()}).outcomes
    assert decide(lock_of(max_blocks=None), outcomes).n == 5


ENDS = ["record", "record", "record", "timeout", "exclude", "void", "interrupted"]


@settings(max_examples=200)
@given(
    st.integers(2, 4),
    st.lists(st.tuples(st.sampled_from(ENDS), st.floats(0.9, 1.1)), max_size=80),
)
def test_whatever_happens_a_number_once_final_stays_and_the_order_of_reading_is_nothing(
    arms, history
):
    from lem.campaign.plan import Here, plan

    lock, folder = lock_of("abcd"[:arms], pilot=3, max_blocks=6), Folder()
    decided = None
    for what, value in history:
        todo = plan(lock, folder.outcomes, Here(folder.now.isoformat(), "boot-1", ("cpu",)))
        found = todo.decision
        assert decide(lock, folder.outcomes[::-1]) == found
        assert 3 <= found.n <= 6
        if decided is not None:
            assert found == decided
        decided = found if found.final else None
        if not todo.runs:
            assert found.final, "a pilot that is never complete would never end"
            break
        run = todo.runs[0]
        folder.run(
            run.arm_id,
            run.block,
            value if what == "record" else what,
            block_pass=run.block_pass,
            attempt=run.attempt,
        )


def test_an_arm_that_is_skipped_is_not_awaited_by_the_pilot():
    """Its one failure counts as three: the pilot is complete with the others."""
    lock = lock_of("abc")
    folder = Folder()
    folder.run("c", 0, "device_setting")
    for block in range(5):
        folder.run("a", block, 1.0)
        assert not decide(lock, folder.outcomes).final
        folder.run("b", block, 2.0 * math.exp(SCATTER[block]))
    decided = decide(lock, folder.outcomes)
    assert decided.final
    without = decide(lock_of("ab"), [o for o in folder.outcomes if o.arm_id != "c"])
    assert decided.n == without.n
