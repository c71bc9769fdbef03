"""The agent's running commentary: ``events.ndjson``, flushed line by line."""

import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

from lem.contract.base import whole_text
from lem.contract.event import Event, EventKind, Phase

MAX_BYTES = 64 * 2**20
"""Beyond this only phases, windows and flags are written: model output must not fill the disk."""


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
        self.emit_all([(kind, data)])

    def emit_all(
        self, events: Iterable[tuple[EventKind, dict[str, Any]]], at_ns: int | None = None
    ) -> None:
        """Several of one moment, in one go: of now, or of ``at_ns``."""
        now_ns = time.monotonic_ns() if at_ns is None else at_ns
        lines = [(kind, _line(kind, data, now_ns)) for kind, data in events]
        with self._lock:
            if self._file.closed:
                return
            for kind, line in lines:
                if self._file.tell() < MAX_BYTES or kind in ("phase", "window", "flag"):
                    self._file.write(line)
            self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._file.close()


def _line(kind: EventKind, data: dict[str, Any], t_ns: int) -> bytes:
    data = {k: whole_text(v) if isinstance(v, str) else v for k, v in data.items()}
    return Event(t_ns=t_ns, kind=kind, data=data).model_dump_json().encode() + b"\n"
