"""Whether submitters agree on a configuration's ratio to a baseline that their campaigns share.

A board's gain cancels in the ratio of two runs on it, so that this is held to 3 %, where absolute
energy is held to 10 % (``lem/trust/replication.py``). It is shown, and decides no tier.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa

from lem.archive.queries.answer import ConfigurationId, Shape
from lem.archive.queries.blocks import table_of
from lem.archive.queries.campaigns import locks_of
from lem.archive.replicate import INVITED, UNMEASURED, group_of
from lem.archive.schema import BOARD_SET, CAMPAIGN, CONFIG, IDENTITY, RECOMPUTED, RUN
from lem.trust.replication import RATIO_MARGIN, replicated

ENERGY = "energy_per_output_token_j"
MAX_CAMPAIGNS = 40
"""Of the newest with a lock that have the configuration."""


class RatioReplication(Shape):
    """Two submitters' ratios of energy per output token to one baseline, each within blocks."""

    baseline: ConfigurationId
    submitter_a: str
    submitter_b: str
    ratio: float
    """a's ratio ÷ b's."""
    low: float | None
    high: float | None
    """Of 90 %."""
    margin: float
    verdict: str
    """As in replications, within ``margin``."""


class _Series:
    """One submitter's ratios to one baseline."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.boards: set[str] = set()


def ratio_replications(
    connection: sa.Connection, config_id: int, energy_class: str
) -> list[RatioReplication]:
    """Every pair of submitters whose campaigns have the same baseline, run on the same boards as
    the configuration; of recomputed runs."""
    if energy_class in UNMEASURED:
        return []
    found: dict[int, dict[int, _Series]] = defaultdict(lambda: defaultdict(_Series))
    query = (
        sa.select(RUN.c.campaign_id, RUN.c.identity_id)
        .join(CAMPAIGN, CAMPAIGN.c.id == RUN.c.campaign_id)
        .where(RUN.c.config_id == config_id, RUN.c.counted, RUN.c.tier >= RECOMPUTED)
        .where(sa.func.length(CAMPAIGN.c.lock) > 0)
        .distinct()
        .order_by(RUN.c.campaign_id.desc())
        .limit(MAX_CAMPAIGNS)
    )
    campaigns = sorted(tuple(row) for row in connection.execute(query))
    if len({identity for _, identity in campaigns}) < 2:
        return []
    bases = _baselines(connection, [campaign for campaign, _ in campaigns])
    every = _runs(connection, {c: b for c, b in bases.items() if b != config_id}, config_id)
    for campaign, identity in campaigns:
        if campaign not in every:
            continue
        base = bases[campaign]
        # Several may have run one that came from the queue, each whole blocks of it.
        runs = [r for r in every[campaign] if r.identity == identity]
        table = table_of(runs)
        own, other = table.get(config_id, {}), table.get(base, {})
        series = found[base][identity]
        for block in sorted(own.keys() & other.keys()):
            boards = {r.boards for r in runs if r.block == block}
            # On different boards gains do not cancel.
            if len(boards) == 1:
                series.values.append(own[block] / other[block])
                series.boards |= boards
    return [one for base in sorted(found) for one in _pairs(connection, base, found[base])]


class _Run(NamedTuple):
    identity: int
    config_id: int
    arm: int
    block: int
    value: float
    boards: str


_COUNTS = (RUN.c.counted, RUN.c.tier >= RECOMPUTED, RUN.c[ENERGY] > 0)


def _baselines(connection: sa.Connection, campaigns: list[int]) -> dict[int, int]:
    """Campaign → the configuration that its baseline was measured as, where it is one."""
    arms = {
        campaign: [i for i, arm in enumerate(lock.arms) if arm.arm_id == lock.baseline]
        for campaign, lock in locks_of(connection, campaigns).items()
    }
    of_baseline = [
        sa.and_(RUN.c.campaign_id == campaign, RUN.c.arm.in_(own)) for campaign, own in arms.items()
    ]
    found: dict[int, set[int]] = defaultdict(set)
    query = sa.select(RUN.c.campaign_id, RUN.c.config_id).distinct()
    for campaign, config in connection.execute(
        query.where(sa.or_(sa.false(), *of_baseline), *_COUNTS)
    ):
        found[campaign].add(config)
    return {campaign: configs.pop() for campaign, configs in found.items() if len(configs) == 1}


def _runs(
    connection: sa.Connection, bases: Mapping[int, int], config_id: int
) -> dict[int, list[_Run]]:
    """Campaign → its counted runs of the configuration and of its baseline."""
    r = RUN.c
    wanted = [
        sa.and_(r.campaign_id == campaign, r.config_id.in_((config_id, base)))
        for campaign, base in bases.items()
    ]
    if not wanted:
        return {}
    query = (
        sa.select(
            r.campaign_id, r.identity_id, r.config_id, r.arm, r.block, r[ENERGY], BOARD_SET.c.boards
        )
        .join(BOARD_SET, BOARD_SET.c.id == r.board_set_id)
        .where(sa.or_(*wanted), *_COUNTS)
        .order_by(r.campaign_id, r.block, r.started_at, r.id)
    )
    found: dict[int, list[_Run]] = defaultdict(list)
    for campaign, *run in connection.execute(query):
        found[campaign].append(_Run(*run))
    return found


def _pairs(
    connection: sa.Connection, base: int, submitters: dict[int, _Series]
) -> list[RatioReplication]:
    known = {i: s for i, s in submitters.items() if s.values}
    about = {
        row.id: row
        for row in connection.execute(sa.select(IDENTITY).where(IDENTITY.c.id.in_(known)))
    }
    groups = [
        group_of(i, s.boards, about[i].enrolled_by == INVITED, s.values) for i, s in known.items()
    ]
    if len(groups) < 2:
        return []
    name = connection.scalar(sa.select(CONFIG.c.hash).where(CONFIG.c.id == base))
    return [
        RatioReplication(
            baseline=str(name),
            submitter_a=about[p.a].name,
            submitter_b=about[p.b].name,
            ratio=p.ratio,
            low=p.low,
            high=p.high,
            margin=RATIO_MARGIN,
            verdict=p.verdict,
        )
        for p in replicated(groups, RATIO_MARGIN).pairs
    ]
