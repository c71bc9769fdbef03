"""Windows and counts under an open load, on a server whose every answer is known."""

import math
import random
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import pytest

from lem.agent.operating_point import load_held
from lem.contract.workload import Arrival, Concurrency, Constant, Poisson
from lem.workloads import edges
from lem.workloads.load import Log, Response
from lem.workloads.requests import Request
from lem.workloads.schedules import at_rate
from lem.workloads.sources import OpenLoop, arriving
from lem.workloads.steady import Counts, Edge, Phase, settled_by_chance
from lem.workloads.stock import Stock

from .engines import Clock, Server

SECOND = 10**9
MS = 10**6


def listed(n: int = 2000) -> list[Request]:
    return [Request(f"r{i}", [1] * 5, 4, "") for i in range(n)]


def served(
    arrival: Arrival,
    servers: int,
    window_s: float,
    answer_s: Callable[[Request], list[float]] = lambda r: [0.1, 0.2, 0.3, 0.4],
    *,
    n: int = 1,
    seed: int = 3,
    begin_edge: Callable[[Clock], Edge] | None = None,
) -> tuple[Phase, list[Response]]:
    clock = Clock()
    log = Log(clock)
    phase = Phase(
        arriving(arrival, Stock(listed()), log, seed=seed),
        log,
        atomic=False,
        window_s=window_s,
        on_edge=clock,
        enough=lambda done: len(done) >= n,
        clock=clock,
        open_load=not isinstance(arrival, Concurrency),
        begin_edge=None if begin_edge is None else lambda: begin_edge(clock),
    )
    Server(clock, servers, answer_s).serve(phase, log)
    return phase, list(log.responses.values())


def test_ramp_up_is_two_turns_and_half_a_window_at_least() -> None:
    # The first comes at 0.5 s and ends at 0.9 s, alone until then: half of 10 s is more.
    phase, _ = served(Constant(rate=2), 8, 10.0)
    assert phase.windows[0].start_ns == pytest.approx(5.0 * SECOND, abs=60 * MS)
    # Answers of 4 s: the first ends at 4.5 s, when eight had been sent, the last of which ends at
    # 8 s; as much again.
    phase, _ = served(Constant(rate=2), 99, 10.0, lambda r: [1.0, 4.0])
    assert phase.windows[0].start_ns == pytest.approx(2 * 8.5 * SECOND, abs=600 * MS)


def test_windows_go_by_the_clock_and_share_their_edges() -> None:
    phase, responses = served(Constant(rate=2), 8, 10.0, n=3)
    assert phase.ended
    for w, after in pairwise(phase.windows):
        assert w.end_ns == after.start_ns
    for w in phase.windows:
        assert w.duration_s == pytest.approx(10.0, abs=0.06)
        assert w.sent == pytest.approx(20, abs=1) and w.requests == pytest.approx(20, abs=1)
        assert w.output_tokens == pytest.approx(80, abs=4)
    assert all(r.status == "done" for r in responses)


def test_requests_go_on_being_sent_while_an_edge_is_looked_for() -> None:
    """The meter takes 0.2 s to find its tick; the window ends at the tick."""

    class Tick:
        def __init__(self, clock: Clock) -> None:
            self.clock, self.at_ns = clock, clock() + 200 * MS

        def done(self) -> bool:
            return self.clock() >= self.at_ns

        def result(self) -> int:
            return self.at_ns

    phase, responses = served(Constant(rate=50), 99, 2.0, n=2, begin_edge=Tick)
    assert phase.ended
    for w in phase.windows:
        assert w.duration_s == pytest.approx(2.2, abs=0.1)
        assert w.sent == pytest.approx(50 * w.duration_s, abs=1)
        taken = [r for r in responses if w.start_ns - SECOND < r.sent_ns < w.start_ns]
        assert len(taken) == pytest.approx(50, abs=1)


def test_throughput_is_what_is_sent_where_the_server_is_equal_to_it() -> None:
    """Over many runs as many answers end as are sent: windows prefer neither."""
    draw = random.Random(1)
    sent = ended = tokens = 0
    seconds = 0.0
    for seed in range(60):
        phase, _ = served(
            Poisson(rate=8),
            8,
            10.0,
            lambda r: [(t := draw.expovariate(1 / 0.8)) / 4, t / 2, 3 * t / 4, t],
            seed=seed,
        )
        (w,) = phase.windows
        sent, ended, tokens = sent + w.sent, ended + w.requests, tokens + w.output_tokens
        seconds += w.duration_s
    # 4800 requests: 1.4 % standard deviation of either.
    assert sent / seconds == pytest.approx(8, rel=0.045)
    assert ended / sent == pytest.approx(1, rel=0.02)
    assert tokens / ended == pytest.approx(4, rel=0.01)


