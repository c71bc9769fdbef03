"""Ticks that nobody polled for, told from those that were."""

import random

import pytest

from lem.meters.energy import grid
from lem.meters.energy.counter import Point
from lem.meters.protocol import Sample

MS = 1_000_000
PERIOD = 100 * MS


def ticks(way: int, first_ns: int, n: int = 6, off_ns: int = 0) -> list[Point]:
    rng = random.Random(way + n)
    return [
        Point(first_ns + way * i * PERIOD + rng.randint(-off_ns, off_ns), 400_000, 0.0)
        for i in range(n)
    ]


@pytest.mark.parametrize("way", [1, -1])
def test_even_ticks_are_known_inwards(way: int) -> None:
    found = grid.of(ticks(way, 10**12, off_ns=200_000))
    assert found is not None and found.way == way
    assert found.period_ns == pytest.approx(PERIOD, rel=2e-3)
    for n in (1, 5, 10):
        assert abs(found.tick_ns(n) - (10**12 - way * n * PERIOD)) < 3 * found.tick_u_ns(n)
    assert found.tick_u_ns(10) > found.tick_u_ns(1) >= 50_000


def test_uneven_ticks_tell_nothing() -> None:
    uneven = [p._replace(t_ns=p.t_ns + 9 * MS * (i % 2)) for i, p in enumerate(ticks(1, 10**12))]
    assert grid.of(uneven) is None


def test_a_reading_counts_for_the_tick_before_it() -> None:
    """Readings every 50 ms of a counter that ticks every 100 ms, some too near to a tick to say
    which side they are on, and a pause of the sampler."""
    start, end = 10**12, 10**12 + 20 * PERIOD
    after = grid.of(ticks(1, end))
    assert after is not None
    reads = [
        Sample(t, "m", "d", "energy_mj", float((t - start) // PERIOD))
        for t in range(start + 30 * MS, end, 50 * MS)
        if not 700 * MS < t - start < 1100 * MS
    ]
    found = grid.values(reads, after, (start, end))
    assert found == {n: 20 - n for n in range(1, 20) if n not in (10, 11, 12, 13)}
    close = [Sample(end - PERIOD + 100_000, "m", "d", "energy_mj", 19.0)]
    assert grid.values(close, after, (start, end)) == {}
