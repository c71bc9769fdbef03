"""The queue as one server keeps it: leases that ran out are noticed, and who watches is told."""

import logging
import threading
from collections.abc import Callable, Iterable

from sqlalchemy.exc import SQLAlchemyError

from lem.archive.database import Database
from lem.archive.queue.ending import any_expired, expire
from lem.archive.queue.leases import Change
from lem.errors import LemError
from lem.server.logs import failure, log

SWEEP_S = 5.0
Say = Callable[[str, str, str], None]
"""Queued campaign, its state, in words why: to whoever watches."""


class Queueing:
    """``say`` may wait for the disk, and is called after what it tells of is committed."""

    def __init__(self, database: Callable[[], Database], say: Say) -> None:
        self._database = database
        self._say = say
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def tell(self, changes: Iterable[Change]) -> None:
        """Tell who watches. Nothing is undone where that fails: the queue itself is right."""
        for change in changes:
            log(
                logging.INFO,
                "queue",
                queued=change.queued,
                state=change.state,
                fence=change.fence,
            )
            try:
                self._say(change.queued, change.state, change.message)
            except OSError as e:
                failure("who watches a campaign could not be told", e)

    def notice(self) -> None:
        """Take campaigns back whose runners were not heard of. Waits for nobody where there is
        none."""
        database = self._database()
        with database.reading() as connection:
            if not any_expired(connection):
                return
        with database.queueing() as connection:
            changes = expire(connection)
        self.tell(changes)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._sweep, name="queue", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join()

    def _sweep(self) -> None:
        while not self._end.wait(SWEEP_S):
            try:
                self.notice()
            except (SQLAlchemyError, LemError) as e:
                # The database may be away for a while.
                failure("the queue could not be looked at", e)
