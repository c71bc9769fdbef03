"""Energy from a board's power readings, and how far the counter agrees with it. Pure.

Which power a board tells (nvml.h): field 186 and ``nvmlDeviceGetPowerUsage`` of GA100 and older
boards give the present power; field 185 and ``nvmlDeviceGetPowerUsage`` of newer ones the mean of
the last second. The sensor itself is read now and then (A100 and H100: 25 ms of every 100 ms,
arXiv 2312.02741), so integrated power is never as good as a counter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from lem.meters.energy import series
from lem.meters.protocol import Sample

AVERAGED_NS = 1_000_000_000
"""What field 185 averages over."""

QUANTITIES = ("power_average_mw", "power_instant_mw", "power_mw")

LEAST_WINDOW_NS = 10_000_000_000
"""Counter and integrated power are compared over windows at least this long."""

MOST_UNSEEN = 0.2
"""A window of which a larger part lies in gaps between readings has no integrated energy."""

LEAST_UPDATES = 4
"""A window with fewer readings says too little of what lies between them: work that began and ended
between two of them would be read as idle."""

SLOWEST_NS = 200_000_000
"""No board was seen to bring its power up to date more rarely; readings that change more rarely are
of a power that stands still."""

LEAST_HOLD_NS = 1_000_000_000
"""A value told for less than this may be steady power; for longer, a sensor that tells mW is never
quite steady."""

_AMPERE, _ADA = 7, 8
_NONE_KNOWN = 100
"""NVML's number for a board that it does not know itself is 2³² - 1."""


class Integrated(NamedTuple):
    """``sampling_j``: standard uncertainty from the edges, the coarseness and the gaps."""

    energy_j: float
    sampling_j: float
    quantity: str
    stopped: bool
    """The sensor told one value for so long that it may have stopped."""


class Comparison(NamedTuple):
    """``ratio``: energy by the counter ÷ by integrated power, 1 where they agree."""

    ratio: float
    quantity: str
    tolerance: float
    """Relative; what boards of this kind that measure well may differ by."""

    @property
    def differs(self) -> bool:
        return abs(self.ratio - 1) > self.tolerance

    @property
    def disagrees(self) -> bool:
        """By more than a factor of two: another unit or another device. Below that it may be the
        sensor's part-time sampling, which makes good boards differ by tens of per cent."""
        return not 0.5 < self.ratio < 2


def read_as(samples: Sequence[Sample]) -> list[str]:
    """The quantities by which this device's power was read, the one averaged over 1 s first."""
    there = series.remembered(samples, ("quantities",), lambda: {s.quantity for s in samples})
    return [q for q in QUANTITIES if q in there]


def gap_flags(samples: Sequence[Sample], start_ns: int, end_ns: int) -> list[str]:
    """``sampler_gap`` where power was not read for more than three periods in the window."""
    for quantity in read_as(samples):
        return series.gap_flags(samples, quantity, start_ns, end_ns)
    return []


def integrate(samples: Sequence[Sample], start_ns: int, end_ns: int) -> Integrated | None:
    """Energy in J by the trapezoid rule, with the power at both edges interpolated.

    Readings that repeat the one before count: a sensor that is read oftener than it is brought up
    to date holds its value meanwhile, and power may truly be constant. Of several ways in which the
    board tells its power the one with the smallest uncertainty is taken. None where no readings
    reach both edges, they leave too much of the window out, or it is :func:`too_short` for them.
    """
    found = [
        one
        for quantity in read_as(samples)
        if end_ns - start_ns >= _least_ns(samples, quantity)
        and (one := _integrate(samples, quantity, start_ns, end_ns)) is not None
    ]
    return min(found, key=lambda one: (one.stopped, one.sampling_j), default=None)


def too_short(samples: Sequence[Sample], start_ns: int, end_ns: int) -> bool:
    """Whether the window is shorter than four updates of every power that was read, or than what
    that averages over."""
    read = [q for q in read_as(samples) if len(series.of(samples, q)) > 1]
    return bool(read) and all(end_ns - start_ns < _least_ns(samples, q) for q in read)


def _least_ns(samples: Sequence[Sample], quantity: str) -> int:
    power = [(s.t_ns, s.value) for s in series.of(samples, quantity)]
    polled_ns = series.period_ns([t for t, _ in power]) or 0
    updated_ns = min(update_period_ns(power) or polled_ns, SLOWEST_NS)
    least_ns = LEAST_UPDATES * max(polled_ns, updated_ns)
    # Of work shorter than its window, an average shows less than half of what it drew.
    averaged = _averaged(quantity, architecture(samples))
    return max(least_ns, AVERAGED_NS) if averaged else least_ns


