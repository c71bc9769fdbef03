"""What a campaign consists of and how far it is."""

import heapq
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from lem.analysis.blocks import seconds_between
from lem.campaign.plan import Plan
from lem.contract.failure import Failure
from lem.contract.lock import Lock
from lem.contract.workload import Search
from lem.errors import BadInput
from lem.stores.outcomes import Outcome

LOAD_GUESS_S = 20.0


@dataclass(frozen=True)
class Overview:
    """What a campaign consists of and how far it is."""

    lock: Lock
    provisional: bool
    """True before staging has resolved revisions and versions: the ids will change."""
    plan: Plan
    outcomes: list[Outcome]
    refused: dict[str, str] = field(default_factory=dict)
    """Arm → why a power limit or clock that it asks for could not be set: it is skipped."""
    doubtful: dict[str, str] = field(default_factory=dict)
    """Arm → why that would happen if it were to run here and now."""
    to_choose: int = 0
    """How many arms are still to be chosen by what is measured."""
    exhausted: bool = False
    """Whether those are all that the space has left, and fewer than the budget."""


def refused(
    folder: Path, dropped: Mapping[str, str], outcomes: Sequence[Outcome]
) -> dict[str, str]:
    """Of the arms that are dropped because a setting was refused: the reason in words."""
    found = {}
    for o in sorted(outcomes, key=lambda o: o.started_at):
        if o.failure_kind == "device_setting" and dropped.get(o.arm_id) == "device_setting":
            try:
                failure = Failure.read(folder / o.path / "failure.json")
            except BadInput:
                continue
            hint = "" if failure.hint is None else f" ({failure.hint})"
            found[o.arm_id] = f"{failure.message}{hint}"
    return found


class Estimate(NamedTuple):
    """What is still to come."""

    runs: int
    seconds: float
    basis: str
    """Where the figure comes from, in words."""
    energy_j: dict[str, float]
    """By device class, from the mean power of the runs so far; empty before there are any."""
    nodes: int = 1
    elapsed_s: float = 0.0
    """With so many nodes at once, each with whole blocks; without waiting for them."""


def estimate(
    overview: Overview,
    power_w: Mapping[str, Mapping[str, float]],
    nodes: int = 1,
    blocks_per_job: int = 1,
) -> Estimate:
    """Time for the runs that are missing: from the durations of each arm's runs so far, or from
    the measurement's own lengths before there are any. Energy: that time × the power of the runs
    so far in their windows (``power_w``: arm → device class → W), so rather too much."""
    took: dict[str, list[float]] = {}
    for o in overview.outcomes:
        if o.kind == "record":
            took.setdefault(o.arm_id, []).append(seconds_between(o.started_at, o.ended_at))
    every = [s for durations in took.values() for s in durations]
    untold = unforeseen(overview.lock)
    without = f", without the time for {' and '.join(untold)}" if untold else ""
    guess = statistics.mean(every) if every else _run_guess_s(overview.lock)
    searches = {} if every else searches_s(overview.lock)
    per_arm = {arm: guess + s for arm, s in searches.items()}
    per_arm |= {arm: statistics.mean(durations) for arm, durations in took.items()}
    runs = overview.plan.runs
    energy_j: dict[str, float] = {}
    for run in runs:
        for device_class, watts in power_w.get(run.arm_id, {}).items():
            joules = watts * per_arm.get(run.arm_id, guess)
            energy_j[device_class] = energy_j.get(device_class, 0.0) + joules
    of_block: dict[int, float] = {}
    for run in runs:
        of_block[run.block] = of_block.get(run.block, 0.0) + per_arm.get(run.arm_id, guess)
    blocks = [of_block[b] for b in sorted(of_block)]
    jobs = [
        sum(blocks[i : i + blocks_per_job]) for i in range(0, len(blocks), max(1, blocks_per_job))
    ]
    return Estimate(
        len(runs),
        sum(per_arm.get(r.arm_id, guess) for r in runs),
        f"from {len(every)} runs so far"
        if every
        else f"a rough guess before the first run{without}",
        energy_j,
        nodes,
        spread_s(jobs, nodes),
    )


def spread_s(jobs: Sequence[float], nodes: int) -> float:
    """How long jobs of these lengths (s) take where each begins, in their order, on the node that
    is free first."""
    busy = [0.0] * max(1, nodes)
    for job in jobs:
        heapq.heapreplace(busy, busy[0] + job)
    return max(busy)


def unforeseen(lock: Lock) -> list[str]:
    """What each run does that takes a time nobody knows before, in words."""
    m = lock.measure
    every = {
        "cooling down": m.cool_down is not None,
        "questions with known answers": m.accuracy is not None,
        "the quality of answers": bool(m.quality),
    }
    return [words for words, asked in every.items() if asked]


SEARCH_TRIALS = 15
"""A search for a rate takes about so many times its ``trial_s``."""


def searches_s(lock: Lock) -> dict[str, float]:
    """Seconds that a run of each arm that searches for its rate takes longer than others, about."""
    rates = {a.arm_id: getattr(a.experiment.workload.arrival, "rate", None) for a in lock.arms}
    return {
        arm: SEARCH_TRIALS * rate.trial_s for arm, rate in rates.items() if isinstance(rate, Search)
    }


class Lengths(NamedTuple):
    """Seconds of one run that its campaign sets."""

    warm_up_cap_s: float
    """At most."""
    rest_s: float
    """Idle, and the time to come to rest before."""
    work_s: float
    """Windows, and the one of prefill alone."""


def lengths(lock: Lock) -> Lengths:
    m = lock.measure
    rest_s = 2 * (m.settle_s + m.idle_s) if m.idle_s > 0 else 0.0
    return Lengths(m.warm_up_cap_s, rest_s, (m.windows + m.prefill_window) * m.window_s)


def _run_guess_s(lock: Lock) -> float:
    """Seconds of one run if loading takes about 20 s and warm-up its whole limit."""
    return LOAD_GUESS_S + sum(lengths(lock))
