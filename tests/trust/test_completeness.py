"""A campaign is complete when its own plan has nothing left to run, and nothing was left out."""

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from records import START, experiment, lock

from lem.campaign.plan import Here, Run, plan
from lem.contract.lock import Lock
from lem.stores.outcomes import Cost, Outcome
from lem.trust.completeness import MOST_WORDS, state

ARMS = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(3)]


def lock_of(blocks: int = 3, arms: Sequence[str] = ARMS, **changes: Any) -> Lock:
    raw = [{"arm_id": a, "label": a, "settings": {}, "experiment": experiment()} for a in arms]
    return Lock.model_validate(lock(raw, blocks=blocks).model_dump() | changes)


class Campaign:
    """Runs what the plan says, as a machine does."""

    def __init__(self, locked: Lock, joules: Callable[[Run], float] = lambda run: 1.0) -> None:
        self.lock, self.joules = locked, joules
        self.now = START
        self.outcomes: list[Outcome] = []

    def step(self, what: str = "record") -> bool:
        here = Here(self.now.isoformat(), "boot-1", ("cpu",))
        todo = plan(self.lock, self.outcomes, here).runs
        if not todo:
            return False
        run = todo[0]
        started = self.now
        self.now += timedelta(seconds=30)
        record = what in ("record", "exclude", "void")
        opened = what == "open"
        costs = (Cost("energy_per_output_token_j", "gpu", "nvml", self.joules(run)),)
        self.outcomes.append(
            Outcome(
                arm_id=run.arm_id,
                block=run.block,
                block_pass=run.block_pass,
                attempt=run.attempt,
                kind="record" if record else "open" if opened else "failure",
                failure_kind=None if record or opened else cast(Any, what),
                consequence=cast(Any, what) if what in ("exclude", "void") else "info",
                started_at="" if opened else started.isoformat(),
                ended_at="" if opened else self.now.isoformat(),
                boot_id="" if opened else "boot-1",
                device_set=() if opened else ("cpu",),
                path=f"blocks/{run.block:04d}/{run.arm_id}/{run.attempt}",
                costs=costs if record else (),
            )
        )
        self.now += timedelta(seconds=5)
        return True

    def finish(self) -> list[Outcome]:
        for _ in range(500):
            if not self.step():
                return self.outcomes
        pytest.fail("the plan does not come to an end")


def without(outcomes: list[Outcome], drop: Callable[[Outcome], bool]) -> list[Outcome]:
    kept = [o for o in outcomes if not drop(o)]
    assert len(kept) < len(outcomes)
    return kept


def test_a_finished_campaign_is_complete_at_its_last_run_and_not_before() -> None:
    campaign = Campaign(lock_of())
    assert state(campaign.lock, []).missing == "no attempt was submitted"
    while campaign.step():
        done = state(campaign.lock, campaign.outcomes)
        assert done.complete is (len(campaign.outcomes) == 9)
        assert bool(done.missing) is not done.complete


@pytest.mark.parametrize("block", [0, 1, 2])
def test_a_block_left_out(block: int) -> None:
    campaign = Campaign(lock_of())
    left = without(campaign.finish(), lambda o: o.block == block)
    found = state(campaign.lock, left)
    assert not found.complete
    assert f"block {block}" in found.missing


def test_an_arm_left_out_of_a_block() -> None:
    campaign = Campaign(lock_of())
    left = without(campaign.finish(), lambda o: (o.block, o.arm_id) == (1, ARMS[2]))
    assert state(campaign.lock, left).missing == f"block 1: arm {ARMS[2][:12]}"


def test_an_attempt_left_out_leaves_a_gap() -> None:
    campaign = Campaign(lock_of())
    campaign.step("engine_error")
    campaign.finish()
    first = campaign.outcomes[0]
    assert state(campaign.lock, campaign.outcomes).complete
    retried = [
        o._replace(attempt=1) if (o.block, o.arm_id) == (1, ARMS[0]) else o
        for o in campaign.outcomes
    ]
    assert state(campaign.lock, retried).missing == f"block 1: attempt 0 of arm {ARMS[0][:12]}"
    assert first.kind == "failure"