def unrest_w(samples: Sequence[Sample], t_ns: int, usual_w: float) -> float:
    """By how much power varies about a moment, W: highest less lowest reading within a second.

    ``usual_w``: mean power by the counter. Readings in step with bursts all show one level; their
    mean is then another, and the bursts' other level lies at least as far on its other side. Where
    only averages are read, or nothing, bursts go unseen: ``usual_w``.
    """
    generation = architecture(samples)
    found = []
    for quantity in read_as(samples):
        if not _averaged(quantity, generation):
            power = [(s.t_ns, s.value / 1e3) for s in series.of(samples, quantity)]
            near = [w for t, w in power if abs(t - t_ns) <= AVERAGED_NS]
            if len(near) >= LEAST_UPDATES:
                beside_w = abs(math.fsum(near) / len(near) - usual_w)
                found.append(max(max(near) - min(near), 2 * beside_w))
    return max(found, default=usual_w)


def unseen_j(
    samples: Sequence[Sample], start_ns: int, end_ns: int, tick_ns: int, edges: int = 0
) -> float:
    """What a counter misses in a window if it looks at power only for a part of each tick, J (k =
    1): √(duration × tick) × how much present power scatters from one update to the next (von
    Neumann's mean square successive difference), as if each tick saw one moment.

    ``edges``: so many rises and as many falls are those of the work itself, between rest. What
    power scatters by at rest is the sensor's own noise, which no counter misses.

    0 for boards older than Ampere, on which no such sensor was found (arXiv 2312.02741), and where
    power is only read as an average. Whether newer boards' counters look all the time is not known;
    a load in step with the counter would be seen by nothing.
    """
    generation = architecture(samples)
    if generation is not None and generation < _AMPERE:
        return 0.0
    found = []
    for quantity in read_as(samples):
        if _averaged(quantity, generation):
            continue
        power = [(s.t_ns, s.value / 1e3) for s in series.of(samples, quantity)]
        updated_ns = update_period_ns(power) or 1
        within = [p for p in power if start_ns <= p[0] <= end_ns]
        beyond = [p for p in power if not start_ns <= p[0] <= end_ns] if edges else []
        square = _scatter_w2(within, updated_ns, 2 * edges)
        # Noise is known from few readings: twice of it may be noise.
        square = max(0.0, square - 2 * _scatter_w2(beyond, updated_ns, 2 * edges))
        found.append(math.sqrt(square * (end_ns - start_ns) / 1e9 * tick_ns / 1e9))
    return max(found, default=0.0)


def _scatter_w2(power: Sequence[tuple[int, float]], updated_ns: int, but: int) -> float:
    """Mean square of half the change from one update to the next, without the ``but`` largest.
    Readings that repeat an update are none of their own."""
    squares = sorted((b[1] - a[1]) ** 2 for a, b in pairwise(power))[: -but or None]
    if not squares:
        return 0.0
    updates = (power[-1][0] - power[0][0]) / updated_ns - but
    return math.fsum(squares) / 2 / max(1.0, min(len(squares), updates))


def compare(
    samples: Sequence[Sample], counter_j: float, start_ns: int, end_ns: int
) -> Comparison | None:
    """Energy by the counter beside integrated power. None where the window is shorter than 10 s,
    power was not read throughout, or there was none."""
    if end_ns - start_ns < LEAST_WINDOW_NS:
        return None
    found = integrate(samples, start_ns, end_ns)
    if found is None or found.energy_j <= 0:
        return None
    spread = 2 * found.sampling_j / found.energy_j
    tolerance = tolerance_of(found.quantity, architecture(samples)) + spread
    return Comparison(counter_j / found.energy_j, found.quantity, tolerance)


def tolerance_of(quantity: str, generation: int | None) -> float:
    """How far the counter and this kind of power may differ on a good board, relative.

    Averaged power has seen the whole time: 5 %, what arXiv 2312.02741 was still off by with its own
    procedure (4.9 %). Present power of boards that sample part of the time (A100, H100; newer
    ones and unknown ones are taken to): 40 %, as naive polling was off by 39 %. Present power of
    older boards: 10 %, twice the first.
    """
    averaged = _averaged(quantity, generation)
    if averaged:
        return 0.05
    if averaged is None or generation is None or generation >= _AMPERE:
        return 0.4
    return 0.1


