"""Whether all of a campaign was submitted: every block that its own plan has, every attempt.

What makes a campaign complete is decided by the rules by which ``lem`` itself decides what is still
to be run (:func:`lem.campaign.plan.plan`), so nobody can leave the worst block out, or run more
blocks than planned and choose.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from lem.campaign.plan import Here, plan
from lem.contract.lock import Lock
from lem.stores.counted import counted, void_reason
from lem.stores.outcomes import Outcome

MOST_WORDS = 300
NO_RUN_COUNTS = "no run counts"
BESIDE = timedelta(minutes=1)
"""Between a block's plan and its first run."""


class Completeness(NamedTuple):
    complete: bool
    missing: str
    """In words, at most 300 characters; empty where it is complete."""


def state(lock: Lock, outcomes: Sequence[Outcome]) -> Completeness:
    """Of a campaign's lock and every attempt of it that was submitted so far."""
    said = list(_missing(lock, outcomes))
    words = "; ".join(dict.fromkeys(said))
    if len(words) > MOST_WORDS:
        words = words[: MOST_WORDS - 2] + " …"
    return Completeness(not said, words)


def _missing(lock: Lock, outcomes: Sequence[Outcome]) -> Iterator[str]:
    if not outcomes:
        yield "no attempt was submitted"
        return
    yield from _strangers(lock, outcomes)
    yield from _gaps(outcomes)
    yield from _passes(outcomes)
    yield from _needless(lock, outcomes)
    yield from _to_run(lock, outcomes)
    if not counted(outcomes):
        yield NO_RUN_COUNTS


def _strangers(lock: Lock, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Attempts that are none of the campaign's."""
    known = {a.arm_id for a in lock.arms}
    for o in outcomes:
        if o.arm_id not in known:
            yield f"an arm that is not in the lock: {o.arm_id[:12]}"
        elif lock.adaptive is not None and o.arm_id not in _arms_of(lock, o.block):
            yield f"arm {o.arm_id[:12]} has no place in block {o.block}"
    if len({(o.block, o.arm_id, o.attempt) for o in outcomes}) < len(outcomes):
        yield "an attempt is there twice"


def _gaps(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Attempts are numbered from 0 in each block and arm: one that is left out leaves a gap."""
    numbers: dict[tuple[int, str], set[int]] = defaultdict(set)
    for o in outcomes:
        numbers[o.block, o.arm_id].add(o.attempt)
    for (block, arm), found in sorted(numbers.items()):
        absent = min(set(range(max(found) + 1)) - found, default=None)
        if absent is not None:
            yield f"block {block}: attempt {absent} of arm {arm[:12]}"


def _passes(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """A block is begun anew only where the pass before was void, so that pass is there too. Later
    attempts belong to the same pass or a later one."""
    blocks: dict[int, list[Outcome]] = defaultdict(list)
    for o in outcomes:
        blocks[o.block].append(o)
    for block, members in sorted(blocks.items()):
        passes = {o.block_pass for o in members}
        absent = min(set(range(max(passes) + 1)) - passes, default=None)
        if absent is not None:
            yield f"block {block}: its pass {absent}"
        attempts: dict[str, list[Outcome]] = defaultdict(list)
        for o in members:
            attempts[o.arm_id].append(o)
        for arm, tried in attempts.items():
            tried.sort(key=lambda o: o.attempt)
            ordered = [o.block_pass for o in tried]
            if ordered != sorted(ordered):
                yield f"block {block}: attempts of arm {arm[:12]} are not in the order of passes"


def _needless(lock: Lock, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What ``lem`` never runs: an arm once more in a pass in which it has a record, and a pass
    after one that was whole. The newest counts, so who may repeat what ended well may choose."""
    passes: dict[tuple[int, int], list[Outcome]] = defaultdict(list)
    for o in outcomes:
        passes[o.block, o.block_pass].append(o)
    for (block, number), members in sorted(passes.items()):
        recorded: set[str] = set()
        for o in sorted(members, key=lambda o: o.attempt):
            if o.arm_id in recorded:
                yield f"block {block}: arm {o.arm_id[:12]} was run again after it had ended"
            if o.kind == "record":
                recorded.add(o.arm_id)
        followed = (block, number + 1) in passes
        if followed and _arms_of(lock, block) <= recorded and void_reason(members) is None:
            yield f"block {block}: it was run again after its pass {number} was whole"


def _to_run(lock: Lock, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """What the plan would still run, if it went on where and when the last run ended; and what it
    would never have run."""
    ended = [o for o in outcomes if o.kind != "open"]
    if not ended:
        yield "no attempt has ended"
        return
    last = max(ended, key=lambda o: datetime.fromisoformat(o.ended_at))
    todo = plan(lock, outcomes, Here(last.ended_at, last.boot_id, last.device_set))
    if not todo.decision.final:
        yield f"the pilot of {todo.blocks} blocks"
    wanted: dict[int, list[str]] = defaultdict(list)
    for run in todo.runs:
        wanted[run.block].append(run.arm_id)
    for block, arms in wanted.items():
        whole = len(arms) >= len(_arms_of(lock, block))
        yield f"block {block}" if whole else f"block {block}: arm {arms[0][:12]}"
    beyond = sorted({o.block for o in outcomes if o.block >= todo.blocks})
    if beyond and todo.decision.final:
        # Under a time budget blocks that ran beside the first may turn out to be too many.
        late = [b for b in beyond if not _beside_the_first(outcomes, b)]
        if lock.time_budget_s is None or late:
            block = (late or beyond)[0]
            yield f"block {block} is there, of a campaign of {todo.blocks}"
        elif absent := sorted(set(range(todo.blocks, beyond[-1])) - set(beyond)):
            yield f"block {absent[0]}"


def _beside_the_first(outcomes: Sequence[Outcome], block: int) -> bool:
    """Whether a block was begun before the first one had ended, from which follows how many there
    are to be. One that was begun later was added by somebody who had seen them."""
    ended = [datetime.fromisoformat(o.ended_at) for o in outcomes if o.block == 0 and o.ended_at]
    began = [
        datetime.fromisoformat(o.started_at) for o in outcomes if o.block == block and o.started_at
    ]
    return not began or (bool(ended) and min(began) < max(ended) + BESIDE)


def _arms_of(lock: Lock, block: int) -> set[str]:
    return {a.arm_id for a in lock.arms_of(block)}
