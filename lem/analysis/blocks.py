"""How many blocks a campaign needs: for the plan, and for whoever says if it is finished."""

from collections.abc import Sequence
from datetime import datetime

from lem.contract.lock import Lock
from lem.stores.counted import ended_by_itself, latest_passes
from lem.stores.outcomes import Outcome


def blocks_wanted(lock: Lock, outcomes: Sequence[Outcome]) -> int:
    """How many blocks the campaign needs.

    The one place where statistics decide n: today the number fixed by preset or command line,
    capped by the time budget as soon as block 1 has shown how long a block takes.
    """
    if lock.time_budget_s is None or lock.blocks == 1:
        return lock.blocks
    first = latest_passes(o for o in outcomes if o.block == 0).get(0, [])
    members = [o for o in first if ended_by_itself(o)]
    if len({o.arm_id for o in members}) < len(lock.arms):
        return lock.blocks
    began = min(o.started_at for o in members)
    took_s = seconds_between(began, max(o.ended_at for o in members))
    return max(1, min(lock.blocks, int(lock.time_budget_s / max(took_s, 1e-3))))


def seconds_between(earlier: str, later: str) -> float:
    """Seconds from one ISO 8601 time to another."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()
