"""The archive's database: SQLite or PostgreSQL, opened, migrated, read and written in one way.

Every write is one transaction, and there is never more than one at a time: summaries are then
always made of everything that was committed before, in one order, on both databases. Reading sees
one state from begin to end and never waits for writing. The queue alone is changed beside that.
"""

import secrets
import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, Transaction
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from lem.archive import engines
from lem.archive.engines import LIMITED, WRITES, snapshot_reader
from lem.archive.reasons import refused
from lem.archive.schema import SETTING
from lem.errors import EnvironmentFault

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
WAIT_S = 30
"""How long a writer waits for the one before it."""
_WRITE_LOCK = 0x6C656D01
"""Key of PostgreSQL's advisory lock."""
_FOUND = "lem_found"
"""Of a transaction that can only read: what was found in it already."""
_MOST_FOUND = 64
_MOST_EACH = 512
_KEPT_STATES = 64
"""Who looks more seldom than that reads the board anew."""


class Database:
    """An open archive. ``reading()``, ``writing()`` and ``queueing()`` give a connection in a
    transaction."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._reader = engine if self.is_sqlite else snapshot_reader(engine)
        self._writer = engine.execution_options(**{WRITES: True})
        # SQLite's own way to wait for another writer is to look again after ever longer sleeps.
        self._one_here = threading.Lock() if self.is_sqlite else None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that can only read, and sees one state of the archive."""
        with self._reader.connect() as connection, connection.begin():
            yield connection.execution_options(**{_FOUND: {}})

    def limit_reading(self) -> None:
        """From now on end queries after ``READ_TIMEOUT_S`` on SQLite too: for whoever answers
        questions from anybody."""
        self._reader = self._reader.execution_options(**{LIMITED: True})

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """The one transaction that may write; committed at the end, rolled back on an error.

        Raises ``Refused`` (``busy``) where it is not its turn within ``WAIT_S``.
        """
        with self._writer.connect() as connection, self._turn(connection):
            yield connection

    @contextmanager
    def queueing(self) -> Iterator[Connection]:
        """A short transaction that may write to the queue's tables (``lem/archive/queue``) and to
        nothing else. On PostgreSQL any number at a time, also beside :meth:`writing`.

        No answer with a data version, and nothing that is made of others' rows, depends on those
        tables, so that there is no order to keep; what depends on a row there locks the row. Who
        has the turn to write may wait for such a row, and never the other way round.

        Raises ``Refused`` (``busy``).
        """
        if self.is_sqlite:
            with self.writing() as connection:
                yield connection
            return
        try:
            with self._writer.connect() as connection, connection.begin():
                yield connection
        except OperationalError as e:
            if not is_busy(e):
                raise
            raise refused("busy") from e

    @contextmanager
    def _turn(self, connection: Connection) -> Iterator[None]:
        if self._one_here is not None and not self._one_here.acquire(timeout=WAIT_S):
            raise refused("busy")
        try:
            with self._begun(connection):
                yield
        finally:
            if self._one_here is not None:
                self._one_here.release()

    def _begun(self, connection: Connection) -> Transaction:
        try:
            transaction = connection.begin()
            if not self.is_sqlite:
                connection.exec_driver_sql(
                    f"SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '{WAIT_S}s'"
                )
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})")
        except OperationalError as e:
            if not is_busy(e):
                raise
            raise refused("busy") from e
        return transaction

    def migrate(self) -> None:
        """Bring the tables to this version of lem; whoever else starts meanwhile waits. Where there
        was something to do, what was answered before is not taken for today's answer.

        Raises :class:`EnvironmentFault` where they were made by a newer lem.
        """
        from alembic import command
        from alembic.config import Config
        from alembic.migration import MigrationContext
        from alembic.util.exc import CommandError

        config = Config()
        config.set_main_option(
            "script_location", str(Path(__file__).parent / "migrations").replace("%", "%%")
        )
        with self.writing() as connection:
            config.attributes["connection"] = connection
            before = MigrationContext.configure(connection).get_current_revision()
            try:
                command.upgrade(config, "head")
            except CommandError as e:
                raise EnvironmentFault(
                    "this database was made by a newer lem",
                    hint="pip install --upgrade 'lem-energy[server]'",
                ) from e
            known = set(connection.scalars(sa.select(SETTING.c.name)))
            first = {
                "archive": secrets.token_hex(32),
                "board_salt": secrets.token_hex(16),
                "data_version": "0",
                "states": _new_state(),
            }
            missing = [{"name": n, "value": v} for n, v in first.items() if n not in known]
            if missing:
                connection.execute(SETTING.insert(), missing)
            if before != MigrationContext.configure(connection).get_current_revision() and known:
                raise_data_version(connection)

    def setting(self, name: str) -> str:
        """A value of the table ``setting``."""
        with self.reading() as connection:
            return setting(connection, name)

    def close(self) -> None:
        self.engine.dispose()


