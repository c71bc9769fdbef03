"""The agent's running commentary: ``events.ndjson``, flushed line by line."""

import threading
import time
from pathlib import Path
from typing import Any, Self

from lem.contract.base import whole_text
from lem.contract.event import Event, EventKind, Phase

MAX_BYTES = 64 * 2**20
"""Beyond this only phases and flags are written: model output must not fill the disk."""


class Events:
    """Appends events; safe to call from several threads."""

    def __init__(self, path: Path) -> None:
        self.phase_now: Phase = "load"
        self._file = path.open("ab")
        self._lock = threading.Lock()

    def phase(self, phase: Phase) -> None:
        self.phase_now = phase
        self.emit("phase", phase=phase)

    def emit(self, kind: EventKind, **data: Any) -> None:
        data = {k: whole_text(v) if isinstance(v, str) else v for k, v in data.items()}
        line = Event(t_ns=time.monotonic_ns(), kind=kind, data=data).model_dump_json() + "\n"
        with self._lock:
            if self._file.closed:
                return
            if self._file.tell() < MAX_BYTES or kind in ("phase", "flag"):
                self._file.write(line.encode())
                self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._file.close()
