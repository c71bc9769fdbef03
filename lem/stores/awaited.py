"""Which runs are still awaited: one rule, in one place, for the plan and for the analysis."""

import itertools
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
"""An arm that failed this often in a row (of several nodes: on two of them) is not tried again."""
AT_ONCE = ("device_setting",)
"""Kinds of failure after which an arm is not tried again at all: the next try would end the same
way. ``--retry-failed`` tries, once the reason is gone."""


def dropped(outcomes: Iterable[Outcome]) -> dict[str, str]:
    """Arms that failed three times in a row, or whose latest attempt cannot end otherwise
    (:data:`AT_ONCE`), with the last failure's kind.

    Where the campaign's attempts were made on several nodes, failures of one of them alone say
    nothing of the others: those in a row, or those that cannot end otherwise, are then of two nodes
    or more.
    """
    history: dict[str, list[Outcome]] = defaultdict(list)
    ended = [o for o in outcomes if ended_by_itself(o)]
    for o in ended:
        history[o.arm_id].append(o)
    nodes = _nodes(ended)
    enough = min(2, len(set(nodes.values())))
    gone: dict[str, str] = {}
    for arm, tried in history.items():
        tried.sort(key=lambda o: o.started_at)
        row = list(itertools.takewhile(lambda o: o.kind == "failure", reversed(tried)))
        at_once = row[:1] if enough < 2 else row
        at_once = [o for o in at_once if o.failure_kind in AT_ONCE]
        if at_once and len({nodes[o.boot_id] for o in at_once}) >= enough:
            gone[arm] = at_once[0].failure_kind or "engine_error"
        elif len(row) >= MAX_FAILURES and len({nodes[o.boot_id] for o in row}) >= enough:
            gone[arm] = row[0].failure_kind or "engine_error"
    return gone


def _nodes(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """Boot → a boot that stands for its node. Boots that saw a board in common are of one node, and
    so are boots without a board that followed each other: one machine that was restarted."""
    boards: dict[str, set[str]] = defaultdict(set)
    spans: dict[str, tuple[str, str]] = {}
    for o in outcomes:
        boards[o.boot_id].update(d for d in o.device_set if d != "cpu")
        first, last = spans.get(o.boot_id, (o.started_at, o.ended_at))
        spans[o.boot_id] = min(first, o.started_at), max(last, o.ended_at)
    nodes = {boot: boot for boot in boards}
    alone = sorted((b for b in boards if not boards[b]), key=lambda b: spans[b])
    if all(spans[a][1] <= spans[b][0] for a, b in itertools.pairwise(alone)):
        nodes |= dict.fromkeys(alone, alone[0] if alone else "")
    of_board: dict[str, str] = {}
    for boot, seen in boards.items():
        for board in seen:
            old, new = nodes[of_board.setdefault(board, boot)], nodes[boot]
            nodes = {b: old if n == new else n for b, n in nodes.items()}
    return nodes


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
