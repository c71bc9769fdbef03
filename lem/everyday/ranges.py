"""A low and a high end, and the arithmetic of them (interval arithmetic on positive numbers)."""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """From ``low`` to ``high``, both finite and not negative. What they mean, its maker says.

    Raises :class:`ValueError` where they are not such.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high)):
            raise ValueError("an end of a range is no finite number")
        if not 0 <= self.low <= self.high:
            raise ValueError(f"{self.low} to {self.high} is no range from a low end to a high one")

    def __mul__(self, other: "Range | float") -> "Range":
        by = other if isinstance(other, Range) else Range(other, other)
        return Range(self.low * by.low, self.high * by.high)

    def __truediv__(self, other: "Range") -> "Range":
        """Raises :class:`ZeroDivisionError` where ``other`` reaches zero."""
        return Range(self.low / other.high, self.high / other.low)

    def outward(self, digits: int = 2) -> "Range":
        """With so many significant digits, the low end rounded down and the high end up, so that
        nothing of the range is lost in being written."""
        return Range(_rounded(self.low, digits, math.floor), _rounded(self.high, digits, math.ceil))


def between(value: float, expanded: float) -> Range:
    """``value`` ± ``expanded``. Energy is never negative: where U is larger than the value, the low
    end is zero."""
    return Range(max(0.0, value - expanded), value + expanded)


def _rounded(value: float, digits: int, towards: Callable[[float], int]) -> float:
    if value == 0:
        return 0.0
    place = digits - 1 - math.floor(math.log10(value))
    scale = 10.0 ** abs(place)
    shifted = value * scale if place >= 0 else value / scale
    nearest = round(shifted)
    # 0.29 × 100 is 28.999…96: what differs in the last bits only is that number already.
    whole = nearest if math.isclose(shifted, nearest, rel_tol=1e-12) else towards(shifted)
    return whole / scale if place >= 0 else float(whole * scale)
