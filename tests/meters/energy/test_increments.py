"""Noise of a counter's increments, and those that stand out, against series made by hand."""

import math
import random
from itertools import accumulate, pairwise
from statistics import fmean

import pytest

from lem.meters.energy import increments


def counter(rises: list[float]) -> dict[int, float]:
    return dict(enumerate(accumulate(rises, initial=0.0)))


def test_even_increments_scatter_by_nothing() -> None:
    assert increments.scatter(counter([30.0] * 20), 20) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("ticks", [10, 40])
def test_white_noise_is_hardly_ever_underestimated(ticks: int) -> None:
    """Noise of 1 per tick adds up to √n over n; stated (k = 2) it holds 95 of 100 sums."""
    rng = random.Random(ticks)
    held, stated = [], []
    for _ in range(400):
        noise = [rng.gauss(0, 1) for _ in range(ticks)]
        u = increments.scatter(counter([30 + e for e in noise]), ticks)
        held.append(abs(sum(noise)) <= 2 * u)
        stated.append(u)
    assert fmean(held) >= 0.95
    assert fmean(stated) < 3 * math.sqrt(ticks)


def test_noise_that_lasts_longer_than_a_tick_is_seen_over_several() -> None:
    """Autoregressive (φ = 0.8): neighbours differ by little, and the sum strays all the more."""
    rng = random.Random(8)
    seen, alone = [], []
    for _ in range(100):
        e, rises = 0.0, []
        for _ in range(200):
            e = 0.8 * e + rng.gauss(0, 0.6)
            rises.append(30 + e)
        seen.append(increments.scatter(counter(rises), 200))
        squares = [(b - a) ** 2 for a, b in pairwise(rises)]
        alone.append(math.sqrt(sum(squares) / (2 * len(squares)) * 200))
    assert fmean(seen) > 2 * fmean(alone)


def test_what_was_hardly_seen_bounds_nothing() -> None:
    assert increments.scatter({}, 10) == math.inf
    assert increments.scatter(counter([30.0] * 6), 10) == math.inf
    assert increments.scatter({n: 30.0 * n for n in (0, 1, 50, 51, 100, 101)}, 100) == math.inf


def test_a_fast_counter_is_seen_at_every_so_manieth_tick() -> None:
    rng = random.Random(3)
    every = counter([30 + rng.gauss(0, 1) for _ in range(100)])
    some = {n: v for n, v in every.items() if n % 5 == 0}
    assert 0 < increments.scatter(some, 100) < math.inf


def odd(rises: list[float], rest: float = 5.0, quantum: float = 0.001) -> dict[int, float]:
    return increments.odd(counter(rises), rest, quantum)


@pytest.mark.parametrize(
    ("rises", "found"),
    [
        ([30.0] * 10, {}),
        # work that begins, is steady, ends: steps, with a part of a tick at either side
        ([5, 5, 17, 30, 30, 30, 30, 12, 5, 5], {}),
        # work shorter than a tick, between rest and rest
        ([5, 5, 5, 21, 5, 5, 5], {}),
        # one tick of a freeze, and what it slept through is lost
        ([30, 30, 30, 0, 30, 30, 30], {3: 30}),
        ([5, 5, 5, 0, 5, 5], {3: 5}),
        # … where work begins
        ([5, 5, 0, 30, 30, 30], {2: 30}),
        # two of them in a row
        ([30, 30, 0, 0, 30, 30], {2: 30, 3: 30}),
        # the counter fell by 12 within a tick of 30; and jumped by 9
        ([30, 30, 30, 18, 30, 30, 30], {3: 12}),
        ([30, 30, 30, 39, 30, 30, 30], {3: 9}),
        # so does work that comes in bursts
        ([30, 30, 30, 20, 30, 30, 20, 30, 30, 20, 30, 30, 30], {}),
        # idle that has fallen to another level
        ([5, 5, 5, 2, 2, 2, 2, 2], {}),
        # a little off is the work's affair
        ([30, 30, 30, 32, 30, 30, 30], {}),
    ],
)  # fmt: skip
def test_increments_that_stand_out(rises: list[float], found: dict[int, float]) -> None:
    assert odd([float(r) for r in rises]) == pytest.approx(found)


def test_a_coarse_counter_may_stand_still() -> None:
    """Steps of 8 J at 5 J a tick: 0, 8, 8, 0, …"""
    assert odd([8.0, 0.0, 8.0, 8.0, 0.0, 8.0, 8.0], rest=5.0, quantum=8.0) == {}


def test_a_tick_that_was_not_seen_makes_no_difference() -> None:
    values = {n: 30.0 * n for n in (0, 1, 2, 4, 5, 7, 8, 9)}
    assert increments.odd(values, 5.0, 0.001) == {}
    fell = {n: v - (12.0 if n > 5 else 0.0) for n, v in values.items()}
    assert increments.odd(fell, 5.0, 0.001) == pytest.approx({5: 12.0})
