"""What there is to choose from."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from lem.contract.base import Scalar

DIGITS = 6
"""Drawn fractions are rounded to so many, so that no processor's last bit makes another point."""


@dataclass(frozen=True)
class Choice:
    """One of these values."""

    values: tuple[Scalar, ...]

    def at(self, u: float) -> Scalar:
        """The value at ``u``, 0 ≤ u < 1."""
        return self.values[min(int(u * len(self.values)), len(self.values) - 1)]

    def holds(self, value: Scalar) -> bool:
        return any(
            v == value and isinstance(v, bool) is isinstance(value, bool) for v in self.values
        )


@dataclass(frozen=True)
class Span:
    """Any value from ``low`` to ``high``; ``whole``: any whole number; ``log``: each ratio is as
    likely as any other."""

    low: float
    high: float
    whole: bool = False
    log: bool = False

    def at(self, u: float) -> Scalar:
        """The value at ``u``, 0 ≤ u < 1."""
        # Every whole number has a stretch of its own, the outer ones too.
        margin = 0.5 if self.whole else 0.0
        low, high = self.low - margin, self.high + margin
        if self.log:
            value = math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
        else:
            value = low + u * (high - low)
        return self.nearest(value)

    def nearest(self, value: float) -> Scalar:
        """The value that a point near here has."""
        rounded = math.floor(value + 0.5) if self.whole else float(f"{value:.{DIGITS}g}")
        kept = min(max(rounded, self.low), self.high)
        return int(kept) if self.whole else float(kept)

    def holds(self, value: Scalar) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        return self.low <= value <= self.high and (not self.whole or value == int(value))


Dimension = Choice | Span


class Point(NamedTuple):
    model: int
    """Index into the models."""
    backend: str
    values: Mapping[str, Scalar]
    """Axis → value, of the axes that hold for this backend."""


@dataclass(frozen=True)
class Space:
    """Models × backends × the axes that each backend has."""

    models: int
    backends: Mapping[str, Mapping[str, Dimension]]

    def holds(self, point: Point) -> bool:
        """Whether ``point`` is in the space."""
        axes = self.backends.get(point.backend)
        return (
            axes is not None
            and 0 <= point.model < self.models
            and axes.keys() == point.values.keys()
            and all(axes[name].holds(value) for name, value in point.values.items())
        )
