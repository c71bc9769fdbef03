"""The plan: a pure function of the lock and of what was tried so far."""

import hashlib
import itertools
import tracemalloc
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import START, experiment, lock
from scipy import stats

from lem.campaign.plan import Here, Plan, Run, order, plan
from lem.contract.lock import Lock
from lem.stores.awaited import MAX_PASSES
from lem.stores.counted import counted, ended_by_itself, latest_passes
from lem.stores.outcomes import Outcome

RUN_S, GAP_S, PAUSE_S = 30, 5, 601


def lock_of(arms: str | Iterable[str], blocks: int = 3) -> Lock:
    return lock(
        [{"arm_id": a, "label": a, "settings": {}, "experiment": experiment()} for a in arms],
        blocks=blocks,
    )


class World:
    """A machine on which runs are made and written down; the clock goes on by itself."""

    def __init__(self, arms: str | Iterable[str] = "abc", blocks: int = 3) -> None:
        self.lock = lock_of(arms, blocks)
        self.now: datetime = START
        self.boot = 1
        self.devices: tuple[str, ...] = ("cpu",)
        self.outcomes: list[Outcome] = []
        self.forgive: frozenset[str] = frozenset()

    @property
    def here(self) -> Here:
        return Here(self.now.isoformat(), f"boot-{self.boot}", self.devices)

    def plan(self) -> Plan:
        return plan(self.lock, self.outcomes, self.here, self.forgive)

    def make(self, run: Run, what: str = "record") -> None:
        """Make one run with this end: a consequence, ``record``, ``open`` or a failure's kind."""
        started = self.now
        self.now += timedelta(seconds=RUN_S)
        record = what in ("record", "info", "exclude", "void")
        outcome = Outcome(
            arm_id=run.arm_id,
            block=run.block,
            block_pass=run.block_pass,
            attempt=run.attempt,
            kind="record" if record else "open" if what == "open" else "failure",
            failure_kind=None if record or what == "open" else cast(Any, what),
            consequence=cast(Any, what) if what in ("exclude", "void") else "info",
            started_at="" if what == "open" else started.isoformat(),
            ended_at="" if what == "open" else self.now.isoformat(),
            boot_id="" if what == "open" else f"boot-{self.boot}",
            device_set=() if what == "open" else self.devices,
            path=f"blocks/{run.block:04d}/{run.arm_id}/{run.attempt}",
        )
        self.outcomes.append(outcome)
        self.now += timedelta(seconds=GAP_S)

    def do(self, *ends: str) -> None:
        """Make the next planned runs, one for each of these ends."""
        for what in ends:
            self.make(self.plan().runs[0], what)

    def pause(self, seconds: float = PAUSE_S) -> None:
        self.now += timedelta(seconds=seconds)

    def finish(self) -> None:
        """Everything that is still missing, without trouble."""
        for _ in range(2 * len(self.lock.arms) * self.lock.blocks + 1):
            todo = self.plan().runs
            if not todo:
                return
            self.make(todo[0])
        pytest.fail("the plan does not come to an end")

    def retry_failed(self) -> None:
        self.forgive = frozenset(o.path for o in self.outcomes if o.kind == "failure")


def nothing_left(todo: Plan, blocks: int) -> bool:
    return todo._replace(decision=None) == Plan([], None, {}, {}, {}) and todo.blocks == blocks  # type: ignore[arg-type]


def places(outcomes: Iterable[Outcome]) -> list[tuple[int, str]]:
    return [(o.block, o.arm_id) for o in outcomes]


def everything(world: World) -> list[tuple[int, str]]:
    arms = sorted(a.arm_id for a in world.lock.arms)
    return list(itertools.product(range(world.lock.blocks), arms))


def test_every_arm_once_in_every_block() -> None:
    runs = World("abcd", blocks=5).plan().runs
    assert sorted((r.block, r.arm_id) for r in runs) == everything(World("abcd", 5))
    assert [r.block for r in runs] == sorted(r.block for r in runs)
    assert {(r.block_pass, r.attempt) for r in runs} == {(0, 0)}


def test_the_order_of_a_seed_never_changes() -> None:
    arms = ["a", "b", "c", "d", "e", "f"]
    assert order(1, 0, 0, arms) == ["b", "d", "e", "f", "a", "c"]
    assert order(1, 1, 0, arms) == ["e", "c", "d", "f", "a", "b"]
    assert order(1, 0, 1, arms) == ["f", "d", "e", "c", "b", "a"]
    assert order(2, 0, 0, arms) == ["a", "c", "d", "e", "f", "b"]
    by_hand = sorted(arms, key=lambda a: hashlib.sha256(f"7/3/2/{a}".encode()).digest())
    assert order(7, 3, 2, reversed(arms)) == by_hand


