"""What an archive's first page says: two configurations of one campaign, one of them as the engine
comes, and what the choice cost.

- *One campaign*: the ratio is of runs in the same blocks.
- *The same work*: same model (its content), kind of device and meter, workload, request list, and
  settings of what is asked for (``generate``).
- *As good*: the same likelihood of the same text within ``QUALITY_MARGIN``, and the objectives met
  by both, where the workload has some.
- *Not picked from all there is*: the other one is the best of those of its campaign that answer as
  well as one base, under intervals that hold for all of these together.
  ``headline_pairs.py`` has the rules.

Which campaign: measured classes before estimates; those whose answers were compared before others;
then by the tier of their runs, by blocks, the newest. To be fast in any archive, no more is looked
at than the ``NEWEST`` configurations of each class and tier, and ``MOST_CAMPAIGNS`` of their
campaigns.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import sqlalchemy as sa

from lem.archive.columns import Columns, Mask, columns
from lem.archive.queries.answer import (
    Answer,
    CampaignId,
    Packs,
    Shape,
    Tier,
    head,
    tier_name,
    unit_of,
)
from lem.archive.queries.campaigns import campaign_of, submitters_of
from lem.archive.queries.headline_pairs import ENERGY, Look, Pair, Side, WorkloadOf
from lem.archive.queries.headline_quality import Quality, SloOf
from lem.archive.queries.ratios import NLL, Ratio
from lem.archive.queries.runs import time_of
from lem.archive.schema import CAMPAIGN, RUN, TIERS

MOST_CAMPAIGNS = 3
"""That are looked at, of measured classes and of estimates."""
NEWEST = 60
"""Configurations of one class and tier by whose runs campaigns are found."""
ESTIMATED = "estimated"
NO_ENERGY = "none"


class HeadlineCampaign(Shape):
    id: CampaignId
    name: str
    submitter: str
    blocks: int
    """In which both ran and count."""
    measured_at: str
    """When its newest run of the two began."""


class HeadlinePair(Shape):
    """``other`` beside ``base``: ``ratio`` is other ÷ base."""

    campaign: HeadlineCampaign
    metric: str
    unit: str
    energy_class: str
    """``estimated`` is no measurement."""
    tier: Tier
    """Of all runs of the two that enter at least."""
    model: str
    device_model: str
    base: Side
    other: Side
    differing: list[str]
    """Experiment paths in which they differ."""
    ratio: Ratio
    compared: int
    """Configurations of the campaign that answer as well and were held against the base; the
    interval is joint."""
    quality: Quality
    slo: SloOf | None
    """None: the workload has no objectives."""
    workload: WorkloadOf


class Headline(Answer):
    pair: HeadlinePair | None
    campaigns: int
    """That were looked at."""
    why_none: list[str]
    """Where there is no pair: what stood in the way, of each campaign looked at."""


def headline(
    connection: sa.Connection, packs: Packs, campaign_id: CampaignId | None = None
) -> Headline:
    """The same for the same state of an archive. ``campaign_id``: of this campaign alone. Raises
    :class:`~lem.archive.refused.Refused` (404) where it is not here."""
    only = None if campaign_id is None else campaign_of(connection, campaign_id).id
    looked, why = 0, []
    for measured in (True, False):
        looks: list[Look] = []
        for campaign, tier in _places(connection, measured, only):
            looks.append(Look(connection, packs, campaign, tier, measured))
            looked += 1
            if (found := looks[-1].pair(compared=True)) is not None:
                return _answer(connection, looks[-1], found, looked)
        for look in looks:
            if (found := look.pair(compared=False)) is not None:
                return _answer(connection, look, found, looked)
        why += [f"{_about(connection, look.campaign).name}: {look.why_none()}" for look in looks]
    why = why or ["no campaign here has two configurations of one model with figures of energy"]
    return Headline(
        **head(connection).fields(), pair=None, campaigns=looked, why_none=list(dict.fromkeys(why))
    )


def _places(
    connection: sa.Connection, measured: bool, only: int | None
) -> Iterable[tuple[int, int]]:
    if only is not None:
        return [(only, tier) for tier in sorted(TIERS, reverse=True)]
    return _campaigns(connection, columns(connection), measured)


def _campaigns(
    connection: sa.Connection, board: Columns, measured: bool
) -> Iterator[tuple[int, int]]:
    """Campaigns to look at, the likeliest first, each with the tier of its runs to take."""
    seen: set[int] = set()
    for with_nll in (True, False):
        for tier in sorted(TIERS, reverse=True):
            ids = _newest(board, tier, measured, with_nll)
            for campaign in _with_several(connection, ids, tier) if ids else ():
                if campaign not in seen:
                    seen.add(campaign)
                    yield campaign, tier
                if len(seen) == MOST_CAMPAIGNS:
                    return


def _newest(board: Columns, tier: int, measured: bool, with_nll: bool) -> list[int]:
    """Configurations that runs of at least this tier have figures of."""
    classes = board.coded["energy_class"]
    which: Mask = classes.are(
        lambda c: c not in (ESTIMATED, NO_ENERGY) if measured else c == ESTIMATED
    )
    which &= board.coded["weights"].are(lambda w: w != "random")
    which &= board.figure("mean", ENERGY, tier) > 0
    if with_nll:
        which &= board.figure("mean", NLL, tier) > 0
    rows = np.flatnonzero(which)
    # The board is in the order of hashes, and a stable sort keeps it among equals.
    newest = rows[np.argsort(board.texts["last_at"][rows], kind="stable")[::-1]][:NEWEST]
    found: list[int] = board.numbers["config_id"][newest].tolist()
    return found


def _with_several(connection: sa.Connection, ids: list[int], tier: int) -> list[int]:
    """Campaigns with two or more of these, those with most blocks first, then the newest."""
    r = RUN.c
    query = (
        sa.select(r.campaign_id)
        .where(r.config_id.in_(ids), r.counted, r.tier >= tier)
        .group_by(r.campaign_id)
        .having(sa.func.count(r.config_id.distinct()) > 1)
        .order_by(
            sa.func.count(r.block.distinct()).desc(),
            sa.func.max(r.started_at).desc(),
            r.campaign_id,
        )
        .limit(MOST_CAMPAIGNS)
    )
    return list(connection.scalars(query))


def _about(connection: sa.Connection, campaign: int) -> Any:
    c = CAMPAIGN.c
    query = sa.select(c.name, c.owner, c.identity_id).where(c.id == campaign)
    return connection.execute(query).one()


def _answer(connection: sa.Connection, look: Look, pair: Pair, looked: int) -> Headline:
    row = _about(connection, look.campaign)
    told = tier_name(look.tier)
    assert told is not None and pair.ratio.blocks is not None
    base = pair.base.configuration
    return Headline(
        **head(connection, base.semantics_version).fields(),
        pair=HeadlinePair(
            campaign=HeadlineCampaign(
                id=f"{row.owner}-{row.identity_id}",
                name=row.name,
                submitter=", ".join(submitters_of(connection, [look.campaign])[look.campaign]),
                blocks=pair.ratio.blocks,
                measured_at=time_of(pair.newest),
            ),
            metric=ENERGY,
            unit=unit_of(ENERGY),
            energy_class=base.energy_class,
            tier=told,
            model=base.model,
            device_model=base.device_model,
            base=pair.base,
            other=pair.other,
            differing=pair.differing,
            ratio=pair.ratio,
            compared=pair.compared,
            quality=pair.quality,
            slo=pair.slo,
            workload=pair.workload,
        ),
        campaigns=looked,
        why_none=[],
    )
