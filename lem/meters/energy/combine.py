"""The uncertainty of a sum of readings (JCGM 100:2008, GUM, 5.2). Pure.

Parts of their budgets that have one cause add up with their signs; parts that are chance (ticks,
idle, sampling) add in squares.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from lem.contract.record import EnergyReading

PER_BOARD = ("gain", "offset")
"""Parts that are the same whenever one device is read, so that they cancel in differences. How the
errors of a machine's devices, which are of one make, go together is not known; so over devices of
one meter they add up as if one cause had them all: more than that there cannot be."""
SHARED = ("model",)
"""Parts that all devices of a meter share. In a difference they may not cancel (what polling misses
depends on the load), so opposite signs add in squares: an upper bound."""
UNSTATED = "unstated"
"""A reading without a budget: its uncertainty counts as of one cause with all of its meter's."""


class Term(NamedTuple):
    """A reading and what it is multiplied by in a sum."""

    factor: float
    reading: EnergyReading


def expanded_j(terms: Iterable[Term]) -> float | None:
    """Expanded (k = 2), in J. None where a reading does not state its uncertainty: unknown is not
    zero."""
    causes: dict[tuple[str, str], dict[str, float]] = defaultdict(lambda: defaultdict(float))
    square = 0.0
    for factor, r in terms:
        if r.uncertainty_j is None:
            return None
        for name, u in (r.budget_j or {UNSTATED: r.uncertainty_j / 2}).items():
            if name in PER_BOARD:
                causes[r.meter, name][r.device] += factor * u
            elif name in (*SHARED, UNSTATED):
                causes[r.meter, f"{name} {'+' if factor >= 0 else '-'}"][""] += factor * u
            else:
                square += (factor * u) ** 2
    sums = (sum(abs(u) for u in of_device.values()) for of_device in causes.values())
    return 2 * math.sqrt(square + sum(u * u for u in sums))
