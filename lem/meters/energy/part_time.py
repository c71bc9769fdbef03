"""What part of the time a power sensor looks, from a load that is switched on and off. Pure.

A sensor that is brought up to date every p and tells the mean of the last w before that sees a
share w/p of the time ("part-time power", arXiv 2312.02741: 25 ms of 100 ms on A100 and H100). A
load whose switching is known tells w: each reading lies as far between the power with and without
load as the load was on in that reading's window.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from lem.meters.energy.counter import Point

LEAST_READINGS = 20

MOST_READINGS = 800
"""Of more than these, some are left out: the fit becomes no better and takes longer."""

LEAST_R2 = 0.8
"""A model that explains less of the readings than this says nothing about them."""

_STEP = 1.12
"""From one window that is tried to the next."""


class Sampled(NamedTuple):
    """What fits best. Times in ns; ``low`` and ``high`` bound the windows that fit about as well
    (likelihood ratio, 95 %)."""

    window_ns: int
    low_ns: int
    high_ns: int
    delay_ns: int
    """From the end of the sensor's window until its reading could be read."""
    period_ns: int
    r2: float
    low_w: float
    high_w: float

    @property
    def share(self) -> float:
        """Of the time, in which the sensor looks; 1 where its windows overlap."""
        return min(1.0, self.window_ns / self.period_ns)


def updates(power: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """The readings of (time, power) that differ from the one before, half-way back to that."""
    return [(a[0] + (b[0] - a[0]) // 2, b[1]) for a, b in pairwise(power) if b[1] != a[1]]


def tick_power(points: Sequence[Point]) -> list[tuple[int, float]]:
    """Of an energy counter: each tick with the mean power since the one before, W."""
    return [
        (b.t_ns, (b.value - a.value) * 1e9 / (b.t_ns - a.t_ns))
        for a, b in pairwise(points)
        if b.t_ns > a.t_ns
    ]


def sampled(readings: Sequence[tuple[int, float]], on: Sequence[tuple[int, int]]) -> Sampled | None:
    """The window of a sensor from its updates (time in ns, W) under a load that was ``on`` from one
    moment to another, in order.

    None where there are too few readings, or they do not follow the load. It needs times on and off
    of unlike lengths, shorter and longer than the window.
    """
    if not on:
        return None
    first_ns, last_ns = on[0][0], on[-1][1]
    gaps = [b[0] - a[0] for a, b in pairwise(readings)]
    if len(gaps) < LEAST_READINGS:
        return None
    period_ns = int(median(gaps))
    inside = [r for r in readings if first_ns + period_ns <= r[0] <= last_ns]
    if len(inside) < LEAST_READINGS:
        return None
    inside = inside[:: -(-len(inside) // MOST_READINGS)]
    load = _Load(on)
    windows = [2e6 * _STEP**i for i in range(62)]  # 2 ms to 2 s
    delays = [period_ns * i / 20 for i in range(31)]
    best = {w: min((_fit(load, inside, w, d), d) for d in delays) for w in windows}
    # Finer around the best: the delay of its neighbours too.
    centre = min(windows, key=lambda w: best[w][0])
    near = [centre * _STEP ** (i / 6) for i in range(-9, 10)]
    middle = best[centre][1]
    fine = [max(0.0, middle + period_ns * i / 100) for i in range(-10, 11)]
    best |= {w: min((_fit(load, inside, w, d), d) for d in fine) for w in near}
    window = min(best, key=lambda w: best[w][0])
    left, delay = best[window]
    total = _spread([y for _, y in inside])
    if total <= 0 or 1 - left / total < LEAST_R2:
        return None
    # As likely as the best within what chance does: 3.84 is the 95 % point of χ² with 1 df. The
    # readings' own resolution keeps a perfect fit from being taken for a certain one.
    floor = max(left, 1e-4 * total)
    limit = floor * (1 + 3.84 / max(1, len(inside) - 4))
    fitting = [w for w, (rss, _) in best.items() if rss <= limit]
    a, b = _line(load, inside, window, delay)
    return Sampled(
        int(window),
        int(min(fitting)),
        int(max(fitting)),
        int(delay),
        period_ns,
        1 - left / total,
        a,
        a + b,
    )


class _Load:
    """How long the load had been on by any moment."""

    def __init__(self, on: Sequence[tuple[int, int]]) -> None:
        self._times: list[int] = []
        self._so_far: list[float] = []
        total = 0.0
        for start, end in on:
            self._times += [start, end]
            self._so_far += [total, total + end - start]
            total += end - start

    def until(self, t_ns: float) -> float:
        i = bisect_right(self._times, t_ns) - 1
        if i < 0:
            return 0.0
        # Even places are where it was switched on.
        return self._so_far[i] + (t_ns - self._times[i] if i % 2 == 0 else 0.0)


def _shares(
    load: _Load, readings: Sequence[tuple[int, float]], window: float, delay: float
) -> list[float]:
    return [(load.until(t - delay) - load.until(t - delay - window)) / window for t, _ in readings]


def _fit(load: _Load, readings: Sequence[tuple[int, float]], window: float, delay: float) -> float:
    """Residual sum of squares of the straight line through power over the load's share."""
    x = _shares(load, readings, window, delay)
    y = [watts for _, watts in readings]
    n = len(x)
    mean_x, mean_y = sum(x) / n, sum(y) / n
    sxx = sum((a - mean_x) ** 2 for a in x)
    sxy = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    syy = sum((b - mean_y) ** 2 for b in y)
    # A load that lowers the power is no load.
    return syy if sxx <= 0 or sxy <= 0 else max(0.0, syy - sxy * sxy / sxx)


def _line(
    load: _Load, readings: Sequence[tuple[int, float]], window: float, delay: float
) -> tuple[float, float]:
    """Power without load, and what the load adds, W."""
    x = _shares(load, readings, window, delay)
    y = [watts for _, watts in readings]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    sxx = sum((a - mean_x) ** 2 for a in x)
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sxx
    return mean_y - slope * mean_x, slope


def _spread(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((v - mean) ** 2 for v in values)
