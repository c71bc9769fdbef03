"""When a window begins and ends, and what falls into it.

An engine with atomic batches: a window is whole batches, from just before the first to the end of
the last one that was begun before ``window_s`` had passed. Before and after it the engine stands
still while the meters' counters are watched: that rest is in no window.

A continuous engine: a window begins when ramp-up is over: no slot or no client is idle, those who
began together have all been replaced, and nobody waits for a first token. It ends after
``window_s``, once all that were open at its beginning have ended and, again, nobody waits for a
first token and somebody just got one; the next step of the meters' counters is then its edge. The
engine is given work meanwhile: were it not, it would stand still, or run dry, inside the window.
So every window holds one prefill for each answer that ended in it, also where equal answers keep
all slots in step and a window cut by the clock alone would hold all prefills of a turn or none.
What is still being answered at the end is finished outside of the window.

Under an open load nobody waits for slots: requests come by a schedule. A window begins when ramp-up
is over (:mod:`lem.workloads.ramp_up`), after half of ``window_s`` at least. It begins and ends by
the clock, at moments that do not depend on what the engine is doing, so that on average it holds
what comes and goes at any time.

Consecutive windows of a continuous engine share the edge between them.
"""

import time
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from lem.workloads.load import Clock, Log, Response, Source
from lem.workloads.ramp_up import RampUp
from lem.workloads.requests import Request
from lem.workloads.sources import OpenLoop

SETTLED_WINDOWS = 3
SETTLED_SPREAD = 0.02


class Counts(NamedTuple):
    """What happened in (``start_ns``, ``end_ns``] of the monotonic clock."""

    start_ns: int
    end_ns: int
    requests: int
    """Answered to the end in the window."""
    input_tokens: int
    """Of requests whose first token came in the window: that is where prefill's work was done."""
    output_tokens: int
    """By their time stamps, also those of requests that began before or ended after."""
    failed: int = 0
    timed_out: int = 0
    sent: int = 0
    """In the window, whenever they ended."""

    @property
    def duration_s(self) -> float:
        return (self.end_ns - self.start_ns) / 1e9

    @property
    def tokens_per_s(self) -> float:
        """Output tokens per second; 0 for a window without length."""
        return self.output_tokens / self.duration_s if self.end_ns > self.start_ns else 0.0


def count(responses: Iterable[Response], start_ns: int, end_ns: int) -> Counts:
    """What of ``responses`` falls into (``start_ns``, ``end_ns``]."""
    requests = inputs = outputs = failed = timed_out = sent = 0
    for r in responses:
        # A batch is sent at the very moment at which its window begins.
        sent += start_ns <= r.sent_ns < end_ns
        if r.end_ns is not None and start_ns < r.end_ns <= end_ns:
            requests += r.status == "done"
            failed += r.status == "failed"
            timed_out += r.status == "timed_out"
        if r.token_ns and start_ns < r.token_ns[0] <= end_ns:
            inputs += len(r.request.input_ids)
        # Time stamps rise, and this runs while a continuous engine works: don't walk them all.
        outputs += bisect_right(r.token_ns, end_ns) - bisect_right(r.token_ns, start_ns)
    return Counts(start_ns, end_ns, requests, inputs, outputs, failed, timed_out, sent)


def spread(throughputs: list[float]) -> float | None:
    """(max − min) ÷ mean of the last three windows' throughput; None with fewer, or with one of
    0."""
    last = throughputs[-SETTLED_WINDOWS:]
    if len(last) < SETTLED_WINDOWS or min(last) <= 0:
        return None
    return (max(last) - min(last)) / (sum(last) / len(last))


def warmed_up(throughputs: list[float]) -> bool:
    """Whether the last three windows' throughput lies within 2 % of its mean (max − min)."""
    reached = spread(throughputs)
    return reached is not None and reached < SETTLED_SPREAD


def settled_by_chance(windows: list[Counts]) -> bool:
    """As :func:`warmed_up`, for an open load, whose throughput is what is sent: whether the last
    three windows' vary by less than 2 %, or by no more than chance explains. Of three Poisson
    counts of mean n the range exceeds 3.3 √n once in twenty times."""
    reached = spread([c.tokens_per_s for c in windows])
    n = sum(c.requests for c in windows[-SETTLED_WINDOWS:]) / SETTLED_WINDOWS
    return reached is not None and n > 0 and reached < max(SETTLED_SPREAD, 3.3 / n**0.5)


