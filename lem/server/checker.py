"""``python -m lem.server.checker``: judges what was submitted, in a process of its own, so that
reading traces never slows an answer. Several may run, on several machines.

Its settings come as one line of JSON on stdin. Each further line says that there may be something
new. When stdin ends, the server that started it is gone, however that ended, and so is its work:
it finishes the submission that it checks, and ends. Another takes up what a killed one had begun
when its lease is over.
"""

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lem.server.logs import failure, log, set_up

POLL_S = 2.0
"""Others may have taken in something: looked for this often without being told."""
AFTER_ERROR_S = (1.0, 2.0, 5.0, 15.0, 60.0)


@dataclass(frozen=True)
class Orders:
    data: Path
    database_url: str | None
    log_format: str

    def line(self) -> bytes:
        orders = {
            "data": str(self.data),
            "database_url": self.database_url,
            "log_format": self.log_format,
        }
        return json.dumps(orders).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> "Orders":
        raw = json.loads(line)
        return cls(Path(raw["data"]), raw["database_url"], raw["log_format"])


class Bell:
    """Rung by a line on stdin; stopped by its end or by a signal."""

    def __init__(self) -> None:
        self._rung = threading.Event()
        self.stopped = threading.Event()

    def ring(self) -> None:
        self._rung.set()

    def stop(self, *_: object) -> None:
        self.stopped.set()
        self._rung.set()

    def wait(self, seconds: float) -> None:
        self._rung.wait(seconds)
        if not self.stopped.is_set():
            self._rung.clear()


def work(check_next: Callable[[], int | None], bell: Bell) -> None:
    """Check one submission after the other until the bell says stop."""
    errors = 0
    while not bell.stopped.is_set():
        started = time.perf_counter()
        try:
            submission = check_next()
        except Exception as e:  # noqa: BLE001 - one submission must not end the checking of others
            failure("a check failed", e)
            wait_s = AFTER_ERROR_S[min(errors, len(AFTER_ERROR_S) - 1)]
            errors += 1
            bell.wait(wait_s)
            continue
        errors = 0
        if submission is None:
            bell.wait(POLL_S)
        else:
            ms = round((time.perf_counter() - started) * 1e3, 1)
            log(logging.INFO, "checked", submission=submission, ms=ms)


def _listen(bell: Bell) -> None:
    # Unbuffered: a buffered reader would hold its lock when the process ends.
    while True:
        try:
            data = os.read(0, 4096)
        except OSError:
            data = b""
        if not data:
            bell.stop()
            return
        bell.ring()


def _first_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            raise SystemExit(0)
        line += byte
    return line


def main() -> None:
    orders = Orders.read(_first_line())
    set_up("json" if orders.log_format == "json" else "text")
    bell = Bell()
    # Ctrl-C in a terminal reaches the whole group: the server tells this process when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, bell.stop)
    threading.Thread(target=_listen, args=(bell,), daemon=True).start()

    from lem.archive.checks import check_next
    from lem.archive.database import open_database
    from lem.archive.packs import Packs

    database = open_database(orders.database_url, orders.data, pool=2)
    packs = Packs(orders.data / "packs")
    log(logging.INFO, "checker started", pid=os.getpid())
    try:
        work(lambda: check_next(database, packs), bell)
    finally:
        database.close()
    log(logging.INFO, "checker ended", pid=os.getpid())


if __name__ == "__main__":
    try:
        main()
    except Exception as e:  # noqa: BLE001 - whatever it is, the server starts another
        failure("the checker failed", e)
        sys.exit(1)
