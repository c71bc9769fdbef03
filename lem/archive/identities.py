"""Who may submit: invitations, keys, nonces; and tokens, for those who run the server.

Secrets are 256 random bits, shown once; the database has their SHA-256 only. All functions work
within the caller's transaction, of which there is one at a time: what can be used once is used
once.
"""

import hashlib
import hmac
import secrets
import time
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lem.archive import log, replicate, summaries
from lem.archive.database import raise_data_version, setting
from lem.archive.reasons import refused
from lem.archive.schema import IDENTITY, INVITATION, KEY, NONCE, PERSON, RUN, TOKEN
from lem.contract.base import utc_now
from lem.errors import BadInput
from lem.submit import manifest

Policy = Literal["open", "invitation"]
Role = Literal["admin", "runner", "submitter", "owner"]
INVITATION_S = 7 * 86400.0
NONCE_S = 600.0
MAX_NONCES = 2000
"""Unused ones of one key; of more, the oldest go. Anybody can ask for nonces for anybody's key, so
they must not use up what its holder may have."""
MAX_NAME = 80


class Grant(NamedTuple):
    """What a token allows."""

    role: Role
    name: str
    """The token's, for whoever runs the archive: it is shown to nobody else."""
    identity_id: int | None
    person_id: int | None = None
    person: str | None = None
    """The person's handle."""
    queued: str | None = None
    """The one queued campaign that an ``owner``'s token is for."""
    token: str = ""
    """The token's handle."""
    token_hash: str = ""


class Key(NamedTuple):
    """An enrolled key."""

    id: str
    identity_id: int
    public_key: bytes
    revoked: bool
    imported: bool = False
    """It came with another archive's dump: what it signed for that one is here, and it can sign
    nothing here before whoever holds it enrols it."""


class Nonce(NamedTuple):
    nonce: str
    expires_at: str


def invite(c: Connection, name: str, valid_s: float = INVITATION_S) -> str:
    """A secret with which one key can be enrolled, once, within ``valid_s`` seconds. ``name`` is
    whom it is for."""
    secret = secrets.token_urlsafe(32)
    c.execute(
        INVITATION.insert().values(
            hash=hash_of(secret),
            name=checked_name(name),
            created_at=utc_now(),
            expires_at=_after(valid_s),
        )
    )
    return secret


def enrol(
    c: Connection, public_key: bytes, proof: bytes, secret: str | None, name: str, policy: Policy
) -> str:
    """Enrol a key as a new identity; returns the key's id. ``proof``: its signature of
    ``enrol_message``, so that nobody enrols another's key. Raises ``Refused``.

    The same again (the answer was lost) gives the same answer and uses nothing up.
    """
    key = _proven(public_key, manifest.enrol_message(setting(c, "archive"), public_key), proof)
    known = key_of(c, key)
    if known is not None:
        if known.revoked:
            raise refused("key_revoked")
        if not known.imported:
            return key
    if secret is None and policy != "open":
        raise refused("invitation_needed", hint="ask whoever runs this archive for a link")
    name = checked_name(name) if secret is None else use_invitation(c, secret)
    how = "open" if secret is None else "invitation"
    identity = new_identity(c, name, how) if known is None else _taken_over(c, known, name, how)
    if secret is not None:
        c.execute(
            INVITATION.update()
            .where(INVITATION.c.hash == hash_of(secret))
            .values(identity_id=identity)
        )
    if known is None:
        add_key(c, identity, public_key)
    log.append(c, "key_enrolled", {"key": key, "how": how})
    return key


def enrol_by_token(c: Connection, public_key: bytes, proof: bytes, name: str, grant: Grant) -> str:
    """Enrol a runner's key: whoever runs the archive gave the runner its token, and so vouches for
    it as for whom they invite. All keys of one token are one submitter's, or a token would be as
    many invitations as somebody makes keys. Raises ``Refused``."""
    key = _proven(public_key, manifest.enrol_message(setting(c, "archive"), public_key), proof)
    known = key_of(c, key)
    if known is not None and known.revoked:
        raise refused("key_revoked")
    if known is not None and not known.imported:
        return key
    mine = TOKEN.c.hash == grant.token_hash
    identity = c.scalar(sa.select(TOKEN.c.identity_id).where(mine))
    if known is not None:
        if identity not in (None, known.identity_id):
            raise refused("key_known", "this key is of another submitter than the token's")
        identity = _taken_over(c, known, checked_name(name), "invitation")
    elif identity is None:
        identity = new_identity(c, checked_name(name), "invitation")
    c.execute(TOKEN.update().where(mine).values(identity_id=identity))
    if known is None:
        add_key(c, identity, public_key)
    log.append(c, "key_enrolled", {"key": key, "how": "invitation"})
    return key


