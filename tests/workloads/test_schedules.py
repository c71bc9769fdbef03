"""Arrival times: their distribution, and that nothing but the seed decides them."""

import itertools
import math
import random
import statistics

import pytest
import scipy.stats

from lem.contract.workload import (
    Concurrency,
    Constant,
    Gamma,
    Offline,
    Poisson,
    Search,
    TraceArrival,
)
from lem.workloads import schedules
from lem.workloads.requests import Request

RANDOM = [Poisson(rate=4.0), Gamma(rate=4.0, burstiness=0.25), Gamma(rate=4.0, burstiness=3.0)]


def gaps(arrival: Constant | Poisson | Gamma, n: int, seed: int = 7) -> list[float]:
    times = list(itertools.islice(schedules.at_rate(arrival, 4.0, seed), n))
    return [b - a for a, b in itertools.pairwise([0.0, *times])]


def test_constant_gaps_do_not_drift() -> None:
    times = itertools.islice(schedules.at_rate(Constant(rate=0.1), 3.0, 1), 3_000_000)
    assert list(itertools.islice(times, 2_999_998, None)) == [999999 + 2 / 3, 1_000_000.0]


@pytest.mark.parametrize("arrival", RANDOM, ids=str)
def test_gaps_are_distributed_as_they_should_be(arrival: Poisson | Gamma) -> None:
    shape = arrival.burstiness if isinstance(arrival, Gamma) else 1.0
    found = gaps(arrival, 20_000)
    assert statistics.fmean(found) == pytest.approx(0.25, rel=4 / math.sqrt(20_000 * shape))
    expected = scipy.stats.gamma(a=shape, scale=0.25 / shape)
    assert scipy.stats.kstest(found, expected.cdf).pvalue > 1e-3


@pytest.mark.parametrize("shape", [0.05, 0.9, 1.0, 40.0])
def test_gamma_variates(shape: float) -> None:
    draw = random.Random(3)
    found = [schedules.gamma(shape, draw) for _ in range(20_000)]
    assert scipy.stats.kstest(found, scipy.stats.gamma(a=shape).cdf).pvalue > 1e-3


def test_a_schedule_known_by_heart() -> None:
    """Other versions of Python and other machines must draw the same one."""
    seed = schedules.seed_of(1, 2, "window")
    assert seed == 16098321981041232030
    found = list(itertools.islice(schedules.at_rate(Poisson(rate=1), 1.0, seed), 3))
    assert found == pytest.approx(KNOWN, rel=1e-12)


KNOWN = [1.4026353423657498, 1.9315218700872783, 4.055771272489763]


@pytest.mark.parametrize("arrival", [Constant(rate=1), *RANDOM], ids=str)
def test_the_rate_only_stretches_a_schedule(arrival: Constant | Poisson | Gamma) -> None:
    slow = list(itertools.islice(schedules.at_rate(arrival, 2.0, 5), 50))
    fast = list(itertools.islice(schedules.at_rate(arrival, 8.0, 5), 50))
    assert [4 * t for t in fast] == pytest.approx(slow)
    assert slow == sorted(slow) and slow[0] > 0


def test_blocks_and_phases_differ() -> None:
    seeds = {schedules.seed_of(*which) for which in [(1, 2, "window"), (2, 1, "window"),
             (1, 2, "warm_up"), (1, 22, "window"), (12, 2, "window")]}  # fmt: skip
    assert len(seeds) == 5


def trace(*times: float | None) -> list[Request]:
    return [Request(f"r{i}", [1], 1, "", at_s=t) for i, t in enumerate(times)]


def test_a_trace_is_replayed_from_where_the_phase_begins_and_over_again() -> None:
    listed = trace(0.0, 1.0, 1.0, 4.0)
    # The mean gap of 4/3 s lies between one pass and the next.
    turn = 4 + 4 / 3
    whole = list(itertools.islice(schedules.replayed(listed, 0, 1.0), 6))
    assert whole == pytest.approx([0, 1, 1, 4, turn, turn + 1])
    rest = list(itertools.islice(schedules.replayed(listed, 2, 2.0), 4))
    assert rest == pytest.approx([0, 1.5, (turn - 1) / 2, turn / 2])
    again = list(itertools.islice(schedules.replayed(listed, 6, 2.0), 4))
    assert again == rest


def test_times_of_a_trace_never_fall() -> None:
    assert schedules.trace_times(trace(3.0, None, 2.0, 5.0)) == [3.0, 3.0, 3.0, 5.0]
    at_once = list(itertools.islice(schedules.replayed(trace(2.0), 0, 1.0), 3))
    assert at_once == [0.0, 1.0, 2.0]


def test_mean_rates() -> None:
    assert schedules.mean_rate(Poisson(rate=3), []) == 3.0
    assert schedules.mean_rate(Poisson(rate=Search()), []) is None
    assert schedules.mean_rate(Offline(), []) is None
    listed = trace(0.0, 1.0, 1.0, 4.0)
    assert schedules.mean_rate(TraceArrival(path="t", speed=2.0), listed) == pytest.approx(1.5)
    assert schedules.mean_rate(TraceArrival(path="t"), trace(1.0, 1.0)) is None


def test_what_is_open() -> None:
    assert not schedules.is_open(Offline()) and not schedules.is_open(Concurrency())
    assert schedules.is_open(Constant(rate=1)) and schedules.is_open(TraceArrival(path="t"))
