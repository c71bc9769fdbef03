"""How requests reach an engine and how its answers are counted.

The engine pulls: it asks ``source.take(n)`` for up to n requests when it has room. The source
decides how many have arrived (all of them offline; as many as there are idle clients in a closed
loop) and ends the phase by giving None. The sink notes every token with its time.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from lem.workloads.requests import Request

Clock = Callable[[], int]
More = Callable[[], str]
"""What came of an answer since it was last called. One thread calls it, which need not be the one
that serves, and may do so late."""
Follow = Callable[[str, More], None]
"""Request, what gives its text."""


class Source(Protocol):
    def take(self, room: int, busy: int) -> list[Request] | None:
        """Up to ``room`` requests that have arrived, given that ``busy`` are being answered.

        An empty list: none now, go on with what you have. None: no more in this phase; finish
        what is being answered and return from ``serve``.

        An engine with atomic batches asks before each batch (``busy`` is 0, the device at rest);
        between windows this takes some tenths of a second. A continuous one asks
        at every step or at least every 50 ms, also when ``room`` is 0: that windows begin and end
        is found out in this call, which never waits for a meter. Tokens must be told to the sink
        at their own time, also those that come out during it.
        """

    def due_ns(self) -> int | None:
        """When (monotonic clock) ``take`` may next have a request to give though nothing ended
        meanwhile; None where only an end can bring one."""


class Sink(Protocol):
    """``at_ns`` (monotonic clock): when it happened, where that was earlier than the call."""

    def token(self, request_id: str, n: int = 1, at_ns: int | None = None) -> None:
        """``n`` more output tokens of this request came out now."""

    def answering(self, request_id: str, more: More) -> None:
        """The request's answer begins, and ``more`` gives its text as it comes, for whoever
        watches. Told once, where the engine knows the text before its end; costs nothing where
        nobody watches."""

    def written(self, request_id: str, at_ns: int) -> None:
        """The last byte of the request was handed to the network, where there is one."""

    def retold(self, request_id: str, token_ns: list[int]) -> None:
        """The times of all output tokens of a request, in rising order, in place of those that were
        told before: how many there were became known only now."""

    def done(self, request_id: str, text: str, at_ns: int | None = None) -> None:
        """The request's answer is complete."""

    def failed(self, request_id: str, message: str, at_ns: int | None = None) -> None:
        """The request ended in an error; the engine goes on."""

    def timed_out(self, request_id: str, message: str, at_ns: int | None = None) -> None:
        """Nobody waits for the request's answer any longer; the engine goes on."""


@dataclass
class Response:
    """One request's history. Times in nanoseconds of the monotonic clock."""

    request: Request
    sent_ns: int
    token_ns: list[int] = field(default_factory=list)
    """One entry per output token."""
    end_ns: int | None = None
    status: str = "open"
    """open, done, failed or timed_out"""
    text: str = ""
    written_ns: int | None = None
    """When it really left; ``sent_ns`` is when it should have. None where no network is between."""


class Log:
    """The sink that remembers everything: who was sent when, and each token's time.

    Engines with a thread for each stream may call ``token``, ``done`` and ``failed`` from them.
    """

    def __init__(
        self,
        clock: Clock = time.monotonic_ns,
        watch: Callable[[Response], None] | None = None,
        follow: Follow | None = None,
    ) -> None:
        self.clock = clock
        self.responses: dict[str, Response] = {}
        self.tokens = 0
        self._watch = watch
        self._follow = follow
        self._lock = threading.Lock()

    def sent(self, requests: list[Request], at_ns: int | None = None) -> None:
        """Note that a client sent these, now or at ``at_ns`` (when it had to wait for a slot)."""
        now = self.clock() if at_ns is None else at_ns
        for r in requests:
            self.responses[r.id] = Response(r, now)

    def token(self, request_id: str, n: int = 1, at_ns: int | None = None) -> None:
        now = self.clock() if at_ns is None else at_ns
        with self._lock:
            self.responses[request_id].token_ns.extend([now] * n)
            self.tokens += n

    def answering(self, request_id: str, more: More) -> None:
        if self._follow is not None:
            self._follow(request_id, more)

    def written(self, request_id: str, at_ns: int) -> None:
        self.responses[request_id].written_ns = at_ns

    def retold(self, request_id: str, token_ns: list[int]) -> None:
        with self._lock:
            response = self.responses[request_id]
            self.tokens += len(token_ns) - len(response.token_ns)
            response.token_ns = token_ns

    def done(self, request_id: str, text: str, at_ns: int | None = None) -> None:
        self._end(request_id, "done", text, at_ns)

    def failed(self, request_id: str, message: str, at_ns: int | None = None) -> None:
        self._end(request_id, "failed", message, at_ns)

    def timed_out(self, request_id: str, message: str, at_ns: int | None = None) -> None:
        self._end(request_id, "timed_out", message, at_ns)

    def _end(self, request_id: str, status: str, text: str, at_ns: int | None) -> None:
        response = self.responses[request_id]
        response.end_ns = self.clock() if at_ns is None else at_ns
        response.status = status
        response.text = text
        if self._watch is not None:
            self._watch(response)
