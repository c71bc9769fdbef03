"""Whether submitters agree on a configuration's ratio to a baseline that their campaigns share.

A board's gain cancels in the ratio of two runs on it, so that this is held to 3 %, where absolute
energy is held to 10 % (``lem/trust/replication.py``). It is shown, and decides no tier.
"""

from collections import defaultdict

import sqlalchemy as sa

from lem.archive.queries.answer import ConfigurationId, Shape
from lem.archive.queries.blocks import OneRun, counted_runs, table_of
from lem.archive.queries.campaigns import lock_of
from lem.archive.replicate import INVITED, UNMEASURED, group_of
from lem.archive.schema import CONFIG, IDENTITY, RECOMPUTED, RUN
from lem.trust.replication import RATIO_MARGIN, replicated

ENERGY = "energy_per_output_token_j"
MAX_CAMPAIGNS = 40
"""Of the newest that have the configuration."""


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
        .where(RUN.c.config_id == config_id, RUN.c.counted, RUN.c.tier >= RECOMPUTED)
        .distinct()
        .order_by(RUN.c.campaign_id.desc())
        .limit(MAX_CAMPAIGNS)
    )
    campaigns = sorted(tuple(row) for row in connection.execute(query))
    if len({identity for _, identity in campaigns}) < 2:
        return []
    for campaign, identity in campaigns:
        runs = counted_runs(connection, campaign, ENERGY, RECOMPUTED)
        base = _baseline(connection, campaign, runs)
        if base is None or base == config_id:
            continue
        table = table_of(runs)
        own, other = table.get(config_id, {}), table[base]
        series = found[base][identity]
        for block in sorted(own.keys() & other.keys()):
            boards = {
                r.boards for r in runs if r.block == block and r.config_id in (config_id, base)
            }
            # On different boards gains do not cancel.
            if len(boards) == 1:
                series.values.append(own[block] / other[block])
                series.boards |= boards
    return [one for base in sorted(found) for one in _pairs(connection, base, found[base])]


def _baseline(connection: sa.Connection, campaign: int, runs: list[OneRun]) -> int | None:
    """The configuration that the campaign's baseline was measured as; None where it is not one."""
    lock = lock_of(connection, campaign)
    if lock is None:
        return None
    arms = [i for i, arm in enumerate(lock.arms) if arm.arm_id == lock.baseline]
    configs = {r.config_id for r in runs if r.arm in arms}
    return configs.pop() if len(configs) == 1 else None


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
