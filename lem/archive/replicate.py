"""Which configurations were replicated: by whom, and who disagrees.

Worked out anew for every configuration that something happened to, so that a tier falls back when
what it stood on is taken away.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lem.archive import log
from lem.archive.rows import NONE
from lem.archive.schema import (
    BOARD_SET,
    CONFIG,
    IDENTITY,
    RECOMPUTED,
    REPLICATED,
    REPLICATION,
    RUN,
    SUBMISSION,
)
from lem.trust.replication import Group, replicated

INVITED = "invitation"
UNMEASURED = ("estimated", NONE)
"""Energy classes that nobody measured: agreeing on them says nothing of a board."""
AT_ONCE = 400


def refresh(c: Connection, config_ids: Iterable[int]) -> set[int]:
    """Write down who replicates whom in these configurations, and set and take back the tier.
    Returns the submissions of whose runs a tier changed."""
    changed: set[int] = set()
    ids = sorted(set(config_ids))
    for at in range(0, len(ids), AT_ONCE):
        changed |= _refresh(c, ids[at : at + AT_ONCE])
    return changed


def log_tiers(c: Connection, submissions: Iterable[int]) -> None:
    """Tell of these submissions in the public log how many runs they have of each tier."""
    for submission in sorted(set(submissions)):
        rows = c.execute(
            sa.select(RUN.c.tier, sa.func.count())
            .where(RUN.c.submission_id == submission)
            .group_by(RUN.c.tier)
            .order_by(RUN.c.tier)
        ).all()
        sha256 = c.scalar(
            sa.select(SUBMISSION.c.content_sha256).where(SUBMISSION.c.id == submission)
        )
        if rows:
            tiers = {str(tier): int(n) for tier, n in rows}
            log.append(c, "tier", {"submission": str(sha256), "tiers": tiers})


def _refresh(c: Connection, ids: Sequence[int]) -> set[int]:
    c.execute(REPLICATION.delete().where(REPLICATION.c.config_id.in_(ids)))
    members: dict[int, frozenset[int]] = {}
    disagreeing: set[int] = set()
    pairs: list[dict[str, Any]] = []
    for config, groups in _groups(c, ids):
        if len(groups) < 2:
            continue
        found = replicated(groups)
        members[config] = found.members
        if any(p.verdict == "disagrees" for p in found.pairs):
            disagreeing.add(config)
        pairs += [
            {
                "config_id": config,
                "identity_a": p.a,
                "identity_b": p.b,
                "ratio": p.ratio,
                "low": p.low,
                "high": p.high,
                "verdict": p.verdict,
            }
            for p in found.pairs
        ]
    if pairs:
        c.execute(REPLICATION.insert(), pairs)
    for value in (True, False):
        those = [i for i in ids if (i in disagreeing) == value]
        c.execute(
            CONFIG.update()
            .where(CONFIG.c.id.in_(those), CONFIG.c.disagrees != value)
            .values(disagrees=value)
        )
    return _set_tiers(c, ids, members)


def _groups(c: Connection, ids: Sequence[int]) -> Iterator[tuple[int, list[Group]]]:
    """The submitters of each configuration whose energy was measured and recomputed."""
    rows = c.execute(
        sa.select(
            RUN.c.config_id,
            RUN.c.identity_id,
            RUN.c.energy_per_output_token_j.label("energy"),
            RUN.c.campaign_id,
            RUN.c.block,
            BOARD_SET.c.boards,
            IDENTITY.c.enrolled_by,
        )
        .join(CONFIG, CONFIG.c.id == RUN.c.config_id)
        .join(BOARD_SET, BOARD_SET.c.id == RUN.c.board_set_id)
        .join(IDENTITY, IDENTITY.c.id == RUN.c.identity_id)
        .where(
            RUN.c.config_id.in_(ids),
            RUN.c.counted,
            RUN.c.tier >= RECOMPUTED,
            RUN.c.energy_per_output_token_j > 0,
            CONFIG.c.energy_class.not_in(UNMEASURED),
        )
        .order_by(
            RUN.c.config_id,
            RUN.c.identity_id,
            RUN.c.campaign_id,
            RUN.c.block,
            RUN.c.arm,
            RUN.c.attempt,
        )
    ).all()
    configs: dict[int, dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        configs[row.config_id][row.identity_id].append(row)
    for config, submitters in configs.items():
        yield (
            config,
            [
                group_of(
                    identity,
                    {r.boards for r in runs},
                    runs[0].enrolled_by == INVITED,
                    _of_blocks(runs),
                )
                for identity, runs in submitters.items()
            ],
        )


def _of_blocks(runs: Sequence[Any]) -> list[float]:
    """One figure for each block: two arms may be of one configuration, and what they have in common
    is not measured twice by it."""
    blocks: dict[tuple[int, int], list[float]] = defaultdict(list)
    for r in runs:
        blocks[r.campaign_id, r.block].append(r.energy)
    return [math.fsum(those) / len(those) for those in blocks.values()]


def group_of(
    identity: int, board_sets: Iterable[str], invited: bool, values: Sequence[float]
) -> Group:
    """A submitter as replication looks at it; ``board_sets``: as the table has them."""
    salts: set[str] = set()
    boards: set[str] = set()
    for text in board_sets:
        salt, _, names = text.partition(":")
        salts.add(salt)
        boards.update(filter(None, names.split(",")))
    return Group(
        identity=identity,
        # Boards under different salts cannot be told apart: such a submitter's are not known.
        boards=frozenset(boards) if len(salts) == 1 else frozenset(),
        salt=min(salts),
        invited=invited,
        values=values,
    )


def _set_tiers(c: Connection, ids: Sequence[int], members: dict[int, frozenset[int]]) -> set[int]:
    rows = c.execute(
        sa.select(
            RUN.c.id,
            RUN.c.config_id,
            RUN.c.identity_id,
            RUN.c.submission_id,
            RUN.c.tier,
            RUN.c.counted,
        ).where(RUN.c.config_id.in_(ids), RUN.c.tier >= RECOMPUTED)
    ).all()
    changed: set[int] = set()
    new: dict[int, list[int]] = {RECOMPUTED: [], REPLICATED: []}
    for row in rows:
        is_member = row.identity_id in members.get(row.config_id, ())
        tier = REPLICATED if row.counted and is_member else RECOMPUTED
        if tier != row.tier:
            new[tier].append(row.id)
            changed.add(row.submission_id)
    for tier, runs in new.items():
        for at in range(0, len(runs), 500):
            c.execute(RUN.update().where(RUN.c.id.in_(runs[at : at + 500])).values(tier=tier))
    return changed