def test_a_void_pass_left_out() -> None:
    campaign = Campaign(lock_of())
    campaign.step("void")
    outcomes = campaign.finish()
    assert {o.block_pass for o in outcomes if o.block == 0} == {0, 1}
    assert state(campaign.lock, outcomes).complete
    left = without(outcomes, lambda o: o.block == 0 and o.block_pass == 0)
    found = state(campaign.lock, left)
    assert "block 0: its pass 0" in found.missing
    # Numbered anew as well: nothing is left of the void pass but the campaign's own clock.
    hidden = [o._replace(block_pass=0, attempt=0) if o.block == 0 else o for o in left]
    assert state(campaign.lock, hidden).complete


def test_a_block_that_ended_well_is_not_run_again() -> None:
    """A block once more, to choose the better one: the newest pass would count."""
    campaign = Campaign(lock_of())
    outcomes = campaign.finish()
    again = [
        o._replace(block_pass=1, attempt=1, path=f"{o.path}-again")
        for o in outcomes
        if o.block == 2
    ]
    found = state(campaign.lock, outcomes + again)
    assert found.missing == "block 2: it was run again after its pass 0 was whole"


@pytest.mark.parametrize("kind", ["record", "failure", "open"])
def test_an_arm_is_not_run_again_in_the_pass_in_which_it_ended(kind: str) -> None:
    campaign = Campaign(lock_of())
    outcomes = campaign.finish()
    last = outcomes[-1]
    again = last._replace(
        attempt=1,
        kind=cast(Any, kind),
        failure_kind="hang" if kind == "failure" else None,
        started_at=last.ended_at,
        ended_at=last.ended_at,
    )
    found = state(campaign.lock, [*outcomes, again])
    assert found.missing == f"block 2: arm {last.arm_id[:12]} was run again after it had ended"


@pytest.mark.parametrize("pause_s", [0, 3600])
def test_what_failed_and_was_tried_again_on_demand_is_complete(pause_s: int) -> None:
    """``--retry-failed``, in the same pass or, after a pause, in a new one."""
    campaign = Campaign(lock_of(blocks=1))
    campaign.step()
    campaign.step("engine_error")
    campaign.finish()
    assert state(campaign.lock, campaign.outcomes).complete
    campaign.now += timedelta(seconds=pause_s)
    failed = frozenset(o.path for o in campaign.outcomes if o.kind == "failure")
    here = Here(campaign.now.isoformat(), "boot-1", ("cpu",))
    for run in plan(campaign.lock, campaign.outcomes, here, failed).runs:
        started = campaign.now
        campaign.now += timedelta(seconds=30)
        campaign.outcomes.append(
            campaign.outcomes[0]._replace(
                arm_id=run.arm_id,
                block_pass=run.block_pass,
                attempt=run.attempt,
                started_at=started.isoformat(),
                ended_at=campaign.now.isoformat(),
                path=f"again/{run.arm_id}",
            )
        )
    assert len(campaign.outcomes) == (6 if pause_s else 4)
    assert state(campaign.lock, campaign.outcomes).complete


def test_a_run_that_was_lost_is_an_attempt_too() -> None:
    campaign = Campaign(lock_of())
    campaign.step("open")
    outcomes = campaign.finish()
    assert state(campaign.lock, outcomes).complete
    assert not state(campaign.lock, without(outcomes, lambda o: o.kind == "open")).complete


def test_more_blocks_than_there_were_to_be() -> None:
    """Run more, and choose the best: the others are then missing, or too many are there."""
    shorter, longer = lock_of(blocks=3), Campaign(lock_of(blocks=6))
    outcomes = longer.finish()
    assert state(shorter, outcomes).missing == "block 3 is there, of a campaign of 3"
    best = [o for o in outcomes if o.block in (1, 3, 5)]
    found = state(shorter, best)
    assert "block 0" in found.missing and "block 2" in found.missing


