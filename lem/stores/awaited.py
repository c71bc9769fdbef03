"""Which runs are still awaited: one rule, in one place, for the plan and for the analysis."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from lem.stores.counted import ended_by_itself, latest_passes, void_reason
from lem.stores.outcomes import Outcome

MAX_VOID_PASSES = 3
"""A block that was disturbed this often is given up and reported. One that was left unfinished and
found too old when the campaign went on does not count here: that is no fault of the machine's."""
MAX_PASSES = 20
"""A block that was begun this often, for whatever reason, is given up too."""
MAX_FAILURES = 3
"""An arm that failed this often in a row is not tried again."""
AT_ONCE = ("device_setting",)
"""Kinds of failure after which an arm is not tried again at all: the next try would end the same
way. ``--retry-failed`` tries, once the reason is gone."""


def dropped(outcomes: Iterable[Outcome]) -> dict[str, str]:
    """Arms whose latest three attempts all failed, or whose latest one cannot end otherwise
    (:data:`AT_ONCE`), with the last failure's kind."""
    history: dict[str, list[Outcome]] = defaultdict(list)
    for o in outcomes:
        if ended_by_itself(o):
            history[o.arm_id].append(o)
    gone: dict[str, str] = {}
    for arm, tried in history.items():
        last = sorted(tried, key=lambda o: o.started_at)[-MAX_FAILURES:]
        failed = len(last) == MAX_FAILURES and all(o.kind == "failure" for o in last)
        if failed or last[-1].failure_kind in AT_ONCE:
            gone[arm] = last[-1].failure_kind or "engine_error"
    return gone


def given_up(block: Iterable[Outcome], next_pass: int) -> bool:
    """Whether a block whose latest pass is void is not begun again. ``block``: its attempts."""
    return next_pass >= MAX_PASSES or _void_passes(block) >= MAX_VOID_PASSES


def settled(block: Sequence[Outcome], arms: Collection[str]) -> bool:
    """Whether nothing is awaited of a block any more: every one of ``arms`` has ended in its latest
    pass, or the block was given up. ``block``: its attempts."""
    latest = next(iter(latest_passes(block).values()), [])
    if not latest:
        return not arms
    if void_reason(latest) is not None:
        return given_up(block, latest[0].block_pass + 1)
    ended = {o.arm_id for o in latest if ended_by_itself(o)}
    return all(a in ended for a in arms)


def _void_passes(outcomes: Iterable[Outcome]) -> int:
    """How many of a block's passes were void when they ended."""
    passes: dict[int, list[Outcome]] = defaultdict(list)
    for o in outcomes:
        passes[o.block_pass].append(o)
    return sum(void_reason(members) is not None for members in passes.values())
