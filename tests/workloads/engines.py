"""Engines without a model, whose every step is known: what the real ones must look like."""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from lem.workloads.load import Sink, Source
from lem.workloads.requests import Request


@dataclass
class Clock:
    """A clock that moves only when it is told to. Nanoseconds."""

    now: int = 0

    def __call__(self) -> int:
        return self.now

    def pass_s(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)


class StaticEngine:
    """Whole batches: ``prefill_s``, then a token for every row each ``step_s``."""

    atomic_batches = True

    def __init__(self, clock: Clock, batch: int, prefill_s: float = 1.0, step_s: float = 0.1):
        self.clock, self.batch, self.prefill_s, self.step_s = clock, batch, prefill_s, step_s

    def serve(self, source: Source, sink: Sink) -> None:
        while (taken := source.take(self.batch, 0)) is not None:
            self.clock.pass_s(self.prefill_s)
            for step in range(max((r.output_tokens for r in taken), default=0)):
                self.clock.pass_s(self.step_s)
                for r in taken:
                    if step < r.output_tokens:
                        sink.token(r.id)
            for r in taken:
                sink.done(r.id, "")


class SlotEngine:
    """Continuous batching: a joining request costs ``prefill_s`` before the next step, and every
    step is one token for every slot. Asks the source at each step."""

    atomic_batches = False

    def __init__(self, clock: Clock, slots: int, prefill_s: float = 0.25, step_s: float = 0.1):
        self.clock, self.slots, self.prefill_s, self.step_s = clock, slots, prefill_s, step_s

    def serve(self, source: Source, sink: Sink) -> None:
        left: dict[str, int] = {}
        dry = False
        while True:
            taken: list[Request] | None = None
            if not dry:
                taken = source.take(self.slots - len(left), len(left))
                dry = taken is None
            for r in taken or ():
                left[r.id] = r.output_tokens
                self.clock.pass_s(self.prefill_s)
            if not left:
                if dry:
                    return
                continue
            self.clock.pass_s(self.step_s)
            for name in list(left):
                sink.token(name)
                left[name] -= 1
                if not left[name]:
                    del left[name]
                    sink.done(name, "")


POLL_S = 0.05
ROOM = 10**6


class Server:
    """A served engine behind a client: takes whatever has come, answers ``servers`` requests at
    once, the rest wait in its queue in the order in which they came.

    ``answer_s`` says when after the beginning of its answer each token of a request comes out;
    ``late_s`` is how much later than it should the client asks what is due; ``fails`` says how a
    request ends that is not answered.
    """

    atomic_batches = False

    def __init__(
        self,
        clock: Clock,
        servers: int,
        answer_s: Callable[[Request], list[float]],
        late_s: float = 0.0,
        fails: Callable[[Request], str | None] = lambda r: None,
    ) -> None:
        self.clock, self.servers, self.answer_s = clock, servers, answer_s
        self.late_s, self.fails = late_s, fails
        self._events: list[tuple[int, int, str, str]] = []
        self._number = 0
        self._queue: deque[Request] = deque()
        self._busy: set[str] = set()
        self.sent = 0

    def serve(self, source: Source, sink: Sink) -> None:
        dry = False
        while True:
            if not dry:
                taken = source.take(ROOM, len(self._busy) + len(self._queue))
                dry = taken is None
                self.sent += len(taken or ())
                self._queue.extend(taken or ())
                self._begin()
            if dry and not self._busy:
                return
            self._advance(None if dry else source.due_ns(), sink)

    def _begin(self) -> None:
        while self._queue and len(self._busy) < self.servers:
            request = self._queue.popleft()
            self._busy.add(request.id)
            times = self.answer_s(request)
            for t in times:
                self._plan(t, "token", request.id)
            self._plan(times[-1], self.fails(request) or "done", request.id)

    def _plan(self, after_s: float, kind: str, name: str) -> None:
        self._number += 1
        at_ns = self.clock() + round(after_s * 1e9)
        heapq.heappush(self._events, (at_ns, self._number, kind, name))

    def _advance(self, due_ns: int | None, sink: Sink) -> None:
        """To whatever comes first: a token, an arrival, or the time to ask again."""
        until = self.clock() + round(POLL_S * 1e9)
        if due_ns is not None:
            until = min(until, max(due_ns + round(self.late_s * 1e9), self.clock()))
        if self._events and self._events[0][0] <= until:
            at_ns, _, kind, name = heapq.heappop(self._events)
            self.clock.now = at_ns
            if kind == "token":
                sink.token(name)
                return
            if kind == "done":
                sink.done(name, "")
            elif kind == "failed":
                sink.failed(name, "no")
            else:
                sink.timed_out(name, "too late")
            self._busy.remove(name)
            self._begin()
            return
        self.clock.now = until
