"""Runners: who they are, what they said of themselves, when they were heard of last."""

from functools import cache, lru_cache
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.engine import Connection

from lem.archive.identities import checked_name, new_handle, usable_key
from lem.archive.queue.leases import LEASE_S, clock, moment, text
from lem.archive.queue.tables import QUEUED, RUNNER
from lem.archive.reasons import refused
from lem.archive.schema import TOKEN
from lem.contract.queue import Accepts, Hardware, Hello, QueuedId, RunnerId

MAX_RUNNERS = 200
"""Of one token."""
SHOWN_S = 30 * 86400.0
"""Runners that were not heard of for longer are not listed."""
MAX_LISTED = 500
SEEN_S = 3.0


class RunnerRow(BaseModel):
    """A runner as anybody may see it: not whose it is, nor its folder's name."""

    id: RunnerId
    name: str
    lem_version: str
    launcher: str
    hardware: Hardware
    accepts: Accepts
    registered_at: str
    seen_at: str
    online: bool
    """Whether it was heard of within the time of a lease."""
    doing: str
    queued: QueuedId | None
    """The campaign that it runs."""


def register(c: Connection, hello: Hello, token_hash: str, at: float | None = None) -> str:
    """Make a runner known, or note what changed of it; returns its handle. Raises ``Refused``."""
    now = moment(c) if at is None else at
    checked_name(hello.name)
    usable_key(c, hello.key)
    mine = sa.and_(RUNNER.c.token_hash == token_hash, RUNNER.c.instance == hello.instance)
    # Two processes with one folder at once: one of them makes the row.
    c.execute(sa.select(TOKEN.c.hash).where(TOKEN.c.hash == token_hash).with_for_update())
    row = c.execute(sa.select(RUNNER).where(mine).with_for_update()).first()
    said = {"name": hello.name.strip(), "hello": hello.model_dump_json(), "seen_at": now}
    if row is not None:
        if row.disabled_at is not None:
            raise refused("runner_disabled")
        c.execute(RUNNER.update().where(RUNNER.c.id == row.id).values(said))
        return str(row.handle)
    own = sa.select(sa.func.count()).where(RUNNER.c.token_hash == token_hash)
    if (c.scalar(own) or 0) >= MAX_RUNNERS:
        raise refused("too_many_runners")
    handle = new_handle("r")
    c.execute(
        RUNNER.insert().values(
            handle=handle,
            token_hash=token_hash,
            instance=hello.instance,
            registered_at=text(now),
            **said,
        )
    )
    return handle


def runner_of(c: Connection, handle: str, token_hash: str) -> sa.Row[Any]:
    """The token's runner, with ``clock``. Raises ``Refused``: ``runner_unknown``,
    ``runner_disabled``."""
    said = {"handle": handle, "token_hash": token_hash}
    row = c.execute(_mine(c.dialect.name), said).first()
    if row is None:
        raise refused("runner_unknown", hint="register first")
    if row.disabled_at is not None:
        raise refused("runner_disabled")
    return row


@cache
def _mine(dialect: str) -> sa.Select[Any]:
    return sa.select(RUNNER, clock(dialect)).where(
        RUNNER.c.handle == sa.bindparam("handle"), RUNNER.c.token_hash == sa.bindparam("token_hash")
    )


def seen(c: Connection, runner: sa.Row[Any], now: float, doing: str) -> None:
    """Note that a runner was heard of, and what it does; not more often than anybody looks."""
    if now - runner.seen_at < SEEN_S and runner.doing == doing.strip():
        return
    c.execute(
        RUNNER.update().where(RUNNER.c.id == runner.id).values(seen_at=now, doing=doing.strip())
    )


@lru_cache(maxsize=256)
def models_of(hello: str) -> str:
    """What has to be the same of two runners' machines for one campaign to be offered to both: the
    models of their GPUs, or of their processor with its cores where they have none. A runner looks
    more closely before it goes on with what another one began."""
    hardware = Hello.model_validate_json(hello).hardware
    cpu = f"cpu: {hardware.cpu} ({hardware.cores} CPUs)"
    return "; ".join(sorted({d.model for d in hardware.devices})) or cpu


def listed(c: Connection, at: float | None = None) -> list[RunnerRow]:
    """Who may run campaigns: the ones heard of last first."""
    now = moment(c) if at is None else at
    q = QUEUED.c
    running = sa.and_(q.runner_id == RUNNER.c.id, q.state == "running", q.lease_until > now)
    valid = sa.and_(
        TOKEN.c.revoked_at.is_(None),
        sa.or_(TOKEN.c.expires_at.is_(None), TOKEN.c.expires_at > text(now)),
    )
    rows = c.execute(
        sa.select(RUNNER, q.id.label("queued"))
        .join(TOKEN, TOKEN.c.hash == RUNNER.c.token_hash)
        .outerjoin(QUEUED, running)
        .where(RUNNER.c.disabled_at.is_(None), RUNNER.c.seen_at > now - SHOWN_S, valid)
        .order_by(RUNNER.c.seen_at.desc(), RUNNER.c.id)
        .limit(MAX_LISTED)
    )
    return [_listed(row, now) for row in rows]


def _listed(row: sa.Row[Any], now: float) -> RunnerRow:
    hello = Hello.model_validate_json(row.hello)
    return RunnerRow(
        id=row.handle,
        name=row.name,
        lem_version=hello.lem_version,
        launcher=hello.launcher,
        hardware=hello.hardware,
        accepts=hello.accepts,
        registered_at=row.registered_at,
        seen_at=text(row.seen_at),
        online=row.seen_at > now - LEASE_S,
        doing=row.doing,
        queued=row.queued,
    )
