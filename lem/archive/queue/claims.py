"""A runner asks for work, and gets one campaign with a lease, or nothing.

Many may ask at once. On PostgreSQL each locks the row that it takes and skips those that others
have locked; on SQLite they take turns.
"""

from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lem.archive.queue import ending, leases
from lem.archive.queue.leases import LEASE_S, MAX_TRIES, Change, moment_of, text
from lem.archive.queue.runners import models_of, runner_of, seen
from lem.archive.queue.tables import CLAIM, DECLINED, QUEUED
from lem.archive.schema import PERSON
from lem.contract.queue import Claimed, Person

ANEW = "its runner claimed it anew"
ANOTHER = "its runner asked for another"


class Answer(NamedTuple):
    claimed: Claimed | None
    changes: list[Change]


def claim(
    c: Connection, runner: str, token_hash: str, wanted: str | None = None, at: float | None = None
) -> Answer:
    """The next campaign for a runner: the one that it holds already (it was started anew, or the
    answer was lost), else the one whose turn it is among those that it may run. ``wanted``: that
    one or none.

    Raises ``Refused``: ``runner_unknown``, ``runner_disabled``.
    """
    me = runner_of(c, runner, token_hash)
    now = moment_of(me, at)
    changes: list[Change] = []
    row = None
    if c.execute(_SOME, {"now": now, "me": me.id}).first() is not None:
        changes = ending.expire(c, now)
        row = _held(c, me.id, now)
    if row is not None:
        again = wanted in (None, row.id)
        leases.end_claim(c, row, now, "lost", ANEW if again else ANOTHER)
        change = ending.put_back(c, row, now, ANEW if again else ANOTHER)
        changes += [Change(row.id, "lost", row.fence, ANEW if again else ANOTHER), change]
        if again and change.state == "queued":
            wanted = row.id
    said = {
        "me": me.id,
        "handle": me.handle,
        "models": models_of(me.hello),
        "until": now + LEASE_S,
        "at": text(now),
        "now": now,
        **({} if wanted is None else {"this_one": wanted}),
    }
    row = c.execute(_taken(wanted is not None), said).first()
    seen(c, me, now, "")
    if row is None:
        return Answer(None, changes)
    made = {"queued_seq": row.seq, "fence": row.fence, "runner_id": me.id, "at": text(now)}
    c.execute(CLAIM.insert(), made)
    claimed = Claimed(
        queued=row.id,
        fence=row.fence,
        lease_s=LEASE_S,
        owner=row.owner,
        person=Person(id=row.person, name=row.person_name),
        campaign=row.yaml,
        begun=row.device_models is not None,
        others_fence=None if row.device_models is None else _others_fence(c, row.seq, me.id),
    )
    return Answer(claimed, [*changes, Change(row.id, "claimed", row.fence, me.name)])


def _others_fence(c: Connection, seq: int, runner_id: int) -> int:
    """The last one that another runner held; 0 where none did."""
    others = sa.and_(CLAIM.c.queued_seq == seq, CLAIM.c.runner_id != runner_id)
    return c.scalar(sa.select(sa.func.max(CLAIM.c.fence)).where(others)) or 0


def _held(c: Connection, runner_id: int, now: float) -> sa.Row[Any] | None:
    q = QUEUED.c
    mine = sa.select(QUEUED).where(
        q.runner_id == runner_id, q.state == "running", q.lease_until > now
    )
    return c.execute(mine.with_for_update()).first()


_SOME = (
    sa.select(QUEUED.c.seq)
    .where(
        QUEUED.c.state == "running",
        sa.or_(
            QUEUED.c.lease_until <= sa.bindparam("now"), QUEUED.c.runner_id == sa.bindparam("me")
        ),
    )
    .limit(1)
)
"""Whether a lease ran out, or this runner holds one: mostly neither is so."""


@cache
def _taken(named: bool) -> sa.sql.dml.ReturningUpdate[Any]:
    """Lease the next campaign, and return it: one statement, in which it is chosen, locked and
    changed. It is made once: to put it together takes as long as to run it."""
    q = QUEUED.c
    person = [
        sa.select(column).where(PERSON.c.id == q.person_id).scalar_subquery().label(name)
        for name, column in (("person", PERSON.c.handle), ("person_name", PERSON.c.name))
    ]
    return (
        QUEUED.update()
        .where(q.seq == _next(named).scalar_subquery())
        .values(
            state="running",
            fence=q.fence + 1,
            lease_until=sa.bindparam("until"),
            runner_id=sa.bindparam("me"),
            tries=q.tries + 1,
            began_at=sa.func.coalesce(q.began_at, sa.bindparam("at")),
        )
        .returning(*(q.seq, q.id, q.fence, q.owner, q.yaml, q.device_models), *person)
    )


def _next(named: bool) -> sa.Select[tuple[int]]:
    """Of those that wait, that this runner has not declined, that were not begun on other
    hardware, and whose person was not disabled, the one whose turn it is. Said so that a database
    goes through them in the order of their turns, and ends at the first."""
    waiting = QUEUED.alias("waiting")
    q = waiting.c
    declined = sa.exists().where(
        DECLINED.c.queued_seq == q.seq,
        DECLINED.c.runner_id == sa.bindparam("me"),
        sa.or_(DECLINED.c.until.is_(None), DECLINED.c.until > sa.bindparam("now")),
    )
    disabled = sa.exists().where(PERSON.c.id == q.person_id, PERSON.c.disabled_at.is_not(None))
    query = (
        sa.select(q.seq)
        .where(
            q.state == "queued",
            q.tries < MAX_TRIES,
            sa.or_(
                q.device_models.is_(None),
                q.device_models == sa.bindparam("models"),
                q.device_models == sa.bindparam("handle"),
            ),
            ~declined,
            ~disabled,
        )
        .order_by(q.turn, q.seq)
        .limit(1)
        .with_for_update(of=waiting, skip_locked=True)
    )
    return query.where(q.id == sa.bindparam("this_one")) if named else query