def _taken_over(c: Connection, known: Key, name: str, how: str) -> int:
    """The identity of an imported key whose holder enrols it here. Where that identity has other
    keys, which only another archive says are the same submitter's, the key gets one of its own."""
    others = sa.select(KEY.c.id).where(KEY.c.identity_id == known.identity_id, KEY.c.id != known.id)
    if c.execute(others.limit(1)).first() is not None:
        identity = new_identity(c, name, how)
        c.execute(KEY.update().where(KEY.c.id == known.id).values(identity_id=identity))
        return identity
    mine = IDENTITY.c.id == known.identity_id
    c.execute(IDENTITY.update().where(mine).values(name=name, enrolled_by=how))
    # Who was invited counts towards replications.
    runs = sa.select(RUN.c.config_id).where(RUN.c.identity_id == known.identity_id).distinct()
    configs = set(c.scalars(runs))
    changed = replicate.refresh(c, configs)
    summaries.refresh(c, configs)
    replicate.log_tiers(c, changed)
    raise_data_version(c)
    return known.identity_id


def rotate(
    c: Connection, key: str, new_public_key: bytes, nonce: str, by_old: bytes, by_new: bytes
) -> str:
    """Put a new key in the old one's place, of the same identity; returns its id. Both have signed
    ``rotate_message``. Raises ``Refused``."""
    old = usable_key(c, key)
    message = manifest.rotate_message(setting(c, "archive"), key, new_public_key, nonce)
    _check_signature(message, by_old, old.public_key)
    new = _proven(new_public_key, message, by_new)
    use_nonce(c, nonce, key)
    if key_of(c, new) is not None:
        raise refused("key_known")
    add_key(c, old.identity_id, new_public_key)
    c.execute(KEY.update().where(KEY.c.id == key).values(revoked_at=utc_now(), replaced_by=new))
    _forget_nonces(c, key)
    log.append(c, "key_replaced", {"key": key, "by": new})
    return new


def revoke(c: Connection, key: str, nonce: str, signature: bytes) -> None:
    """Revoke a key by itself. What it signed before stays. Raises ``Refused``."""
    old = usable_key(c, key)
    message = manifest.revoke_message(setting(c, "archive"), key, nonce)
    _check_signature(message, signature, old.public_key)
    use_nonce(c, nonce, key)
    _revoke(c, key)


def revoke_by_admin(c: Connection, key: str) -> None:
    """Revoke a key because whoever runs the archive says so. Again: nothing happens."""
    known = key_of(c, key)
    if known is None:
        raise refused("key_unknown")
    if not known.revoked:
        _revoke(c, key)


def nonce(c: Connection, key: str) -> Nonce:
    """A nonce for one submission by this key, within ten minutes. Raises ``Refused``."""
    usable_key(c, key)
    now = time.time()
    c.execute(NONCE.delete().where(NONCE.c.expires_at <= now))
    waiting = c.scalar(sa.select(sa.func.count()).where(NONCE.c.key_id == key)) or 0
    if waiting >= MAX_NONCES:
        mine = sa.select(NONCE.c.nonce).where(NONCE.c.key_id == key)
        oldest = mine.order_by(NONCE.c.expires_at, NONCE.c.nonce).limit(waiting - MAX_NONCES + 1)
        c.execute(NONCE.delete().where(NONCE.c.nonce.in_(oldest)))
    value = secrets.token_urlsafe(32)
    c.execute(NONCE.insert().values(nonce=value, key_id=key, expires_at=now + NONCE_S))
    return Nonce(value, datetime.fromtimestamp(now + NONCE_S, UTC).isoformat("T", "milliseconds"))


def nonce_is_there(c: Connection, value: str, key: str) -> bool:
    """Whether a nonce of this key could be used now."""
    found = sa.select(NONCE.c.nonce).where(
        NONCE.c.nonce == value, NONCE.c.key_id == key, NONCE.c.expires_at > time.time()
    )
    return c.scalar(found) is not None


def use_nonce(c: Connection, value: str, key: str) -> None:
    """Use a nonce of this key up. Raises ``Refused`` where there is none, or not any more."""
    gone = c.execute(
        NONCE.delete().where(
            NONCE.c.nonce == value, NONCE.c.key_id == key, NONCE.c.expires_at > time.time()
        )
    )
    if gone.rowcount != 1:
        raise refused("nonce_unknown")


def key_of(c: Connection, key: str) -> Key | None:
    """An enrolled key, revoked or not."""
    row = c.execute(
        sa.select(KEY, IDENTITY.c.enrolled_by).join(IDENTITY).where(KEY.c.id == key)
    ).first()
    if row is None:
        return None
    imported = row.enrolled_by == "imported"
    return Key(row.id, row.identity_id, bytes(row.public_key), row.revoked_at is not None, imported)


def usable_key(c: Connection, key: str) -> Key:
    """An enrolled key that was not revoked. Raises ``Refused``."""
    known = key_of(c, key)
    if known is None or known.imported:
        raise refused("key_unknown", hint="lem key enrol")
    if known.revoked:
        raise refused("key_revoked")
    return known


