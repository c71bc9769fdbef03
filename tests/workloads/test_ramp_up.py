"""Where windows of an open load with conversations begin, on servers whose steady state is known.

With answers of D seconds at a rate of λ turns a second and λ·D at least as many as the turns of a
conversation, each turn but the first is sent when the one before has ended: λ ÷ T conversations a
second begin, after t seconds they have turns up to the one with number t ÷ D, and λ turns a second
are sent from (T − 1)·D on. λ·D are then under way (Little's law), from T·D on.
"""

import random
from collections import Counter
from collections.abc import Callable

import pytest

from lem.agent.operating_point import load_held
from lem.contract.workload import Arrival, Constant, Gamma, Poisson, Slo, TraceArrival
from lem.workloads import edges
from lem.workloads.load import Log, Response
from lem.workloads.ramp_up import RampUp, mean_answer_ns
from lem.workloads.requests import Request
from lem.workloads.sources import OpenLoop, arriving
from lem.workloads.steady import Counts, Phase
from lem.workloads.stock import Stock
from lem.workloads.trials import Trial

from .engines import Clock, Server

SECOND = 10**9
MANY = 10**6


def conversations(turns: int, n: int = 2000, every_s: float | None = None) -> list[Request]:
    """``n`` requests, so many turns each; with ``every_s``, at times of a trace."""
    return [
        Request(
            f"c{i // turns}t{i % turns}",
            [1] * 5,
            2,
            "",
            after=f"c{i // turns}t{i % turns - 1}" if i % turns else None,
            at_s=None if every_s is None else i * every_s,
        )
        for i in range(n)
    ]


def answer_1s(request: Request) -> list[float]:
    return [0.5, 1.0]


def served(
    arrival: Arrival,
    turns: int,
    answer_s: Callable[[Request], list[float]] = answer_1s,
    *,
    window_s: float = 4.0,
    servers: int = MANY,
    seed: int = 3,
    regards_turns: bool = True,
) -> tuple[Counts, list[Response], set[str]]:
    clock = Clock()
    log = Log(clock)
    every_s = 0.05 if isinstance(arrival, TraceArrival) else None
    source = arriving(arrival, Stock(conversations(turns, every_s=every_s)), log, seed=seed)
    assert isinstance(source, OpenLoop)
    if not regards_turns:
        source.most_turns = 1
    phase = Phase(
        source, log, atomic=False, window_s=window_s, on_edge=clock, clock=clock, open_load=True
    )
    Server(clock, servers, answer_s).serve(phase, log)
    (window,) = phase.recounted()
    return window, list(log.responses.values()), load_held(source, [window])


def mean_open(responses: list[Response], window: Counts) -> float:
    found = edges.mean_open(responses, window.start_ns, window.end_ns)
    assert found is not None
    return found


@pytest.mark.parametrize("turns", [2, 5, 10])
@pytest.mark.parametrize(
    "arrival",
    [
        Constant(rate=20),
        Poisson(rate=20),
        Gamma(rate=20, burstiness=2.0),
        TraceArrival(path="t.jsonl"),
    ],
)
def test_windows_begin_when_last_turns_are_sent(arrival: Arrival, turns: int) -> None:
    window, _, _ = served(arrival, turns)
    assert window.start_ns / SECOND > turns
    # Looked at once in an answer's time, of which the mean is known to some per cent.
    assert window.start_ns / SECOND < max(1.5 * turns * 1.1 + 1, 4.5)


@pytest.mark.parametrize("turns", [2, 5, 10])
def test_windows_hold_the_steady_state(turns: int) -> None:
    window, responses, flags = served(Constant(rate=20), turns)
    assert window.sent == pytest.approx(80, abs=2)
    assert mean_open(responses, window) == pytest.approx(20, rel=0.03)
    assert not flags
    inside = [r for r in responses if window.start_ns <= r.sent_ns < window.end_ns]
    numbers = Counter(r.request.id.partition("t")[2] for r in inside)
    assert len(numbers) == turns
    # Two conversations a second of ten turns: eight of each turn in 4 s.
    assert all(n == pytest.approx(80 / turns, abs=2) for n in numbers.values())


def test_without_regard_to_turns_a_window_would_begin_too_early() -> None:
    """What the wait is for: at 4.1 s turns up to the fifth of ten are sent, half of the rate."""
    window, responses, flags = served(Constant(rate=20), 10, regards_turns=False)
    assert window.start_ns / SECOND == pytest.approx(4.1, abs=0.1)
    # In its four seconds turns up to the fifth, sixth, seventh and eighth, the ninth for 0.1 s.
    assert window.sent / 80 == pytest.approx(0.65, abs=0.06)
    assert mean_open(responses, window) < 0.75 * 20
    assert "target_not_held" in flags


