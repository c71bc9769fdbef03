"""Energy of a piece of work before and after which the device idled. Pure.

The counter moves in ticks, so it says nothing of the moments at which work began and ended. What it
stood at there is found from the ticks outside, which were polled for densely (``Sampler.rest``):
:mod:`lem.meters.energy.edge`. The work's energy is the difference of the two.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from lem.meters.energy import edge, grid, increments, series
from lem.meters.energy.counter import Point
from lem.meters.energy.edge import Level, Tick
from lem.meters.protocol import Sample

LEAST_TICKS = 3
COARSE_NS = 600_000_000
"""So near an edge regular readings tell the level of work."""
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
DISTURBED = 0.3
"""So likely it has to be that something else happened next to an edge for that to be told."""
UNEVEN = 0.1
"""Where power changes by more than this, relatively, from tick to tick, it may have changed within
the last one too."""


class Work(NamedTuple):
    """Energy in J and its parts of uncertainty (standard, k = 1)."""

    energy_j: float
    tick_j: float
    """When the ticks at the edges happened, and rounding of the counter."""
    idle_j: float
    """What the device drew between the edges and the nearest ticks."""
    sampling_j: float
    """Noise of the counter's increments: as large, relatively, as while idle, or as large as they
    were seen to scatter during the work, whichever is less; and those that stand out."""
    uneven: bool
    """Whether there were such, or the device did something else next to an edge."""


class _Side(NamedTuple):
    """What was found at one edge of the work."""

    estimate: edge.Estimate
    scatter_j: float
    """Noise of the increments, as far as they scattered during the work (k = 1)."""
    odd: list[tuple[float, float]]
    """When a step stood out (ns), and by how much (J)."""


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
    if len(points) < 2 * LEAST_TICKS or any(p.t_ns in (start_ns, end_ns) for p in points):
        return None
    # The counter's own origin is far away: sums of squares of it would lose the millijoules.
    zero = points[0].value
    points = [p._replace(value=(p.value - zero) * scale) for p in points]
    reads = [s._replace(value=(s.value - zero) * scale) for s in series.of(samples, quantity)]
    step_j = quantum(points, scale)
    period_ns = series.tick_period_ns(points) or 0
    limit_ns = _dense_ns(samples, period_ns)
    at_start = _outside(points, start_ns, -1, limit_ns)
    at_end = _outside(points, end_ns, 1, limit_ns)
    if len(at_start) < LEAST_TICKS or len(at_end) < LEAST_TICKS:
        return None
    span = (start_ns, end_ns)
    mean_w = _mean_power(at_start, at_end, span)
    rest_w = min(_rest_w(at_start), _rest_w(at_end))
    a = _side(reads, at_start, span, -1, step_j, mean_w, rest_w)
    b = _side(reads, at_end, span, 1, step_j, mean_w, rest_w)
    noise = edge.noise(a.estimate, b.estimate)
    if max(edge.noise(a.estimate), edge.noise(b.estimate)) > UNREST:
        return None
    seconds = (end_ns - start_ns) / 1e9
    energy_j = max(0.0, a.estimate.value_j + b.estimate.value_j)
    in_proportion_j = FEW_TICKS * noise * energy_j / max(seconds, 1e-9) * math.sqrt(0.1 * seconds)
    noise_j = _either(in_proportion_j, min(a.scatter_j, b.scatter_j))
    # A step that stands out may be seen from both edges: it is the same one.
    near_ns = 3 * period_ns
    odd = a.odd + [(t, j) for t, j in b.odd if all(abs(t - other) > near_ns for other, _ in a.odd)]
    return Work(
        energy_j,
        math.hypot(a.estimate.tick_j, b.estimate.tick_j),
        math.hypot(a.estimate.idle_j, b.estimate.idle_j),
        math.hypot(noise_j, sum(j for _, j in odd) / math.sqrt(3)),
        bool(odd) or max(a.estimate.disturbed, b.estimate.disturbed) > DISTURBED,
    )


def _side(
    reads: Sequence[Sample],
    ticks: Sequence[Point],
    span: tuple[int, int],
    way: int,
    step_j: float,
    mean_w: float,
    rest_w: float,
) -> _Side:
    """One edge: ``way`` is −1 for the beginning, 1 for the end; ``ticks`` are those outside."""
    t_ns = span[way > 0]
    level, scatter_j = None, math.inf
    odd: list[tuple[float, float]] = []
    even = grid.of(ticks)
    if even is not None:
        shown = grid.values(reads, even, span)
        level = _level(even, shown, t_ns, step_j)
        rising = {n: -way * v for n, v in shown.items()}
        scatter_j = increments.scatter(rising, (span[1] - span[0]) / even.period_ns)
        found = increments.odd(rising, rest_w * even.period_ns / 1e9, step_j)
        odd = [(even.tick_ns(n), amount_j) for n, amount_j in found.items()]
    if level is None:
        level = _coarse_level(reads, span, way, step_j)
    outside = [_tick(p, t_ns, way, step_j) for p in ticks]
    return _Side(edge.at_edge(outside, level, mean_w, _inside_j(reads, t_ns, way)), scatter_j, odd)


def _either(in_proportion_j: float, scattered_j: float) -> float:
    """Of two estimates of one noise. Much less scatter than in proportion to idle's: that much.
    Much more: the work's own unevenness. Else both are of the same, and the larger one counts: the
    smaller one would be by chance too small."""
    if scattered_j < in_proportion_j / 2:
        return scattered_j
    return (
        in_proportion_j if scattered_j > 2 * in_proportion_j else max(in_proportion_j, scattered_j)
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


def _inside_j(reads: Sequence[Sample], t_ns: int, way: int) -> float:
    """What the counter showed on the inner side of the edge: at its end what was last read; at its
    beginning what was first read after a tick that came later, since until then it shows what it
    stood at before."""
    i = bisect_left(reads, t_ns, key=lambda s: s.t_ns)
    if way > 0:
        return reads[i - 1].value if i else -math.inf
    return -next((b.value for a, b in pairwise(reads[i:]) if a.value != b.value), math.inf)


def _rest_w(ticks: Sequence[Point]) -> float:
    """Power at rest, far from the edge."""
    near, far = ticks[max(0, len(ticks) - 1 - LEAST_TICKS)], ticks[-1]
    return _watts(near, far)


def _watts(a: Point, b: Point) -> float:
    return (b.value - a.value) / (b.t_ns - a.t_ns) * 1e9


def _mean_power(at_start: Sequence[Point], at_end: Sequence[Point], span: tuple[int, int]) -> float:
    """Roughly what the work drew, W: the rise between the nearest ticks, less what lies outside
    the work at idle power."""
    a, b = at_start[0], at_end[0]
    idle_w = _watts(at_end[-2], at_end[-1])
    work_ns = max(20_000_000, span[1] - span[0])
    return (b.value - a.value - idle_w * (b.t_ns - a.t_ns - work_ns) / 1e9) / work_ns * 1e9


def quantum(points: Sequence[Point], scale: float) -> float:
    """The counter's smallest step: the greatest common divisor of its changes, which are whole
    multiples of ``scale``. Even power makes all changes alike, which says nothing of the step:
    ``scale`` then."""
    changes = {abs(round((b.value - a.value) / scale)) for a, b in pairwise(points)} - {0}
    return scale * (math.gcd(*changes) if len(changes) > 2 else 1)


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


def _tick(p: Point, t_ns: int, way: int, step_j: float) -> Tick:
    return Tick(
        way * (p.t_ns - t_ns) / 1e9,
        way * p.value,
        p.half_ns / 1e9 / math.sqrt(3),
        step_j / math.sqrt(12),
    )


def _level(even: grid.Grid, shown: Mapping[int, float], t_ns: int, step_j: float) -> Level | None:
    """The work's power next to the edge, from what the counter showed at ticks inside. Where it was
    uneven that says little, and the level's uncertainty says so. None where too few were seen."""
    # Those next to the edge; further in, power may have been another one.
    nearest = [n for n in sorted(shown) if n < 40][:5]
    found = [
        Tick(
            even.way * (even.tick_ns(n) - t_ns) / 1e9,
            even.way * shown[n],
            even.tick_u_ns(n) / 1e9,
            step_j / math.sqrt(12),
        )
        for n in nearest
    ]
    if len(found) < 3:
        return None
    watts = [(a.value_j - b.value_j) / (a.x_s - b.x_s) for a, b in pairwise(found)]
    timing = watts[0] * math.sqrt(2) * found[0].time_s / (found[0].x_s - found[1].x_s)
    spread = max(abs(w - watts[0]) for w in watts[1:])
    if spread > UNEVEN * abs(watts[0]):
        # Of a part of a tick more so than of whole ones.
        spread *= math.sqrt(max(1.0, even.period_ns / 1e9 / max(1e-4, -found[0].x_s)))
    return Level(found[0], watts[0], math.hypot(timing, spread, 0.002 * watts[0]))


def _coarse_level(
    reads: Sequence[Sample], span: tuple[int, int], way: int, step_j: float
) -> Level | None:
    """The same from regular readings alone, each of which may have come any time after a tick."""
    t_ns = span[way > 0]
    inside = [r for r in reads if span[0] < r.t_ns < span[1] and abs(r.t_ns - t_ns) < COARSE_NS]
    changes = [
        Point((a.t_ns + b.t_ns) // 2, (b.t_ns - a.t_ns) // 2, b.value)
        for a, b in pairwise(inside)
        if a.value != b.value
    ][::-way]
    if len(changes) < 3:
        return None
    first, last = changes[0], changes[-1]
    tick = _tick(first, t_ns, way, step_j)
    power_w = _watts(first, last)
    watts = [_watts(a, b) for a, b in pairwise(changes)]
    return Level(tick, power_w, max(abs(w - power_w) for w in watts))
