"""How much a counter moved between two moments, and how uncertain that is.

A counter is seen at points: "at some moment within ± ``half_ns`` of ``t_ns`` it stood at
``value``". Between two points it is taken to rise evenly. Standard uncertainties (k = 1), as
rectangular distributions (GUM 4.3.7, half-width ÷ √3), have two parts at each edge:

- *tick*: when a point happened: slope × half-width in time;
- *sampling*: how it rose between the points: the spread of the slopes around the edge (or what else
  is known of how much power varies there) × the distance to the nearer point, the most that one
  step of power in between can cost.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lem.contract.record import EnergyReading, MeterInfo

_STEADY = 0.02
"""The least relative spread of the slopes that is assumed, however even they look."""


class Point(NamedTuple):
    t_ns: int
    half_ns: int
    value: float
    """In the unit of the result: J for energy, s for CPU time."""


class Amount(NamedTuple):
    """How much a counter moved; the other fields are standard uncertainties."""

    amount: float
    tick: float
    sampling: float
    idle: float = 0.0
    """Isolated work: what the device drew between the edges and the nearest ticks."""

    @property
    def uncertainty(self) -> float:
        return math.hypot(self.tick, self.sampling, self.idle)


def falls(points: Sequence[Point], start_ns: int, end_ns: int) -> bool:
    """Whether the counter went back between two points of which one is in the window, or that
    have the window between them."""
    return any(
        b.value < a.value and b.t_ns + b.half_ns >= start_ns and a.t_ns - a.half_ns <= end_ns
        for a, b in pairwise(points)
    )


def steepest(points: Sequence[Point], start_ns: int, end_ns: int) -> float:
    """The highest slope (unit per second) that the points around the window force: change ÷ the
    longest time in which it can have happened."""
    return max(
        (
            (b.value - a.value) * 1e9 / max(1, b.t_ns + b.half_ns - a.t_ns + a.half_ns)
            for a, b in pairwise(points)
            if b.t_ns >= start_ns and a.t_ns <= end_ns
        ),
        default=0.0,
    )


def between(
    points: Sequence[Point],
    start_ns: int,
    end_ns: int,
    reach_ns: int,
    unrest: tuple[float, float] = (0.0, 0.0),
) -> Amount | None:
    """Change of the counter from ``start_ns`` to ``end_ns``. ``unrest``: by how much (unit per
    second) power is known to vary about either edge, which slopes between points may not show.

    Up to ``reach_ns`` before the first or after the last point the nearest slope is carried on;
    None where the points reach less far or are fewer than two.
    """
    if end_ns < start_ns or len(points) < 2:
        return None
    start = _at(points, start_ns, reach_ns, unrest[0])
    end = _at(points, end_ns, reach_ns, unrest[1])
    if start is None or end is None:
        return None
    return Amount(
        max(0.0, end.amount - start.amount),
        math.hypot(start.tick, end.tick),
        math.hypot(start.sampling, end.sampling),
    )


def _at(points: Sequence[Point], t_ns: int, reach_ns: int, unrest: float) -> Amount | None:
    """The counter's value at one moment."""
    i = bisect_right(points, t_ns, key=lambda p: p.t_ns) - 1
    outside_ns = max(points[0].t_ns - t_ns, t_ns - points[-1].t_ns, 0)
    if outside_ns > reach_ns:
        return None
    i = min(max(i, 0), len(points) - 2)
    a, b = points[i], points[i + 1]
    slopes = [
        _slope(points[k], points[k + 1])
        for k in (i - 1, i, i + 1)
        if k >= 0 and k + 1 < len(points)
    ]
    slope = _slope(a, b)
    share = (t_ns - a.t_ns) / max(1, b.t_ns - a.t_ns)
    steep = max(slopes)
    spread = max(steep - min(slopes), _STEADY * steep, unrest)
    inside = min(1.0, max(0.0, share))
    tick_s = math.hypot((1 - inside) * a.half_ns, inside * b.half_ns) / 1e9
    nearest_s = min(abs(t_ns - a.t_ns), abs(b.t_ns - t_ns)) / 1e9
    if outside_ns:
        # Nothing was seen beyond the last point: power may have fallen to nothing or doubled.
        spread = max(spread, steep)
    return Amount(
        a.value + slope * (t_ns - a.t_ns) / 1e9,
        steep * tick_s / math.sqrt(3),
        spread * nearest_s / math.sqrt(3),
    )


def _slope(a: Point, b: Point) -> float:
    return (b.value - a.value) * 1e9 / max(1, b.t_ns - a.t_ns)


def unwrap(points: Sequence[Point], span: float) -> list[Point]:
    """The same points of a counter that begins anew at ``span``, going on instead."""
    turned: list[Point] = []
    laps = 0
    for i, p in enumerate(points):
        if i and p.value < points[i - 1].value:
            laps += 1
        turned.append(p._replace(value=p.value + laps * span))
    return turned


def reading(
    info: MeterInfo, energy_j: float, budget_j: dict[str, float], flags: Sequence[str]
) -> EnergyReading:
    """A reading whose expanded uncertainty is twice the root sum of squares of its budget."""
    from lem.contract.record import EnergyReading

    return EnergyReading(
        meter=info.meter,
        device=info.device,
        device_class=info.device_class,
        energy_j=energy_j,
        uncertainty_j=2 * math.sqrt(sum(u * u for u in budget_j.values())),
        budget_j=budget_j,
        flags=sorted(set(flags)),
    )


def untrusted(info: MeterInfo, flags: Sequence[str]) -> EnergyReading:
    """No figure; ``flags`` say why."""
    from lem.contract.record import EnergyReading

    return EnergyReading(
        meter=info.meter,
        device=info.device,
        device_class=info.device_class,
        energy_j=None,
        uncertainty_j=None,
        flags=sorted(set(flags)),
    )
