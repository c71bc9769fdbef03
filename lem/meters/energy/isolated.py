"""Energy of a piece of work before and after which the device idled. Pure.

The counter moves in ticks, so it says nothing of the moments at which work began and ended. What it
stood at there is found from the ticks outside, which were polled for densely (``Sampler.rest``):
:mod:`lem.meters.energy.edge`. The work's energy is the difference of the two.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from lem.meters.energy import edge, series
from lem.meters.energy.counter import Point
from lem.meters.energy.edge import Level, Tick
from lem.meters.protocol import Sample

LEAST_TICKS = 3
FAR_NS = 4_000_000_000
"""Ticks further from the edge than this are not looked at: idle power was another one then."""
LATEST_NS = 1_500_000_000
"""Ticks must have been polled for at least this near to the edge."""
DENSE_NS = 3_000_000
"""A tick is polled for densely where it is known to about this."""


UNREST = 0.15
"""Relative noise of power outside beyond which nothing is called idle there."""


FEW_TICKS = 1.25
"""The noise is estimated from about twenty ticks, so it is itself uncertain (Student's t instead of
Gauss)."""
LEAST_CHANGES = 6
FEW_CHANGES = 2.5
"""From so many changes a scatter is told; and how much it is enlarged because they are few: with
six, which stand for four degrees of freedom, twice (χ²: enough in nine of ten cases)."""
MOST_STRIDE = 6
"""Regular readings see every so manieth tick of a fast counter."""
UNEVEN = 0.1
"""Work whose power changes by more than this, relatively, from tick to tick has no level that
would tell how it ended."""


class Work(NamedTuple):
    """Energy in J and its parts of uncertainty (standard, k = 1)."""

    energy_j: float
    tick_j: float
    """When the ticks at the edges happened, and rounding of the counter."""
    idle_j: float
    """What the device drew between the edges and the nearest ticks."""
    sampling_j: float
    """Noise of the counter's increments: as large, relatively, as while idle, or as large as they
    were seen to scatter during the work, whichever is less."""


def work(
    samples: Sequence[Sample], quantity: str, scale: float, start_ns: int, end_ns: int
) -> Work | None:
    """Energy between two moments. ``samples``: of one device, sorted by time; ``scale``: J in one
    unit of the counter. None where nobody said that the device rests on both sides, fewer than
    three ticks were polled for densely on either, an edge is a tick itself (nothing is left to be
    modelled then), or the device did not idle outside.

    The counter must be sound: falls and freezes are to be looked for before.
    """
    if not rested(samples, start_ns, end_ns):
        return None
    points = series.tick_points(samples, quantity, 1.0)
    if any(p.t_ns in (start_ns, end_ns) for p in points):
        return None
    reads = series.of(samples, quantity)
    if len(points) < 2 * LEAST_TICKS:
        return None
    period_ns = int(median(b.t_ns - a.t_ns for a, b in pairwise(points)))
    limit_ns = _dense_ns(samples, period_ns)
    at_start = _outside(points, start_ns, -1, limit_ns)
    at_end = _outside(points, end_ns, 1, limit_ns)
    if len(at_start) < LEAST_TICKS or len(at_end) < LEAST_TICKS:
        return None
    step = quantum(points)
    # The counter's own origin is far away: sums of squares of it would lose the millijoules.
    zero = at_start[0].value
    mean_w = _mean_power(at_start, at_end, start_ns, end_ns) * scale
    estimates = []
    inside: list[float] = []
    for ticks, t_ns, way in ((at_start, start_ns, -1), (at_end, end_ns, 1)):
        inside.append(_scatter_within(reads, ticks, (start_ns, end_ns), way) * scale)
        outside = [_tick(p, t_ns, way, zero, scale, step) for p in ticks]
        level = _level(reads, ticks, t_ns, (start_ns, end_ns), way, zero, scale, step)
        estimates.append(edge.at_edge(outside, level, mean_w))
    a, b = estimates
    if max(edge.noise(a), edge.noise(b)) > UNREST:
        return None
    seconds = (end_ns - start_ns) / 1e9
    energy_j = a.value_j + b.value_j
    watts = energy_j / max(seconds, 1e-9)
    rest = [math.sqrt(max(0.0, e.uncertainty_j**2 - e.tick_j**2)) for e in estimates]
    in_proportion_j = FEW_TICKS * edge.noise(a, b) * max(0.0, watts) * math.sqrt(0.1 * seconds)
    return Work(
        max(0.0, energy_j),
        math.hypot(a.tick_j, b.tick_j),
        math.hypot(*rest),
        min(in_proportion_j, *inside),
    )


def rested(samples: Sequence[Sample], start_ns: int, end_ns: int) -> bool:
    """Whether the sampler was told that the device idles right before and right after: the rows
    ``rest`` of a trace, 1 where a rest begins and 0 where it ends. Windows under load are cut at
    ticks, and idle outside them is nobody's claim, however even it looks."""
    rests = series.of(samples, "rest")
    before = [s for s in rests if start_ns - FAR_NS <= s.t_ns <= start_ns][-1:]
    after = [s for s in rests if end_ns <= s.t_ns <= end_ns + FAR_NS][:1]
    within = any(start_ns < s.t_ns < end_ns for s in rests)
    return [s.value for s in before + after] == [0.0, 1.0] and not within


