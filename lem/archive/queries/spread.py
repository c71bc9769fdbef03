"""Campaigns of the archive whose blocks were spread over boards: which ran where, and after which.
A board goes by its salted hash. The archive knows no nodes."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from lem.analysis.places import Joined
from lem.archive.queries.among import among
from lem.archive.queries.blocks import OneRun
from lem.archive.queries.runs import boards_of
from lem.archive.schema import BOARD_SET, RUN


def on_boards(runs: Iterable[OneRun]) -> dict[int, str] | None:
    """Block → a name of the boards that its runs used, sets with a board in common being one. None
    where all are of one set, or all sets hang together so that none is independent."""
    used: dict[int, set[str]] = defaultdict(set)
    for run in runs:
        used[run.block].update(boards_of(run.boards))
    joined = Joined()
    for own in used.values():
        joined.join(sorted(own))
    found = {b: str(joined.of(min(own))) if own else "" for b, own in used.items()}
    return found if len(set(found.values())) > 1 else None


class _Block(NamedTuple):
    began: float
    last: float
    """When its last run began."""
    boards: frozenset[str]


def previous_of(
    connection: sa.Connection, campaign_ids: Sequence[int]
) -> dict[int, dict[int, int] | None]:
    """Campaign → block → the last one whose runs had all begun before it on one of its boards;
    None where no two blocks ran on boards that have none in common, so that each comes after the
    one before it. Also of blocks in which no run counts; of others, their counted runs."""
    r = RUN.c
    query = (
        sa.select(r.campaign_id, r.block, r.counted, r.started_at, BOARD_SET.c.boards)
        .join(BOARD_SET, BOARD_SET.c.id == r.board_set_id)
        .where(among(r.campaign_id, campaign_ids))
    )
    rows: dict[int, dict[int, list[Any]]] = {c: defaultdict(list) for c in campaign_ids}
    for row in connection.execute(query):
        rows[row.campaign_id][row.block].append(row)
    found = {}
    for campaign, of_block in rows.items():
        blocks = {}
        for block, own in of_block.items():
            taken = [x for x in own if x.counted] or own
            began = [x.started_at for x in taken]
            boards = frozenset(b for x in taken for b in boards_of(x.boards))
            blocks[block] = _Block(min(began), max(began), boards)
        found[campaign] = _previous(blocks)
    return found


def _previous(blocks: Mapping[int, _Block]) -> dict[int, int] | None:
    sets = {b.boards for b in blocks.values() if b.boards}
    if not any(one.isdisjoint(other) for one in sets for other in sets):
        return None
    on: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for block, own in blocks.items():
        for board in own.boards:
            on[board].append((own.last, block))
    for there in on.values():
        there.sort()
    found = {}
    for block, own in blocks.items():
        last = [
            there[i - 1] for b in own.boards if (i := bisect_left(there := on[b], (own.began,)))
        ]
        if last:
            found[block] = max(last)[1]
    return found
