"""Arrival processes: who sends requests, and when.

Offline and closed loop: a request is there when there is room, or when a client's last one was
answered. Open loop: each has its time in a schedule (:mod:`lem.workloads.schedules`), and that
time, not the one at which somebody got round to sending it, is what the log notes as sent. So
neither a slow engine nor a slow client delays the load or makes a latency look shorter than it is
(no coordinated omission).
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from lem.contract.workload import (
    Arrival,
    Concurrency,
    Constant,
    Gamma,
    Offline,
    Poisson,
    Search,
    TraceArrival,
)
from lem.workloads import schedules
from lem.workloads.load import Log, Response, Source
from lem.workloads.requests import Request
from lem.workloads.stock import Requests, conversations

LATE_NS = 20_000_000
"""A request sent this much after its time was sent late."""


class _Walks:
    """Conversations under way: who may be sent, and what follows whom.

    The first ``spread`` conversations begin in their middle, the k-th at its k-th turn, so that
    from the start there are as many of each turn as later on.
    """

    def __init__(self, stock: Requests, log: Log) -> None:
        self._stock = stock
        self._log = log
        self._rest: dict[str, list[Request]] = {}
        """Of those that were handed out: what follows."""
        self._begun = 0

    def next(self, spread: bool) -> Request:
        """The next turn of a conversation whose last one has ended; else a new conversation."""
        for last in self._rest:
            if _ended(self._log, last):
                return self._hand(self._rest.pop(last))
        turns = self._stock.conversation()
        if spread:
            turns = turns[self._begun % len(turns) :]
        self._begun += 1
        return self._hand(turns)

    def _hand(self, turns: list[Request]) -> Request:
        head, *rest = turns
        if rest:
            self._rest[head.id] = rest
        return head


class Backlog:
    """Offline: all requests are there; each counts as sent when the engine takes it (for one that
    takes more than it answers at a time see :func:`from_slots`). Of a conversation there is the
    next turn when the last one has been answered."""

    def __init__(self, stock: Requests, log: Log, limit: int | None = None) -> None:
        self._walks = _Walks(stock, log)
        self._log = log
        self._left = limit
        self._first = True

    def take(self, room: int, busy: int) -> list[Request] | None:
        if self._left is not None:
            if self._left == 0:
                return None
            room = min(room, self._left)
            self._left -= room
        taken = [self._walks.next(spread=self._first) for _ in range(room)]
        self._first = self._first and not taken
        self._log.sent(taken)
        return taken

    def due_ns(self) -> int | None:
        return None


def from_slots(responses: Sequence[Response], slots: int) -> None:
    """Count requests of a backlog as sent when one of ``slots`` was free for them.

    An engine whose scheduler runs ahead is handed more than it answers at a time, so that it never
    wants for work. How far ahead is this program's choice: the time that a request waits for the
    others is none of its latency, and differs from engine to engine. ``responses``: of one phase,
    in the order in which they were handed over, which is that of their turn.
    """
    ends: list[int] = []
    for r in responses:
        if len(ends) >= slots:
            free_ns = heapq.heappop(ends)
            first_ns = r.token_ns[0] if r.token_ns else free_ns
            r.sent_ns = max(r.sent_ns, min(free_ns, first_ns))
        if r.end_ns is not None:
            heapq.heappush(ends, r.end_ns)


class ClosedLoop:
    """``clients`` clients, each of which sends its next request when its last one is answered: the
    next turn of its conversation, or else a new one. That moment counts as sent, also where the
    answer's end was noticed later.

    With more clients than the engine has room for, the rest wait; their waiting is part of their
    time to first token.
    """

    def __init__(self, clients: int, stock: Requests, log: Log, limit: int | None = None) -> None:
        self._clients = clients
        self._walks = _Walks(stock, log)
        self._log = log
        self._left = limit
        self._waiting: deque[tuple[int, Request]] = deque()
        self._open: list[Response] = []
        self._ended_ns: list[int] = []
        """In order: when clients got the answers after which they have sent nothing yet."""
        self._first = True

    def take(self, room: int, busy: int) -> list[Request] | None:
        free = self._clients - busy - len(self._waiting)
        if free > 0:
            self._note_ends()
        for _ in range(free):
            if self._left == 0:
                break
            request = self._walks.next(spread=self._first)
            self._waiting.append((self._free_ns(request), request))
            if self._left is not None:
                self._left -= 1
        self._first = False
        if self._left == 0 and not self._waiting:
            return None
        taken: list[Request] = []
        while self._waiting and len(taken) < room:
            sent_ns, request = self._waiting.popleft()
            self._log.sent([request], sent_ns)
            self._open.append(self._log.responses[request.id])
            taken.append(request)
        return taken

    def _note_ends(self) -> None:
        self._ended_ns += [r.end_ns for r in self._open if r.end_ns is not None]
        self._ended_ns.sort()
        self._open = [r for r in self._open if r.end_ns is None]

    def _free_ns(self, request: Request) -> int:
        """Since when its client has had nothing to wait for: the end of the turn before it, else
        the earliest end after which nobody has sent anything; now, where there is none."""
        before = self._log.responses.get(request.after or "")
        if before is not None and before.end_ns in self._ended_ns:
            self._ended_ns.remove(before.end_ns)
            return before.end_ns
        return self._ended_ns.pop(0) if self._ended_ns else self._log.clock()

    def due_ns(self) -> int | None:
        return None


class OpenLoop:
    """Requests in the order of the list, each at its time in ``schedule`` (seconds from the first
    call of ``take``). A later turn of a conversation is sent when its time has come and the turn
    before it has ended, whichever is later.

    The log notes as sent when a request should have been, as soon as it should, also where the
    engine has no room for it yet. What was sent is answered: when a phase is over, what still waits
    is handed out by :meth:`rest`.
    """

    def __init__(
        self, schedule: Iterator[float], stock: Requests, log: Log, limit: int | None = None
    ) -> None:
        self._schedule = schedule if limit is None else islice(schedule, limit)
        self._stock = stock
        self._log = log
        self._start_ns: int | None = None
        self._next: tuple[int, Request] | None = None
        """The one that comes next, and its time."""
        self._held: list[tuple[int, Request]] = []
        """Their time has come, but the turn before has not ended."""
        self._waiting: deque[Request] = deque()
        """They have been sent, but the engine had no room."""
        self.sent: list[Response] = []
        """All that this phase has sent."""
        self.due: list[int] = []
        """The times in the schedule that have come, also of turns that wait for the one before."""
        self._known: set[str] = set()
        """Ids of all that this phase has drawn from the list."""
        self.most_turns = max(map(len, conversations(stock.listed)))
        """Of the list's conversations; 1 where there are none."""
        self.handed = 0
        self.late = 0
        """Of those ``handed`` out: more than 20 ms after the engine could have had them."""

    def take(self, room: int, busy: int) -> list[Request] | None:
        now = self._log.clock()
        if self._start_ns is None:
            self._start_ns = now
            self._advance()
        had_room = room > len(self._waiting)
        self._arrive(now)
        if self._next is None and not self._held and not self._waiting:
            return None
        taken = self.rest(room) or []
        self.handed += len(taken)
        if had_room:
            sent = [self._log.responses[r.id].sent_ns for r in taken]
            self.late += sum(now - s > LATE_NS for s in sent)
        return taken

    def rest(self, room: int) -> list[Request] | None:
        """Up to ``room`` of those that were sent and are still waiting; None where none is."""
        if not self._waiting:
            return None
        return [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]

    def due_ns(self) -> int | None:
        if self._start_ns is None:
            return self._log.clock()
        return None if self._next is None else self._next[0]

    def _arrive(self, now: int) -> None:
        due, self._held = self._held, []
        while self._next is not None and self._next[0] <= now:
            due.append(self._next)
            self.due.append(self._next[0])
            self._advance()
        arrived: list[tuple[int, Request]] = []
        for at_ns, request in due:
            ended_ns = self._ready_ns(request)
            if ended_ns is None:
                self._held.append((at_ns, request))
            else:
                arrived.append((max(at_ns, ended_ns), request))
        for at_ns, request in sorted(arrived, key=lambda a: a[0]):
            self._log.sent([request], at_ns)
            self.sent.append(self._log.responses[request.id])
            self._waiting.append(request)

    def _ready_ns(self, request: Request) -> int | None:
        """When the turn before ended, or 0 where there is none to wait for: a phase may begin in
        the middle of a conversation. None where it has not ended."""
        before = request.after
        if before is None or not (before in self._known or before in self._log.responses):
            return 0
        response = self._log.responses.get(before)
        return None if response is None else response.end_ns

    def _advance(self) -> None:
        offset_s = next(self._schedule, None)
        if offset_s is None or self._start_ns is None:
            self._next = None
        else:
            request = self._stock.next()
            self._known.add(request.id)
            self._next = (self._start_ns + round(offset_s * 1e9), request)


