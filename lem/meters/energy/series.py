"""From raw samples to what a reading is computed from: counter points, power, gaps, changes.

All functions take the samples of one device, sorted by time, and are pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, TypeVar

from lem.meters.energy.counter import Point
from lem.meters.protocol import Sample

Found = TypeVar("Found")

DENSE_NS = 5_000_000
"""Readings closer than this are polls around an edge, not regular rounds."""

LONG_HOLD, MOST_HELD = 10, 0.5
"""A value that was held for so many updates may come from a sensor that has stopped; where that is
so for more than this part of a window, no estimate uses it."""
GAP_PERIODS = 3

CALL_NS = 100_000
"""Half of a reading's own duration, in which the value may have been taken. A longer one stands
beside the reading as ``call_ns``."""


class Remembered(list[Sample]):
    """Samples that remember what was worked out of all of them, where many stretches of one trace
    are looked at. They, and what is remembered, must not be changed."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        super().__init__(samples)
        self.known: dict[tuple[Any, ...], Any] = {}


def remembered(samples: Sequence[Sample], key: tuple[Any, ...], make: Callable[[], Found]) -> Found:
    """What ``make`` gives; once for each ``key``, where the samples remember."""
    if not isinstance(samples, Remembered):
        return make()
    if key not in samples.known:
        samples.known[key] = make()
    found: Found = samples.known[key]
    return found


def median(values: Iterable[float]) -> float:
    """The middle one, or the mean of the middle two. Raises IndexError for none. (The standard
    library's takes two megabytes, in a process that has to stay small.)"""
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def of(samples: Sequence[Sample], quantity: str) -> list[Sample]:
    return remembered(
        samples, ("of", quantity), lambda: [s for s in samples if s.quantity == quantity]
    )


def within(samples: Sequence[Sample], quantity: str, start_ns: int, end_ns: int) -> list[float]:
    """Values of a quantity read between the two moments."""
    return [s.value for s in of(samples, quantity) if start_ns <= s.t_ns <= end_ns]


def during(samples: Sequence[Sample], quantity: str, start_ns: int, end_ns: int) -> list[float]:
    """Values of a state that is read now and then: those between the two moments, or, where it was
    not read there, the last one before and the first one after."""
    inside = within(samples, quantity, start_ns, end_ns)
    if inside:
        return inside
    read = of(samples, quantity)
    before = [s.value for s in read if s.t_ns < start_ns][-1:]
    return before + [s.value for s in read if s.t_ns > end_ns][:1]


def last_value(samples: Sequence[Sample], quantity: str, end_ns: int) -> float | None:
    """The last value read up to ``end_ns``, else the first one after it, else None."""
    all_of = of(samples, quantity)
    before = [s.value for s in all_of if s.t_ns <= end_ns]
    if before:
        return before[-1]
    return all_of[0].value if all_of else None


def changes(samples: Sequence[Sample], quantity: str) -> bool:
    """Whether a quantity that should be constant had more than one value."""
    return len({s.value for s in of(samples, quantity)}) > 1


def timed(
    meter: str, device: str, quantity: str, value: float, before_ns: int, after_ns: int
) -> list[Sample]:
    """A reading at the middle of its call, and beside it how long the call took, if long."""
    t_ns = (before_ns + after_ns) // 2
    samples = [Sample(t_ns, meter, device, quantity, value)]
    if after_ns - before_ns > 2 * CALL_NS:
        samples.append(Sample(t_ns, meter, device, "call_ns", after_ns - before_ns))
    return samples


def period_ns(times_ns: Sequence[int], dense_ns: int = DENSE_NS) -> int | None:
    """The usual time from one regular round to the next; None for fewer than two. Readings closer
    than ``dense_ns`` are polls."""
    gaps = [b - a for a, b in pairwise(times_ns) if b - a >= dense_ns]
    return int(median(gaps)) if gaps else None


def gap_flags(
    samples: Sequence[Sample], quantity: str, start_ns: int, end_ns: int, least_ns: int = 0
) -> list[str]:
    """``sampler_gap`` where a quantity was not read for more than three periods in the window.

    ``least_ns``: the period at which it is meant to be read, or at which it moves. Where polls at
    edges come oftener, they are no measure of it.
    """
    key = ("rounds", quantity)
    times_ns, usual_ns = remembered(samples, key, lambda: _rounds(samples, quantity))
    if usual_ns is None:
        return []
    usual_ns = max(usual_ns, least_ns)
    for a, b in pairwise(times_ns):
        if b - a > GAP_PERIODS * usual_ns and b > start_ns and a < end_ns:
            return ["sampler_gap"]
    return []


