"""Power over time whose energy is known in closed form. The standard library alone."""

import math
from collections.abc import Sequence

NEVER = 1e18

Segments = Sequence[Sequence[float]]
"""(until s, from W, to W) is a straight line; (until s, from W, to W, tau s) goes exponentially
from the one towards the other. The first begins at 0."""


def energy_until(segments: Segments, t_s: float) -> float:
    """Energy in J from 0 to ``t_s``. Before 0 the first segment's power holds, after the end the
    last one's."""
    if t_s < 0:
        return segments[0][1] * t_s
    start, total = 0.0, 0.0
    for until, a, b, *tau in segments:
        part = min(t_s, until) - start
        if tau and tau[0] > 0:
            total += b * part + (a - b) * tau[0] * -math.expm1(-part / tau[0])
        else:
            slope = (b - a) / (until - start) if until < NEVER else 0.0
            total += a * part + slope * part * part / 2
        if t_s <= until:
            return total
        start = until
    return total + segments[-1][2] * (t_s - start)


def bursts(
    low_w: float, high_w: float, period_s: float, duty: float, length_s: float
) -> list[tuple[float, ...]]:
    """A square wave, as a served model draws: high for ``duty`` of each period."""
    segments: list[tuple[float, ...]] = []
    for i in range(math.ceil(length_s / period_s)):
        segments.append(((i + duty) * period_s, high_w, high_w))
        segments.append(((i + 1) * period_s, low_w, low_w))
    return segments


def step(
    start_s: float, end_s: float, idle_w: float, work_w: float, tail_w: float = 0, tau_s: float = 0
) -> list[tuple[float, ...]]:
    """Idle, a piece of work, idle again; where ``tau_s`` is given the power falls after the work
    to ``idle_w`` + ``tail_w`` at once, and the rest with that time constant."""
    before = [(start_s, idle_w, idle_w), (end_s, work_w, work_w)]
    if tau_s > 0:
        return [*before, (NEVER, idle_w + tail_w, idle_w, tau_s)]
    return [*before, (NEVER, idle_w, idle_w)]