def test_an_arm_more_or_less_does_not_change_the_order_of_the_others() -> None:
    arms = [f"arm{i}" for i in range(20)]
    whole = order(1, 0, 0, arms)
    assert order(1, 0, 0, arms[5:]) == [a for a in whole if a in arms[5:]]


def test_every_arm_comes_equally_often_at_every_place_and_after_every_other() -> None:
    arms, blocks = "abcdef", 6000
    orders = [order(1, block, 0, arms) for block in range(blocks)]
    at = Counter((arm, place) for o in orders for place, arm in enumerate(o))
    expected = blocks / 6
    places_chi2 = sum((at[a, p] - expected) ** 2 / expected for a in arms for p in range(6))
    # A 6 × 6 table with fixed margins has 25 degrees of freedom.
    assert places_chi2 < stats.chi2.ppf(1 - 1e-4, 25)
    follows = Counter(pair for o in orders for pair in itertools.pairwise(o))
    expected = blocks * 5 / 30
    assert len(follows) == 30
    assert sum((n - expected) ** 2 / expected for n in follows.values()) < stats.chi2.ppf(
        1 - 1e-4, 29
    )


def test_the_plan_is_a_pure_function() -> None:
    world = World()
    world.do("record", "engine_error", "interrupted")
    before = list(world.outcomes)
    assert world.plan() == world.plan()
    assert plan(world.lock, before[::-1], world.here) == world.plan()
    assert world.outcomes == before


def test_resuming_gives_what_is_missing_in_the_same_order() -> None:
    world = World("abcd")
    whole = world.plan().runs
    for made in range(1, len(whole)):
        world.do("record")
        assert world.plan().runs == whole[made:]
    world.do("record")
    assert nothing_left(world.plan(), 3)
    assert places(counted(world.outcomes)) == everything(world)


def test_a_finished_campaign_stays_finished_whatever_happens_to_the_machine() -> None:
    world = World()
    world.finish()
    world.pause(10**7)
    world.boot, world.devices = 9, ("GPU-other",)
    assert nothing_left(world.plan(), 3)


def test_a_failed_arm_is_not_tried_again_in_its_block() -> None:
    world = World()
    failed = world.plan().runs[0]
    world.do("engine_error")
    assert (failed.block, failed.arm_id) not in [(r.block, r.arm_id) for r in world.plan().runs]
    world.finish()
    missing = set(everything(world)) - set(places(counted(world.outcomes)))
    assert missing == {(failed.block, failed.arm_id)}


@pytest.mark.parametrize("what", ["interrupted", "open"])
def test_a_run_that_was_cut_short_is_made_again_in_the_same_pass(what: str) -> None:
    world = World()
    world.do("record", what)
    cut = world.outcomes[-1]
    again = world.plan().runs[0]
    assert again == Run(cut.arm_id, cut.block, cut.block_pass, cut.attempt + 1)
    world.finish()
    assert places(counted(world.outcomes)) == everything(world)


def test_a_record_that_is_excluded_is_not_made_again_and_not_counted() -> None:
    world = World()
    world.do("exclude")
    shown = world.outcomes[0]
    world.finish()
    assert len(world.outcomes) == 9
    missing = set(everything(world)) - set(places(counted(world.outcomes)))
    assert missing == {(shown.block, shown.arm_id)}


def test_three_failures_in_a_row_drop_the_arm() -> None:
    world = World(blocks=6)
    while (todo := world.plan()).runs:
        run = todo.runs[0]
        world.make(run, "out_of_memory" if run.arm_id == "b" else "record")
    assert todo.dropped == {"b": "out_of_memory"}
    tried = [o for o in world.outcomes if o.arm_id == "b"]
    assert [o.block for o in tried] == [0, 1, 2]
    assert Counter(o.arm_id for o in counted(world.outcomes)) == {"a": 6, "c": 6}


def test_a_success_in_between_keeps_the_arm() -> None:
    world = World("a", blocks=6)
    world.do("timeout", "timeout", "record", "timeout", "timeout")
    assert [r.block for r in world.plan().runs] == [5]


def test_being_interrupted_is_no_failure_of_the_arm() -> None:
    world = World("a", blocks=1)
    world.do(*["interrupted"] * 7)
    assert world.plan().runs == [Run("a", 0, 0, 7)]


def test_forgiven_failures_are_made_again_with_new_attempt_numbers() -> None:
    world = World("ab", blocks=1)
    world.do("engine_error", "record")
    failed = world.outcomes[0]
    assert not world.plan().runs
    world.retry_failed()
    assert world.plan().runs == [Run(failed.arm_id, 0, 0, 1)]
    world.do("record")
    assert places(counted(world.outcomes)) == everything(world)