def new_identity(c: Connection, name: str, enrolled_by: str) -> int:
    """A new submitter's row."""
    made = c.execute(
        IDENTITY.insert().values(name=name, enrolled_by=enrolled_by, created_at=utc_now())
    )
    return int((made.inserted_primary_key or [0])[0])


def add_key(c: Connection, identity: int, public_key: bytes) -> str:
    """Give an identity a key; returns the key's id."""
    key = manifest.key_id(public_key)
    c.execute(
        KEY.insert().values(
            id=key, identity_id=identity, public_key=public_key, created_at=utc_now()
        )
    )
    return key


def issue_token(
    c: Connection,
    role: Role,
    name: str,
    valid_s: float | None = None,
    identity_id: int | None = None,
    *,
    person_id: int | None = None,
    queued_id: str | None = None,
) -> str:
    """A new bearer token. It is shown this once. ``queued_id``: the campaign that one of role
    ``owner`` is for."""
    secret = secrets.token_urlsafe(32)
    c.execute(
        TOKEN.insert().values(
            hash=hash_of(secret),
            handle=new_handle("t"),
            role=role,
            name=checked_name(name),
            identity_id=identity_id,
            person_id=person_id,
            queued_id=queued_id,
            created_at=utc_now(),
            expires_at=None if valid_s is None else _after(valid_s),
        )
    )
    return secret


def role_of(c: Connection, token: str) -> Grant | None:
    """What a token allows; None for one that is not known, revoked or expired, or whose person was
    disabled."""
    return grant_of(c, hash_of(token))


def grant_of(c: Connection, digest: str) -> Grant | None:
    """As :func:`role_of`, by the token's hash: for sessions, which do not have the token."""
    person = (PERSON.c.handle.label("person"), PERSON.c.disabled_at)
    row = c.execute(
        sa.select(TOKEN, *person)
        .outerjoin(PERSON, PERSON.c.id == TOKEN.c.person_id)
        .where(TOKEN.c.hash == digest)
    ).first()
    if row is None or not hmac.compare_digest(row.hash, digest):
        return None
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= utc_now()):
        return None
    if row.disabled_at is not None:
        return None
    return Grant(
        row.role,
        row.name,
        row.identity_id,
        row.person_id,
        row.person,
        row.queued_id,
        row.handle,
        row.hash,
    )


def new_handle(kind: str) -> str:
    """A random public id: ``p`` of a person, ``t`` of a token, ``r`` of a runner, ``q`` of what was
    queued."""
    return kind + secrets.token_hex(10)


def new_person(c: Connection, name: str | None, enrolled_by: str) -> int:
    """A new person's row. Without a name it is called by its handle."""
    handle = new_handle("p")
    made = c.execute(
        PERSON.insert().values(
            handle=handle,
            name=handle if name is None else checked_name(name),
            enrolled_by=enrolled_by,
            created_at=utc_now(),
        )
    )
    return int((made.inserted_primary_key or [0])[0])


def revoke_token(c: Connection, name: str) -> int:
    """Revoke every token of this name; returns how many there were."""
    gone = c.execute(
        TOKEN.update()
        .where(TOKEN.c.name == name, TOKEN.c.revoked_at.is_(None))
        .values(revoked_at=utc_now())
    )
    return gone.rowcount


def hash_of(secret: str) -> str:
    """What the database knows of a secret. 256 random bits need no salt."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def checked_name(name: str) -> str:
    """A name that can be shown. Raises ``Refused``."""
    name = name.strip()
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise refused("bad_name", f"a name has 1 to {MAX_NAME} printable characters")
    return name


def use_invitation(c: Connection, secret: str) -> str:
    """Use an invitation up; returns the name it was made for. Raises ``Refused``."""
    mine = INVITATION.c.hash == hash_of(secret)
    used = c.execute(
        INVITATION.update()
        .where(mine, INVITATION.c.used_at.is_(None), INVITATION.c.expires_at > utc_now())
        .values(used_at=utc_now())
    )
    if used.rowcount != 1:
        raise refused("invitation_unknown")
    return str(c.scalar(sa.select(INVITATION.c.name).where(mine)))


def _revoke(c: Connection, key: str) -> None:
    c.execute(KEY.update().where(KEY.c.id == key).values(revoked_at=utc_now()))
    _forget_nonces(c, key)
    log.append(c, "key_revoked", {"key": key})


def _forget_nonces(c: Connection, key: str) -> None:
    c.execute(NONCE.delete().where(NONCE.c.key_id == key))


def _proven(public_key: bytes, message: bytes, proof: bytes) -> str:
    _check_signature(message, proof, public_key)
    return manifest.key_id(public_key)


def _check_signature(message: bytes, signature: bytes, public_key: bytes) -> None:
    try:
        manifest.check_signature(message, signature, public_key)
    except BadInput as e:
        raise refused("bad_signature") from e


def _after(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() + seconds, UTC).isoformat("T", "milliseconds")
