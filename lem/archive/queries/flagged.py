"""What the counted runs of a campaign are flagged with."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from lem.archive.queries.answer import CampaignId
from lem.archive.queries.campaigns import campaign_of, runs_in_short


class Flagged(NamedTuple):
    runs: int
    flags: Counter[str]
    """In how many of them each stands."""


def flagged(
    connection: sa.Connection, campaign: CampaignId, configurations: Sequence[str] = ()
) -> Flagged:
    """Of these configurations (their whole ids); of none named: of all. Raises
    :class:`~lem.archive.refused.Refused` (404) for a campaign that is not here."""
    runs, flags = 0, Counter[str]()
    for alike in runs_in_short(connection, campaign_of(connection, campaign).id):
        if alike.counted and (not configurations or alike.configuration in configurations):
            runs += alike.runs
            for flag in set(filter(None, alike.flags.split(","))):
                flags[flag] += alike.runs
    return Flagged(runs, flags)
