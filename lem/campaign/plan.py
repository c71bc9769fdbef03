"""What to run next: a pure function of the lock and of what is on disk.

A block is every arm once, in random order, in one go on one device set. The order is drawn by
hashing, so the same seed gives the same order on every machine and in every Python.
"""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from lem.analysis.blocks import Blocks, decide, seconds_between
from lem.contract.lock import Lock
from lem.stores.awaited import dropped
from lem.stores.awaited import given_up as is_given_up
from lem.stores.counted import MAX_PAUSE_S, ended_by_itself, void_reason
from lem.stores.outcomes import Outcome


class Run(NamedTuple):
    arm_id: str
    block: int
    block_pass: int
    attempt: int


class Here(NamedTuple):
    """The present: what decides whether an unfinished block can go on."""

    now: str
    boot_id: str
    device_set: tuple[str, ...]


class Plan(NamedTuple):
    runs: list[Run]
    decision: Blocks
    """How many blocks the campaign has, and why."""
    void: dict[int, str]
    """Block → why its latest pass is void."""
    given_up: dict[int, str]
    """Blocks that were void too often, with the last reason."""
    dropped: dict[str, str]
    """Arm → kind of the failure that keeps coming back."""

    @property
    def blocks(self) -> int:
        """How many blocks there are; while the pilot runs, the pilot's."""
        return self.decision.n


def plan(
    lock: Lock,
    outcomes: Sequence[Outcome],
    here: Here | None,
    forgive: frozenset[str] = frozenset(),
) -> Plan:
    """The runs that are missing, block by block in the order in which to make them. ``here``: as
    for :func:`of_block`.

    ``forgive``: folders of failures to be taken as if they had not been (``--retry-failed``).
    """
    decision = decide(lock, outcomes)
    gone = dropped(o for o in outcomes if o.path not in forgive)
    by_block: dict[int, list[Outcome]] = defaultdict(list)
    for o in outcomes:
        by_block[o.block].append(o)
    runs: list[Run] = []
    void: dict[int, str] = {}
    given_up: dict[int, str] = {}
    for block in range(decision.n):
        made = by_block.get(block, ())
        state, missing = of_block(lock, block, made, here, gone, forgive)
        if state.void is not None:
            void[block] = state.void
            if not missing:
                given_up[block] = state.void
        runs += missing
    return Plan(runs, decision, void, given_up, gone)


def of_block(
    lock: Lock,
    block: int,
    outcomes: Sequence[Outcome],
    here: Here | None,
    gone: Collection[str] = (),
    forgive: frozenset[str] = frozenset(),
) -> tuple["BlockState", list[Run]]:
    """How one block stands, and its runs that are missing, in their order; none where it is given
    up. ``outcomes``: its attempts. ``gone``: arms that are not tried again. ``here``: None where
    the block is not this machine's to go on with: what is unfinished there is only missing."""
    arms = [a.arm_id for a in lock.arms_of(block) if a.arm_id not in gone]
    state = block_state(outcomes, arms, here, forgive)
    if state.void is not None and is_given_up(outcomes, state.block_pass):
        return state, []
    wanted = set(state.missing)
    tried: dict[str, int] = {}
    for o in outcomes:
        tried[o.arm_id] = max(tried.get(o.arm_id, 0), o.attempt + 1)
    return state, [
        Run(arm, block, state.block_pass, tried.get(arm, 0))
        for arm in (order(lock.seed, block, state.block_pass, arms) if wanted else ())
        if arm in wanted
    ]


def order(seed: int, block: int, block_pass: int, arms: Iterable[str]) -> list[str]:
    """The arms in this block's random order."""
    prefix = hashlib.sha256(f"{seed}/{block}/{block_pass}/".encode())

    def rank(arm: str) -> bytes:
        h = prefix.copy()
        h.update(arm.encode())
        return h.digest()

    return sorted(arms, key=rank)


class BlockState(NamedTuple):
    block_pass: int
    """The pass to run (or, where nothing is missing, the one that stands)."""
    missing: Sequence[str]
    void: str | None
    """Why the pass before is void, if it is."""


def block_state(
    outcomes: Iterable[Outcome],
    arms: Sequence[str],
    here: Here | None,
    forgive: frozenset[str] = frozenset(),
) -> BlockState:
    """Which arms one block still lacks, and whether it has to begin anew.

    A failure that is forgiven is made again, but it was part of its pass all the same: what follows
    it too late belongs to a new one.
    """
    outcomes = list(outcomes)
    if not outcomes:
        return BlockState(0, arms, None)
    latest = max(o.block_pass for o in outcomes)
    members = [o for o in outcomes if o.block_pass == latest and ended_by_itself(o)]
    done = {o.arm_id for o in members if o.path not in forgive}
    missing = [a for a in arms if a not in done]
    reason = void_reason(members)
    if reason is None and missing and here is not None:
        reason = pause_reason(members, here)
    if reason is not None:
        return BlockState(latest + 1, arms, reason)
    return BlockState(latest, missing, None)


def pause_reason(members: Sequence[Outcome], here: Here) -> str | None:
    """Why an unfinished block cannot go on now, or None."""
    if not members:
        return None
    if any(o.boot_id != here.boot_id for o in members):
        return "the machine was restarted in the middle"
    if any(o.device_set != here.device_set for o in members):
        return "the devices changed in the middle"
    if min(seconds_between(o.ended_at, here.now) for o in members) > MAX_PAUSE_S:
        return f"there was a pause of over {MAX_PAUSE_S / 60:.0f} minutes in the middle"
    return None
