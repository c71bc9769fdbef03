"""A runner presents its lease with what it submits."""

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lem.archive.identities import key_of
from lem.archive.queue.leases import Lease, lease_of
from lem.archive.queue.tables import QUEUED
from lem.archive.reasons import refused
from lem.contract.queue import Hello


class Presented(NamedTuple):
    """The lease that a submission is said to be made under."""

    queued: str
    fence: int
    token_hash: str


def leased(
    c: Connection, campaign: str, presented: Presented | None, identity: int, imported: bool
) -> Lease | None:
    """The lease under which something of a campaign (``Content.campaign``) is submitted; None of
    one that was not queued here. ``identity``: whose key signed it. In the transaction that stores
    it, the lease holds until that ends.

    Raises ``Refused``: as ``lease_of``, ``not_the_runners_key``.
    """
    queued = c.scalar(sa.select(QUEUED.c.id).where(QUEUED.c.campaign == campaign))
    if queued is None and presented is None:
        return None
    if presented is None or imported or queued != presented.queued:
        # Whoever has seen its public name could else add runs to it.
        raise refused("lease_lost", "the campaign is of this archive's queue: only its runner adds")
    lease = lease_of(c, presented.queued, presented.fence, presented.token_hash)
    key = key_of(c, Hello.model_validate_json(lease.hello).key)
    if key is None or key.identity_id != identity:
        raise refused("not_the_runners_key")
    return lease