class Edge(Protocol):
    """An edge that is being looked for (a ``concurrent.futures.Future`` is one)."""

    def done(self) -> bool: ...

    def result(self) -> int:
        """Its time, monotonic ns."""


class Found:
    """An edge that is known at once."""

    def __init__(self, at_ns: int) -> None:
        self._at_ns = at_ns

    def done(self) -> bool:
        return True

    def result(self) -> int:
        return self._at_ns


def _one_window(windows: list[Counts]) -> bool:
    return True


def _no_rest() -> None:
    pass


OnWindow = Callable[[int, bool, int], None]
"""An edge's time (monotonic ns), whether a window begins there, and the output tokens of the one
that ends."""


def nobody(at_ns: int, begins: bool, output_tokens: int) -> None:
    """Told of windows in which nobody has an interest."""


class Phase:
    """A source that finds the windows of a phase in what passes through it.

    For a continuous engine ``begin_edge`` is called for each edge, from the thread that runs
    ``serve``: it returns at once, and the edge it gives is asked for its time at later calls, since
    a meter's tick may be 0.1 s away and the engine must not want for work until then. Without it
    ``on_edge`` is called in its place, and returns the edge's time. Windows lie end to end, so n of
    them make n + 1 edges. For atomic batches ``on_rest`` is called before the first window and
    after each one, outside of all of them, and returns when the meters have seen the device at
    rest.

    After each window ``enough`` is asked, with all windows so far, whether the phase may end.
    ``whole_turns=False`` (for warm-up) ends a continuous engine's windows by the clock alone, and
    begins those of an open load without regard to conversations.

    With ``open_load`` windows are those of an open load. ``on_window`` is told of each edge as
    soon as it is known, and returns at once.
    """

    def __init__(
        self,
        inner: Source,
        log: Log,
        *,
        atomic: bool,
        window_s: float,
        on_edge: Callable[[], int] = time.monotonic_ns,
        on_rest: Callable[[], None] = _no_rest,
        enough: Callable[[list[Counts]], bool] = _one_window,
        whole_turns: bool = True,
        clock: Clock = time.monotonic_ns,
        open_load: bool = False,
        begin_edge: Callable[[], Edge] | None = None,
        on_window: OnWindow = nobody,
    ) -> None:
        self.windows: list[Counts] = []
        self.ended = False
        """Whether ``enough`` ended the phase; False where ``inner`` ran dry before."""
        self._inner = inner
        self._log = log
        self._atomic = atomic
        self._by_clock = atomic or not whole_turns
        self._window_ns = round(window_s * 1e9)
        self._on_edge = on_edge
        self._on_rest = on_rest
        self._enough = enough
        self._clock = clock
        self._start_ns: int | None = None
        self._mine: list[Response] = []
        """Those of this phase: the log may hold earlier phases' too."""
        self._prefilling: list[Response] = []
        self._old: list[Response] | None = None
        """Open at the last edge, or, before the first one, when the engine first was full."""
        self._next: list[Response] = []
        """Open when those of ``_old`` had ended and somebody was in prefill."""
        self._open_load = open_load
        self._begin_edge = begin_edge or (lambda: Found(self._on_edge()))
        self._edge: Edge | None = None
        self._on_window = on_window
        self._tokens_before = 0
        """When the window of whole batches began."""
        turns = inner.most_turns if isinstance(inner, OpenLoop) else 1
        self._ramp_up = RampUp(self._window_ns // 2, turns) if whole_turns else RampUp(0)

    def take(self, room: int, busy: int) -> list[Request] | None:
        if self._open_load:
            return self._take_open(room, busy)
        if self._atomic:
            return self._take_batch(room, busy)
        prefilled = self._prefilled()
        if self.ended or self._edge_passed(lambda: self._closes(prefilled)):
            return None
        taken = self._inner.take(room, busy)
        if taken is None:
            return None
        self._note(taken)
        if self._start_ns is None and self._edge is None:
            if self._ramped_up(room == 0 or len(taken) < room):
                self._edge = self._begin_edge()
            # What is known at once begins the window before anything else happens.
            self._edge_passed(lambda: False)
        return taken

    def due_ns(self) -> int | None:
        return self._inner.due_ns()

    def recounted(self) -> list[Counts]:
        """The windows, counted anew. To be called when ``serve`` has returned: tokens may be told
        some time after their own time, which may have been just before an edge."""
        return [count(self._mine, w.start_ns, w.end_ns) for w in self.windows]

    def _take_batch(self, room: int, busy: int) -> list[Request] | None:
        if self._start_ns is not None and self._clock() - self._start_ns >= self._window_ns:
            end_ns = self._clock()
            self._on_window(end_ns, False, self._log.tokens - self._tokens_before)
            self._on_rest()
            self._ends(end_ns)
            self._batches_begin()
        if self.ended:
            return None
        if self._start_ns is None:
            self._on_rest()
            self._batches_begin()
        taken = self._inner.take(room, busy)
        if taken is not None:
            self._note(taken)
        return taken

    def _batches_begin(self) -> None:
        self._start_ns = self._clock()
        if not self.ended:
            self._tokens_before = self._log.tokens
            self._on_window(self._start_ns, True, 0)

    def _take_open(self, room: int, busy: int) -> list[Request] | None:
        if self.ended or self._edge_passed(self._open_is_due):
            return self._inner.rest(room) if isinstance(self._inner, OpenLoop) else None
        taken = self._inner.take(room, busy)
        if isinstance(self._inner, OpenLoop):
            self._mine = self._inner.sent
        return taken

    def _note(self, taken: list[Request]) -> None:
        sent = [self._log.responses[r.id] for r in taken]
        self._mine += sent
        self._prefilling += sent

    def _open_is_due(self) -> bool:
        now = self._clock()
        if self._start_ns is None:
            return self._ramp_up.over(now, self._mine)
        return now - self._start_ns >= self._window_ns

    def _closes(self, prefilled: bool) -> bool:
        """Whether a continuous engine's window is to end now."""
        if self._start_ns is None:
            return False
        return self._over(self._clock() - self._start_ns, prefilled)

    def _edge_passed(self, is_due: Callable[[], bool]) -> bool:
        """Look for an edge if it is time; whether the phase is over with one that was found."""
        if self._edge is None and is_due():
            self._edge = self._begin_edge()
        if self._edge is None or not self._edge.done():
            return False
        at_ns, self._edge = self._edge.result(), None
        self._begins(at_ns)
        return self.ended

    def _begins(self, at_ns: int) -> None:
        """An edge: the end of the window that there was, and the beginning of the next one."""
        if self._start_ns is not None:
            self._ends(at_ns)
            self._on_window(at_ns, False, self.windows[-1].output_tokens)
        if not self.ended:
            self._on_window(at_ns, True, 0)
        self._start_ns = at_ns
        self._old, self._next = [r for r in self._open() if r.sent_ns <= at_ns], []

    def _ends(self, at_ns: int) -> None:
        """The window that there was has ended."""
        assert self._start_ns is not None
        self.windows.append(count(self._mine, self._start_ns, at_ns))
        self.ended = self._enough(self.windows)

    def _prefilled(self) -> bool:
        """Whether, since the last look, the last request that waited for its first token got it."""
        if not self._prefilling:
            return False
        self._prefilling = [r for r in self._prefilling if _waits(r)]
        return not self._prefilling

    def _over(self, elapsed_ns: int, prefilled: bool) -> bool:
        if elapsed_ns < self._window_ns or self._by_clock:
            return elapsed_ns >= self._window_ns
        if any(r.status == "open" for r in self._old or ()):
            return False
        if prefilled:
            return True
        # An engine that always has someone in prefill never gets to that point: wait for it no
        # longer than another turn. Where nobody is in prefill now, the point is sure to come:
        # ending with a turn would leave out the prefills that the next one begins with.
        if not self._next:
            self._next = self._open() if self._prefilling else []
            return False
        return not any(r.status == "open" for r in self._next)

    def _open(self) -> list[Response]:
        return [r for r in self._mine if r.status == "open"]

    def _ramped_up(self, full: bool) -> bool:
        if self._old is None:
            # Answers that end before the engine was seen full are short: it turns over already.
            turning = any(r.status != "open" for r in self._mine)
            now = self._open()
            if not now or not (full or turning):
                return False
            self._old = now
        replaced = not any(r.status == "open" for r in self._old)
        prefilled = not any(_waits(r) for r in self._prefilling)
        if self._by_clock:
            return prefilled or replaced
        # They all began together, at their first token: until they have been replaced there are
        # fewer prefills than later on, unless all answers are equally long.
        if not replaced or prefilled:
            return replaced
        if not self._next:
            self._next = self._open()
            return False
        return not any(r.status == "open" for r in self._next)


def _waits(response: Response) -> bool:
    return response.status == "open" and not response.token_ns
