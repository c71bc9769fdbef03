"""Sweeps by bounds → their values, the same on every machine."""

import math
from fractions import Fraction

from lem.config.schema import Range

Number = int | float


def values(bounds: Range) -> list[Number]:
    """From ``low`` to ``high``, rising, without duplicates.

    Whole numbers where both bounds (and the step) are whole. ``linear``: ``num`` values evenly
    spaced, or every ``step`` from ``low`` on. ``log``: ``num`` values with a constant ratio, to six
    digits so that no processor's last bit changes an experiment's id. ``log2``: every power of two
    within the bounds.
    """
    whole = isinstance(bounds.low, int) and isinstance(bounds.high, int)
    if bounds.scale == "log2":
        found = _powers_of_two(bounds)
    elif bounds.scale == "log":
        found = _geometric(bounds, bounds.num or 1, whole)
    elif bounds.step is not None:
        found = _stepped(bounds, bounds.step, whole)
    else:
        found = _even(bounds, bounds.num or 1, whole)
    return list(dict.fromkeys(found))


def _exact(number: Number) -> Fraction:
    """0.1 as one tenth, not as the nearest binary fraction."""
    return Fraction(repr(number))


def _number(value: Fraction, whole: bool) -> Number:
    # Halves go up (not to even), as most people round.
    return math.floor(value + Fraction(1, 2)) if whole else float(value)


def _even(bounds: Range, num: int, whole: bool) -> list[Number]:
    low, high = _exact(bounds.low), _exact(bounds.high)
    if num == 1:
        return [_number(low, whole)]
    return [_number(low + (high - low) * i / (num - 1), whole) for i in range(num)]


def _stepped(bounds: Range, step: Number, whole: bool) -> list[Number]:
    low, high, by = _exact(bounds.low), _exact(bounds.high), _exact(step)
    steps = math.floor((high - low) / by)
    return [_number(low + by * i, whole and by.denominator == 1) for i in range(steps + 1)]


def _geometric(bounds: Range, num: int, whole: bool) -> list[Number]:
    if num == 1:
        return [bounds.low]
    rise = math.log(bounds.high) - math.log(bounds.low)
    inner = [
        float(f"{math.exp(math.log(bounds.low) + rise * i / (num - 1)):.6g}")
        for i in range(1, num - 1)
    ]
    rounded: list[Number] = [math.floor(v + 0.5) for v in inner] if whole else [*inner]
    return [bounds.low, *rounded, bounds.high]


def _powers_of_two(bounds: Range) -> list[Number]:
    # frexp gives the exponent without rounding, where log2 of a large number may not.
    first = math.frexp(bounds.low)[1] - 1
    last = math.frexp(bounds.high)[1] - 1
    powers = [2**e if e >= 0 else 2.0**e for e in range(first, last + 1)]
    return [p for p in powers if bounds.low <= p <= bounds.high]
