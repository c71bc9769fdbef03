"""People who queue campaigns, their tokens, and browsers in which they are signed in.

A person is known by tokens alone: there are no passwords and no addresses. A session is a browser's
stand-in for the token it was opened with: it may do what that token may, for as long as that one is
valid and its person is not disabled, which is looked up each time. All functions work within the
caller's transaction.
"""

import hmac
import secrets
import time
from datetime import UTC, date, datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lem.archive import identities
from lem.archive.identities import Grant, Policy, Role
from lem.archive.queue.tables import SESSION
from lem.archive.reasons import refused
from lem.archive.schema import INVITATION, PERSON, TOKEN
from lem.contract.base import utc_now

SESSION_S = 7 * 86400.0
IDLE_S = 12 * 3600.0
"""Without a request, a session ends after this."""
TOUCH_S = 600.0
"""A session's time is prolonged no more often than this."""
MAX_SESSIONS = 20
"""Of one token; of more, the oldest end."""
MAX_TOKENS = 50
"""That one person may have at a time."""
FIRST_TOKEN = "first token"
SIGN_IN: frozenset[Role] = frozenset({"submitter", "admin"})
"""Roles of tokens that open a session. Programs have no use for one."""


class Joined(NamedTuple):
    """A new person, with the only sight of the first token."""

    person: str
    name: str
    token: str


class Session(NamedTuple):
    """An open session. ``until``: seconds of the epoch."""

    hash: str
    grant: Grant
    until: float
    stale: bool
    """Whether it is time to say that it is in use (:func:`touch`)."""


class Listed(NamedTuple):
    """A token as its holder and admins see it: never its secret."""

    handle: str
    role: Role
    name: str
    person: str | None
    created_at: str
    expires_at: str | None
    used_on: str | None
    revoked_at: str | None


def join(c: Connection, name: str, secret: str | None, policy: Policy) -> Joined:
    """A new person with a first token. ``secret``: of an invitation, which is then used up; without
    a name, the person is called as the invitation says. Raises ``Refused``."""
    if secret is None and policy != "open":
        raise refused("invitation_needed", "joining this archive needs an invitation")
    name = name.strip()
    if secret is None or name:
        identities.checked_name(name)
    if secret is not None:
        invited = identities.use_invitation(c, secret)
        name = name or invited
    person = identities.new_person(c, name, "open" if secret is None else "invitation")
    if secret is not None:
        mine = INVITATION.c.hash == identities.hash_of(secret)
        c.execute(INVITATION.update().where(mine).values(person_id=person))
    token = identities.issue_token(c, "submitter", FIRST_TOKEN, person_id=person)
    handle, called = c.execute(
        sa.select(PERSON.c.handle, PERSON.c.name).where(PERSON.c.id == person)
    ).one()
    return Joined(handle, called, token)


def person_of(c: Connection, handle: str) -> int | None:
    """The number of its row."""
    found: int | None = c.scalar(sa.select(PERSON.c.id).where(PERSON.c.handle == handle))
    return found


def name_of(c: Connection, person_id: int) -> str:
    return str(c.scalar(sa.select(PERSON.c.name).where(PERSON.c.id == person_id)))


def set_disabled(c: Connection, handle: str, disabled: bool) -> bool:
    """Disable a person, whose tokens are then worth nothing and whose sessions end at once; or
    enable it again. False where there is no such person."""
    person = person_of(c, handle)
    if person is None:
        return False
    c.execute(
        PERSON.update()
        .where(PERSON.c.id == person, PERSON.c.disabled_at.is_(None) == disabled)
        .values(disabled_at=utc_now() if disabled else None)
    )
    if disabled:
        _end_sessions(c, TOKEN.c.person_id == person)
    return True


def make_token(c: Connection, grant: Grant, name: str, valid_s: float | None) -> tuple[Listed, str]:
    """Another token of the person who asks, for submitting. It ends no later than the one that asks
    for it: or whoever found one could keep what was to end. Raises ``Refused``."""
    assert grant.person_id is not None
    valid = sa.select(sa.func.count()).where(
        TOKEN.c.person_id == grant.person_id, is_valid(), TOKEN.c.role != "owner"
    )
    if (c.scalar(valid) or 0) >= MAX_TOKENS:
        raise refused("too_many_tokens")
    secret = identities.issue_token(c, "submitter", name, valid_s, person_id=grant.person_id)
    mine = TOKEN.c.hash == identities.hash_of(secret)
    limit = c.scalar(sa.select(TOKEN.c.expires_at).where(TOKEN.c.hash == grant.token_hash))
    if limit is not None:
        later = sa.or_(TOKEN.c.expires_at.is_(None), TOKEN.c.expires_at > limit)
        c.execute(TOKEN.update().where(mine, later).values(expires_at=limit))
    return next(iter(_listed(c, mine, 1))), secret


def tokens_of(c: Connection, person_id: int) -> list[Listed]:
    """The valid tokens of a person, the newest first, without those of single campaigns."""
    return _listed(
        c, sa.and_(TOKEN.c.person_id == person_id, is_valid(), TOKEN.c.role != "owner"), MAX_TOKENS
    )


def every_token(c: Connection, after: str, limit: int) -> list[Listed]:
    """The valid tokens by their handles, for whoever runs the archive, without those of single
    campaigns."""
    return _listed(
        c, sa.and_(TOKEN.c.handle > after, is_valid(), TOKEN.c.role != "owner"), limit, True
    )