def _rounds(samples: Sequence[Sample], quantity: str) -> tuple[list[int], int | None]:
    """When a quantity was read, and the usual time from one regular round to the next."""
    times_ns = [s.t_ns for s in of(samples, quantity)]
    if not times_ns:
        return [], None
    # Polls of what usually takes long to read are farther apart.
    slow = _slow_calls(samples)
    call_ns = int(2 * median(slow.get(t, CALL_NS) for t in times_ns))
    return times_ns, period_ns(times_ns, DENSE_NS + 2 * call_ns)


def steady_points(
    samples: Sequence[Sample],
    quantity: str,
    scale: float,
    lag_ns: int = 0,
) -> list[Point]:
    """Points of a counter that moves (almost) all the time: each reading is one.

    ``scale`` turns the quantity's unit into the point's (J, s); ``lag_ns`` is how long ago the
    counter may have been brought up to date. Of readings closer than 5 ms the last one counts: the
    slope between them would be noise.
    """
    points: list[Point] = []
    slow = _slow_calls(samples)
    for s in of(samples, quantity):
        if points and s.t_ns - points[-1].t_ns - lag_ns // 2 < DENSE_NS:
            points.pop()
        half_ns = lag_ns // 2 + slow.get(s.t_ns, CALL_NS)
        points.append(Point(s.t_ns - lag_ns // 2, half_ns, s.value * scale))
    return points


def tick_points(samples: Sequence[Sample], quantity: str, scale: float) -> list[Point]:
    """Points of a counter that moves in ticks: each change is one, somewhere between the last
    reading of the old value and the first of the new."""
    key = ("ticks", quantity, scale)
    return remembered(samples, key, lambda: _tick_points(samples, quantity, scale))


def _tick_points(samples: Sequence[Sample], quantity: str, scale: float) -> list[Point]:
    points: list[Point] = []
    slow = _slow_calls(samples)
    previous: Sample | None = None
    for s in of(samples, quantity):
        if previous is not None and s.value != previous.value:
            half_ns = (s.t_ns - previous.t_ns) // 2
            calls_ns = max(slow.get(previous.t_ns, CALL_NS), slow.get(s.t_ns, CALL_NS))
            points.append(Point(previous.t_ns + half_ns, half_ns + calls_ns, s.value * scale))
        previous = s
    return points


def _slow_calls(samples: Sequence[Sample]) -> dict[int, int]:
    """Time of a reading → half of how long it took, for those that took long."""
    return {s.t_ns: int(s.value) // 2 for s in of(samples, "call_ns")}


def longest_still_ns(
    samples: Sequence[Sample], quantity: str, start_ns: int, end_ns: int
) -> tuple[int, int]:
    """The longest time that the counter was read and did not move, of those that touch the window,
    and how often it was read in it. (0, 0) where it was not read."""
    worst = (0, 0)
    first: Sample | None = None
    count = 0
    for s in of(samples, quantity):
        if first is None or s.value != first.value:
            first, count = s, 0
        count += 1
        if s.t_ns > start_ns and first.t_ns < end_ns:
            worst = max(worst, (s.t_ns - first.t_ns, count))
    return worst


def tick_period_ns(points: Sequence[Point]) -> int | None:
    """The usual time between a counter's ticks, from those that were polled for where there are a
    few; None for fewer than three."""
    polled = [b.t_ns - a.t_ns for a, b in pairwise(points) if max(a.half_ns, b.half_ns) < DENSE_NS]
    every = polled if len(polled) > 2 else [b.t_ns - a.t_ns for a, b in pairwise(points)]
    return int(median(every)) if len(every) > 2 else None


def stands_still(
    samples: Sequence[Sample], quantity: str, start_ns: int, end_ns: int, tick_ns: int
) -> bool:
    """Whether a counter that moves in ticks was read, in or around the window, for more than three
    of its periods (and the time from one reading to the next) without having moved.

    A counter may have changed its rate: the periods right before and after count too. One that
    counts in coarse steps moves more rarely while little is drawn.
    """
    key = ("stills", quantity)
    stills, values = remembered(samples, key, lambda: _stills(samples, quantity))
    lengths = [b[0] - a[0] for a, b in pairwise(stills)]
    for i, (from_ns, to_ns, gap_ns, reads) in enumerate(stills):
        # It may have begun right after the reading before, and ended right before the one after.
        earliest_ns = stills[i - 1][1] if i else from_ns
        latest_ns = stills[i + 1][0] if i + 1 < len(stills) else to_ns
        if latest_ns <= start_ns or earliest_ns >= end_ns or reads < 3:
            continue
        nearby = [lengths[max(0, i - 3) : i], lengths[i + 1 : i + 4]]
        usual_ns = max([tick_ns, *(median(n) for n in nearby if len(n) == 3)])
        if to_ns - from_ns <= GAP_PERIODS * usual_ns + min(gap_ns, 2 * usual_ns):
            continue
        usual_ns = max(usual_ns, _coarseness_ns(stills, values, i))
        if to_ns - from_ns > GAP_PERIODS * usual_ns + min(gap_ns, 2 * usual_ns):
            return True
    return False


Still = tuple[int, int, int, int]
"""From when to when a counter was read without having moved, the longest gap between readings, and
how many there were."""


def _stills(samples: Sequence[Sample], quantity: str) -> tuple[list[Still], list[float]]:
    """All of them, and the counter's value in each."""
    stills: list[Still] = []
    first: Sample | None = None
    last_ns = gap_ns = reads = 0
    values: list[float] = []
    for s in of(samples, quantity):
        if first is not None and s.value == first.value:
            gap_ns = max(gap_ns, s.t_ns - last_ns)
            reads += 1
        else:
            if first is not None:
                stills.append((first.t_ns, last_ns, max(gap_ns, s.t_ns - last_ns), reads))
            first, gap_ns, reads = s, 0, 1
            values.append(s.value)
        last_ns = s.t_ns
    if first is not None:
        stills.append((first.t_ns, last_ns, gap_ns, reads))
    return stills, values


def _coarseness_ns(stills: Sequence[Still], values: Sequence[float], judged: int) -> float:
    """How long the counter's smallest step takes at the lowest power seen over any half second.

    The still that is judged is left out: it would excuse itself. So is a counter whose changes are
    all alike: they come from even power and say nothing of its step.
    """
    changes = {abs(round(b - a)) for a, b in pairwise(values)}
    if len(changes) < 3:
        return 0.0
    step = math.gcd(*changes)
    slowest = 0.0
    i = 0
    for k in range(1, len(values)):
        if k == judged + 1:
            i = k
        while i + 1 < k and stills[k][0] - stills[i + 1][0] > 500_000_000:
            i += 1
        span_ns = stills[k][0] - stills[i][0]
        if span_ns > 500_000_000 and values[k] > values[i]:
            slowest = max(slowest, step * span_ns / (values[k] - values[i]))
    return slowest


def power_from_counter(points: Sequence[Point], least_ns: int = 40_000_000) -> list[Sample]:
    """Mean power (as ``power_mw`` samples without names) between points at least ``least_ns``
    apart, at the middle of that time: what came before a window's edge is then no part of it."""
    power: list[Sample] = []
    last: Point | None = None
    for p in points:
        if last is None:
            last = p
        elif p.t_ns - last.t_ns >= least_ns:
            watts = (p.value - last.value) / ((p.t_ns - last.t_ns) / 1e9)
            middle_ns = last.t_ns + (p.t_ns - last.t_ns) // 2
            power.append(Sample(middle_ns, "", "", "power_mw", max(0.0, watts * 1e3)))
            last = p
    return power


def integrate(
    series: Sequence[tuple[int, float]], start_ns: int, end_ns: int, reach_ns: int
) -> tuple[float, float] | None:
    """Trapezoid rule over (time, power in W) with values at both bounds interpolated.

    Returns energy in J, and how much it changes when every other sample is left out (what the
    sampling's coarseness may cost). Up to ``reach_ns`` beyond the first or last sample its value
    is held; None where the samples reach less far.
    """
    if not series or series[0][0] - reach_ns > start_ns or series[-1][0] + reach_ns < end_ns:
        return None
    full = _trapezoid(series, start_ns, end_ns)
    coarse = _trapezoid(series[::2], start_ns, end_ns) if len(series) > 3 else full
    return full, abs(full - coarse)


def _trapezoid(series: Sequence[tuple[int, float]], start_ns: int, end_ns: int) -> float:
    inner = [p for p in series if start_ns < p[0] < end_ns]
    line = [(start_ns, _at(series, start_ns)), *inner, (end_ns, _at(series, end_ns))]
    return sum((b[0] - a[0]) / 1e9 * (a[1] + b[1]) / 2 for a, b in pairwise(line))


def _at(series: Sequence[tuple[int, float]], t_ns: int) -> float:
    before = [p for p in series if p[0] <= t_ns]
    after = [p for p in series if p[0] >= t_ns]
    if not before:
        return after[0][1]
    if not after:
        return before[-1][1]
    (a_ns, a), (b_ns, b) = before[-1], after[0]
    return a if a_ns == b_ns else a + (b - a) * (t_ns - a_ns) / (b_ns - a_ns)


def held_ns(
    power: Sequence[tuple[int, float]],
    start_ns: int,
    end_ns: int,
    update_ns: int,
    least_ns: int = 0,
) -> int:
    """For how much of the window a sensor told one value for more than :data:`LONG_HOLD` updates
    (and ``least_ns``) on end: it may have stopped."""
    longest_ns = max(LONG_HOLD * update_ns, least_ns)
    held = 0
    since_ns, value = power[0]
    for t_ns, w in [*power[1:], (power[-1][0], math.nan)]:
        if w == value:
            continue
        if t_ns - since_ns > longest_ns:
            held += max(0, min(t_ns, end_ns) - max(since_ns, start_ns))
        since_ns, value = t_ns, w
    return held