class Stopping:
    """Ends the phase from the moment ``stop`` is true; what is being answered is finished."""

    def __init__(self, inner: Source, stop: Callable[[], bool]) -> None:
        self._inner = inner
        self._stop = stop

    def take(self, room: int, busy: int) -> list[Request] | None:
        return None if self._stop() else self._inner.take(room, busy)

    def due_ns(self) -> int | None:
        return self._inner.due_ns()


def arriving(
    arrival: Arrival, stock: Requests, log: Log, limit: int | None = None, seed: int = 0
) -> Source:
    """The source of an arrival process. It tells ``log`` of every request it hands out.

    ``limit``: at most that many requests, then the phase ends; None: no end of its own. ``seed``
    (:func:`lem.workloads.schedules.seed_of`) is of an open loop's schedule.
    """
    if isinstance(arrival, Concurrency):
        return ClosedLoop(arrival.concurrency, stock, log, limit)
    if isinstance(arrival, Offline):
        return Backlog(stock, log, limit)
    if isinstance(arrival, TraceArrival):
        schedule = schedules.replayed(stock.listed, stock.given, arrival.speed)
    else:
        schedule = schedules.at_rate(arrival, _known_rate(arrival), seed)
    return OpenLoop(schedule, stock, log, limit)


def _known_rate(arrival: Constant | Poisson | Gamma) -> float:
    if isinstance(arrival.rate, Search):
        raise ValueError("the rate has yet to be found")
    return arrival.rate


def _ended(log: Log, request_id: str) -> bool:
    response = log.responses.get(request_id)
    return response is not None and response.end_ns is not None
