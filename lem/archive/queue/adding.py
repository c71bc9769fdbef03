"""A campaign enters the queue, and leaves it at its owner's wish.

Whose turn it is: first come, first served, but each further campaign that one person has open lets
``STEP`` more of those that come after it go before. So nobody waits for all that somebody else has
queued, and nobody waits for ever: a turn never changes, and those of who comes later are higher.
"""

import secrets
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lem.archive import identities
from lem.archive.database import setting
from lem.archive.identities import Grant
from lem.archive.queue import leases
from lem.archive.queue.leases import Change, moment, text
from lem.archive.queue.tables import QUEUED
from lem.archive.reasons import refused
from lem.archive.schema import PERSON, TOKEN
from lem.submit.veil import campaign_of

MAX_OPEN = 10
"""Campaigns that wait or run, of one person."""
MAX_QUEUED = 1000
"""That wait or run, of all."""
DAY_S = 86_400.0
MAX_IN_A_DAY, MAX_LENGTH_IN_A_DAY = 100, 8 * 2**20
"""Campaigns of one person, and the characters of their files: what is queued is kept for good, also
where it is cancelled at once."""
STEP = 10
OPEN = ("queued", "running")
_ADD_LOCK = 0x6C656D02
"""Key of PostgreSQL's advisory lock: bounds hold however many come at once."""


class Wish(NamedTuple):
    """A campaign that was looked at (``acceptable.py``)."""

    name: str
    yaml: str
    experiments: int
    wanted: dict[str, Any]
    """``models``, ``backends``, ``adaptive``, ``trust_remote_code``."""
    meaning: str | None = None
    """``Lock.campaign_digest``."""


class Added(NamedTuple):
    id: str
    owner_token: str
    """May cancel this campaign and nothing else. Shown this once."""
    change: Change


def add(c: Connection, grant: Grant, wish: Wish, at: float | None = None) -> Added:
    """Queue a campaign. Raises ``Refused``: ``too_many_campaigns``, ``queue_full``."""
    now = moment(c) if at is None else at
    if c.dialect.name != "sqlite":
        c.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_ADD_LOCK})")
    person = _person(c, grant)
    count = sa.select(sa.func.count()).where(QUEUED.c.state.in_(OPEN))
    ahead = c.scalar(count.where(QUEUED.c.person_id == person)) or 0
    if ahead >= MAX_OPEN:
        raise refused("too_many_campaigns", f"{ahead} of yours wait or run; {MAX_OPEN} may")
    lengths = sa.func.coalesce(sa.func.sum(sa.func.length(QUEUED.c.yaml)), 0)
    many, length = c.execute(
        sa.select(sa.func.count(), lengths).where(
            QUEUED.c.person_id == person, QUEUED.c.created_at > text(now - DAY_S)
        )
    ).one()
    if many >= MAX_IN_A_DAY or length + len(wish.yaml) > MAX_LENGTH_IN_A_DAY:
        raise refused(
            "too_many_campaigns", f"{many} of yours were queued within a day; no more are taken"
        )
    if (c.scalar(count) or 0) >= MAX_QUEUED:
        raise refused("queue_full")
    owner = secrets.token_hex(8)
    queued = identities.new_handle("q")
    made = c.execute(
        QUEUED.insert().values(
            id=queued,
            turn=0,
            person_id=person,
            owner=owner,
            campaign=campaign_of(owner, setting(c, "board_salt")),
            name=wish.name,
            yaml=wish.yaml,
            experiments=wish.experiments,
            wanted=wish.wanted,
            meaning=wish.meaning,
            archived=True,
            state="queued",
            created_at=text(now),
        )
    )
    seq = int((made.inserted_primary_key or [0])[0])
    c.execute(QUEUED.update().where(QUEUED.c.seq == seq).values(turn=seq + STEP * ahead))
    token = identities.issue_token(
        c, "owner", f"owner of {queued}", person_id=person, queued_id=queued
    )
    return Added(queued, token, Change(queued, "queued", 0))


def cancel(
    c: Connection, queued: str, grant: Grant, at: float | None = None
) -> tuple[str, list[Change]]:
    """End a campaign: at once where nobody runs it, else its runner is told when it is heard of
    next. Its person, whoever has its owner's token, and admins may; once more changes nothing.
    Returns its state. Raises ``Refused``: ``queued_unknown``, ``not_yours``."""
    now = moment(c) if at is None else at
    row = leases.locked(c, queued)
    if row is None:
        raise refused("queued_unknown")
    if not may_cancel(grant, row.id, row.person_id):
        raise refused("not_yours")
    if row.state not in OPEN:
        return str(row.state), []
    if row.cancel_at is None:
        c.execute(QUEUED.update().where(QUEUED.c.seq == row.seq).values(cancel_at=text(now)))
    if row.state == "running" and row.lease_until > now:
        return "running", []
    if row.state == "running":
        leases.end_claim(c, row, now, "lost", leases.LOST)
    return "cancelled", [leases.end(c, row, now, "cancelled", "")]


def may_cancel(grant: Grant, queued: str, person_id: int) -> bool:
    if grant.role == "owner":
        return grant.queued == queued
    if grant.role == "submitter":
        return grant.person_id == person_id
    return grant.role == "admin"


def _person(c: Connection, grant: Grant) -> int:
    """Whose token it is. One that an admin made belongs to nobody until it is used for this."""
    mine = TOKEN.c.hash == grant.token_hash
    person: int | None = c.scalar(sa.select(TOKEN.c.person_id).where(mine).with_for_update())
    if person is None:
        person = identities.new_person(c, None, "admin")
        c.execute(TOKEN.update().where(mine).values(person_id=person))
    c.execute(sa.select(PERSON.c.id).where(PERSON.c.id == person).with_for_update())
    return person
