"""From the process that runs a campaign to the runner: a line for each event or message.

The first byte of a line says what it is: ``~`` a live event that may be dropped, ``+`` one that is
kept, ``!`` a message to the runner. The process that measures never waits for who reads an event:
what the pipe does not take at once is kept for the next time, up to a bound.
"""

import json
import os
import select
import threading
from typing import Any

from lem.contract.live import LiveEvent

KEPT_BYTES = 8 * 2**20
PIECE_BYTES = 2**16
MAY_BE_DROPPED = frozenset({"power", "tokens", "text"})
"""Of live events: samples and answers. What began and ended is always told."""
DROPPABLE, KEPT, MESSAGE = b"~", b"+", b"!"


class Pipe:
    """The end that writes. For several threads."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._lock = threading.Lock()
        self._left = bytearray()
        os.set_blocking(handle, False)

    def event(self, event: LiveEvent) -> None:
        """Tell an event, or keep it for the next time; samples and answers are dropped where there
        is something left of before."""
        line = event.model_dump_json().encode() + b"\n"
        with self._lock:
            self._write()
            if event.k in MAY_BE_DROPPED:
                if self._left:
                    return
                line = DROPPABLE + line
            else:
                line = KEPT + line
            if len(self._left) + len(line) <= KEPT_BYTES:
                self._left += line
                self._write()

    def message(self, **what: Any) -> None:
        """Tell the runner something, with all that was kept before it. Waits until it is taken."""
        line = MESSAGE + json.dumps(what).encode() + b"\n"
        with self._lock:
            self._left += line
            while self._left:
                select.select([], [self._handle], [])
                self._write()

    def _write(self) -> None:
        while self._left:
            try:
                n = os.write(self._handle, bytes(self._left[:PIECE_BYTES]))
            except BlockingIOError:
                return
            del self._left[:n]
