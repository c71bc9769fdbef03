"""What whoever runs an archive sees and decides of people, runners and invitations."""

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lem.archive import identities
from lem.archive.identities import Role
from lem.archive.queue import people
from lem.archive.queue.tables import RUNNER
from lem.archive.reasons import refused
from lem.archive.schema import INVITATION, PERSON, TOKEN
from lem.contract.base import utc_now

OF_PEOPLE: frozenset[Role] = frozenset({"submitter", "admin"})
"""Roles of tokens that somebody acts with, and not a program."""
INVITATION_DIGITS = 16
"""Of its hash, by which an invitation is told from others. They give nothing of the secret away."""


class PersonRow(NamedTuple):
    id: str
    name: str
    enrolled_by: str
    invited_as: str | None
    created_at: str
    disabled_at: str | None
    tokens: int
    used_on: str | None


class RunnerRow(NamedTuple):
    """``hello``: JSON, as the runner said it. ``seen_at``: seconds of the epoch."""

    id: str
    name: str
    token: str
    hello: str
    registered_at: str
    seen_at: float
    doing: str
    disabled_at: str | None


class InvitationRow(NamedTuple):
    id: str
    name: str
    created_at: str
    expires_at: str


def issue(
    c: Connection, role: Role, name: str, valid_s: float | None = None, person: str | None = None
) -> str:
    """A new token, which is shown this once. ``person``: the handle of whom it is for; without one,
    a submitter's or an admin's makes a new person of this name. Raises ``Refused``."""
    of: int | None = None
    if person is not None:
        of = people.person_of(c, person)
        if of is None:
            raise refused("person_unknown")
    elif role in OF_PEOPLE:
        of = identities.new_person(c, name, "admin")
    return identities.issue_token(c, role, name, valid_s, person_id=of)


def every_person(c: Connection, after: str, limit: int) -> list[PersonRow]:
    """By their handles."""
    mine = sa.and_(TOKEN.c.person_id == PERSON.c.id, people.is_valid(), TOKEN.c.role.in_(OF_PEOPLE))
    tokens = sa.select(sa.func.count()).where(mine).scalar_subquery()
    used = sa.select(sa.func.max(TOKEN.c.used_on)).where(TOKEN.c.person_id == PERSON.c.id)
    invited = sa.select(sa.func.max(INVITATION.c.name)).where(INVITATION.c.person_id == PERSON.c.id)
    rows = c.execute(
        sa.select(
            PERSON.c.handle,
            PERSON.c.name,
            PERSON.c.enrolled_by,
            invited.scalar_subquery(),
            PERSON.c.created_at,
            PERSON.c.disabled_at,
            tokens,
            used.scalar_subquery(),
        )
        .where(PERSON.c.handle > after)
        .order_by(PERSON.c.handle)
        .limit(limit)
    )
    return [PersonRow(*row) for row in rows]


def every_runner(c: Connection, after: str, limit: int) -> list[RunnerRow]:
    """By their handles."""
    rows = c.execute(
        sa.select(
            RUNNER.c.handle,
            RUNNER.c.name,
            TOKEN.c.handle,
            RUNNER.c.hello,
            RUNNER.c.registered_at,
            RUNNER.c.seen_at,
            RUNNER.c.doing,
            RUNNER.c.disabled_at,
        )
        .join(TOKEN, TOKEN.c.hash == RUNNER.c.token_hash)
        .where(RUNNER.c.handle > after)
        .order_by(RUNNER.c.handle)
        .limit(limit)
    )
    return [RunnerRow(*row) for row in rows]


def disable_runner(c: Connection, handle: str, disabled: bool) -> bool:
    """Whether a runner may claim campaigns. False where there is no such runner."""
    changed = c.execute(
        RUNNER.update()
        .where(RUNNER.c.handle == handle)
        .values(disabled_at=utc_now() if disabled else None)
    )
    return changed.rowcount == 1


def open_invitations(c: Connection, limit: int) -> list[InvitationRow]:
    """Those that can still be used; what ends first, first."""
    rows = c.execute(
        sa.select(INVITATION)
        .where(INVITATION.c.used_at.is_(None), INVITATION.c.expires_at > utc_now())
        .order_by(INVITATION.c.expires_at, INVITATION.c.hash)
        .limit(limit)
    )
    return [
        InvitationRow(r.hash[:INVITATION_DIGITS], r.name, r.created_at, r.expires_at) for r in rows
    ]


def take_back(c: Connection, invitation: str) -> bool:
    """Make an open invitation worth nothing. False where there is none of this id."""
    gone = c.execute(
        INVITATION.delete().where(
            sa.func.substr(INVITATION.c.hash, 1, INVITATION_DIGITS) == invitation,
            INVITATION.c.used_at.is_(None),
        )
    )
    return gone.rowcount > 0
