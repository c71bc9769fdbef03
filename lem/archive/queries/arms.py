"""What a campaign compared: its arms and the configurations that they were measured as."""

from collections import defaultdict

import sqlalchemy as sa

from lem.analysis.naming import arms_of_lock, readable_names
from lem.archive.queries.answer import (
    Answer,
    CampaignId,
    Configuration,
    ConfigurationId,
    Shape,
    head,
)
from lem.archive.queries.campaigns import lock_of
from lem.archive.queries.figures import configurations_of, id_of
from lem.archive.queries.runs import campaign_of
from lem.archive.schema import CAMPAIGN, RUN

MOST_ARMS = 60


class CampaignArm(Shape):
    """An arm on one kind of hardware."""

    name: str
    """By what differs between the campaign's arms; empty where its lock is not here."""
    baseline: bool
    configuration: Configuration
    runs: int
    """That count."""


class CampaignArms(Answer):
    campaign: CampaignId
    name: str
    locked: bool
    """Whether the archive has the campaign's lock, which says what was to be compared."""
    every: int
    """How many there are; at most :data:`MOST_ARMS` are listed, the baseline first."""
    arms: list[CampaignArm]


def arms_of_campaign(connection: sa.Connection, campaign: CampaignId) -> CampaignArms:
    """Arms with runs that count, in the campaign's order. Raises :class:`Refused` (404)."""
    row = campaign_of(connection, campaign)
    lock = lock_of(connection, row.id)
    query = (
        sa.select(RUN.c.config_id, RUN.c.arm, sa.func.count())
        .where(RUN.c.campaign_id == row.id, RUN.c.counted)
        .group_by(RUN.c.config_id, RUN.c.arm)
    )
    runs: dict[tuple[int, int], int] = defaultdict(int)
    for config_id, arm, n in connection.execute(query):
        runs[arm if lock is not None else 0, config_id] += n
    names: list[str] = []
    base = -1
    if lock is not None:
        infos = arms_of_lock(lock)
        readable = readable_names(infos)
        names = [readable[a.arm_id] for a in infos]
        base = next((i for i, a in enumerate(infos) if a.arm_id == lock.baseline), -1)
    order = sorted(runs, key=lambda key: (key[0] != base, key))
    configurations = configurations_of(connection, [c for _, c in order[:MOST_ARMS]])
    return CampaignArms(
        **head(connection).fields(),
        campaign=campaign,
        name=row.name,
        locked=lock is not None,
        every=len(order),
        arms=[
            CampaignArm(
                name=names[arm] if arm < len(names) else "",
                baseline=lock is not None and arm == base,
                configuration=configurations[config_id],
                runs=runs[arm, config_id],
            )
            for arm, config_id in order[:MOST_ARMS]
        ],
    )


def campaigns_of(
    connection: sa.Connection, configuration: ConfigurationId, limit: int
) -> list[CampaignId]:
    """Campaigns in which it has runs that count, the newest first. Raises :class:`Refused`
    (404)."""
    query = (
        sa.select(CAMPAIGN.c.owner, CAMPAIGN.c.identity_id)
        .where(
            CAMPAIGN.c.id.in_(
                sa.select(RUN.c.campaign_id).where(
                    RUN.c.config_id == id_of(connection, configuration), RUN.c.counted
                )
            )
        )
        .order_by(CAMPAIGN.c.id.desc())
        .limit(limit)
    )
    return [f"{row.owner}-{row.identity_id}" for row in connection.execute(query)]
