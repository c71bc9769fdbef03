"""The two kinds of database behind an archive: SQLAlchemy's engines, set up for each."""

import time
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from lem.errors import BadInput, EnvironmentFault

FILE_NAME = "archive.db"
READ_TIMEOUT_S = 20
"""A query that takes longer is ended; on SQLite, where ``LIMITED`` is set."""
QUEUE_WAIT_S = 10
"""How long whoever changes the queue waits for a campaign that somebody else is changing."""
STEPS = 1_000_000
"""Of SQLite's machine, some hundredths of a second."""
WRITES = "lem_writes"
LIMITED = "lem_limited"
"""Options of a connection."""


def parsed(url: str | None, data: Path) -> URL:
    """Where the database is: at ``url``, or in the folder ``data``. Raises :class:`BadInput`."""
    if url is None:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        return URL.create("sqlite+pysqlite", database=str(data / FILE_NAME))
    try:
        found = make_url(url)
        backend = found.get_backend_name()
    except (ArgumentError, ValueError):
        raise BadInput("the database's URL cannot be read", hint=_URLS) from None
    if backend == "postgresql":
        return found.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and found.database not in (None, "", ":memory:"):
        return found.set(drivername="sqlite+pysqlite")
    raise BadInput(f"an archive cannot be kept in {backend} of this kind", hint=_URLS)


_URLS = "sqlite:///folder/archive.db or postgresql+psycopg://user@host/name"


def sqlite(url: URL, wait_s: float) -> Engine:
    """``wait_s``: how long a writer waits for the one before it."""
    Path(url.database or "").parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = sa.create_engine(url, hide_parameters=True, connect_args={"timeout": wait_s})

    @event.listens_for(engine, "connect")
    def _connected(dbapi: Any, _: Any) -> None:
        # The driver would begin transactions by itself, and too late.
        dbapi.isolation_level = None
        with closing(dbapi.cursor()) as cursor:
            for pragma in (
                "journal_mode=WAL",
                "synchronous=FULL",
                "foreign_keys=ON",
                f"busy_timeout={int(wait_s * 1000)}",
                "cache_size=-65536",
                "temp_store=MEMORY",
            ):
                cursor.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES, False)
        connection.exec_driver_sql(f"PRAGMA query_only={'OFF' if writes else 'ON'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    @event.listens_for(engine, "before_cursor_execute")
    def _limit(connection: Connection, *_: Any) -> None:
        # Of each statement anew, as PostgreSQL does.
        limited = connection.get_execution_options().get(LIMITED, False)
        until = time.monotonic() + READ_TIMEOUT_S
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler((lambda: time.monotonic() > until) if limited else None, STEPS)

    return engine


def postgres(url: URL, pool: int) -> Engine:
    """Raises :class:`EnvironmentFault` where its driver is not installed."""
    waits = f"-c statement_timeout={READ_TIMEOUT_S * 1000} -c lock_timeout={QUEUE_WAIT_S * 1000}"
    options = f"{waits} -c synchronous_commit=on"
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


def snapshot_reader(engine: Engine) -> Engine:
    """Whose transactions only read, and see one state."""
    # Set with BEGIN itself: no further message to the server.
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def cause(error: SQLAlchemyError, url: URL) -> str:
    """Why it cannot be opened, without secrets."""
    text = str(getattr(error, "orig", None) or type(error).__name__).strip().splitlines()
    said = text[0][:300] if text else type(error).__name__
    for secret in {url.password, *_texts(url.query.get("password"))} - {None, ""}:
        said = said.replace(str(secret), "***")
    return said


def _texts(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return () if value is None else (value,) if isinstance(value, str) else value


def first_contact(engine: Engine, patience_s: float) -> None:
    """Wait for one that is starting; raises what the driver says of any other."""
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
