"""Reads slow meters beside the sampler, which must never wait for a command or a network."""

from __future__ import annotations

import gc
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

OUTPUT_BYTES = 65_536
COLLECT_EVERY = 64
"""The sampler's process has automatic collection off; failures leave cycles behind."""


STOP_S, LOOK_S = 1.0, 0.02

_running: set[int] = set()
"""Process ids of the commands that run now."""


class Taken(NamedTuple):
    """One reading; ``value`` is None where it failed."""

    before_ns: int
    after_ns: int
    value: float | None


class Poller:
    """Calls ``read`` once a period in a thread of its own, until it is stopped."""

    def __init__(self, read: Callable[[], float | None], period_s: float) -> None:
        self._read = read
        self._period_s = period_s
        self._over = threading.Event()
        self._taken: queue.SimpleQueue[Taken] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)
        self._thread.start()

    def take(self) -> list[Taken]:
        """What has come since the last call."""
        found: list[Taken] = []
        with suppress(queue.Empty):
            while True:
                found.append(self._taken.get_nowait())
        return found

    def stop(self) -> None:
        """No further reading; a command that runs is ended: nothing outlives the sampler."""
        self._over.set()
        end_s = time.monotonic() + STOP_S
        while self._thread.is_alive() and time.monotonic() < end_s:
            # Again and again: one that begins just now is not known at once.
            for pid in list(_running):
                _end(pid)
            self._thread.join(LOOK_S)

    def _run(self) -> None:
        count = 0
        next_s = time.monotonic()
        while not self._over.is_set():
            before_ns = time.monotonic_ns()
            value = self._read()
            self._taken.put(Taken(before_ns, time.monotonic_ns(), value))
            count += 1
            if count % COLLECT_EVERY == 0:
                gc.collect()
            # A late reading is not made up for.
            next_s = max(next_s + self._period_s, time.monotonic())
            self._over.wait(next_s - time.monotonic())


class Ran(NamedTuple):
    """How a command ended. ``code`` is None where it could not be started or ran out of time."""

    code: int | None
    output: str
    error: str


def run(command: Sequence[str], timeout_s: float) -> Ran:
    """Run a command without a shell and without input; never raises, never takes much longer than
    the timeout, keeps at most 64 KiB of what it says.

    It gets PATH and HOME and nothing else of the environment, so no token reaches it; and the mark
    by which what a killed run left behind is found.
    """
    kept = {k: os.environ[k] for k in ("PATH", "HOME", "LEM_OWNER") if k in os.environ}
    try:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**kept, "LC_ALL": "C"},
            start_new_session=True,
        )
    except (OSError, ValueError) as e:
        return Ran(None, "", str(e))
    _running.add(process.pid)
    try:
        return _ended(process, timeout_s)
    finally:
        _running.discard(process.pid)


def _ended(process: subprocess.Popen[bytes], timeout_s: float) -> Ran:
    said: dict[str, bytes] = {}
    readers = [
        threading.Thread(target=_drain, args=(name, pipe, said), daemon=True)
        for name, pipe in (("output", process.stdout), ("error", process.stderr))
    ]
    for reader in readers:
        reader.start()
    deadline_s = time.monotonic() + timeout_s
    try:
        code: int | None = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        code = None
    for reader in readers:
        reader.join(max(0.0, deadline_s - time.monotonic()))
    if code is None or any(r.is_alive() for r in readers):
        # A child of its own may hold the pipes; the whole session ends.
        _end(process.pid)
        process.wait()
        return Ran(None, "", f"no answer within {timeout_s:g} s")
    return Ran(code, *(said.get(n, b"").decode("utf-8", "replace") for n in ("output", "error")))


def _end(pid: int) -> None:
    """The whole session that a command was started in."""
    with suppress(OSError):
        os.killpg(pid, signal.SIGKILL)


def _drain(name: str, pipe: object, said: dict[str, bytes]) -> None:
    """Read to the end, so that the command does not block; keep the beginning."""
    kept = b""
    with suppress(OSError, ValueError):
        while data := pipe.read(8192):  # type: ignore[attr-defined]
            kept = (kept + data)[:OUTPUT_BYTES]
        pipe.close()  # type: ignore[attr-defined]
    said[name] = kept
