"""How much an archive has. Of what counts, from the board in memory: counting a million rows takes
longer than all else that a page asks."""

from typing import NamedTuple

import numpy as np
import sqlalchemy as sa

from lem.archive.columns import columns
from lem.archive.schema import CAMPAIGN, SUBMISSION


class Holdings(NamedTuple):
    configurations: int
    """With runs that count."""
    runs: int
    """That count: of each configuration as many as its commonest figure is of."""
    models: int
    """By content."""
    campaigns: int
    """That are complete."""
    submitters: int
    """Of complete campaigns: not those who only enrolled."""


def holdings(connection: sa.Connection) -> Holdings:
    board = columns(connection)
    of_every_tier = board.figures["n"][0]

    def rows(table: sa.Table, *which: sa.ColumnElement[bool]) -> int:
        query = sa.select(sa.func.count()).select_from(table).where(*which)
        return connection.scalar(query) or 0

    return Holdings(
        configurations=len(board),
        runs=int(of_every_tier.max(axis=0, initial=0).sum()),
        models=len(np.unique(board.coded["model_content"].codes)),
        campaigns=rows(CAMPAIGN, CAMPAIGN.c.state == "complete"),
        submitters=connection.scalar(
            sa.select(sa.func.count(SUBMISSION.c.identity_id.distinct()))
            .join(CAMPAIGN, CAMPAIGN.c.id == SUBMISSION.c.campaign_id)
            .where(CAMPAIGN.c.state == "complete")
        )
        or 0,
    )
