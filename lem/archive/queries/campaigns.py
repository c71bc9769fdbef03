"""Campaigns as they are in the archive."""

from functools import lru_cache

import sqlalchemy as sa

from lem.archive.schema import CAMPAIGN
from lem.contract.base import MAX_DOCUMENT_BYTES
from lem.contract.lock import Lock
from lem.submit.pack import unpacked

KEPT_BYTES = 128 * 2**10
"""Locks of at most this size are kept parsed, since pages ask for the same ones again."""
_kept = lru_cache(maxsize=64)(Lock.parse)


def lock_of(connection: sa.Connection, campaign_id: int) -> Lock | None:
    """The campaign's public lock; None where it was submitted without."""
    query = sa.select(CAMPAIGN.c.lock).where(CAMPAIGN.c.id == campaign_id)
    packed: bytes = connection.execute(query).scalar_one()
    if not packed:
        return None
    text = unpacked(packed, MAX_DOCUMENT_BYTES)
    return _kept(text) if len(text) <= KEPT_BYTES else Lock.parse(text)
