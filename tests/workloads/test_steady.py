"""The window rule, on engines whose every step is known."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.contract.workload import Concurrency, Offline
from lem.workloads.load import Log, Response
from lem.workloads.requests import Request
from lem.workloads.sources import arriving
from lem.workloads.steady import Counts, Phase, count, warmed_up
from lem.workloads.stock import Stock

from .engines import Clock, SlotEngine, StaticEngine

SECOND = 10**9


def some(outputs: list[int], inputs: int = 5) -> list[Request]:
    return [Request(f"r{i}", [1] * inputs, n, "") for i, n in enumerate(outputs)]


def response(first: int, last: int, tokens: list[int], status: str = "done") -> Response:
    r = Response(Request("r", [1, 2, 3], len(tokens), ""), first)
    r.token_ns, r.end_ns, r.status = tokens, last, status
    return r


def test_count_goes_by_time_stamps() -> None:
    before = response(0, 9, [5, 8, 9])
    across = response(0, 15, [9, 10, 11, 15])
    inside = response(11, 19, [12, 19])
    after = response(15, 25, [20, 21, 25])
    broken = response(12, 14, [], "failed")
    found = count([before, across, inside, after, broken], 10, 20)
    # Tokens in (10, 20]: 11 and 15; 12 and 19; 20. First tokens in it: inside's and after's.
    assert found == Counts(10, 20, requests=2, input_tokens=6, output_tokens=5, failed=1, sent=3)


def test_windows_of_static_batches_are_whole_batches() -> None:
    clock = Clock()
    log = Log(clock)
    rests: list[int] = []
    edges: list[tuple[int, bool, int]] = []

    def rest() -> None:
        rests.append(clock())
        # The end is told before the rest, the beginning after it.
        assert not edges or not edges[-1][1]
        clock.pass_s(0.3)

    def no_edge() -> int:
        raise AssertionError("an engine with whole batches has no edge under load")

    phase = Phase(
        arriving(Offline(), Stock(some([10] * 100)), log),
        log,
        atomic=True,
        window_s=3,
        on_edge=no_edge,
        on_rest=rest,
        enough=lambda done: len(done) >= 2,
        clock=clock,
        on_window=lambda *edge: edges.append(edge),
    )
    StaticEngine(clock, 4).serve(phase, log)
    assert edges == [
        (int(0.3 * SECOND), True, 0),
        (int(4.3 * SECOND), False, 80),
        (int(4.6 * SECOND), True, 0),
        (int(8.6 * SECOND), False, 80),
    ]
    # A batch takes 1 s + 10 × 0.1 s = 2 s; two of them are the first that fill 3 s. The rests of
    # 0.3 s each lie outside of both windows.
    assert rests == [0, 4.3 * SECOND, 8.6 * SECOND]
    assert phase.windows == [
        Counts(int(0.3 * SECOND), int(4.3 * SECOND), 8, 40, 80, sent=8),
        Counts(int(4.6 * SECOND), int(8.6 * SECOND), 8, 40, 80, sent=8),
    ]
    assert phase.ended
    assert phase.windows[0].tokens_per_s == 20.0


def continuous(
    outputs: list[int], slots: int, window_s: float, n: int = 1, clients: int | None = None
) -> tuple[Phase, Log]:
    clock = Clock()
    log = Log(clock)
    arrival = Offline() if clients is None else Concurrency(concurrency=clients)
    phase = Phase(
        arriving(arrival, Stock(some(outputs)), log),
        log,
        atomic=False,
        window_s=window_s,
        on_edge=clock,
        enough=lambda done: len(done) >= n,
        clock=clock,
    )
    SlotEngine(clock, slots).serve(phase, log)
    return phase, log


def test_whoever_asks_is_told_of_each_edge() -> None:
    clock = Clock()
    log = Log(clock)
    edges: list[tuple[int, bool, int]] = []
    phase = Phase(
        arriving(Offline(), Stock(some([10] * 1000)), log),
        log,
        atomic=False,
        window_s=1,
        on_edge=clock,
        enough=lambda done: len(done) >= 2,
        clock=clock,
        on_window=lambda *edge: edges.append(edge),
    )
    SlotEngine(clock, 4).serve(phase, log)
    first, second = phase.windows
    assert edges == [
        (first.start_ns, True, 0),
        (first.end_ns, False, first.output_tokens),
        (second.start_ns, True, 0),
        (second.end_ns, False, second.output_tokens),
    ]


@pytest.mark.parametrize("window_s", [0.1, 1.0, 1.5, 2.5, 3.0, 4.2, 10.0, 10.8])
def test_slots_in_step_give_whole_turns(window_s: float) -> None:
    phase, log = continuous([10] * 1000, 4, window_s)
    (window,) = phase.windows
    # One turn of four: 4 × 0.25 s prefill + 10 × 0.1 s steps = 2 s for 40 tokens. Were the window
    # cut by the clock, 1 s of it could hold no prefill at all and double the throughput.
    assert window.tokens_per_s == pytest.approx(20.0)
    assert window.input_tokens == 5 * window.requests
    assert window.duration_s >= window_s
    # Ramp-up lies outside: a whole turn, then four prefills and a step.
    assert window.start_ns == pytest.approx(3.1 * SECOND)
    assert all(r.status == "done" for r in log.responses.values())


@given(
    outputs=st.lists(st.integers(1, 30), min_size=1, max_size=50),
    slots=st.integers(1, 6),
    window_s=st.floats(0.05, 20),
    n=st.integers(1, 3),
    clients=st.none() | st.integers(1, 8),
)
def test_continuous_windows_hold_what_they_should(
    outputs: list[int], slots: int, window_s: float, n: int, clients: int | None
) -> None:
    phase, log = continuous(outputs, slots, window_s, n, clients)
    assert len(phase.windows) == n and phase.ended
    for w, after in zip(phase.windows, phase.windows[1:], strict=False):
        assert w.end_ns == after.start_ns
    for w in phase.windows:
        assert w.duration_s >= window_s * 0.999
        assert w.output_tokens > 0
    # Every request that was handed out was answered in full, in or after the windows.
    assert all(len(r.token_ns) == r.request.output_tokens for r in log.responses.values())


@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("n", [1, 3])
@given(window_s=st.floats(0.05, 30))
def test_time_that_is_up_within_a_turn_leaves_no_prefill_out(
    slots: int, n: int, window_s: float
) -> None:
    """Equal answers keep the slots in step, so every window has the same cost per token."""
    phase, _ = continuous([10] * 1000, slots, window_s, n)
    turn_s = slots * 0.25 + 10 * 0.1
    for w in phase.windows:
        assert w.input_tokens == 5 * w.requests
        assert w.tokens_per_s == pytest.approx(10 * slots / turn_s)


def test_answers_of_unequal_length_begin_out_of_step() -> None:
    """Of answers that began together few end soon after: a window that began there would hold too
    few prefills. Over many windows, prefills per token are those of the request list."""
    lengths = [4 + 37 * i % 41 for i in range(4000)]
    inputs = outputs = 0
    for first in range(0, 2000, 50):
        phase, _ = continuous(lengths[first:], 8, 10.0)
        inputs += phase.windows[0].input_tokens
        outputs += phase.windows[0].output_tokens
    # One prompt of 5 tokens to an answer of 24 on average.
    assert inputs / outputs == pytest.approx(5 / 24, rel=0.03)


def test_windows_hold_a_prefill_for_every_answer_where_the_engine_has_time_for_it() -> None:
    phase, _ = continuous([200, 173, 188, 231, 154, 219, 167] * 50, 4, 60.0, n=3)
    for w in phase.windows:
        assert w.input_tokens == 5 * w.requests


def test_a_closed_loop_smaller_than_the_slots_reaches_steady_state() -> None:
    phase, _ = continuous([10] * 100, 8, 1.0, clients=2)
    assert phase.windows[0].requests >= 2


class NextTick:
    """A meter's next tick, which come every 0.1 s."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.at_ns = clock, (clock() // (SECOND // 10) + 1) * (SECOND // 10)

    def done(self) -> bool:
        return self.clock() >= self.at_ns

    def result(self) -> int:
        return self.at_ns