def test_a_dropped_arm_comes_back_when_forgiven() -> None:
    world = World("a", blocks=5)
    world.do("engine_error", "engine_error", "engine_error")
    assert world.plan().dropped == {"a": "engine_error"} and not world.plan().runs
    world.retry_failed()
    assert not world.plan().dropped
    assert [r.block for r in world.plan().runs] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("ends", [("engine_error", "record"), ("engine_error", "engine_error")])
def test_a_failure_forgiven_later_begins_its_block_anew(ends: tuple[str, str]) -> None:
    """Also where nothing but failures is there: what follows them belongs to a new pass, because
    void or not is decided from all that was tried in a pass, forgiven or not."""
    world = World("ab", blocks=1)
    world.do(*ends)
    world.pause()
    world.retry_failed()
    assert {(r.arm_id, r.block_pass) for r in world.plan().runs} == {("a", 1), ("b", 1)}
    world.finish()
    assert places(counted(world.outcomes)) == everything(world)
    world.forgive = frozenset()
    assert not world.plan().runs


def disturb(world: World, how: str) -> None:
    if how == "pause":
        world.pause()
    elif how == "boot":
        world.boot += 1
    elif how == "devices":
        world.devices = ("GPU-other",)
    else:
        world.do("void")


@pytest.mark.parametrize("how", ["pause", "boot", "devices", "flag"])
def test_a_void_block_is_made_again_whole_with_the_next_pass(how: str) -> None:
    world = World()
    world.do("record")
    disturb(world, how)
    todo = world.plan()
    assert set(todo.void) == {0}
    again = [r for r in todo.runs if r.block == 0]
    tried = {o.arm_id for o in world.outcomes}
    assert [r.arm_id for r in again] == order(world.lock.seed, 0, 1, "abc")
    assert {(r.arm_id, r.block_pass, r.attempt) for r in again} == {
        (arm, 1, 1 if arm in tried else 0) for arm in "abc"
    }
    world.finish()
    assert places(counted(world.outcomes)) == everything(world)
    assert all(o.block_pass == 1 for o in counted(world.outcomes) if o.block == 0)
    assert not world.plan().void


@pytest.mark.parametrize("how", ["pause", "boot", "devices"])
def test_between_two_blocks_nothing_is_void(how: str) -> None:
    world = World()
    world.do("record", "record", "record")
    disturb(world, how)
    todo = world.plan()
    assert not todo.void
    assert {r.block for r in todo.runs} == {1, 2}


def test_a_pause_of_just_ten_minutes_is_no_pause() -> None:
    world = World()
    world.do("record")
    world.pause(600 - GAP_S)
    assert not world.plan().void
    world.pause(0.001)
    assert set(world.plan().void) == {0}


def test_a_block_that_is_disturbed_three_times_is_given_up() -> None:
    world = World("ab", blocks=2)
    for pass_ in range(3):
        assert world.plan().runs[0].block_pass == pass_
        world.do("void")
    todo = world.plan()
    assert todo.given_up == {0: "a run was disturbed"}
    assert {r.block for r in todo.runs} == {1}
    world.finish()
    assert places(counted(world.outcomes)) == [(1, "a"), (1, "b")]


def test_a_block_left_unfinished_is_not_given_up_for_it() -> None:
    world = World("ab", blocks=1)
    for pass_ in range(6):
        assert world.plan().runs[0].block_pass == pass_
        world.do("record", "interrupted")
        world.pause()
    assert not world.plan().given_up
    world.finish()
    assert places(counted(world.outcomes)) == everything(world)


def test_a_block_is_not_begun_for_ever() -> None:
    """An agent that names other devices than the host sees would make every block void."""
    world = World("ab", blocks=1)
    for _ in range(MAX_PASSES):
        world.do("record")
        world.devices = (f"{world.devices[0]}x",)
    assert not world.plan().runs
    assert set(world.plan().given_up) == {0}


def test_blocks_beyond_those_wanted_are_left_alone() -> None:
    world = World("a", blocks=3)
    world.finish()
    world.lock = lock_of("a", blocks=2)
    assert nothing_left(world.plan(), 2)


@pytest.mark.parametrize(
    ("budget_s", "blocks"), [(1, 1), (64, 1), (130, 2), (200, 3), (10_000, 5), (None, 5)]
)
def test_a_time_budget_caps_the_blocks_once_block_1_has_been_timed(
    budget_s: float | None, blocks: int
) -> None:
    world = World("ab", blocks=5)
    world.lock = world.lock.model_copy(update={"time_budget_s": budget_s})
    world.do("record")
    assert world.plan().blocks == 5
    world.do("record")  # two runs of 30 s, with 5 s between them: 65 s
    assert world.plan().blocks == blocks
    world.finish()
    assert len(counted(world.outcomes)) == 2 * blocks