def test_answers_that_differ_in_length() -> None:
    """Exponentially distributed times, whose mean is the most uncertain: over 40 schedules windows
    have the rate that was asked for, and what is under way is what it should be."""
    draw = random.Random(1)

    def answer_s(request: Request) -> list[float]:
        t = draw.expovariate(1.0)
        return [t / 2, t]

    found = [
        served(Poisson(rate=20), 10, answer_s, window_s=10.0, seed=seed)[:2] for seed in range(40)
    ]
    sent = [w.sent / w.duration_s / 20 for w, _ in found]
    under_way = [mean_open(r, w) / 20 for w, r in found]
    # One window's rate has a standard deviation of 9 %: 1.4 % of the mean.
    assert sum(sent) / len(sent) == pytest.approx(1, abs=0.05)
    assert sum(under_way) / len(under_way) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("rate", [0.4, 2.3, 20.5])
@pytest.mark.parametrize("window_s", [4.0, 30.0])
def test_loads_without_conversations_begin_as_ever(rate: float, window_s: float) -> None:
    """The first request at 1 ÷ rate, alone until its answer ends; those sent before that need
    another second at most; as much time again."""
    window, _, _ = served(Constant(rate=rate), 1, window_s=window_s)
    first = 1 / rate + 1
    last = int(first * rate) / rate + 1
    assert window.start_ns / SECOND == pytest.approx(max(2 * last, window_s / 2), abs=0.11)


def test_an_engine_that_slows_down_as_it_fills_is_waited_for() -> None:
    """An answer takes 0.5 s and 0.05 s for each other one that is under way when it begins: at 10 a
    second D = 0.5 + 0.05 · (10·D − 1) = 0.9 s, nine under way. First answers take 0.5 s."""
    clock = Clock()
    log = Log(clock)
    source = arriving(Constant(rate=10), Stock(conversations(10)), log)
    phase = Phase(
        source, log, atomic=False, window_s=10.0, on_edge=clock, clock=clock, open_load=True
    )

    def answer_s(request: Request) -> list[float]:
        under_way = sum(r.status == "open" for r in log.responses.values()) - 1
        t = 0.5 + 0.05 * under_way
        return [t / 2, t]

    Server(clock, MANY, answer_s).serve(phase, log)
    (window,) = phase.recounted()
    responses = list(log.responses.values())
    assert window.start_ns / SECOND > 10 * 0.9
    # It comes near to that state by and by, with or without conversations.
    assert 95 <= window.sent <= 101
    under_way = mean_open(responses, window)
    assert under_way == pytest.approx(9, rel=0.1)


@pytest.mark.parametrize("load", [1.3, 4.0])
def test_under_overload_ramp_up_ends_and_the_run_says_so(load: float) -> None:
    window, responses, flags = served(Poisson(rate=8 * load), 5, servers=8, window_s=10.0)
    assert flags == {"overloaded", "target_not_held"}
    # Twice what was foreseen at 5 s, when half of the window's length was over.
    then = [r for r in responses if r.sent_ns < 5 * SECOND]
    ends = [r.end_ns or 0 for r in then]
    assert all(ends)
    under_way = sum(min(e, 5 * SECOND) - r.sent_ns for e, r in zip(ends, then, strict=True))
    foreseen = 1.5 * 5 * under_way / sum(e <= 5 * SECOND for e in ends)
    assert window.start_ns < 1.1 * 2 * foreseen


def test_the_mean_time_of_answers_counts_those_that_go_on() -> None:
    found = []
    for sent, end in ((0, 2), (1, 4), (3, None)):
        r = Response(Request("r", [1], 1, ""), sent * SECOND)
        r.end_ns = None if end is None else end * SECOND
        found.append(r)
    # 2 + 3 + 7 seconds, two of which are answers.
    assert mean_answer_ns(found, 10 * SECOND) == 6 * SECOND


def test_nothing_that_ended_is_no_end() -> None:
    ramp = RampUp(0, turns=3)
    never = Response(Request("r", [1], 1, ""), 0)
    assert not any(ramp.over(t * SECOND, [never]) for t in range(100))
    assert not RampUp(0).over(0, [])


def test_a_trial_of_a_rate_judges_the_steady_state() -> None:
    """Eight servers of 1 s and 9.6 turns a second: a queue, but not before seventh turns are
    sent. A trial that began after 4 s would have seen seconds of it only."""

    def verdict(turns: int) -> tuple[float, float]:
        clock = Clock()
        log = Log(clock)
        source = arriving(Constant(rate=9.6), Stock(conversations(10)), log)
        assert isinstance(source, OpenLoop)
        source.most_turns = turns
        trial = Trial(source, Slo(ttft_ms=600), 0.9, 4.0, clock)
        Server(clock, 8, answer_1s).serve(trial, log)
        assert trial.verdict is not None
        return trial.verdict.good / trial.verdict.requests, clock() / 1e9

    early, _ = verdict(1)
    assert early >= 0.9
    steady, _ = verdict(10)
    assert steady < 0.9