def test_a_closed_loop_with_a_server_is_steady_when_all_clients_were_replaced() -> None:
    """A server takes everything at once: that there is room left does not mean that clients are
    idle."""
    lengths = random.Random(2)
    phase, responses = served(
        Concurrency(concurrency=6), 99, 5.0, lambda r: [0.2, lengths.uniform(0.5, 2.0)]
    )
    (w,) = phase.windows
    first = sorted(responses, key=lambda r: r.sent_ns)[:6]
    assert {r.sent_ns for r in first} == {0}
    assert w.start_ns >= max(r.end_ns or 0 for r in first)
    assert edges.mean_open(responses, w.start_ns, w.end_ns) == pytest.approx(6, rel=0.05)
    assert edges.most_open(responses) == 6


def work_done(responses: list[Response], start_ns: int, end_ns: int) -> tuple[float, float]:
    """Answers' and tokens' worth of work that fell into the window: all of an answer's tokens are
    as much of it, and its first comes out at once."""
    answers = tokens = 0.0
    for r in responses:
        tokens += start_ns < r.token_ns[0] <= end_ns
        for a, b in pairwise(r.token_ns):
            share = max(min(b, end_ns) - max(a, start_ns), 0) / (b - a)
            tokens += share
            answers += share / (len(r.token_ns) - 1)
    return answers, tokens


@pytest.mark.parametrize("rate", [1.0, 6.0, 20.0])
def test_counts_are_as_uncertain_as_is_stated(rate: float) -> None:
    """Counted requests and tokens against the work really done, over many schedules."""
    draw = random.Random(5)

    def answer_s(request: Request) -> list[float]:
        whole = draw.uniform(0.5, 2.0)
        return [1e-6 + whole * i / 4 for i in range(5)]

    requests, tokens = [], []
    for seed in range(150):
        phase, responses = served(Poisson(rate=rate), 99, 8.0, answer_s, seed=seed)
        (w,) = phase.windows
        (u,) = edges.uncertainties(responses, [w], False)
        answers, made = work_done(responses, w.start_ns, w.end_ns)
        for off, stated, found in (
            (w.requests - answers, u.requests, requests),
            (w.output_tokens - made, u.output_tokens, tokens),
        ):
            # Where nothing was under way at an edge nothing can be off.
            assert stated > 0 or abs(off) < 1e-3
            found.append(off / stated if stated > 0 else 0.0)
    for found in (requests, tokens):
        assert sum(abs(x) <= 1 for x in found) >= 0.93 * len(found)
    # Nor is it far too wide: its standard deviation would be half of it.
    assert 0.3 < math.sqrt(sum(x * x for x in requests) / len(requests)) < 0.6


def test_the_difference_between_the_edges_is_part_of_the_uncertainty() -> None:
    """Nothing under way at the start, 40 at the end: half of them were done and not counted."""
    responses = []
    for i in range(40):
        r = Response(Request(f"r{i}", [1], 4, ""), 10 * SECOND)
        r.token_ns, r.end_ns, r.status = [11 * SECOND, 30 * SECOND], 30 * SECOND, "done"
        responses.append(r)
    (u,) = edges.uncertainties(responses, [Counts(5 * SECOND, 20 * SECOND, 0, 0, 40)], False)
    assert u.requests == pytest.approx(2 * math.sqrt(40 / 12 + 20**2))
    assert u.output_tokens == pytest.approx(2 * 40 / math.sqrt(3))


@pytest.mark.parametrize(
    ("tokens", "settled"),
    [
        ([100, 110, 120], True),  # 3.3 ÷ √100: a range of up to 33 % is chance
        ([100, 140, 100], False),
        ([100, 100], False),
        ([0, 0, 0], False),
    ],
)
def test_under_an_open_load_throughput_settles_within_what_chance_explains(
    tokens: list[int], settled: bool
) -> None:
    windows = [Counts(0, SECOND, 100, 0, t) for t in tokens]
    assert settled_by_chance(windows) is settled


def _times_of(times: dict[str, list[float]], request: Request) -> list[float]:
    return times[request.id]


@pytest.mark.parametrize(("load", "overloaded"), [(0.6, False), (1.3, True)])
def test_turns_that_wait_for_the_one_before_are_a_queue_too(load: float, overloaded: bool) -> None:
    """Ten turns each: under overload they are sent no faster than answers end, so of what was sent
    nothing is left over; the schedule says what should have been."""
    found = []
    for seed in range(10):
        clock, draw = Clock(), random.Random(seed)
        log = Log(clock)
        turns = [
            Request(f"c{c}t{t}", [1] * 5, 2, "", after=f"c{c}t{t - 1}" if t else None)
            for c in range(200)
            for t in range(10)
        ]
        source = OpenLoop(at_rate(Poisson(rate=1), 10 * load, seed), Stock(turns), log)
        phase = Phase(
            source,
            log,
            atomic=False,
            window_s=30.0,
            on_edge=clock,
            clock=clock,
            open_load=True,
        )
        slow = {r.id: draw.uniform(0.5, 1.5) for r in turns}
        times = {name: [0.4 * s, 0.8 * s] for name, s in slow.items()}
        server = Server(clock, 8, partial(_times_of, times))
        server.serve(phase, log)
        found.append("overloaded" in load_held(source, phase.recounted()))
    assert sum(found) >= 9 if overloaded else sum(found) <= 1
