"""The public log: every acceptance, campaign that was whole and is not any more, change of tier,
retraction and change of a key, in one chain.

Each entry holds the hash of the one before it, so that whoever kept a hash can tell whether
anything up to it was changed since. Payloads hold hashes, key ids, counts, tiers and reason codes
only: nothing in them has to be deleted when a campaign is taken back.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, NamedTuple

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy.engine import Connection

from lem.archive.schema import LOG
from lem.contract.base import Part, Sha256, Timestamp, canonical_json, utc_now
from lem.errors import BadInput

Kind = Literal[
    "accepted",
    "reopened",
    "tier",
    "rejected",
    "retracted",
    "key_enrolled",
    "key_replaced",
    "key_revoked",
]
Told = str | int | list[str] | dict[str, int]
_TEXT = re.compile(r"[A-Za-z0-9_.-]{0,80}")
START = "0" * 64
"""What the first entry says was before it."""
MOST_ENTRIES = 10_000


class Head(NamedTuple):
    """The last entry of a log: kept by a reader, it holds for all before it."""

    seq: int
    hash: str


EMPTY = Head(0, START)


class LogEntry(Part):
    """One entry. ``hash`` is of the canonical JSON of all the others."""

    seq: Annotated[int, Field(ge=1)]
    at: Timestamp
    kind: Kind
    payload: dict[str, Told]
    previous: Sha256
    hash: Sha256


def append(c: Connection, kind: Kind, payload: Mapping[str, Told]) -> tuple[int, str]:
    """Add an entry, in the transaction that does what it tells of. Returns its place and hash.

    Raises ValueError for a payload that could hold what people wrote.
    """
    _check(payload)
    last = head(c)
    entry = {
        "seq": last.seq + 1,
        "at": utc_now(),
        "kind": kind,
        "payload": dict(payload),
        "previous": last.hash,
    }
    digest = _hash(entry)
    c.execute(
        LOG.insert().values({**entry, "payload": _canonical_text(payload), "hash": digest}),
    )
    return last.seq + 1, digest


def head(c: Connection) -> Head:
    """The last entry; :data:`EMPTY` where there is none."""
    row = c.execute(sa.select(LOG.c.seq, LOG.c.hash).order_by(LOG.c.seq.desc()).limit(1)).first()
    return EMPTY if row is None else Head(int(row.seq), str(row.hash))


def entries(c: Connection, after: int = 0, limit: int = 1000) -> list[LogEntry]:
    """The entries after number ``after``, the oldest first, at most ``limit``."""
    rows = c.execute(
        sa.select(LOG)
        .where(LOG.c.seq > after)
        .order_by(LOG.c.seq)
        .limit(max(1, min(limit, MOST_ENTRIES)))
    )
    return [
        LogEntry(
            seq=r.seq,
            at=r.at,
            kind=r.kind,
            payload=json.loads(r.payload),
            previous=r.previous,
            hash=r.hash,
        )
        for r in rows
    ]


def verify(found: Iterable[LogEntry], previous: Head = EMPTY) -> Head:
    """The last of ``found``, if they follow on ``previous`` without a gap and nothing in them was
    changed. Reads one entry at a time. Raises :class:`BadInput` for the first that is wrong."""
    for entry in found:
        if entry.seq != previous.seq + 1:
            raise BadInput(f"entry {previous.seq + 1} is missing from the log")
        if entry.previous != previous.hash:
            raise BadInput(f"entry {entry.seq} of the log does not follow on the one before it")
        if _hash(entry.model_dump(mode="json", exclude={"hash"})) != entry.hash:
            raise BadInput(f"entry {entry.seq} of the log was changed: its hash is another")
        previous = Head(entry.seq, entry.hash)
    return previous


def _hash(entry: Mapping[str, object]) -> str:
    return hashlib.sha256(canonical_json(dict(entry))).hexdigest()


def _canonical_text(payload: Mapping[str, Told]) -> str:
    return canonical_json(dict(payload)).decode()


def _check(payload: Mapping[str, Told]) -> None:
    texts: list[str] = list(payload)
    for value in payload.values():
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, list | dict):
            texts += list(value)
    if not all(_TEXT.fullmatch(t) for t in texts):
        raise ValueError("the log holds hashes, codes and numbers only")
