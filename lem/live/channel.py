"""One campaign's events, for everybody who watches it: a log on disk, and the newest of it in
memory, encoded once for all.

A viewer is a place in the log. One that keeps up is given the very same bytes as all others; one
that has fallen behind reads the file, a piece at a time. So a viewer costs the same however slow it
is, and one that comes back misses nothing and sees nothing twice.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from lem.contract.live import LiveEvent, State
from lem.live import sse
from lem.live.log import CAP_BYTES, SERVER, Log, Superseded

RING_BYTES = 2**20
PIECE_BYTES = 32 * 1024
"""What a viewer that has fallen behind is given at once, unless a single batch is larger."""


class Place(NamedTuple):
    after: int
    """Number of the last batch that was sent."""
    offset: int | None = None
    """Where the next one is in the file, where that is known."""


class Piece(NamedTuple):
    data: bytes
    place: Place
    """After it."""


class Channel:
    """Safe for several threads. ``listen`` is told of everything that is new, in the thread that
    brought it."""

    def __init__(
        self, path: Path, cap_bytes: int = CAP_BYTES, ring_bytes: int = RING_BYTES
    ) -> None:
        self._path = path
        self._log = Log(path, cap_bytes)
        self._ring: deque[bytes] = deque()
        self._ring_held = 0
        self._ring_bytes = ring_bytes
        self._lock = threading.Lock()
        self._closed = False
        self._listeners: list[Callable[[], None]] = []
        self.used_at = time.monotonic()
        """When something last came."""

    @property
    def last(self) -> int:
        """Number of the last batch; 0 where there is none."""
        return self._log.last

    @property
    def over(self) -> bool:
        """Whether the campaign has ended: nothing follows the last batch."""
        return self._log.over

    @property
    def size(self) -> int:
        """Of the log, in bytes."""
        return self._log.size

    @property
    def held_bytes(self) -> int:
        """In memory."""
        return self._ring_held

    def take(self, fence: int, number: int, events: Sequence[LiveEvent]) -> int:
        """Keep a runner's batch, where it is the one that is waited for, and give it to all. The
        number that is waited for next. Raises :class:`Superseded` for an older lease than one that
        was seen, :class:`OSError` where the disk fails."""
        if fence == SERVER:
            raise ValueError("the fence of the server")
        with self._lock:
            self._append(fence, number, events)
            wanted = self._log.next(fence)
        self._ring_out()
        return wanted

    def say(self, *events: LiveEvent) -> None:
        """Add what the server itself says."""
        with self._lock:
            self._append(SERVER, self._log.next(SERVER), events)
        self._ring_out()

    def _append(self, fence: int, number: int, events: Sequence[LiveEvent]) -> None:
        if self._closed:
            raise OSError("the log is closed")
        self.used_at = time.monotonic()
        self._catch_up()
        line = self._log.take(fence, number, events)
        if line is None:
            return
        frame = sse.frame(line.seq, line.events)
        self._ring.append(frame)
        self._ring_held += len(frame)
        while self._ring_held > self._ring_bytes and len(self._ring) > 1:
            self._ring_held -= len(self._ring.popleft())

    def look(self) -> None:
        """See whether another server, which shares the folder, has added anything."""
        with self._lock:
            found = not self._closed and self._catch_up()
        if found:
            self._ring_out()

    def _catch_up(self) -> bool:
        if not self._log.catch_up():
            return False
        # It has the last lines no more.
        self._ring.clear()
        self._ring_held = 0
        return True

    def _ring_out(self) -> None:
        for tell in list(self._listeners):
            tell()

    def listen(self, tell: Callable[[], None]) -> None:
        self._listeners.append(tell)

    def leave(self, tell: Callable[[], None]) -> None:
        self._listeners.remove(tell)

    @property
    def is_heard(self) -> bool:
        return bool(self._listeners)

    def new(self, place: Place, limit: int = PIECE_BYTES) -> Piece | None:
        """What follows ``place``, where it is in memory (empty where nothing does); None where it
        must be :meth:`read`. Never waits for the disk."""
        with self._lock:
            last, held = self._log.last, len(self._ring)
            if place.after >= last:
                return Piece(b"", place)
            skip = place.after - (last - held)
            if skip < 0:
                return None
            if place.after + 1 == last:
                return Piece(self._ring[-1], Place(last))
            frames: list[bytes] = []
            size = 0
            for i in range(skip, held):
                size += len(self._ring[i])
                if frames and size > limit:
                    break
                frames.append(self._ring[i])
        return Piece(b"".join(frames), Place(place.after + len(frames)))

    def read(self, place: Place, limit: int = PIECE_BYTES) -> Piece:
        """What follows ``place``, from the file."""
        with self._lock:
            if self._closed:
                raise OSError("the log is closed")
            offset = self._log.find(place.after) if place.offset is None else place.offset
            found = self._log.read(place.after, offset, limit)
        data = b"".join(sse.frame(line.seq, line.events) for line in found.lines)
        return Piece(data, Place(place.after + len(found.lines), found.offset))

    def recording(self, limit: int = 2**18) -> Iterator[bytes]:
        """The log as it is now, whole, in pieces; also where the channel is closed meanwhile."""
        left = self._log.size
        with self._path.open("rb") as f:
            while data := f.read(min(limit, left)):
                left -= len(data)
                yield data

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                self._log.close()
                self._ring.clear()
                self._ring_held = 0


def said(state: str, message: str = "", at: int | None = None) -> State:
    """What a server says of a campaign's state, at ``at`` (ms since the epoch; now)."""
    now = time.time_ns() // 10**6 if at is None else at
    return State.model_validate({"at": now, "state": state, "message": message[:2000]})


__all__ = ["Channel", "Piece", "Place", "Superseded", "said"]
