"""The search for the highest rate, on queues whose capacity follows from a formula."""

import itertools
import math
import random

import pytest

from lem.contract.record import RateSearch
from lem.contract.workload import Constant, Poisson, Search, Slo
from lem.workloads import rate_search
from lem.workloads.load import Log
from lem.workloads.rate_search import search
from lem.workloads.requests import Request
from lem.workloads.schedules import at_rate
from lem.workloads.sources import OpenLoop, arriving
from lem.workloads.stock import Stock
from lem.workloads.trials import Trial, Verdict

from .engines import Clock, Server


def oracle(capacity: float, spec: Search, slow: float = 0.0) -> RateSearch:
    """A search where a rate keeps exactly up to ``capacity``."""
    clock = Clock()

    def attempt(rate: float, number: int) -> Verdict:
        clock.pass_s(slow)
        return Verdict(1000, 1000 if rate <= capacity else 500, overloaded=False)

    return search(spec, attempt, lambda: clock() / 1e9)


@pytest.mark.parametrize("capacity", [0.11, 1.0, 7.3, 42.0, 94.0])
def test_bisection_finds_the_boundary(capacity: float) -> None:
    found = oracle(capacity, Search())
    assert found.complete and found.bound_hit is None
    assert found.missed_per_s is not None
    assert found.rate_per_s <= capacity < found.missed_per_s
    assert found.missed_per_s / found.rate_per_s <= 1.05
    # 0.1 to 100 in halves of the logarithm: 8 of them make 1000 a ratio of 1.027.
    assert len(found.trials) == 8
    assert found.trials[0].rate_per_s == pytest.approx(math.sqrt(0.1 * 100))


@pytest.mark.parametrize(("capacity", "bound", "rate"), [(0.05, "low", 0.1), (500, "high", 100.0)])
def test_a_bound_that_is_hit_is_said(capacity: float, bound: str, rate: float) -> None:
    found = oracle(capacity, Search())
    assert (found.bound_hit, found.rate_per_s) == (bound, rate)
    assert found.trials[-1].rate_per_s == rate
    assert found.trials[-1].kept is (bound == "high")


def test_a_rate_between_the_last_trial_and_the_bound_is_no_bound() -> None:
    found = oracle(98.0, Search())
    assert found.bound_hit is None and found.missed_per_s == 100.0 and found.complete


def test_time_that_runs_out_is_said() -> None:
    spec = Search(trial_s=10.0)
    found = oracle(50.0, spec, slow=300.0)
    assert not found.complete and found.bound_hit is None
    assert len(found.trials) == 3  # 900 s
    kept = [t.rate_per_s for t in found.trials if t.kept]
    assert found.rate_per_s == max(kept)
    none = oracle(0.01, spec, slow=1000.0)
    assert (none.rate_per_s, none.complete, none.bound_hit) == (0.1, False, None)


def test_trials_near_the_boundary_are_repeated_and_taken_together() -> None:
    given = iter([Verdict(100, 88, False), Verdict(100, 93, False), Verdict(100, 92, False)])
    calls: list[float] = []

    def attempt(rate: float, number: int) -> Verdict:
        calls.append(rate)
        assert number == len(calls) - 1
        return next(given, Verdict(100, 0, False))

    found = search(Search(low=1.0, high=1.06), attempt, lambda: 0.0)
    # 88 of 100 is within two standard deviations (6) of 90, and so are 181 of 200; after the third,
    # 273 of 300 keep 90 %.
    assert calls[:3] == [pytest.approx(math.sqrt(1.06))] * 3
    assert [t.kept for t in found.trials[:3]] == [False, True, True]
    assert found.rate_per_s == pytest.approx(math.sqrt(1.06))


def test_overload_is_a_miss_but_a_single_alarm_is_not() -> None:
    def attempt(rate: float, number: int) -> Verdict:
        return Verdict(500, 500, overloaded=rate > 5 or number == 0)

    found = search(Search(), attempt, lambda: 0.0)
    assert found.rate_per_s == pytest.approx(5, rel=0.05) and found.rate_per_s <= 5
    assert [t.rate_per_s for t in found.trials[:3]] == [pytest.approx(math.sqrt(10))] * 3


def test_the_number_of_trials_is_bounded() -> None:
    found = search(Search(), lambda r, n: Verdict(10, 9, False), lambda: 0.0)
    assert len(found.trials) <= rate_search.MOST_TRIALS