@pytest.mark.parametrize("clients", [None, 8])
def test_an_engine_has_work_while_an_edge_is_looked_for(clients: int | None) -> None:
    """Were it not asked on, each edge would put up to 0.1 s of rest into a window."""
    clock = Clock()
    log = Log(clock)

    def waits() -> int:
        clock.now = NextTick(clock).at_ns
        return clock.now

    arrival = Offline() if clients is None else Concurrency(concurrency=clients)
    lengths = [5 + i * 7 % 11 for i in range(2000)]
    phase = Phase(
        arriving(arrival, Stock(some(lengths)), log),
        log,
        atomic=False,
        window_s=2.0,
        on_edge=waits,
        enough=lambda done: len(done) >= 2,
        clock=clock,
        begin_edge=lambda: NextTick(clock),
    )
    SlotEngine(clock, 8, prefill_s=0.002, step_s=0.013).serve(phase, log)
    first, last = phase.recounted()
    assert first.end_ns == last.start_ns
    assert all(t % (SECOND // 10) == 0 for t in (first.start_ns, first.end_ns, last.end_ns))
    times = sorted({t for r in log.responses.values() for t in r.token_ns})
    inside = [t for t in times if first.start_ns <= t <= last.end_ns]
    # A step, and at most eight prefills before it.
    assert max(b - a for a, b in pairwise(inside)) <= 0.030 * SECOND
    assert all(w.requests > 100 for w in (first, last))


def test_warm_up_by_the_clock_obeys_its_limit() -> None:
    clock = Clock()
    log = Log(clock)
    phase = Phase(
        arriving(Offline(), Stock(some([1000] * 8)), log),
        log,
        atomic=False,
        window_s=0.5,
        on_edge=clock,
        enough=lambda done: clock() >= 4 * SECOND,
        whole_turns=False,
        clock=clock,
    )
    SlotEngine(clock, 2).serve(phase, log)
    assert phase.windows[-1].end_ns < 4.7 * SECOND


def test_a_source_that_runs_dry_leaves_the_phase_unended() -> None:
    clock = Clock()
    log = Log(clock)
    phase = Phase(
        arriving(Offline(), Stock(some([10] * 4)), log, limit=4),
        log,
        atomic=True,
        window_s=60,
        on_edge=clock,
        clock=clock,
    )
    StaticEngine(clock, 4).serve(phase, log)
    assert phase.windows == [] and not phase.ended


@pytest.mark.parametrize(
    ("throughputs", "settled"),
    [
        ([], False),
        ([100.0, 100.0], False),
        ([50.0, 100.0, 101.0, 100.5], True),
        ([100.0, 101.0, 102.1], False),
        ([0.0, 0.0, 0.0], False),
    ],
)
def test_warmed_up_when_the_last_three_vary_less_than_two_percent(
    throughputs: list[float], settled: bool
) -> None:
    assert warmed_up(throughputs) is settled
