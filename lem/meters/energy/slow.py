"""Energy from counters and power readings of sensors that move a few times a second, or less. Pure.

Their time base is coarse: at a window's edge the value may be as old as one update, and what the
device drew since then is not in it yet. A constant delay costs only where power changes at an edge,
so the parts of the budget (standard uncertainties; rectangular distributions, GUM 4.3.7) are:

- counter: each change is a point in time, somewhere between the reading before it and the one that
  showed it, and up to ``lag_s`` earlier; the rest is :mod:`lem.meters.energy.counter`;
- power: ``tick`` is how much power varied around each edge × one update ÷ √3; ``sampling`` is the
  scatter from one update to the next × √(duration × update), the standard error of a mean of that
  many readings taken as independent. How long an update takes is what the meter says or what the
  trace shows (:func:`update_ns_of`), whichever is longer: a web page or a controller may be brought
  up to date far more rarely than it is asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from lem.meters.energy import counter, series
from lem.meters.energy.counter import Point
from lem.meters.protocol import Sample

if TYPE_CHECKING:
    from lem.contract.record import EnergyReading, MeterInfo

MOST_POWER_W = 1e6
"""More than a node draws."""

MOST_UNSEEN = 0.2
"""A window of which a larger part was not read has no integrated energy."""

LEAST_UPDATES = 4
"""A shorter window has no energy integrated from power: with fewer readings their scatter says too
little of what lies between them (truth inside U of 1,500 played square waves: 93 % at three
updates, 96 % at four). What is left is load in step with the updates, which nothing can show."""

STILL_NS = 500_000_000

LEAST_CHANGES = 4
"""With fewer changes in a trace it is not known how often the sensor is brought up to date."""


def from_counter(
    info: MeterInfo,
    samples: Sequence[Sample],
    scale: float,
    start_ns: int,
    end_ns: int,
    *,
    gain: float | None,
    quantum_j: float = 0.0,
    lag_s: float = 0.0,
    most_w: float = MOST_POWER_W,
    flags: Sequence[str] = (),
) -> EnergyReading:
    """From a counter that moves in steps. ``scale`` turns ``info.quantity``'s unit into J;
    ``quantum_j`` is the counter's resolution; ``gain`` a relative standard uncertainty, None where
    nobody states one: then the reading states none either."""
    quantity = info.quantity
    if series.within(samples, "read_error", start_ns, end_ns):
        return counter.untrusted(info, [*flags, "meter_lost"])
    flags = [*flags, *series.gap_flags(samples, quantity, start_ns, end_ns)]
    points = delayed(series.tick_points(samples, quantity, scale), lag_s)
    if counter.falls(points, start_ns, end_ns):
        return counter.untrusted(info, [*flags, "counter_backwards"])
    ticks_ns = [b.t_ns - a.t_ns for a, b in pairwise(points)]
    nominal_ns = int((info.update_period_s or 0.1) * 1e9)
    tick_ns = max(int(series.median(ticks_ns)) if len(ticks_ns) > 2 else 0, nominal_ns)
    still_ns, reads = series.longest_still_ns(samples, quantity, start_ns, end_ns)
    if reads >= 5 and still_ns > max(STILL_NS, 5 * tick_ns):
        return counter.untrusted(info, [*flags, "counter_frozen"])
    if counter.steepest(points, start_ns, end_ns) > most_w:
        return counter.untrusted(info, [*flags, "counter_implausible"])
    moved = counter.between(points, start_ns, end_ns, reach_ns=3 * tick_ns // 2)
    if moved is None:
        return counter.untrusted(info, [*flags, "no_coverage"])
    budget = {
        # The last digit at both edges, each a rectangle one quantum wide.
        "tick": math.hypot(moved.tick, quantum_j / math.sqrt(6)),
        "sampling": moved.sampling,
        "offset": 0.0,
    }
    return _reading(info, moved.amount, budget, gain, flags)


def delayed(points: Sequence[Point], lag_s: float) -> list[Point]:
    """The same points of a counter that shows what was up to ``lag_s`` ago."""
    half_ns = int(lag_s * 1e9) // 2
    return [Point(p.t_ns - half_ns, p.half_ns + half_ns, p.value) for p in points]


def from_power(
    info: MeterInfo,
    samples: Sequence[Sample],
    scale: float,
    start_ns: int,
    end_ns: int,
    *,
    gain: float | None,
    lossy: bool = False,
    flags: Sequence[str] = (),
) -> EnergyReading:
    """Power integrated by the trapezoid rule. ``scale`` turns ``info.quantity``'s unit into W;
    with ``lossy`` a reading that failed is a gap, else the meter is lost.

    Readings that repeat the one before count: the sensor holds its value between two updates.
    """
    flags = [*flags, "power_integrated"]
    errors = series.within(samples, "read_error", start_ns, end_ns)
    power = [(s.t_ns, s.value * scale) for s in series.of(samples, info.quantity)]
    if errors and not lossy:
        return counter.untrusted(info, [*flags, "meter_lost"])
    if len(power) < 2:
        return counter.untrusted(info, [*flags, "meter_lost" if errors else "no_coverage"])
    flags += series.gap_flags(samples, info.quantity, start_ns, end_ns)
    usual_ns = series.period_ns([t for t, _ in power]) or 0
    seen_ns = update_ns_of(power, usual_ns)
    if len({w for _, w in power}) == 1:
        # Steady power and a sensor that has stopped look alike.
        flags, seen_ns = [*flags, "never_changed"], 0
    update_ns = max(usual_ns, seen_ns or 0, int((info.update_period_s or 0.0) * 1e9))
    gaps_ns = unread_ns([t for t, _ in power], start_ns, end_ns, series.GAP_PERIODS * usual_ns)
    found = series.integrate(power, start_ns, end_ns, reach_ns=max(2 * usual_ns, update_ns))
    if found is not None and (seen_ns is None or end_ns - start_ns < LEAST_UPDATES * update_ns):
        return counter.untrusted(info, [*flags, "too_few_updates"])
    if found is None or gaps_ns > MOST_UNSEEN * (end_ns - start_ns):
        return counter.untrusted(info, [*flags, "no_coverage"])
    if max(w for t, w in power if start_ns - update_ns <= t <= end_ns + update_ns) > MOST_POWER_W:
        return counter.untrusted(info, [*flags, "counter_implausible"])
    held_ns = series.held_ns(power, start_ns, end_ns, update_ns)
    if held_ns > series.MOST_HELD * (end_ns - start_ns) and "never_changed" not in flags:
        flags = [*flags, "never_changed"]
    watts = [w for _, w in power]
    energy_j, _ = found
    update_s, duration_s = update_ns / 1e9, (end_ns - start_ns) / 1e9
    inside = [p for p in power if start_ns - update_ns <= p[0] <= end_ns + update_ns]
    edges_w = [_spread(inside, t_ns, 2 * update_ns) for t_ns in (start_ns, end_ns)]
    budget = {
        "tick": math.hypot(*edges_w) * update_s / math.sqrt(3),
        "sampling": math.hypot(
            _scatter(inside, update_ns) * math.sqrt(duration_s * update_s),
            _spread(inside, (start_ns + end_ns) // 2, end_ns - start_ns)
            * gaps_ns
            / 1e9
            / math.sqrt(3),
            # A sensor that had stopped may have missed anything that the trace knows.
            (max(watts) - min(watts)) * held_ns / 1e9 / math.sqrt(12),
        ),
        "offset": 0.0,
    }
    return _reading(info, energy_j, budget, gain, flags)


def update_ns_of(power: Sequence[tuple[int, float]], polled_ns: int) -> int | None:
    """How long a sensor takes from one update to the next at least, from when its readings changed:
    the lower quartile, since updates that change nothing are not seen, less what reading it now and
    then (every ``polled_ns``) may add. None for fewer than four changes."""
    changed_ns = [b[0] for a, b in pairwise(power) if b[1] != a[1]]
    if len(changed_ns) < LEAST_CHANGES:
        return None
    gaps_ns = sorted(b - a for a, b in pairwise(changed_ns))
    return max(0, gaps_ns[len(gaps_ns) // 4] - polled_ns)


def unread_ns(times_ns: Sequence[int], start_ns: int, end_ns: int, longest_ns: int) -> int:
    """How much of the window lies between readings further apart than ``longest_ns``."""
    return sum(
        max(0, min(b, end_ns) - max(a, start_ns))
        for a, b in pairwise(times_ns)
        if b - a > longest_ns > 0
    )


def _reading(
    info: MeterInfo,
    energy_j: float,
    budget_j: dict[str, float],
    gain: float | None,
    flags: Sequence[str],
) -> EnergyReading:
    if gain is not None:
        return counter.reading(info, energy_j, {**budget_j, "gain": gain * energy_j}, flags)
    stated = counter.reading(info, energy_j, budget_j, [*flags, "uncertainty_unstated"])
    return stated.model_copy(update={"uncertainty_j": None})


def _spread(power: Sequence[tuple[int, float]], t_ns: int, reach_ns: int) -> float:
    near = [w for t, w in power if abs(t - t_ns) <= reach_ns]
    return max(near) - min(near) if near else 0.0


def _scatter(power: Sequence[tuple[int, float]], update_ns: int) -> float:
    """Standard deviation from one update to the next: differences, so that a slow change is no
    scatter (von Neumann 1941)."""
    values: list[float] = []
    next_ns = 0
    for t_ns, watts in power:
        if t_ns >= next_ns:
            values.append(watts)
            next_ns = t_ns + update_ns
    squares = [(b - a) ** 2 for a, b in pairwise(values)]
    return math.sqrt(sum(squares) / (2 * len(squares))) if squares else 0.0
