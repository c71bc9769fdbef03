"""What the routes of one server share: the archive, and what counts and limits."""

import logging
import threading
from collections.abc import Container
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from lem.archive.columns import columns
from lem.archive.database import Database, open_database, setting
from lem.archive.demo import open_as
from lem.archive.identities import grant_of
from lem.archive.packs import Packs
from lem.archive.queue.leases import lease_of
from lem.archive.queue.tables import QUEUED
from lem.archive.schema import SUBMISSION
from lem.errors import LemError
from lem.live.hub import Hub
from lem.server.cache import Cache
from lem.server.live import Live
from lem.server.logs import log
from lem.server.metrics import Metrics, State
from lem.server.queueing import Queueing
from lem.server.rates import RateLimits
from lem.server.settings import DATABASE_PATIENCE_S, ServerSettings

if TYPE_CHECKING:
    from lem.server.checkers import Checkers


class _AllBut(Container[str]):
    def __init__(self, these: frozenset[str]) -> None:
        self._these = these

    def __contains__(self, sha256: object) -> bool:
        return sha256 not in self._these


class Service:
    """Made without touching anything; :meth:`open` opens the archive."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.rates = RateLimits(settings.rates)
        self.metrics = Metrics(self._state)
        self.cache = Cache(settings.bounds.cache_bytes)
        self.packs = Packs(settings.data / "packs")
        self.spool: Path = settings.data / "incoming"
        self.receiving = threading.BoundedSemaphore(settings.bounds.concurrent_submissions)
        self.exporting = threading.BoundedSemaphore(settings.bounds.concurrent_exports)
        self.live = Live(
            Hub(settings.data / "live"),
            settings.bounds,
            self._role_of,
            self._lease_holder,
            self._queue_state,
        )
        self.queue = Queueing(lambda: self.database, self.live.say)
        self.used: dict[str, date] = {}
        """Tokens, by their hashes, with the last day of which the database knows that they were
        used."""
        self.checkers: Checkers | None = None
        self._database: Database | None = None

    @property
    def database(self) -> Database:
        if self._database is None:
            raise RuntimeError("the archive is not open")
        return self._database

    def open(self) -> None:
        """Open the database, bring its tables up to date, and make the folders.

        Raises :class:`BadInput` and :class:`EnvironmentFault`.
        """
        for folder in (self.settings.data, self.packs.folder, self.spool):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._database = open_database(
            self.settings.database_url, self.settings.data, patience_s=DATABASE_PATIENCE_S
        )
        self._database.migrate()
        open_as(self._database, self.settings.demo)
        with self._database.reading() as connection:
            # Now, so that nobody waits for it.
            columns(connection)
        self._database.limit_reading()
        self._sweep(self._database)

    def _sweep(self, database: Database) -> None:
        """Delete what a crash kept from being deleted: packs that were taken back, and half-written
        files. A pack that no row names stays: where an older database was restored, it may be
        the only copy of what was acknowledged."""
        with database.reading() as connection:
            gone = connection.scalars(
                sa.select(SUBMISSION.c.content_sha256).where(SUBMISSION.c.checks == "retracted")
            )
            retracted = frozenset(gone)
        swept = self.packs.sweep(_AllBut(retracted))
        if swept:
            log(logging.INFO, "removed packs that were taken back or half written", files=swept)

    def close(self) -> None:
        self.live.close()
        if self._database is not None:
            self._database.close()
            self._database = None

    def _role_of(self, token_hash: str) -> str | None:
        with self.database.reading() as connection:
            grant = grant_of(connection, token_hash)
        return None if grant is None else grant.role

    def _lease_holder(self, token_hash: str, queued: str, fence: int) -> str:
        with self.database.reading() as connection:
            return lease_of(connection, queued, fence, token_hash).runner

    def _queue_state(self, queued: str) -> str | None:
        with self.database.reading() as connection:
            state: str | None = connection.scalar(
                sa.select(QUEUED.c.state).where(QUEUED.c.id == queued)
            )
            return state

    def _state(self) -> State:
        state: State = {
            "lem_answer_cache_bytes": {"": float(self.cache.bytes)},
            "lem_checkers_running": {"": float(self.checkers.running if self.checkers else 0)},
            "lem_live_viewers": {"": float(self.live.seats.taken)},
            "lem_live_channels": {"": float(self.live.hub.open_channels)},
            "lem_live_bytes": {"": float(self.live.hub.held_bytes)},
        }
        if self._database is None:
            return state
        pool = self._database.engine.pool
        if isinstance(pool, QueuePool):
            state["lem_database_connections"] = {
                "in_use": float(pool.checkedout()),
                "idle": float(pool.checkedin()),
            }
        try:
            with self._database.reading() as connection:
                state["lem_data_version"] = {"": float(setting(connection, "data_version"))}
                rows = connection.execute(
                    sa.select(SUBMISSION.c.checks, sa.func.count()).group_by(SUBMISSION.c.checks)
                ).all()
                state["lem_submissions_by_checks"] = {name: float(n) for name, n in rows}
        except (SQLAlchemyError, LemError):
            # The rest is most wanted when the database is away.
            pass
        return state
