"""How power may fade after work, as the energy that it leaves: what :mod:`lem.meters.energy.edge`
fits to ticks. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

Column = tuple[Callable[[float], float], float]
"""Energy at a distance from the edge of a part of a tail of 1 W, and how large its factor may be
(prior standard deviation, in units of the largest tail)."""
Shape = tuple[Column, ...]
"""A tail and its change with the logarithm of its length; or two tails; or none."""

_DECAYS_S = (0.05, 0.07, 0.1, 0.135, 0.18, 0.24, 0.32, 0.43, 0.57, 0.76, 1.0, 1.4)
_TWO_DECAYS_S = ((0.1, 0.4), (0.1, 1.0), (0.2, 0.7), (0.2, 1.4), (0.4, 1.4))
"""Power that fades in two ways at once, such as a board's and its converters'."""
_RAMPS_S = tuple(0.1 * 1.2**k for k in range(17))
"""A ramp's end is a kink, so these stand closer."""
_BETWEEN = 0.1
"""Standard deviation, of the logarithm, of a tail's length about the nearest of these."""
_SLOWEST_UNSEEN_S = 0.1
"""Tails shorter than this were not seen on any board; they are taken to be less likely the shorter
they are."""

DRIFT = 0.02
"""Prior standard deviation of idle power's drift, relative per second."""

IDLE: tuple[Callable[[float], float], ...] = (
    lambda x: 1.0,
    lambda x: x,
    lambda x: x * x / 2,
)
"""What the counter stood at at the edge, idle power, its drift: energy at a distance from it."""


def _decay(tau: float) -> Shape:
    return (
        (lambda x: tau * -math.expm1(-x / tau), 1.0),
        (lambda x: tau * -math.expm1(-x / tau) - x * math.exp(-x / tau), _BETWEEN),
    )


def _ramp(length: float) -> Shape:
    return (
        (lambda x: length / 2 if x >= length else x - x * x / (2 * length), 1.0),
        (lambda x: length / 2 if x >= length else x * x / (2 * length), _BETWEEN),
    )


def _shapes() -> Iterator[tuple[Shape, float, float]]:
    yield (), 0.5, DRIFT / 10
    yield (), 0.15, 5 * DRIFT
    for lengths, make, odds in ((_DECAYS_S, _decay, 0.25), (_RAMPS_S, _ramp, 0.1)):
        likely = [min(1.0, (s / _SLOWEST_UNSEEN_S) ** 3) for s in lengths]
        for length, weight in zip(lengths, likely, strict=True):
            yield make(length), odds * weight / sum(likely), DRIFT
    for short, long in _TWO_DECAYS_S:
        both = ((_decay(short)[0][0], 1.0), (_decay(long)[0][0], 1.0))
        yield both, 0.05 / len(_TWO_DECAYS_S), DRIFT


SHAPES = tuple(_shapes())
"""Shape of the tail's energy, how likely it is beforehand, standard deviation of
idle power's drift (relative per second)."""