def found_by_trials(
    spec: Search, slo: Slo, servers: int, poisson: bool, seed: int = 0, mean_s: float = 1.0
) -> tuple[RateSearch, int]:
    """A search on a simulated server; answers of one token after ``mean_s``, exactly, or
    exponentially distributed where arrivals are Poisson. Also how many requests it took."""
    clock = Clock()
    log = Log(clock)
    stock = Stock([Request(f"r{i}", [1], 1, "") for i in range(50)])
    draw = random.Random(seed)

    def answer_s(request: Request) -> list[float]:
        return [draw.expovariate(1 / mean_s) if poisson else mean_s]

    def attempt(rate: float, number: int) -> Verdict:
        arrival = Poisson(rate=rate) if poisson else Constant(rate=rate)
        inner = arriving(arrival, stock, log, seed=1000 * seed + number)
        assert isinstance(inner, OpenLoop)
        trial = Trial(inner, slo, spec.attainment, spec.trial_s, clock)
        Server(clock, servers, answer_s).serve(trial, log)
        assert trial.verdict is not None
        assert all(r.end_ns is not None for r in log.responses.values())
        return trial.verdict

    return search(spec, attempt, lambda: clock() / 1e9), len(log.responses)


def test_the_capacity_of_a_regular_queue_is_found() -> None:
    """Four servers, 1 s each: up to 4 a second nobody waits, beyond that everybody does, ever
    longer."""
    spec = Search(low=0.5, high=50.0, trial_s=60.0)
    found, requests = found_by_trials(spec, Slo(ttft_ms=1500), 4, poisson=False)
    assert found.bound_hit is None
    assert found.rate_per_s == pytest.approx(4.0, rel=0.06)
    assert requests < 60 * 4.2 * 2 * len(found.trials)


@pytest.mark.slow
def test_the_rate_of_a_random_queue_is_found() -> None:
    """M/M/1, 10 answers a second: a request takes longer than t with probability exp(−(μ − λ) t)
    (Kleinrock 1975, 3.2), so 90 % stay below 0.5 s up to λ = μ − ln(10) ÷ 0.5 s = 5.39 a second."""
    spec = Search(low=1.0, high=40.0, trial_s=120.0)
    truth = 10 - math.log(10) / 0.5
    rates = []
    for seed in range(12):
        found, _ = found_by_trials(spec, Slo(e2e_ms=500), 1, poisson=True, seed=seed, mean_s=0.1)
        assert found.bound_hit is None
        rates.append(found.rate_per_s)
    # A single search scatters by 8 % (40 of them): delays of successive requests are alike.
    assert math.exp(sum(map(math.log, rates)) / 12) == pytest.approx(truth, rel=0.07)
    assert all(abs(r / truth - 1) < 0.32 for r in rates)


def trial_at(rate: float, servers: int, slo: Slo, trial_s: float = 20.0) -> tuple[Verdict, Clock]:
    clock = Clock()
    log = Log(clock)
    stock = Stock([Request(f"r{i}", [1], 1, "") for i in range(50)])
    inner = OpenLoop(at_rate(Constant(rate=rate), rate, 0), stock, log)
    trial = Trial(inner, slo, 0.9, trial_s, clock)
    Server(clock, servers, lambda r: [1.0]).serve(trial, log)
    assert trial.verdict is not None
    return trial.verdict, clock


def test_a_trial_far_beyond_capacity_ends_early() -> None:
    verdict, clock = trial_at(100.0, 1, Slo(ttft_ms=1500))
    assert verdict.good < 0.9 * verdict.requests
    # 10 s of ramp-up at most and 3 s to see it, each of which leaves 100 s of work behind.
    assert clock() / 1e9 < 1500


def test_a_trial_judges_every_request_that_was_sent_in_it() -> None:
    """25 in 20 s at 1.25 a second, and none of those sent before or after."""
    verdict, _ = trial_at(1.25, 2, Slo(ttft_ms=1500))
    assert verdict == Verdict(pytest.approx(25, abs=1), verdict.requests, overloaded=False)


def test_a_trial_of_a_low_rate_waits_for_enough_requests_but_not_for_ever() -> None:
    verdict, _ = trial_at(0.5, 2, Slo(ttft_ms=1500))
    assert verdict.requests == pytest.approx(20, abs=1)
    verdict, clock = trial_at(0.1, 2, Slo(ttft_ms=1500))
    assert verdict.requests == pytest.approx(6, abs=1)
    assert clock() / 1e9 < 10 + 60 + 25


def test_requests_that_fail_or_time_out_are_misses() -> None:
    for status in ("failed", "timed_out"):
        clock = Clock()
        log = Log(clock)
        stock = Stock([Request(f"r{i}", [1], 1, "") for i in range(50)])
        slo = Slo(ttft_ms=1e6)
        inner = OpenLoop(at_rate(Constant(rate=2), 2.0, 0), stock, log)
        trial = Trial(inner, slo, 0.9, 20.0, clock)
        ends = itertools.cycle([None, None, None, status])
        Server(clock, 9, lambda r: [1.0], fails=lambda r, e=ends: next(e)).serve(trial, log)  # type: ignore[misc]
        assert trial.verdict is not None
        assert trial.verdict.good / trial.verdict.requests == pytest.approx(0.75, abs=0.15)
