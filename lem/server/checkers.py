"""Starts the processes that check submissions, starts them again when they end, and ends them."""

import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress

from lem.server.checker import Orders
from lem.server.logs import log
from lem.server.settings import ServerSettings

BACK_OFF_S = (0.5, 1, 2, 5, 15, 60)
LIVED_S = 60
"""One that lived so long was well: the next one starts without waiting."""


class Checkers:
    def __init__(self, settings: ServerSettings) -> None:
        self._orders = Orders(settings.data.resolve(), settings.database_url, settings.log_format)
        self._patience_s = settings.bounds.shutdown_s
        self._stopping = threading.Event()
        self._watches = [
            threading.Thread(target=self._watch, args=(n,), name=f"checker-{n}", daemon=True)
            for n in range(settings.checkers)
        ]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()

    @property
    def running(self) -> int:
        with self._lock:
            return sum(p.poll() is None for p in self._processes.values())

    def start(self) -> None:
        for watch in self._watches:
            watch.start()

    def ring(self) -> None:
        """Say that there is something to check. Never waits: a checker looks by itself too."""
        with self._lock:
            for process in self._processes.values():
                if process.stdin is not None:
                    with suppress(OSError, ValueError):
                        os.write(process.stdin.fileno(), b"\n")

    def stop(self) -> None:
        """Let each finish the submission that it checks, and wait for that."""
        self._stopping.set()
        with self._lock:
            for process in self._processes.values():
                _close(process)
        until = time.monotonic() + self._patience_s
        for watch in self._watches:
            if watch.is_alive():
                watch.join(max(0.1, until - time.monotonic()))
        with self._lock:
            for process in self._processes.values():
                if process.poll() is None:
                    # Its lease runs out, and another server's checker takes it up.
                    process.kill()
                    process.wait()

    def _watch(self, number: int) -> None:
        failures = 0
        while not self._stopping.is_set():
            began = time.monotonic()
            process = self._launch(number)
            code = process.wait()
            _close(process)
            if self._stopping.is_set():
                return
            failures = 0 if time.monotonic() - began > LIVED_S else failures + 1
            wait_s = BACK_OFF_S[min(failures, len(BACK_OFF_S)) - 1] if failures else 0.0
            log(logging.WARNING, "a checker ended", code=code, again_in_s=wait_s)
            self._stopping.wait(wait_s)

    def _launch(self, number: int) -> subprocess.Popen[bytes]:
        with self._lock:
            process = subprocess.Popen(
                # -P: a folder that happens to be the current one holds no modules of ours.
                [sys.executable, "-P", "-m", "lem.server.checker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._processes[number] = process
            assert process.stdin is not None
            os.set_blocking(process.stdin.fileno(), False)
            with suppress(OSError):
                os.write(process.stdin.fileno(), self._orders.line())
            if self._stopping.is_set():
                _close(process)
            return process


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()
