"""The even ticks of a counter, and what it stood at at those that nobody polled for. Pure.

A counter that ticks evenly while it is polled for densely goes on doing so: readings made now and
then in between tell what it showed at each of the ticks before them.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from lem.meters.energy.counter import Point
from lem.meters.protocol import Sample

MOST_TICKS = 2000
"""No more of them are looked at."""
LEAST_U_NS = 50_000.0
"""No better is it known when a tick happened."""


class Grid(NamedTuple):
    """Even ticks: period and time of the one nearest to the work, in ns, with their standard
    uncertainties; ``way`` is 1 after the work and −1 before it."""

    period_ns: float
    period_u_ns: float
    first_ns: float
    first_u_ns: float
    way: int

    def tick_ns(self, n: int) -> float:
        """When the ``n``-th tick from the nearest one inwards happens."""
        return self.first_ns - self.way * n * self.period_ns

    def tick_u_ns(self, n: int) -> float:
        return self.first_u_ns + n * self.period_u_ns


def of(ticks: Sequence[Point]) -> Grid | None:
    """What the ticks (nearest to the work first) have in common; None where they are not even to
    within what is known of each (and a twentieth of a period)."""
    ticks = ticks[:16]
    period = median(abs(b.t_ns - a.t_ns) for a, b in pairwise(ticks))
    zero_ns = ticks[0].t_ns
    way = 1 if ticks[-1].t_ns > zero_ns else -1
    xs = [round(way * (p.t_ns - zero_ns) / period) for p in ticks]
    ys = [p.t_ns - zero_ns for p in ticks]
    weights = [1 / max(1, p.half_ns) ** 2 for p in ticks]
    total = sum(weights)
    mean_x = sum(w * x for w, x in zip(weights, xs, strict=True)) / total
    mean_y = sum(w * y for w, y in zip(weights, ys, strict=True)) / total
    square = sum(w * (x - mean_x) ** 2 for w, x in zip(weights, xs, strict=True))
    if square == 0:
        return None
    slope = (
        sum(w * (x - mean_x) * (y - mean_y) for w, x, y in zip(weights, xs, ys, strict=True))
        / square
    )
    first = mean_y - slope * mean_x
    jitter = 0.0
    for x, y, p in zip(xs, ys, ticks, strict=True):
        off = abs(y - first - slope * x)
        if off > p.half_ns + abs(slope) / 20:
            return None
        jitter = max(jitter, off - p.half_ns)
    first_u = math.sqrt((1 / total + mean_x**2 / square) / 3)
    slope_u = 1 / math.sqrt(3 * square)
    return Grid(
        abs(slope),
        max(LEAST_U_NS / len(ticks), slope_u),
        zero_ns + first,
        max(LEAST_U_NS, first_u, jitter),
        way,
    )


def values(reads: Sequence[Sample], grid: Grid, span: tuple[int, int]) -> dict[int, float]:
    """What the counter showed from the ``n``-th tick inwards on, for the ticks within the span
    (start and end, ns) for which that is certain."""
    times_ns = [r.t_ns for r in reads]
    found: dict[int, float] = {}
    for n in range(1, MOST_TICKS):
        at_ns = grid.tick_ns(n)
        margin_ns = 3 * grid.tick_u_ns(n) + 200_000
        if margin_ns > grid.period_ns / 4:
            break
        if not span[0] < at_ns < span[1]:
            if found or n > 3:
                break
            continue
        i = bisect_left(times_ns, at_ns + margin_ns)
        if i < len(reads) and times_ns[i] <= at_ns + grid.period_ns - margin_ns:
            found[n] = reads[i].value
    return found