ENDS = ["record", "exclude", "void", "engine_error", "timeout", "interrupted", "open"]
EVENTS = ["pause", "boot", "devices", "retry", "next session"]


def check(world: World, seen: set[tuple[int, str, int]], todo: Plan) -> None:
    """What holds for every plan, whatever was before."""
    assert len({(r.block, r.arm_id) for r in todo.runs}) == len(todo.runs)
    assert [r.block for r in todo.runs] == sorted(r.block for r in todo.runs)
    for run in todo.runs:
        assert run.arm_id not in todo.dropped and run.block not in todo.given_up
        assert (run.block, run.arm_id, run.attempt) not in seen
    for block, runs in itertools.groupby(todo.runs, key=lambda r: r.block):
        passes = {r.block_pass for r in runs}
        before = [o.block_pass for o in world.outcomes if o.block == block]
        assert len(passes) == 1 and passes.pop() - max(before, default=0) in (0, 1)


@settings(max_examples=300)
@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.lists(st.sampled_from([*ENDS, *ENDS, *EVENTS]), max_size=60),
)
def test_whatever_happens_every_arm_counts_once_in_every_block(
    arms: int, blocks: int, history: list[str]
) -> None:
    world = World("abcd"[:arms], blocks)
    seen: set[tuple[int, str, int]] = set()
    for what in history:
        if what == "pause":
            world.pause()
        elif what == "boot":
            world.boot += 1
        elif what == "devices":
            world.devices = ("cpu",) if world.devices != ("cpu",) else ("GPU-1",)
        elif what == "retry":
            world.retry_failed()
        elif what == "next session":
            world.forgive = frozenset()
        else:
            todo = world.plan()
            check(world, seen, todo)
            if todo.runs:
                run = todo.runs[0]
                seen.add((run.block, run.arm_id, run.attempt))
                world.make(run, what)
    world.finish()
    world.forgive = frozenset()
    end = world.plan()
    assert not end.runs, "what a session finished is finished for the next one too"
    standing = {
        block: {o.arm_id: o for o in members if ended_by_itself(o)}
        for block, members in latest_passes(world.outcomes).items()
    }
    live = {a.arm_id for a in world.lock.arms} - set(end.dropped)
    found = places(counted(world.outcomes))
    assert len(set(found)) == len(found)
    for block in range(blocks):
        if block in end.given_up:
            assert block not in [b for b, _ in found]
            continue
        for arm in live:
            o = standing[block][arm]
            good = o.kind == "record" and o.consequence == "info"
            assert ((block, arm) in found) == good


@settings(max_examples=60)
@given(st.integers(1, 3), st.integers(1, 3), st.lists(st.sampled_from(ENDS[:5]), min_size=1))
def test_endless_trouble_comes_to_an_end(arms: int, blocks: int, cycle: list[str]) -> None:
    """Without a person who interrupts, every campaign ends by itself."""
    world = World("abc"[:arms], blocks)
    endless = itertools.cycle(cycle)
    for _ in range(arms * blocks * 3):
        todo = world.plan()
        if not todo.runs:
            return
        world.make(todo.runs[0], next(endless))
    assert not world.plan().runs


@pytest.mark.slow
def test_a_large_plan_fits_into_memory() -> None:
    arms = [f"{i:064x}" for i in range(10_000)]
    raw = lock_of(arms[:1], blocks=40)
    big = raw.model_copy(
        update={"arms": [raw.arms[0].model_copy(update={"arm_id": a}) for a in arms]}
    )
    tracemalloc.start()
    try:
        todo = plan(big, [], Here(START.isoformat(), "boot-1", ("cpu",)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(todo.runs) == 400_000
    assert peak < 200 * 2**20


def test_an_arm_whose_setting_was_refused_is_not_tried_again_until_it_is_asked_for() -> None:
    world = World("ab", blocks=2)
    skipped = world.plan().runs[0]
    world.make(skipped, "device_setting")
    todo = world.plan()
    assert todo.dropped == {skipped.arm_id: "device_setting"}
    assert len(todo.runs) == 2 and skipped.arm_id not in {r.arm_id for r in todo.runs}
    world.do("record", "record")
    assert not world.plan().runs
    world.forgive = frozenset({world.outcomes[0].path})
    assert {r.arm_id for r in world.plan().runs} == {skipped.arm_id}
