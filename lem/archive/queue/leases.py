"""Who holds a campaign now: leases and their fences.

A lease is a runner's for ``LEASE_S`` seconds, and heartbeats prolong it. Each claim of a campaign
has a higher fence than the one before. Whatever is done with a lease is done by a transaction that
has locked the campaign's row and looked: a fence that is lost cannot be lost in between.
"""

import time
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lem.archive.database import is_writing
from lem.archive.queue.tables import CLAIM, QUEUED, RUNNER
from lem.archive.reasons import refused
from lem.archive.schema import PERSON, TOKEN
from lem.contract.queue import Standing

LEASE_S = 30.0
HEARTBEAT_S = 5.0
POLL_S = 2.0
MAX_TRIES = 5
"""Claims of a campaign without a block of it submitted in between: then it has failed."""
LOST = "its runner was not heard of any more"


class Change(NamedTuple):
    """What happened to a campaign, for whoever watches it. ``state``: ``queued``, ``claimed``,
    ``lost``, ``done``, ``failed``, ``cancelled``, as in ``lem/contract/live.py``."""

    queued: str
    state: str
    fence: int
    message: str = ""


class Lease(NamedTuple):
    """A lease that holds now."""

    seq: int
    queued: str
    fence: int
    campaign: str
    """``Content.campaign`` of what is submitted of it."""
    runner_id: int
    runner: str
    hello: str
    adaptive: bool
    cancel: bool
    until: float


def lease_of(
    c: Connection, queued: str, fence: int, token_hash: str, at: float | None = None
) -> Lease:
    """The lease with this fence, if the token's runner holds it now. In a transaction that writes,
    the campaign's row is locked, so that it is still held when that ends.

    Raises ``Refused``: ``lease_lost``, ``runner_disabled``, ``token_unknown``.
    """
    row, _ = held(c, queued, fence, token_hash, at)
    return Lease(
        row.seq,
        row.id,
        row.fence,
        row.campaign,
        row.runner_id,
        row.handle,
        row.hello,
        bool(row.wanted.get("adaptive")),
        is_to_end(row),
        row.lease_until,
    )


def held(
    c: Connection, queued: str, fence: int, token_hash: str, at: float | None
) -> tuple[sa.Row[Any], float]:
    """The row of a campaign whose lease holds, with its runner's, and the time. Raises as
    :func:`lease_of`."""
    row = c.execute(_leased(c.dialect.name, is_writing(c)), {"queued": queued}).first()
    if row is None or row.token_hash != token_hash:
        raise refused("lease_lost")
    now = moment_of(row, at)
    if (row.state, row.fence) != ("running", fence) or row.lease_until <= now:
        raise refused("lease_lost")
    if row.runner_disabled is not None:
        raise refused("runner_disabled")
    if not _is_valid(row, now):
        # It was revoked while this was on its way.
        raise refused("token_unknown")
    return row, now


@cache
def _leased(dialect: str, lock: bool) -> sa.Select[Any]:
    """A campaign with its runner and the clock: all that a lease depends on, asked at once."""
    holder = PERSON.alias("holder")
    query = (
        sa.select(
            QUEUED,
            RUNNER.c.handle,
            RUNNER.c.name.label("runner_name"),
            RUNNER.c.hello,
            RUNNER.c.token_hash,
            RUNNER.c.disabled_at.label("runner_disabled"),
            PERSON.c.disabled_at.label("person_disabled"),
            TOKEN.c.revoked_at,
            TOKEN.c.expires_at,
            holder.c.disabled_at.label("holder_disabled"),
            clock(dialect),
        )
        .join(RUNNER, RUNNER.c.id == QUEUED.c.runner_id)
        .join(PERSON, PERSON.c.id == QUEUED.c.person_id)
        .join(TOKEN, TOKEN.c.hash == RUNNER.c.token_hash)
        .outerjoin(holder, holder.c.id == TOKEN.c.person_id)
        .where(QUEUED.c.id == sa.bindparam("queued"))
    )
    return query.with_for_update(of=QUEUED) if lock else query


def _is_valid(row: sa.Row[Any], now: float) -> bool:
    """Whether a runner's token is worth something, as ``identities.grant_of`` says."""
    if row.revoked_at is not None or row.holder_disabled is not None:
        return False
    return row.expires_at is None or row.expires_at > text(now)


def is_to_end(row: sa.Row[Any]) -> bool:
    """Whether somebody wants the campaign to end."""
    return row.cancel_at is not None or row.person_disabled is not None


def heartbeat(
    c: Connection, queued: str, fence: int, token_hash: str, at: float | None = None
) -> Standing:
    """Prolong a lease. Raises as :func:`lease_of`."""
    row, now = held(c, queued, fence, token_hash, at)
    c.execute(QUEUED.update().where(QUEUED.c.seq == row.seq).values(lease_until=now + LEASE_S))
    return Standing(lease_s=LEASE_S, cancel=is_to_end(row))


def block_submitted(c: Connection, lease: Lease, device_models: str) -> None:
    """Within the transaction that stores a submission of the campaign: it got on, so that who
    claims it next is not one of too many. ``device_models``: what it is run on; remembered of the
    first."""
    began_on = lease.runner if lease.adaptive else device_models
    c.execute(
        QUEUED.update()
        .where(QUEUED.c.seq == lease.seq)
        .values(tries=0, device_models=sa.func.coalesce(QUEUED.c.device_models, began_on))
    )


def locked(c: Connection, queued: str) -> sa.Row[Any] | None:
    """The campaign's row, until the transaction ends nobody else's."""
    return c.execute(sa.select(QUEUED).where(QUEUED.c.id == queued).with_for_update()).first()


def end_claim(c: Connection, row: sa.Row[Any], now: float, outcome: str, reason: str) -> None:
    """Write down how the last claim ended."""
    c.execute(
        CLAIM.update()
        .where(CLAIM.c.queued_seq == row.seq, CLAIM.c.fence == row.fence, CLAIM.c.outcome.is_(None))
        .values(ended_at=text(now), outcome=outcome, reason=reason)
    )


def end(c: Connection, row: sa.Row[Any], now: float, state: str, reason: str) -> Change:
    """For good. Its owner's token is worth nothing any more."""
    c.execute(
        QUEUED.update()
        .where(QUEUED.c.seq == row.seq)
        .values(state=state, reason=reason, lease_until=0.0, ended_at=text(now))
    )
    # By its person as well: of those the table has an index.
    mine = sa.and_(TOKEN.c.person_id == row.person_id, TOKEN.c.queued_id == row.id)
    c.execute(TOKEN.update().where(mine).values(revoked_at=text(now)))
    return Change(row.id, state, row.fence, reason)


def moment(c: Connection) -> float:
    """Now, in seconds of the epoch: by the database server's clock, which all who share the queue
    share; on SQLite by this machine's."""
    if c.dialect.name == "sqlite":
        return time.time()
    return float(c.scalar(sa.select(clock(c.dialect.name))) or 0.0)


@cache
def clock(dialect: str) -> sa.Label[Any]:
    """The column ``clock`` of a query: the database server's; null where there is none."""
    if dialect == "sqlite":
        return sa.null().label("clock")
    seconds = sa.func.extract("epoch", sa.func.clock_timestamp())
    return sa.cast(seconds, sa.Float).label("clock")


def moment_of(row: sa.Row[Any], at: float | None) -> float:
    """The time of a row that has :func:`clock`, unless a test says another."""
    if at is not None:
        return at
    return time.time() if row.clock is None else float(row.clock)


def text(seconds: float) -> str:
    """A moment as tables write it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat("T", "milliseconds")