def open_database(
    url: str | None, data: Path, *, pool: int = 10, patience_s: float = 0.0
) -> Database:
    """Open the database at ``url`` (``sqlite:///…``, ``postgresql://…``), or the SQLite file in the
    folder ``data``. Nothing is created but that file and its folder; see :meth:`Database.migrate`.

    ``patience_s``: for how long to wait for one that is starting, or mending what a crash left.

    Raises :class:`BadInput` for another URL, :class:`EnvironmentFault` where it does not answer.
    Messages never show the URL: it may hold a password.
    """
    parsed = engines.parsed(url, data)
    is_file = parsed.get_backend_name() == "sqlite"
    engine = engines.sqlite(parsed, WAIT_S) if is_file else engines.postgres(parsed, pool)
    try:
        engines.first_contact(engine, patience_s)
    except SQLAlchemyError as e:
        engine.dispose()
        where, why = engines.described(parsed), engines.cause(e, parsed)
        raise EnvironmentFault(
            f"the database {where} cannot be opened: {why}",
            hint="is it running, and are name, user and password right?",
        ) from e
    return Database(engine)


def is_writing(connection: Connection) -> bool:
    """Whether it is that of the one transaction that may write."""
    return bool(connection.get_execution_options().get(WRITES, False))


def setting(connection: Connection, name: str) -> str:
    """A value of the table ``setting``. Raises :class:`EnvironmentFault` if it is not there."""
    return settings(connection, name)[0]


def settings(connection: Connection, *names: str) -> list[str]:
    """Several at once, in this order. Raises as :func:`setting`."""
    try:
        found = every_setting(connection)
    except SQLAlchemyError as e:
        raise EnvironmentFault(
            "this database has no archive in it yet", hint="lem serve makes one"
        ) from e
    for name in names:
        if name not in found:
            raise EnvironmentFault(
                f"this archive has no setting {name!r}", hint="start lem serve once"
            )
    return [found[name] for name in names]


def every_setting(connection: Connection) -> Mapping[str, str]:
    """The table ``setting``."""
    query = sa.select(SETTING.c.name, SETTING.c.value)
    return once(
        connection,
        "settings",
        lambda: {row.name: str(row.value) for row in connection.execute(query)},
    )


def once(
    connection: Connection,
    name: Hashable,
    find: Callable[[], T],
    keep: Callable[[T], bool] = lambda _: True,
) -> T:
    """What ``find`` finds, which is not to be changed. In what :meth:`Database.reading` gives,
    which sees one state, it is looked for once: an answer is made of many queries, and several of
    them need the same. ``keep``: whether it is small enough to be kept until then."""
    found: dict[Hashable, Any] | None = connection.get_execution_options().get(_FOUND)
    if found is None:
        return find()
    if name in found:
        known: T = found[name]
        return known
    new = find()
    # A whole static site is written in one transaction.
    if len(found) < _MOST_FOUND and keep(new):
        found[name] = new
    return new


def once_each(
    connection: Connection, name: str, keys: Iterable[K], find: Callable[[list[K]], Mapping[K, T]]
) -> dict[K, T]:
    """As :func:`once`, of several of a kind: each key with what is known of it, in the keys' order.
    ``find`` is asked for those that were not asked for yet; what it does not find is left out."""
    wanted = list(dict.fromkeys(keys))
    state: dict[Hashable, Any] | None = connection.get_execution_options().get(_FOUND)
    known: dict[K, T] = {} if state is None else state.setdefault(("each", name), {})
    missing = [key for key in wanted if key not in known]
    found = {**known, **find(missing)} if missing else known
    answer = {key: found[key] for key in wanted if key in found}
    if missing and state is not None:
        # A whole static site is written in one transaction: the newest are kept.
        if len(found) > _MOST_EACH:
            known.clear()
        known.update(answer if len(answer) <= _MOST_EACH else {})
    return answer


class DataState(NamedTuple):
    """What a reader sees. After an older database was restored, versions that were there before
    come again with other data: ``name`` never does."""

    version: int
    name: str
    """Random."""
    earlier: frozenset[str]
    """Names of the last ones that this one came from."""


def data_state(connection: Connection) -> DataState:
    """The state of the archive that this connection's transaction sees."""
    version, states = settings(connection, "data_version", "states")
    name, *earlier = states.split()
    return DataState(int(version), name, frozenset(earlier))


def raise_data_version(connection: Connection) -> int:
    """Call in every transaction that changes what a reader can see: answers' ETags are made of it.
    Returns the new version."""
    before, states = settings(connection, "data_version", "states")
    version = int(before) + 1
    kept = " ".join([_new_state(), *states.split()][:_KEPT_STATES])
    for name, value in (("data_version", str(version)), ("states", kept)):
        connection.execute(SETTING.update().where(SETTING.c.name == name).values(value=value))
    return version


def _new_state() -> str:
    return secrets.token_hex(8)


def is_busy(error: OperationalError) -> bool:
    """Whether a lock was not got in time."""
    code = getattr(error.orig, "sqlstate", None)
    return code == "55P03" or "database is locked" in str(error.orig)
