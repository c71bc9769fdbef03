"""Arrival processes: who sends requests, and when."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from lem.contract.spec import Arrival, Concurrency, Offline
from lem.workloads.load import Log, Source
from lem.workloads.requests import Request


class Requests(Protocol):
    """Never runs dry."""

    def next(self) -> Request: ...


class Stock:
    """A request list, handed out in order, again from the beginning when it ends.

    One stock serves all phases of a run, so ids stay unique in it: the second time round they are
    ``r12#2``.
    """

    def __init__(self, requests: list[Request]) -> None:
        if not requests:
            raise ValueError("a request list must not be empty")
        self._requests = requests
        self._given = 0

    @property
    def exhausted(self) -> bool:
        """Whether a request was handed out for a second time (flag ``requests_exhausted``)."""
        return self._given > len(self._requests)

    def next(self) -> Request:
        turn, index = divmod(self._given, len(self._requests))
        self._given += 1
        request = self._requests[index]
        return request if turn == 0 else request._replace(id=f"{request.id}#{turn + 1}")


class FirstTokens:
    """The requests of a stock, each asked for one output token only: prefill and nothing else.

    They go on where the stock stands, so that an engine that keeps prompts has not just seen them.
    """

    def __init__(self, stock: Stock) -> None:
        self._stock = stock

    def next(self) -> Request:
        return self._stock.next()._replace(output_tokens=1)


class Backlog:
    """Offline: all requests are there; each counts as sent when the engine takes it."""

    def __init__(self, stock: Requests, log: Log, limit: int | None = None) -> None:
        self._stock = stock
        self._log = log
        self._left = limit

    def take(self, room: int, busy: int) -> list[Request] | None:
        if self._left is not None:
            if self._left == 0:
                return None
            room = min(room, self._left)
            self._left -= room
        taken = [self._stock.next() for _ in range(room)]
        self._log.sent(taken)
        return taken

    def due_ns(self) -> int | None:
        return None


class ClosedLoop:
    """``clients`` clients, each of which sends its next request when its last one is answered.

    With more clients than the engine has room for, the rest wait; their waiting is part of their
    time to first token.
    """

    def __init__(self, clients: int, stock: Requests, log: Log, limit: int | None = None) -> None:
        self._clients = clients
        self._stock = stock
        self._log = log
        self._left = limit
        self._waiting: deque[tuple[int, Request]] = deque()

    def take(self, room: int, busy: int) -> list[Request] | None:
        now = self._log.clock()
        for _ in range(self._clients - busy - len(self._waiting)):
            if self._left == 0:
                break
            self._waiting.append((now, self._stock.next()))
            if self._left is not None:
                self._left -= 1
        if self._left == 0 and not self._waiting:
            return None
        taken: list[Request] = []
        while self._waiting and len(taken) < room:
            sent_ns, request = self._waiting.popleft()
            self._log.sent([request], sent_ns)
            taken.append(request)
        return taken

    def due_ns(self) -> int | None:
        return None


class Stopping:
    """Ends the phase from the moment ``stop`` is true; what is being answered is finished."""

    def __init__(self, inner: Source, stop: Callable[[], bool]) -> None:
        self._inner = inner
        self._stop = stop

    def take(self, room: int, busy: int) -> list[Request] | None:
        return None if self._stop() else self._inner.take(room, busy)

    def due_ns(self) -> int | None:
        return self._inner.due_ns()


def arriving(arrival: Arrival, stock: Requests, log: Log, limit: int | None = None) -> Source:
    """The source of an arrival process. It tells ``log`` of every request it hands out.

    ``limit``: at most that many requests, then the phase ends; None: no end of its own.
    """
    if isinstance(arrival, Concurrency):
        return ClosedLoop(arrival.concurrency, stock, log, limit)
    if isinstance(arrival, Offline):
        return Backlog(stock, log, limit)
    raise NotImplementedError(arrival.kind)
