"""Live events on their way to the server: batches, numbered within a lease, in bounded memory.

What is kept is bounded, and what waits too long is let go: samples and answers first. Nobody who
adds an event ever waits.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from lem.contract.live import MAX_BATCH_BYTES, MAX_EVENTS
from lem.errors import LemError
from lem.runner.posting import Posts
from lem.submit.client import Declined

GATHER_S = 0.05
"""So long events are gathered before they are sent."""
MAX_BYTES = 4 * 2**20
MAX_KEPT_BYTES = 16 * 2**20
"""Of those that are not dropped as long as there is any room."""
LONGEST_WAIT_S = 10.0
HEAD_BYTES = 200


class _Event(NamedTuple):
    data: bytes
    droppable: bool


class Uploads:
    """Sends the events of one lease. Use as a context manager, or :meth:`close` it."""

    def __init__(
        self,
        posts: Posts,
        queued: str,
        fence: int,
        on_lost: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._posts = posts
        self._head = f'{{"schema_version":1,"queued":"{queued}","fence":{fence},"number":'
        self._on_lost = on_lost
        self._clock = clock
        self._events: deque[_Event] = deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closing = False
        self._deadline = 0.0
        self._number = 0
        self.dropped = 0
        self.sent = 0
        self._thread = threading.Thread(target=self._run, name="uploads", daemon=True)
        self._thread.start()

    def add(self, data: bytes, droppable: bool) -> None:
        """An event as JSON."""
        if len(data) > MAX_BATCH_BYTES - HEAD_BYTES:
            self.dropped += 1
            return
        with self._changed:
            if self._closing:
                return
            was_empty = not self._events
            self._events.append(_Event(data, droppable))
            self._bytes += len(data)
            if self._bytes > MAX_BYTES:
                self._make_room()
            if was_empty:
                self._changed.notify()

    def close(self, within_s: float) -> None:
        """Send what is left, for at most so long."""
        with self._changed:
            self._closing = True
            self._deadline = self._clock() + within_s
            self._changed.notify()
        self._thread.join(within_s + 1)
        if not self._thread.is_alive():
            self._posts.close()

    def _make_room(self) -> None:
        """Let go of half of what may be dropped, the oldest first; where that is nothing, of the
        oldest of all."""
        left, kept = MAX_BYTES // 2, deque[_Event]()
        for event in reversed(self._events):
            if not event.droppable or left > 0:
                kept.appendleft(event)
                left -= len(event.data)
            else:
                self.dropped += 1
        size = sum(len(e.data) for e in kept)
        while size > MAX_KEPT_BYTES:
            size -= len(kept.popleft().data)
            self.dropped += 1
        self._events, self._bytes = kept, size

    def _run(self) -> None:
        wait_s = 0.0
        while True:
            with self._changed:
                while not self._events and not self._closing:
                    self._changed.wait()
                if self._closing and (not self._events or self._clock() > self._deadline):
                    return
            time.sleep(GATHER_S if not self._closing else 0.0)
            batch = self._next()
            try:
                taken = self._send(batch)
            except Declined as e:
                if e.reason == "lease_lost":
                    self._on_lost()
                    return
                if e.status in (401, 403, 404):
                    return
                taken = True  # this one will never be taken
            except LemError:
                taken = False
            if taken:
                wait_s = 0.0
                continue
            self._put_back(batch)
            wait_s = min(max(2 * wait_s, 0.5), LONGEST_WAIT_S)
            with self._changed:
                self._changed.wait_for(lambda: self._closing, wait_s)
                if self._closing and self._clock() + wait_s > self._deadline:
                    return
            if self._closing:
                time.sleep(min(wait_s, 0.5))

    def _next(self) -> list[_Event]:
        batch: list[_Event] = []
        size = HEAD_BYTES
        with self._changed:
            while self._events and len(batch) < MAX_EVENTS:
                size += len(self._events[0].data) + 1
                if batch and size > MAX_BATCH_BYTES:
                    break
                batch.append(self._events.popleft())
                self._bytes -= len(batch[-1].data)
        return batch

    def _put_back(self, batch: list[_Event]) -> None:
        with self._changed:
            self._events.extendleft(reversed(batch))
            self._bytes += sum(len(e.data) for e in batch)
            if self._bytes > MAX_BYTES:
                self._make_room()

    def _send(self, batch: list[_Event]) -> bool:
        """Whether it was taken. One that was taken before, and whose answer was lost, is not taken
        twice: it still has its number. Where the server waits for another (it was set back to
        before), this one gets that number."""
        body = f'{self._head}{self._number},"events":['.encode()
        body += b",".join(e.data for e in batch) + b"]}"
        answer = self._posts.post(body)
        if answer is None:
            return False
        taken = answer.next > self._number
        self._number = max(0, answer.next)
        self.sent += len(batch) if taken else 0
        return taken
