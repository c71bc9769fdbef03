"""Many runs at once, of data that this archive already trusts: its own dump, or made for a bench.

The rows go into a staging table, and from there in one transaction to where they belong, with their
configurations and board sets; then summaries and facets are made of all that was touched.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import islice
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from lem.archive import summaries
from lem.archive.copying import copy, insert_many
from lem.archive.database import Database, is_busy, raise_data_version
from lem.archive.identities import add_key, new_identity
from lem.archive.rows import FIGURES, ConfigRow, RunRow
from lem.archive.schema import BOARD_SET, CAMPAIGN, CONFIG, RUN, SUBMISSION
from lem.contract.base import utc_now

AT_ONCE = 20_000
"""Rows held in memory."""
WORTH_STAGING = 500
TRIES = 5
_OWN = (
    "identity_id",
    "campaign_id",
    "submission_id",
    "number",
    "block",
    "arm",
    "attempt",
    "started_at",
    "tier",
    "counted",
    "flags",
)
COLUMNS = ("config_id", "board_set_id", *_OWN, *FIGURES)
_FIRST_OWN = 2


class Origin(NamedTuple):
    """What rows have to belong to."""

    identity_id: int
    campaign_id: int
    submission_id: int


def merge(db: Database, rows: Iterable[RunRow]) -> int:
    """Take rows in, in one transaction; a run that is there already (campaign, block, arm, attempt)
    stays as it is. Returns how many were new."""
    with db.writing() as c:
        n, touched = insert_runs(c, rows, many=True)
        summaries.refresh(c, touched)
        raise_data_version(c)
    return n


def insert_runs(
    c: Connection, rows: Iterable[RunRow], *, many: bool = False
) -> tuple[int, set[int]]:
    """Rows of ``run`` with their configurations and board sets, within the caller's transaction;
    summaries are left to the caller. Returns how many were new, and the configurations' ids.

    ``many``: where there are no runs yet, readers may have to wait, so that it takes less long."""
    config_ids = _Ids(c, _insert_configs)
    board_ids = _Ids(c, _insert_boards)
    touched: set[int] = set()
    new = 0
    staged = False
    for chunk in _chunks(rows):
        # Sorted, so that two archives number the same configurations alike.
        config_ids.add({r.config.hash: r.config for r in chunk})
        board_ids.add({r.boards: r.boards for r in chunk})
        made: list[tuple[Any, ...]] = [
            (config_ids[r.config.hash], board_ids[r.boards], *r[_FIRST_OWN:-1], *r.figures)
            for r in chunk
        ]
        touched.update(row[0] for row in made)
        if c.dialect.name == "sqlite" or (len(made) < WORTH_STAGING and not staged):
            new += c.exec_driver_sql(_insert(c), made).rowcount
            continue
        if not staged:
            c.exec_driver_sql(
                "CREATE TEMPORARY TABLE staged ON COMMIT DROP AS "
                f"SELECT {_names(c, COLUMNS)} FROM run WITH NO DATA"
            )
            staged = True
        copy(c, RUN, COLUMNS, made, "staged")
    if staged:
        names = _names(c, COLUMNS)
        with _checked_afterwards(c) if many and _is_alone(c) else nullcontext():
            new += c.exec_driver_sql(
                f"INSERT INTO run ({names}) SELECT {names} FROM staged ON CONFLICT DO NOTHING"
            ).rowcount
        c.exec_driver_sql("DROP TABLE staged")
    return new, touched


def _is_alone(c: Connection) -> bool:
    """Whether the table of runs is empty, and nobody else is using it or what its keys lead to;
    nobody can then until this transaction ends. Waiting for them could end in a deadlock."""
    if c.scalar(sa.select(sa.exists().where(RUN.c.id.is_not(None)))):
        return False
    quoted = c.dialect.identifier_preparer.quote
    tables = sorted({RUN.name, *(key.column.table.name for key in RUN.foreign_keys)})
    lock = f"LOCK TABLE {', '.join(map(quoted, tables))} IN ACCESS EXCLUSIVE MODE NOWAIT"
    for _ in range(TRIES):
        try:
            with c.begin_nested():
                c.exec_driver_sql(lock)
        except OperationalError as e:
            if not is_busy(e):
                raise
            # PostgreSQL's own housekeeping, too, is over soon.
            time.sleep(0.2)
        else:
            return True
    return False


@contextmanager
def _checked_afterwards(c: Connection) -> Iterator[None]:
    """Foreign keys and indexes are made when all rows are there: it takes a quarter of the time."""
    quoted = c.dialect.identifier_preparer.quote
    keys = sorted(RUN.foreign_keys, key=lambda key: key.parent.name)
    names = [quoted(str(key.constraint.name)) for key in keys if key.constraint is not None]
    for name in names:
        c.exec_driver_sql(f"ALTER TABLE run DROP CONSTRAINT {name}")
    for index in RUN.indexes:
        index.drop(c)
    yield
    for index in RUN.indexes:
        index.create(c)
    for name, key in zip(names, keys, strict=True):
        to = f"{quoted(key.column.table.name)} ({quoted(key.column.name)})"
        c.exec_driver_sql(
            f"ALTER TABLE run ADD CONSTRAINT {name} "
            f"FOREIGN KEY ({quoted(key.parent.name)}) REFERENCES {to}"
        )


def placeholder(c: Connection, name: str, *, public_key: bytes, content_sha256: str) -> Origin:
    """A submitter with a campaign and a submission that rows of a bench can belong to. There is no
    pack: :func:`lem.archive.rebuild.rebuild` leaves its runs as they are."""
    identity = new_identity(c, name, "imported")
    key = add_key(c, identity, public_key)
    now = utc_now()
    campaign = c.execute(
        CAMPAIGN.insert().values(
            identity_id=identity,
            owner=content_sha256,
            name=name,
            lock=b"",
            board_salt="0" * 32,
            state="complete",
            created_at=now,
        )
    )
    campaign_id = int((campaign.inserted_primary_key or [0])[0])
    submission = c.execute(
        SUBMISSION.insert().values(
            content_sha256=content_sha256,
            campaign_id=campaign_id,
            identity_id=identity,
            key_id=key,
            schema_version=1,
            semantics_version=0,
            received_at=now,
            runs=0,
            bytes=0,
            checks="passed",
            log_seq=0,
        )
    )
    return Origin(identity, campaign_id, int((submission.inserted_primary_key or [0])[0]))


class _Ids:
    """Natural key → id, of rows that are made where they are not there."""

    def __init__(
        self, c: Connection, make: Callable[[Connection, Sequence[Any]], dict[str, int]]
    ) -> None:
        self._c, self._make = c, make
        self._known: dict[str, int] = {}

    def add(self, wanted: dict[str, Any]) -> None:
        new = sorted(wanted.keys() - self._known.keys())
        if new:
            self._known |= self._make(self._c, [wanted[key] for key in new])

    def __getitem__(self, key: str) -> int:
        return self._known[key]


def _insert_configs(c: Connection, configs: Sequence[ConfigRow]) -> dict[str, int]:
    hashes = [row.hash for row in configs]
    there = _ids(c, CONFIG.c.hash, hashes)
    missing = [row for row in configs if row.hash not in there]
    insert_many(c, CONFIG, ConfigRow._fields, missing)
    return there | _ids(c, CONFIG.c.hash, [h for h in hashes if h not in there])


def _insert_boards(c: Connection, boards: Sequence[str]) -> dict[str, int]:
    there = _ids(c, BOARD_SET.c.boards, boards)
    missing = [b for b in boards if b not in there]
    insert_many(c, BOARD_SET, ("boards",), [(b,) for b in missing])
    return there | _ids(c, BOARD_SET.c.boards, missing)


def _ids(c: Connection, column: Any, keys: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for at in range(0, len(keys), 500):
        rows = c.execute(
            sa.select(column, column.table.c.id).where(column.in_(keys[at : at + 500]))
        )
        found |= {str(r[0]): int(r[1]) for r in rows}
    return found


def _chunks(rows: Iterable[RunRow]) -> Iterator[list[RunRow]]:
    them = iter(rows)
    while chunk := list(islice(them, AT_ONCE)):
        yield chunk


def _insert(c: Connection) -> str:
    mark = "?" if c.dialect.name == "sqlite" else "%s"
    marks = ", ".join([mark] * len(COLUMNS))
    return f"INSERT INTO run ({_names(c, COLUMNS)}) VALUES ({marks}) ON CONFLICT DO NOTHING"


def _names(c: Connection, columns: Sequence[str]) -> str:
    return ", ".join(map(c.dialect.identifier_preparer.quote, columns))
