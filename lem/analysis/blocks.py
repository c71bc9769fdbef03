"""How many blocks a campaign needs: for the plan, and for whoever says if it is finished.

Stein's two stages: a pilot of fixed size, from its scatter the number of blocks, once. Looking at
the interval after every block until it is narrow enough would not cover what it claims.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from datetime import datetime
from typing import Literal, NamedTuple

from lem.analysis.quantities import CPU_TIME, ENERGY, ESTIMATED, OWNERS, common_classes
from lem.contract.lock import Adaptive, Lock
from lem.stores.awaited import AT_ONCE, MAX_FAILURES, dropped, settled
from lem.stores.counted import counted, ended_by_itself, latest_passes, void_reason
from lem.stores.outcomes import Cost, Outcome

Cap = Literal["max_blocks", "time_budget"]


class Blocks(NamedTuple):
    """How many blocks, and why."""

    n: int
    """In all; while the pilot runs, the pilot's."""
    final: bool
    """False until the pilot is complete and n computed from it."""
    pilot: int | None = None
    """Blocks that n is computed from; None where it was fixed beforehand."""
    needed: int | None = None
    """What the precision asks for, by the pilot's scatter; None where that is not known."""
    capped_by: Cap | None = None
    reason: str = ""
    """In words, to be read after the number."""


def decide(lock: Lock, outcomes: Sequence[Outcome]) -> Blocks:
    """How many blocks the campaign has: a pure function of its lock and what became of its runs.

    Only what was there when the pilot was first complete enters, so n stays what it was, whatever
    is run or repeated afterwards.
    """
    if lock.adaptive is not None:
        return _of_generations(lock, lock.adaptive)
    budget = lock.time_budget_s
    if budget is not None and lock.blocks > 1:
        first = _when_settled(lock, outcomes, 1)
        took = _seconds_a_block(first, 1) if first is not None else None
        if took is not None and (fits := int(budget / took)) < lock.blocks:
            n = max(1, fits)
            reason = f"more do not fit into the time budget (block 1 took {took:.0f} s)"
            return Blocks(n, True, None, None, "time_budget", reason)
    if lock.max_blocks is None:
        return Blocks(lock.blocks, True, reason=_fixed_by(lock))
    if lock.precision is None:
        return Blocks(lock.blocks, True, reason="no precision was asked for")
    target = f"±{100 * lock.precision:g} %"
    pilot = _when_settled(lock, outcomes, lock.blocks)
    if pilot is None:
        reason = f"from their scatter the number of blocks is computed once, for {target}"
        most = f"at most {lock.max_blocks}"
        return Blocks(lock.blocks, False, lock.blocks, reason=f"{reason}, {most}")
    needed, why = _needed(lock, pilot)
    if needed is None:
        reason = f"the pilot alone, which cannot tell how many {target} needs: {why}"
        return Blocks(lock.blocks, True, lock.blocks, reason=reason)
    limits: list[tuple[int, Cap]] = [(lock.max_blocks, "max_blocks")]
    took = _seconds_a_block(pilot, lock.blocks)
    if budget is not None and took is not None:
        limits.append((int(budget / took), "time_budget"))
    limit, cap = min(limits)
    n = max(lock.blocks, min(needed, limit))
    by = f"by the scatter of {lock.blocks} pilot blocks ({why})"
    if n >= needed:
        return Blocks(n, True, lock.blocks, needed, None, f"{target} needs {needed}, {by}")
    reason = f"capped by {cap}; {target} would need {needed}, {by}"
    return Blocks(n, True, lock.blocks, needed, cap, reason)


def _of_generations(lock: Lock, adaptive: Adaptive) -> Blocks:
    """Every generation of arms has the same number of blocks, fixed beforehand."""
    chosen = sum(a.generation is not None for a in lock.arms)
    reason = (
        f"{lock.blocks} for each generation of up to {adaptive.generation} experiments beside the "
        f"baseline; {chosen} chosen so far, {adaptive.budget} in all"
    )
    return Blocks(lock.blocks * lock.generations, True, reason=reason)


def of_latest_generation(lock: Lock, outcomes: Sequence[Outcome]) -> tuple[Blocks, int]:
    """Where arms are chosen by what was measured: how many blocks an arm has, and in how many of
    the latest generation's nothing is awaited any more."""
    gone = dropped(outcomes)
    first = lock.blocks * (lock.generations - 1)
    done = 0
    for block in range(first, first + lock.blocks):
        members = [o for o in outcomes if o.block == block]
        arms = [a.arm_id for a in lock.arms_of(block) if a.arm_id not in gone]
        done += bool(members) and settled(members, arms)
    return decide(lock, outcomes)._replace(n=lock.blocks), done


