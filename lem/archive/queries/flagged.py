"""What the counted runs of a campaign are flagged with."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from lem.archive.queries.answer import CampaignId
from lem.archive.queries.campaigns import campaign_of
from lem.archive.schema import CONFIG, RUN


class Flagged(NamedTuple):
    runs: int
    flags: Counter[str]
    """In how many of them each stands."""


def flagged(
    connection: sa.Connection, campaign: CampaignId, configurations: Sequence[str] = ()
) -> Flagged:
    """Of these configurations (their whole ids); of none named: of all. Raises
    :class:`~lem.archive.refused.Refused` (404) for a campaign that is not here."""
    query = sa.select(RUN.c.flags).where(
        RUN.c.campaign_id == campaign_of(connection, campaign).id, RUN.c.counted
    )
    if configurations:
        query = query.join(CONFIG, CONFIG.c.id == RUN.c.config_id).where(
            CONFIG.c.hash.in_(configurations)
        )
    found = [set(filter(None, text.split(","))) for text in connection.scalars(query)]
    return Flagged(len(found), Counter(flag for flags in found for flag in flags))
