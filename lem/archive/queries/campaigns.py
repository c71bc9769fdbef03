"""Campaigns as they are in the archive."""

import sqlalchemy as sa

from lem.archive.schema import CAMPAIGN
from lem.contract.base import MAX_DOCUMENT_BYTES
from lem.contract.lock import Lock
from lem.submit.pack import unpacked


def lock_of(connection: sa.Connection, campaign_id: int) -> Lock | None:
    """The campaign's public lock; None where it was submitted without."""
    query = sa.select(CAMPAIGN.c.lock).where(CAMPAIGN.c.id == campaign_id)
    packed: bytes = connection.execute(query).scalar_one()
    return Lock.parse(unpacked(packed, MAX_DOCUMENT_BYTES)) if packed else None
