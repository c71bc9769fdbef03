"""Follows an agent's events while it works, for live views. Believes nothing of them."""

import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lem.contract.event import Event
from lem.errors import BadInput

POLL_S = 0.5
"""Twice a second is enough for a terminal and costs the measured machine next to nothing."""
MAX_READ = 2**20
MAX_BYTES = 256 * 2**20
"""Of a whole file. What an agent writes beyond is not looked at: reading a file without end would
go on into the next run, on the machine that is being measured."""
MAX_LINE = 2**16


@contextmanager
def watching(
    path: Path, on_event: Callable[[Event], None], poll_s: float | None = None
) -> Iterator[None]:
    """Within, ``on_event`` gets each event of the file at most ``poll_s`` (:data:`POLL_S`) after it
    was written."""
    over = threading.Event()
    wait_s = POLL_S if poll_s is None else poll_s

    def follow() -> None:
        position, rest = 0, b""
        while True:
            last = over.wait(wait_s)
            while True:
                data = _read(path, position) if position < MAX_BYTES else b""
                position += len(data)
                lines = (rest + data).split(b"\n")
                rest = lines.pop()[:MAX_LINE]
                for line in lines:
                    _tell(line, on_event)
                if len(data) < MAX_READ:
                    break
            if last:
                return

    thread = threading.Thread(target=follow, name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=10)


def _read(path: Path, position: int) -> bytes:
    try:
        # Whatever the agent puts there instead of a file is neither followed nor waited for.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb"):
            return (
                os.pread(handle, MAX_READ, position)
                if stat.S_ISREG(os.fstat(handle).st_mode)
                else b""
            )
    except OSError:
        return b""


def _tell(line: bytes, on_event: Callable[[Event], None]) -> None:
    if not line or len(line) > MAX_LINE:
        return
    try:
        event = Event.parse(line)
    except BadInput:
        return
    on_event(event)
