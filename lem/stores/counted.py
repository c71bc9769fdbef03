"""Which attempts enter an estimate: one rule, in one place, for the plan and for the analysis."""

import itertools
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from lem.stores.outcomes import Outcome

MAX_PAUSE_S = 600.0
"""A block is run in one go: a longer pause makes it void."""
MAX_OVERLAP_S = 1.0
"""A run that began so much earlier than another ended was made beside it: times are written as runs
begin and end, and a clock may have been set between."""


CUT_SHORT = ("interrupted", "disk")
"""Kinds of failure that say nothing about the experiment: the run is made again."""


def counted(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The attempts that count: at most one for each arm × block, sorted by (block, arm).

    - Of each block only the latest pass is looked at (``block_pass``: begun anew after it was
      void).
    - A pass that is void (:func:`void_reason`) counts for nothing.
    - An attempt counts if it has a record whose flags' consequence is ``info``; of several the
      newest attempt wins.
    """
    best: dict[tuple[int, str], Outcome] = {}
    for latest in latest_passes(outcomes).values():
        if void_reason(latest) is not None:
            continue
        for o in latest:
            if o.kind != "record" or o.consequence != "info":
                continue
            key = (o.block, o.arm_id)
            if key not in best or o.attempt > best[key].attempt:
                best[key] = o
    return [best[key] for key in sorted(best)]


def latest_passes(outcomes: Iterable[Outcome]) -> dict[int, list[Outcome]]:
    """Block → the attempts of its latest pass."""
    blocks: dict[int, list[Outcome]] = defaultdict(list)
    for o in outcomes:
        known = blocks[o.block]
        if known and o.block_pass < known[0].block_pass:
            continue
        if known and o.block_pass > known[0].block_pass:
            known.clear()
        known.append(o)
    return dict(blocks)


def void_reason(attempts: Iterable[Outcome]) -> str | None:
    """Why one pass of one block is void and must be repeated whole; None if it is not.

    A pass is void if a record says so, or if it was not run in one go on one device set: it spans
    two boots or two device sets, there was a pause of over 10 minutes between the end of one
    attempt and the start of the next, or one began before another had ended. Attempts that were cut
    short do not count as part of it.
    """
    members = [o for o in attempts if ended_by_itself(o)]
    if any(o.consequence == "void" for o in members):
        return "a run was disturbed"
    if len({o.boot_id for o in members}) > 1:
        return "the machine was restarted in the middle"
    if len({o.device_set for o in members}) > 1:
        return "the devices changed in the middle"
    spans = sorted((_time(o.started_at), _time(o.ended_at)) for o in members)
    for (_, ended), (started, _) in itertools.pairwise(spans):
        if started - ended > MAX_PAUSE_S:
            return f"there was a pause of over {MAX_PAUSE_S / 60:.0f} minutes in the middle"
        if ended - started > MAX_OVERLAP_S:
            return "two of its runs went on at the same time"
    return None


def ended_by_itself(outcome: Outcome) -> bool:
    """Whether this attempt is a result or a failure of its own, not one that was cut short by the
    user or by a disk without room."""
    return outcome.kind == "record" or (
        outcome.kind == "failure" and outcome.failure_kind not in CUT_SHORT
    )


def _time(text: str) -> float:
    """Seconds since the epoch of an ISO 8601 time with zone."""
    return datetime.fromisoformat(text).timestamp()