def test_a_campaign_whose_length_follows_from_its_pilot() -> None:
    def joules(run: Run) -> float:
        """Noise of some per cent, without a random number."""
        noise = int(hashlib.sha256(f"{run.block}/{run.arm_id}".encode()).hexdigest()[:4], 16)
        return (1 + ARMS.index(run.arm_id)) * (1 + 0.12 * (noise / 65535 - 0.5))

    campaign = Campaign(lock_of(blocks=5, precision=0.02, max_blocks=40), joules)
    outcomes = campaign.finish()
    blocks = 1 + max(o.block for o in outcomes)
    assert 5 < blocks < 40
    assert state(campaign.lock, outcomes).complete
    pilot = [o for o in outcomes if o.block < 5]
    found = state(campaign.lock, pilot)
    assert not found.complete and "block 5" in found.missing
    assert not state(campaign.lock, without(outcomes, lambda o: o.block == blocks - 1)).complete
    partly = [o for o in outcomes if o.block < 4]
    assert "the pilot of 5 blocks" in state(campaign.lock, partly).missing


def test_a_time_budget_ends_a_campaign() -> None:
    campaign = Campaign(lock_of(blocks=5, time_budget_s=250.0))
    outcomes = campaign.finish()
    assert 1 + max(o.block for o in outcomes) == 2
    assert state(campaign.lock, outcomes).complete
    assert not state(campaign.lock, [o for o in outcomes if o.block == 0]).complete
    # One more, once the others were seen; or beside the first, when nobody knew.
    last = [o for o in outcomes if o.block == 1]

    def later(seconds: float) -> list[Outcome]:
        def at(text: str) -> str:
            return (datetime.fromisoformat(text) + timedelta(seconds=seconds)).isoformat()

        return [
            o._replace(block=2, started_at=at(o.started_at), ended_at=at(o.ended_at)) for o in last
        ]

    assert "block 2 is there" in state(campaign.lock, [*outcomes, *later(300.0)]).missing
    assert state(campaign.lock, [*outcomes, *later(-60.0)]).complete


def test_an_arm_that_was_given_up_is_not_awaited() -> None:
    campaign = Campaign(lock_of(blocks=4))
    bad = ARMS[1]

    while True:
        here = Here(campaign.now.isoformat(), "boot-1", ("cpu",))
        todo = plan(campaign.lock, campaign.outcomes, here).runs
        if not todo:
            break
        campaign.step("out_of_memory" if todo[0].arm_id == bad else "record")
    failures = [o for o in campaign.outcomes if o.kind == "failure"]
    assert len(failures) == 3
    assert state(campaign.lock, campaign.outcomes).complete
    one = without(campaign.outcomes, lambda o: o is failures[0])
    assert not state(campaign.lock, one).complete


def test_every_generation_has_its_blocks() -> None:
    raw = lock_of(blocks=2).model_dump()
    raw["adaptive"] = {
        "kind": "pareto",
        "budget": 2,
        "generation": 1,
        "objectives": ["energy_per_output_token_j"],
        "seed": 1,
    }
    raw["arms"][1]["generation"] = 0
    raw["arms"][2]["generation"] = 1
    campaign = Campaign(Lock.model_validate(raw))
    outcomes = campaign.finish()
    assert {(o.block, o.arm_id) for o in outcomes if o.arm_id == ARMS[2]} == {
        (2, ARMS[2]),
        (3, ARMS[2]),
    }
    assert state(campaign.lock, outcomes).complete
    left = without(outcomes, lambda o: o.block == 3)
    assert state(campaign.lock, left).missing == "block 3"
    elsewhere = [
        o._replace(block=0) if (o.block, o.arm_id) == (2, ARMS[2]) else o for o in outcomes
    ]
    assert "has no place in block 0" in state(campaign.lock, elsewhere).missing


def test_a_stranger_or_a_double() -> None:
    campaign = Campaign(lock_of())
    outcomes = campaign.finish()
    stranger = outcomes[0]._replace(arm_id="f" * 64)
    assert "not in the lock" in state(campaign.lock, [*outcomes, stranger]).missing
    assert "twice" in state(campaign.lock, [*outcomes, outcomes[0]]).missing


def test_what_is_missing_is_said_in_few_words() -> None:
    campaign = Campaign(lock_of(blocks=400))
    campaign.step()
    assert len(state(campaign.lock, campaign.outcomes).missing) == MOST_WORDS


def test_nothing_counts_where_no_run_does() -> None:
    campaign = Campaign(lock_of(blocks=1, arms=ARMS[:1]))
    while campaign.step("exclude"):
        pass
    assert state(campaign.lock, campaign.outcomes).missing == "no run counts"
