"""The channels of all campaigns: opened when somebody needs one, closed when nobody does."""

import threading
import time
from pathlib import Path

from lem.live.channel import Channel
from lem.live.log import CAP_BYTES

IDLE_S = 60.0
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

    def open_already(self, name: str) -> Channel | None:
        """The channel, where it is open. Never waits."""
        channel = self._channels.get(name)
        if channel is not None:
            channel.used_at = time.monotonic()
        return channel

    def channel(self, name: str) -> Channel:
        """The channel, opened if need be, which reads its file once. Raises :class:`OSError`."""
        with self._lock:
            found = self.open_already(name)
            if found is None:
                self._close_idle()
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                found = self._channels[name] = Channel(self._path(name), self._cap_bytes)
            return found

    def is_there(self, name: str) -> bool:
        """Whether anything was ever said of it."""
        return name in self._channels or self._path(name).is_file()

    def close_idle(self) -> None:
        """Close those that nobody hears and to which nothing came for a while."""
        with self._lock:
            self._close_idle()

    def _close_idle(self) -> None:
        now = time.monotonic()
        for name, channel in list(self._channels.items()):
            if not channel.is_heard and now - channel.used_at > self._idle_s:
                del self._channels[name]
                channel.close()

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
