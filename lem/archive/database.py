"""The archive's database: SQLite or PostgreSQL, opened, migrated, read and written in one way.

Every write is one transaction, and there is never more than one at a time: summaries are then
always made of everything that was committed before, in one order, on both databases. Reading sees
one state from begin to end and never waits for writing.
"""

import secrets
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from lem.archive.reasons import refused
from lem.archive.schema import SETTING
from lem.errors import BadInput, EnvironmentFault

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)
FILE_NAME = "archive.db"
WAIT_S = 30
"""How long a writer waits for the one before it."""
READ_TIMEOUT_S = 20
"""A query that takes longer is ended; on SQLite, after :meth:`Database.limit_reading`."""
_STEPS = 1_000_000
"""Of SQLite's machine, some hundredths of a second."""
_WRITE_LOCK = 0x6C656D01
"""Key of PostgreSQL's advisory lock."""
_WRITES = "lem_writes"
_LIMITED = "lem_limited"
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
        self._reader = engine if self.is_sqlite else _snapshot_reader(engine)
        self._writer = engine.execution_options(**{_WRITES: True})

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that can only read, and sees one state of the archive."""
        with self._reader.connect() as connection, connection.begin():
            yield connection.execution_options(**{_FOUND: {}})

    def limit_reading(self) -> None:
        """From now on end queries after ``READ_TIMEOUT_S`` on SQLite too: for whoever answers
        questions from anybody."""
        self._reader = self._reader.execution_options(**{_LIMITED: True})

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
        with self._writer.connect() as connection, self._turn(connection, alone=False):
            yield connection

    @contextmanager
    def _turn(self, connection: Connection, *, alone: bool = True) -> Iterator[None]:
        try:
            transaction = connection.begin()
            if not self.is_sqlite:
                wait = f"SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '{WAIT_S}s'"
                take = f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})"
                connection.exec_driver_sql(f"{wait}; {take}" if alone else wait)
        except OperationalError as e:
            if not is_busy(e):
                raise
            raise refused("busy") from e
        with transaction:
            yield

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
    parsed = _parsed(url, data)
    engine = _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _postgres(parsed, pool)
    try:
        _first_contact(engine, patience_s)
    except SQLAlchemyError as e:
        engine.dispose()
        raise EnvironmentFault(
            f"the database {described(parsed)} cannot be opened: {_cause(e, parsed)}",
            hint="is it running, and are name, user and password right?",
        ) from e
    return Database(engine)


def _first_contact(engine: Engine, patience_s: float) -> None:
    until = time.monotonic() + patience_s
    while True:
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql("SELECT 1")
        except SQLAlchemyError as e:
            told = str(getattr(e, "orig", e))
            if not any(sign in told for sign in _STARTING) or time.monotonic() > until:
                raise
            time.sleep(0.2)
        else:
            return


_STARTING = (
    "the database system is starting up",
    "the database system is in recovery mode",
    "the database system is not yet accepting connections",
    "the database system is shutting down",
)
"""What PostgreSQL says on its way up; connections that fail have no code."""


def described(url: URL) -> str:
    """Where a database is, without user, password and options."""
    if url.get_backend_name() == "sqlite":
        return url.database or "in memory"
    return f"{url.database or ''} at {url.host or url.query.get('host') or 'this machine'}"


def is_writing(connection: Connection) -> bool:
    """Whether it is that of the one transaction that may write."""
    return bool(connection.get_execution_options().get(_WRITES, False))


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


def _parsed(url: str | None, data: Path) -> URL:
    if url is None:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        return URL.create("sqlite+pysqlite", database=str(data / FILE_NAME))
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError):
        raise BadInput("the database's URL cannot be read", hint=_URLS) from None
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database not in (None, "", ":memory:"):
        return parsed.set(drivername="sqlite+pysqlite")
    raise BadInput(f"an archive cannot be kept in {backend} of this kind", hint=_URLS)


_URLS = "sqlite:///folder/archive.db or postgresql+psycopg://user@host/name"


def _sqlite(url: URL) -> Engine:
    Path(url.database or "").parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": WAIT_S})

    @event.listens_for(engine, "connect")
    def _connected(dbapi: Any, _: Any) -> None:
        # The driver would begin transactions by itself, and too late.
        dbapi.isolation_level = None
        with closing(dbapi.cursor()) as cursor:
            for pragma in (
                "journal_mode=WAL",
                "synchronous=FULL",
                "foreign_keys=ON",
                f"busy_timeout={int(WAIT_S * 1000)}",
                "cache_size=-65536",
                "temp_store=MEMORY",
            ):
                cursor.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    @event.listens_for(engine, "before_cursor_execute")
    def _limit(connection: Connection, *_: Any) -> None:
        # Of each statement anew, as PostgreSQL does.
        limited = connection.get_execution_options().get(_LIMITED, False)
        until = time.monotonic() + READ_TIMEOUT_S
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler((lambda: time.monotonic() > until) if limited else None, _STEPS)

    return engine


def _postgres(url: URL, pool: int) -> Engine:
    options = f"-c statement_timeout={READ_TIMEOUT_S * 1000} -c synchronous_commit=on"
    try:
        return sa.create_engine(
            url,
            hide_parameters=True,
            pool_size=pool,
            max_overflow=pool,
            pool_pre_ping=True,
            # The one used last has its statements planned and its tables' descriptions read.
            pool_use_lifo=True,
            connect_args={
                "options": options,
                "connect_timeout": 10,
                "application_name": "lem",
                "keepalives_idle": 60,
            },
        )
    except ImportError as e:
        raise EnvironmentFault(
            "PostgreSQL needs packages that are not here", hint='pip install "lem-energy[server]"'
        ) from e


def _snapshot_reader(engine: Engine) -> Engine:
    # Set with BEGIN itself: no further message to the server.
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _cause(error: SQLAlchemyError, url: URL) -> str:
    text = str(getattr(error, "orig", None) or type(error).__name__).strip().splitlines()
    cause = text[0][:300] if text else type(error).__name__
    for secret in {url.password, *_texts(url.query.get("password"))} - {None, ""}:
        cause = cause.replace(str(secret), "***")
    return cause


def _texts(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else value
