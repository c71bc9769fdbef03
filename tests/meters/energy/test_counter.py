"""Differences of counters and what is said about their uncertainty, against closed forms."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.meters.energy import counter, series
from lem.meters.energy.counter import Point
from lem.meters.protocol import Sample

S = 10**9


def line(watts: float, half_ns: int = 0, n: int = 21) -> list[Point]:
    return [Point(i * S // 10, half_ns, watts * i / 10) for i in range(n)]


@given(st.floats(0, 2), st.floats(0, 2))
def test_steady_power_is_exact_anywhere(a: float, b: float) -> None:
    start, end = sorted((int(a * S), int(b * S)))
    moved = counter.between(line(200.0), start, end, 0)
    assert moved is not None
    assert moved.amount == pytest.approx(200 * (end - start) / S, abs=1e-6)


@given(
    st.floats(0.15, 1.85),
    st.floats(10, 500),
    st.floats(10, 500),
    st.floats(0.15, 0.9),
    st.floats(1.0, 1.85),
)
def test_one_step_of_power_stays_within_the_bound(
    step_s: float, before_w: float, after_w: float, a: float, b: float
) -> None:
    """Ticks of 100 ms that are known exactly, a step anywhere, edges anywhere: the error is within
    the half-widths (√3 × the standard uncertainties) of both edges."""

    def true_j(t: float) -> float:
        return before_w * min(t, step_s) + after_w * max(0.0, t - step_s)

    points = [Point(i * S // 10, 0, true_j(i / 10)) for i in range(21)]
    moved = counter.between(points, int(a * S), int(b * S), 0)
    assert moved is not None
    error_j = abs(moved.amount - (true_j(b) - true_j(a)))
    assert error_j <= math.sqrt(6) * moved.sampling + 1e-5


def test_the_tick_part_is_slope_times_gap_as_a_rectangle() -> None:
    """300 W, each tick known to ± 0.25 ms, edges on ticks: 300 × 0.00025 ÷ √3 at both edges."""
    moved = counter.between(line(300.0, half_ns=250_000), 5 * S // 10, 15 * S // 10, 0)
    assert moved is not None
    assert moved.tick == pytest.approx(math.sqrt(2) * 300 * 0.00025 / math.sqrt(3))
    assert moved.sampling == 0
    assert moved.amount == pytest.approx(300)


def test_beyond_the_points_only_as_far_as_allowed() -> None:
    points = line(100.0)
    assert counter.between(points, S, 2 * S + 50_000_000, reach_ns=50_000_000) is not None
    assert counter.between(points, S, 2 * S + 50_000_001, reach_ns=50_000_000) is None
    assert counter.between(points, -1, S, reach_ns=0) is None
    assert counter.between(points[:1], 0, 0, reach_ns=S) is None
    assert counter.between(points, 2 * S, S, reach_ns=0) is None


def test_ticks_are_seen_between_two_readings() -> None:
    samples = [Sample(t * 1000, "", "", "e", v) for t, v in ((0, 5), (10, 5), (30, 7), (40, 7))]
    assert series.tick_points(samples, "e", 2.0) == [Point(20_000, 10_000 + series.CALL_NS, 14.0)]


def test_trapezoid_of_a_ramp() -> None:
    """0 to 100 W in 10 s: between 2 s and 8 s it is 300 J, by hand."""
    ramp = [(i * S, 10.0 * i) for i in range(11)]
    found = series.integrate(ramp, 2 * S + S // 2, 7 * S + S // 2, 0)
    assert found is not None
    assert found[0] == pytest.approx(250)
    assert found[1] == pytest.approx(0)
    assert series.integrate(ramp, 2 * S, 12 * S, reach_ns=S) is None


def test_unwrapping_twice() -> None:
    points = [Point(i, 0, float(v)) for i, v in enumerate((8, 2, 7, 1))]
    assert [p.value for p in counter.unwrap(points, 10)] == [8, 12, 17, 21]
