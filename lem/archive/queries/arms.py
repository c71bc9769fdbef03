"""What a campaign compared: its arms and the configurations that they were measured as."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from lem.archive.queries.among import among
from lem.archive.queries.answer import (
    Answer,
    CampaignId,
    Configuration,
    ConfigurationId,
    Shape,
    head,
)
from lem.archive.queries.campaigns import arms_of, campaign_of, known, parsed, runs_in_short
from lem.archive.queries.figures import configurations_of, id_of
from lem.archive.schema import CAMPAIGN, RUN
from lem.contract.lock import Lock

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
    lock = parsed(bytes(row.lock)) if row.lock else None
    runs: dict[tuple[int, int], int] = defaultdict(int)
    for alike in runs_in_short(connection, row.id):
        if alike.counted:
            runs[alike.arm if lock is not None else 0, alike.config_id] += alike.runs
    names: list[str] = []
    base = -1
    if lock is not None:
        infos, readable = arms_of(bytes(row.lock), lock)
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


class InShort(NamedTuple):
    """What :class:`CampaignArms` says, without the arms."""

    name: str
    locked: bool
    every: int
    baselines: list[Configuration]
    """What its baseline was measured as: several where it ran on several kinds of hardware."""


def arms_in_short(
    connection: sa.Connection, campaigns: Sequence[CampaignId]
) -> dict[CampaignId, InShort]:
    """Of those that are here."""
    here = known(connection, campaigns)
    query = (
        sa.select(RUN.c.campaign_id, RUN.c.arm, RUN.c.config_id)
        .where(among(RUN.c.campaign_id, (one.id for one in here.values())), RUN.c.counted)
        .distinct()
    )
    ran: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for campaign, arm, config in connection.execute(query):
        ran[campaign].add((arm, config))
    bases = {
        campaign: sorted(config for arm, config in ran[one.id] if arm in _baseline_arms(one.lock))
        for campaign, one in here.items()
    }
    shown = configurations_of(connection, sorted({b for own in bases.values() for b in own}))
    return {
        campaign: InShort(
            name=one.name,
            locked=one.lock is not None,
            every=len(ran[one.id] if one.lock is not None else {c for _, c in ran[one.id]}),
            baselines=[shown[b] for b in dict.fromkeys(bases[campaign])],
        )
        for campaign, one in here.items()
    }


def _baseline_arms(lock: Lock | None) -> list[int]:
    """None, or one: the first of that name."""
    if lock is None:
        return []
    return [i for i, arm in enumerate(lock.arms) if arm.arm_id == lock.baseline][:1]


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