def architecture(samples: Sequence[Sample]) -> int | None:
    """NVML's number of the board's generation (5 Volta … 7 Ampere, 9 Hopper); None if not told."""
    for s in samples:
        if s.quantity == "architecture":
            return int(s.value) if s.value < _NONE_KNOWN else None
    return None


def _averaged(quantity: str, generation: int | None) -> bool | None:
    """Whether this power is the mean of the last second; None where that cannot be told."""
    if quantity != "power_mw":
        return quantity == "power_average_mw"
    if generation is None or generation == _AMPERE:
        return None  # GA100 and the other Ampere boards have one number
    return generation >= _ADA


def _integrate(
    samples: Sequence[Sample], quantity: str, start_ns: int, end_ns: int
) -> Integrated | None:
    power = [(s.t_ns, s.value / 1e3) for s in series.of(samples, quantity)]
    polled_ns = series.period_ns([t for t, _ in power])
    if polled_ns is None:
        return None
    updated_ns = update_period_ns(power) or polled_ns
    averaged = _averaged(quantity, architecture(samples))
    held_ns = updated_ns if updated_ns > 3 * polled_ns // 2 else 0
    late_ns = ((AVERAGED_NS if averaged else 0) + held_ns) // 2
    shifted = [(t - late_ns, watts) for t, watts in power]
    reach_ns = 2 * max(polled_ns, held_ns)
    found = series.integrate(shifted, start_ns, end_ns, reach_ns)
    if found is None and late_ns:
        # Not read for long enough after the end: as it was read, and less certain.
        averaged = None if averaged else averaged
        shifted = power
        found = series.integrate(power, start_ns, end_ns, reach_ns)
    if found is None:
        return None
    # Changes that are rarer than any board's updates are of a power that stands still.
    lost_ns = max(series.GAP_PERIODS * polled_ns, min(updated_ns, SLOWEST_NS))
    unseen_ns = _unseen_ns([t for t, _ in shifted], lost_ns, start_ns, end_ns)
    if unseen_ns > MOST_UNSEEN * (end_ns - start_ns):
        return None
    near_ns = (0 if averaged is False else AVERAGED_NS) + updated_ns + polled_ns
    first, last = (_range_w(shifted, t - near_ns, t + near_ns) for t in (start_ns, end_ns))
    # When within two readings power changed, at each edge by itself (rectangular).
    placed = math.hypot(first, last) * (updated_ns + polled_ns) / 2e9 / math.sqrt(3)
    smeared = 0.0
    if averaged:
        # A step of power at an edge, averaged over w: w/8 of it lies on the edge's other side.
        smeared = (first + last) * AVERAGED_NS / 8e9
    elif averaged is None:
        smeared = (first + last) * AVERAGED_NS / 2e9
    stride = 2 * max(1, round(updated_ns / polled_ns))
    coarse = series.integrate(shifted[::stride], start_ns, end_ns, stride * reach_ns)
    coarseness = found[1] if coarse is None else abs(found[0] - coarse[0])
    inside = _range_w(shifted, start_ns, end_ns)
    unseen = unseen_ns / 1e9 * inside / 2 / math.sqrt(3)
    sampling_j = math.sqrt(placed**2 + smeared**2 + coarseness**2 + unseen**2)
    held_ns = series.held_ns(power, start_ns, end_ns, updated_ns, LEAST_HOLD_NS)
    stopped = held_ns > series.MOST_HELD * (end_ns - start_ns)
    return Integrated(found[0], sampling_j, quantity, stopped)


def update_period_ns(power: Sequence[tuple[int, float]]) -> int | None:
    """How often a sensor's reading changes; None for fewer than three changes (then power may have
    been constant)."""
    changed = [b[0] for a, b in pairwise(power) if b[1] != a[1]]
    gaps = [b - a for a, b in pairwise(changed)]
    return int(median(gaps)) if len(gaps) > 1 else None


def _unseen_ns(times_ns: Sequence[int], lost_ns: int, start_ns: int, end_ns: int) -> int:
    """How much of a window lies in gaps longer than ``lost_ns``. Within one update of the sensor
    nothing is lost, however densely it was read elsewhere."""
    return sum(
        min(b, end_ns) - max(a, start_ns)
        for a, b in pairwise(times_ns)
        if b - a > lost_ns and b > start_ns and a < end_ns
    )


def _range_w(power: Sequence[tuple[int, float]], from_ns: int, to_ns: int) -> float:
    """Highest less lowest power between two moments, W."""
    inside = [watts for t, watts in power if from_ns <= t <= to_ns]
    return max(inside) - min(inside) if inside else 0.0