def _mean_power(
    at_start: Sequence[Point], at_end: Sequence[Point], start_ns: int, end_ns: int
) -> float:
    """Roughly what the work drew, in the counter's unit per second: the rise between the nearest
    ticks, less what lies outside the work at idle power."""
    a, b = at_start[0], at_end[0]
    idle = (at_end[-2].value - at_end[-1].value) / (at_end[-2].t_ns - at_end[-1].t_ns)
    work_ns = max(20_000_000, end_ns - start_ns)
    return (b.value - a.value - idle * (b.t_ns - a.t_ns - work_ns)) / work_ns * 1e9


def quantum(points: Sequence[Point]) -> float:
    """The counter's smallest step, in its own unit: the greatest common divisor of its changes.
    Even power makes all changes alike, which says nothing of the step: 1 then."""
    changes = {abs(round(b.value - a.value)) for a, b in pairwise(points)} - {0}
    return float(math.gcd(*changes)) if len(changes) > 2 else 1.0


def _dense_ns(samples: Sequence[Sample], period_ns: int) -> int:
    """How far from its middle a tick may have happened. Where calls are slow, every poll is."""
    calls = [s.value for s in samples if s.quantity == "call_ns"]
    reads = sum(s.quantity != "call_ns" for s in samples)
    slow_ns = median(calls) if 2 * len(calls) > reads else 0.0
    return max(DENSE_NS, period_ns // 10) + int(2 * slow_ns)


def _outside(points: Sequence[Point], t_ns: int, way: int, limit_ns: int) -> list[Point]:
    """The ticks beyond an edge that were polled for, nearest first, up to the first gap."""
    if way > 0:
        candidates = points[bisect_right(points, t_ns, key=lambda p: p.t_ns) :]
    else:
        candidates = points[: bisect_left(points, t_ns, key=lambda p: p.t_ns)][::-1]
    found: list[Point] = []
    dense = missed = 0
    for p in candidates:
        away_ns = way * (p.t_ns - t_ns)
        if away_ns > (FAR_NS if dense else LATEST_NS) or (dense and missed > 3):
            break
        if p.half_ns <= limit_ns:
            dense += 1
            missed = 0
        else:
            missed += 1
        # A tick that fell into a pause of the sampler is used for what it says; one that may have
        # happened on the other side of the edge says nothing.
        if p.half_ns < min(away_ns, 2 * limit_ns):
            found.append(p)
    return found if dense >= LEAST_TICKS else []


def _tick(p: Point, t_ns: int, way: int, zero: float, scale: float, step: float) -> Tick:
    return Tick(
        way * (p.t_ns - t_ns) / 1e9,
        way * (p.value - zero) * scale,
        p.half_ns / 1e9 / math.sqrt(3),
        step * scale / math.sqrt(12),
    )


def _level(
    reads: Sequence[Sample],
    ticks: Sequence[Point],
    t_ns: int,
    span: tuple[int, int],
    way: int,
    zero: float,
    scale: float,
    step: float,
) -> Level | None:
    """The work's power next to the edge, from readings inside. They were made now and then, but a
    counter that ticks evenly tells when the ticks before them were. None where it does not, or the
    work is shorter than a few ticks."""
    grid = _grid(ticks)
    if grid is None:
        return None
    period_ns, first_ns, u_ns = grid
    times_ns = [r.t_ns for r in reads]
    found: list[Tick] = []
    for n in range(1, 40):
        at_ns = first_ns - way * n * period_ns
        if not span[0] < at_ns < span[1]:
            if found or n > 3:
                break
            continue
        margin_ns = min(period_ns / 4, 3 * u_ns + 200_000)
        i = bisect_left(times_ns, at_ns + margin_ns)
        if i == len(reads) or times_ns[i] > at_ns + period_ns - margin_ns:
            continue
        time_s = u_ns * (1 + n / len(ticks)) / 1e9
        found.append(
            Tick(
                way * (at_ns - t_ns) / 1e9,
                way * (reads[i].value - zero) * scale,
                time_s,
                step * scale / math.sqrt(12),
            )
        )
        if len(found) == 5:
            break
    if len(found) < 3:
        return None
    watts = [(a.value_j - b.value_j) / (a.x_s - b.x_s) for a, b in pairwise(found)]
    timing = watts[0] * math.sqrt(2) * found[0].time_s / (found[0].x_s - found[1].x_s)
    spread = max(abs(w - watts[0]) for w in watts[1:])
    if spread > UNEVEN * abs(watts[0]):
        return None
    return Level(found[0], watts[0], math.hypot(timing, spread, 0.002 * watts[0]))


def _scatter_within(
    reads: Sequence[Sample], ticks: Sequence[Point], span: tuple[int, int], way: int
) -> float:
    """What noise of its increments can have added to the counter between start and end, at most,
    in the counter's unit (k = 1): as much as they were seen to change from one tick to the next
    (von Neumann's mean square successive difference), enlarged for how few they were. Infinite
    where that was not seen."""
    grid = _grid(ticks)
    if grid is None:
        return math.inf
    period_ns, first_ns, u_ns = grid
    times_ns = [r.t_ns for r in reads]
    margin_ns = min(period_ns / 4, 3 * u_ns + 200_000)
    count = int((span[1] - span[0]) / period_ns)
    values: dict[int, float] = {}
    for n in range(1, count + 2):
        at_ns = first_ns - way * n * period_ns
        i = bisect_left(times_ns, at_ns + margin_ns)
        inside = span[0] < at_ns < span[1]
        if inside and i < len(reads) and times_ns[i] <= at_ns + period_ns - margin_ns:
            values[n] = reads[i].value
    for stride in range(1, MOST_STRIDE + 1):
        changes = [
            values[n] - 2 * values[n + stride] + values[n + 2 * stride]
            for n in values
            if n + stride in values and n + 2 * stride in values
        ]
        if len(changes) >= LEAST_CHANGES and 2 * stride * len(changes) >= count:
            spread = math.sqrt(sum(c * c for c in changes) / (2 * len(changes)))
            enlarged = (1 + FEW_CHANGES / math.sqrt(len(changes))) * spread
            return enlarged * math.sqrt(count / stride + 1)
    return math.inf


class Grid(NamedTuple):
    """Even ticks: period, time of the nearest one and its standard uncertainty, in ns."""

    period_ns: float
    first_ns: float
    u_ns: float


def _grid(ticks: Sequence[Point]) -> Grid | None:
    """What the ticks have in common; None where they are not even to within what is known of
    each (and a third of a millisecond)."""
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
    for x, y, p in zip(xs, ys, ticks, strict=True):
        if abs(y - first - slope * x) > p.half_ns + 300_000:
            return None
    u = math.sqrt((1 / total + mean_x**2 / square) / 3)
    return Grid(abs(slope), zero_ns + first, max(50_000.0, u))