def blocks_done(outcomes: Sequence[Outcome], arms: Set[str], among: Set[int]) -> int:
    """In how many of the blocks ``among`` nothing is awaited any more: every arm has ended there,
    or failed the last time it was tried (it may have been given up). Those that were given up are
    done, too."""
    by_block: dict[int, list[Outcome]] = defaultdict(list)
    last: dict[str, Outcome] = {}
    for o in sorted(outcomes, key=lambda o: o.started_at):
        by_block[o.block].append(o)
        if ended_by_itself(o):
            last[o.arm_id] = o
    live = arms - {a for a, o in last.items() if o.kind == "failure"}
    void = {b for b, members in latest_passes(outcomes).items() if void_reason(members) is not None}
    return sum(settled(by_block[b], live) for b in among | void)


QUICK_BLOCKS = 3
"""Blocks of the quick preset (``lem.config.measure``), the only one that fixes their number."""


def _fixed_by(lock: Lock) -> str:
    if lock.overrides.blocks is not None:
        return "fixed by --blocks"
    if lock.preset == "quick" and lock.blocks == QUICK_BLOCKS:
        return "fixed by the quick preset"
    return "fixed by the campaign file" if lock.precision is None else "fixed beforehand"


def _when_settled(lock: Lock, outcomes: Sequence[Outcome], blocks: int) -> list[Outcome] | None:
    """What had ended when nothing was awaited of the first ``blocks`` blocks for the first time;
    None before that. An arm that kept failing is not awaited."""
    ended = sorted(
        (o for o in outcomes if ended_by_itself(o)),
        key=lambda o: (datetime.fromisoformat(o.ended_at), o.path),
    )
    failures = dict.fromkeys((a.arm_id for a in lock.arms), 0)
    by_block: dict[int, list[Outcome]] = {b: [] for b in range(blocks)}
    awaited = set(by_block)
    for i, o in enumerate(ended):
        if o.block in by_block:
            by_block[o.block].append(o)
        before = failures.get(o.arm_id, 0)
        failures[o.arm_id] = before + 1 if o.kind == "failure" else 0
        if o.failure_kind in AT_ONCE:
            failures[o.arm_id] = MAX_FAILURES
        dropped_or_back = max(before, failures[o.arm_id]) >= MAX_FAILURES
        live = {a for a, n in failures.items() if n < MAX_FAILURES}
        for block in by_block if dropped_or_back else {o.block} & by_block.keys():
            # Fewer ends than arms can only be enough in a block that was begun more than once.
            members = by_block[block]
            may_be = len(members) >= len(live) or any(m.block_pass for m in members)
            (awaited.discard if may_be and settled(members, live) else awaited.add)(block)
        if not awaited:
            return ended[: i + 1]
    return None


def _seconds_a_block(outcomes: Sequence[Outcome], blocks: int) -> float | None:
    """Mean time that the first blocks took from their first run's start to their last one's end."""
    took = []
    for block, members in latest_passes(outcomes).items():
        if block < blocks:
            began = min((o.started_at for o in members), key=datetime.fromisoformat)
            took.append(seconds_between(began, max(o.ended_at for o in members)))
    return max(math.fsum(took) / len(took), 1e-3) if took else None


def _needed(lock: Lock, outcomes: Sequence[Outcome]) -> tuple[int | None, str]:
    """Blocks that the target asks for in the quantity that needs most, with the quantity in words;
    or None and the reason."""
    from lem.stats import blocks_needed

    assert lock.precision is not None
    runs = [o for o in counted(outcomes) if o.block < lock.blocks]
    if not any(o.arm_id == lock.baseline for o in runs):
        return None, "the baseline has no run that counts"
    gone = dropped(outcomes).keys() - {o.arm_id for o in runs}
    comparisons = len({a.arm_id for a in lock.arms} - gone - {lock.baseline})
    worst: tuple[int, str] | None = None
    why = "no figure is in every run"
    for name, table in _deciding(runs):
        found = blocks_needed(
            table, lock.baseline, lock.precision, pilot=lock.blocks, comparisons=comparisons
        )
        if found.n is None:
            why = f"{name}: {found.reason}"
        elif worst is None or found.n > worst[0]:
            worst = (found.n, name)
    return worst if worst is not None else (None, why)


def _deciding(runs: Sequence[Outcome]) -> Iterator[tuple[str, dict[str, dict[int, float]]]]:
    """The quantities that a comparison of these runs is about: each in words, with arm → block →
    value."""
    common, _ = common_classes([{c.part: c.meter for c in _of(o, ENERGY)} for o in runs])
    wanted = [(ENERGY, part) for part in common if part != ESTIMATED] or [(CPU_TIME, "")]
    for metric, part in wanted:
        table: dict[str, dict[int, float]] = defaultdict(dict)
        found = 0
        for o in runs:
            for cost in _of(o, metric):
                if cost.part == part:
                    table[o.arm_id][o.block] = cost.value
                    found += 1
        if found == len(runs):
            yield (f"{OWNERS.get(part, part)}energy" if part else "CPU time"), table


def _of(outcome: Outcome, metric: str) -> Iterator[Cost]:
    return (c for c in outcome.costs if c.metric == metric)


def seconds_between(earlier: str, later: str) -> float:
    """Seconds from one ISO 8601 time to another."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
