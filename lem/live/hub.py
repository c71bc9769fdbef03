"""The channels of all campaigns: opened when somebody needs one, closed when nobody does."""

import threading
import time
from pathlib import Path

from lem.live.channel import Channel
from lem.live.log import CAP_BYTES

IDLE_S = 60.0
MOST_UNHEARD = 200
"""Open ones that nobody hears; of more, those go that were used least lately."""
IN_USE_S = 1.0
"""So long one stays that was just asked for."""
SUFFIX = ".ndjson"


class Hub:
    """``folder`` holds a file for each campaign, by its name, which must be fit for one. Safe for
    several threads."""

    def __init__(self, folder: Path, idle_s: float = IDLE_S, cap_bytes: int = CAP_BYTES) -> None:
        self._folder = folder
        self._idle_s = idle_s
        self._cap_bytes = cap_bytes
        self._lock = threading.Lock()
        self._channels: dict[str, Channel] = {}
        self._opening: dict[str, threading.Event] = {}

    def open_already(self, name: str) -> Channel | None:
        """The channel, where it is open. Never waits."""
        channel = self._channels.get(name)
        if channel is not None:
            channel.used_at = time.monotonic()
        return channel

    def channel(self, name: str) -> Channel:
        """The channel, opened if need be, which reads its file once: others are not kept waiting
        meanwhile. Raises :class:`OSError`."""
        while True:
            with self._lock:
                if (found := self.open_already(name)) is not None:
                    return found
                waited = self._opening.get(name)
                if waited is None:
                    done = self._opening[name] = threading.Event()
                    self._close_idle()
                    break
            waited.wait()
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            found = Channel(self._path(name), self._cap_bytes)
            with self._lock:
                self._channels[name] = found
            return found
        finally:
            with self._lock:
                del self._opening[name]
            done.set()

    def is_there(self, name: str) -> bool:
        """Whether anything was ever said of it."""
        return name in self._channels or self._path(name).is_file()

    def close_idle(self) -> None:
        """Close those that nobody hears and to which nothing came for a while."""
        with self._lock:
            self._close_idle()

    def _close_idle(self) -> None:
        now = time.monotonic()
        unheard = [(c.used_at, n) for n, c in self._channels.items() if not c.is_heard]
        unheard.sort(reverse=True)
        for i, (used_at, name) in enumerate(unheard):
            if now - used_at > (self._idle_s if i < MOST_UNHEARD else IN_USE_S):
                self._channels.pop(name).close()

    def close(self) -> None:
        with self._lock:
            for channel in self._channels.values():
                channel.close()
            self._channels.clear()

    @property
    def open_channels(self) -> int:
        return len(self._channels)

    @property
    def held_bytes(self) -> int:
        return sum(c.held_bytes for c in list(self._channels.values()))

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{SUFFIX}"