def revoke(c: Connection, handle: str, person_id: int | None = None) -> bool:
    """Revoke one token, with the sessions that it opened. ``person_id``: only if it is that
    person's. False where there is no such valid token."""
    mine = sa.and_(TOKEN.c.handle == handle, TOKEN.c.revoked_at.is_(None))
    if person_id is not None:
        mine = sa.and_(mine, TOKEN.c.person_id == person_id, TOKEN.c.role != "owner")
    _end_sessions(c, mine)
    return c.execute(TOKEN.update().where(mine).values(revoked_at=utc_now())).rowcount == 1


def note_use(c: Connection, token_hash: str, day: date) -> None:
    """That a token was used on this day; no time is kept."""
    c.execute(
        TOKEN.update()
        .where(
            TOKEN.c.hash == token_hash,
            sa.or_(TOKEN.c.used_on.is_(None), TOKEN.c.used_on < day.isoformat()),
        )
        .values(used_on=day.isoformat())
    )


def open_session(c: Connection, token: str, replaces: str | None = None) -> tuple[Session, str]:
    """A session with this token, and the secret for the browser's cookie, which is new whatever the
    browser had before. ``replaces``: of what it had, which ends. Raises ``Refused``."""
    grant = identities.role_of(c, token)
    if grant is None:
        raise refused("token_unknown")
    if grant.role not in SIGN_IN:
        raise refused("no_session", f"the token of {_ARTICLE[grant.role]} opens no session")
    if replaces is not None:
        end_session(c, replaces)
    now = time.time()
    c.execute(SESSION.delete().where(SESSION.c.expires_at <= now))
    mine = SESSION.c.token_hash == grant.token_hash
    newest = (
        sa.select(SESSION.c.hash)
        .where(mine)
        .order_by(SESSION.c.created_at.desc(), SESSION.c.hash)
        .limit(MAX_SESSIONS - 1)
    )
    c.execute(SESSION.delete().where(mine, SESSION.c.hash.not_in(newest)))
    secret = secrets.token_urlsafe(32)
    digest = identities.hash_of(secret)
    c.execute(
        SESSION.insert().values(
            hash=digest, token_hash=grant.token_hash, created_at=_text(now), expires_at=now + IDLE_S
        )
    )
    return Session(digest, grant, now + IDLE_S, False), secret


def session_of(c: Connection, secret: str) -> Session | None:
    """The session of this cookie; None for one that is not known, has ended, or whose token is
    worth nothing any more."""
    digest = identities.hash_of(secret)
    row = c.execute(sa.select(SESSION).where(SESSION.c.hash == digest)).first()
    if row is None or not hmac.compare_digest(row.hash, digest):
        return None
    now = time.time()
    if row.expires_at <= now:
        return None
    grant = identities.grant_of(c, row.token_hash)
    if grant is None or grant.role not in SIGN_IN:
        return None
    until = _until(row.created_at, now)
    return Session(digest, grant, float(row.expires_at), until - row.expires_at >= TOUCH_S)


def touch(c: Connection, session: Session) -> None:
    """Say that a session is in use: it ends ``IDLE_S`` from now, and ``SESSION_S`` after its begin
    in any case."""
    mine = SESSION.c.hash == session.hash
    begun = c.scalar(sa.select(SESSION.c.created_at).where(mine))
    if begun is not None:
        c.execute(SESSION.update().where(mine).values(expires_at=_until(begun, time.time())))


def end_session(c: Connection, secret: str) -> None:
    """Sign a browser out. One that is not known: nothing happens."""
    c.execute(SESSION.delete().where(SESSION.c.hash == identities.hash_of(secret)))


def is_valid() -> sa.ColumnElement[bool]:
    """Of tokens: neither revoked nor past its time. Its person may be disabled."""
    return sa.and_(
        TOKEN.c.revoked_at.is_(None),
        sa.or_(TOKEN.c.expires_at.is_(None), TOKEN.c.expires_at > utc_now()),
    )


_ARTICLE: dict[Role, str] = {
    "admin": "an admin",
    "runner": "a runner",
    "submitter": "a submitter",
    "owner": "a single campaign",
}


def _listed(
    c: Connection, which: sa.ColumnElement[bool], limit: int, by_handle: bool = False
) -> list[Listed]:
    order = (TOKEN.c.handle,) if by_handle else (TOKEN.c.created_at.desc(), TOKEN.c.handle)
    rows = c.execute(
        sa.select(TOKEN, PERSON.c.handle.label("person"))
        .outerjoin(PERSON, PERSON.c.id == TOKEN.c.person_id)
        .where(which)
        .order_by(*order)
        .limit(limit)
    )
    return [
        Listed(
            row.handle,
            row.role,
            row.name,
            row.person,
            row.created_at,
            row.expires_at,
            row.used_on,
            row.revoked_at,
        )
        for row in rows
    ]


def _end_sessions(c: Connection, of: sa.ColumnElement[bool]) -> None:
    c.execute(SESSION.delete().where(SESSION.c.token_hash.in_(sa.select(TOKEN.c.hash).where(of))))


def _until(begun: str, now: float) -> float:
    return min(now + IDLE_S, datetime.fromisoformat(begun).timestamp() + SESSION_S)


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat("T", "milliseconds")
