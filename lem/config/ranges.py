"""Sweeps by bounds → their values, the same on every machine."""

import math
from fractions import Fraction

from lem.config.bounds import Range

Number = int | float


def values(bounds: Range, whole: bool) -> list[Number]:
    """From ``low`` to ``high``, rising, without duplicates.

    ``whole``: the setting takes whole numbers only, so round. Otherwise they are whole if all of
    them happen to be, however the bounds are spelled. ``linear``: ``num`` values evenly spaced, or
    every ``step`` from ``low`` on. ``log``: ``num`` values with a constant ratio, to six digits so
    that no processor's last bit changes an experiment's id. ``log2``: every power of two within
    the bounds.
    """
    if bounds.scale == "log2":
        found = _powers_of_two(bounds)
    elif bounds.scale == "log":
        found = _geometric(bounds, bounds.num or 1)
    elif bounds.step is not None:
        found = _stepped(bounds, bounds.step)
    else:
        found = _even(bounds, bounds.num or 1)
    if whole:
        # Halves go up (not to even), as most people round.
        return list(dict.fromkeys(math.floor(v + Fraction(1, 2)) for v in found))
    if all(v.denominator == 1 for v in found):
        return list(dict.fromkeys(int(v) for v in found))
    return list(dict.fromkeys(float(v) for v in found))


def _exact(number: Number) -> Fraction:
    """0.1 as one tenth, not as the nearest binary fraction."""
    return Fraction(repr(number))


def _even(bounds: Range, num: int) -> list[Fraction]:
    low, high = _exact(bounds.low), _exact(bounds.high)
    return [low + (high - low) * i / max(1, num - 1) for i in range(num)]


def _stepped(bounds: Range, step: Number) -> list[Fraction]:
    low, high, by = _exact(bounds.low), _exact(bounds.high), _exact(step)
    return [low + by * i for i in range(math.floor((high - low) / by) + 1)]


def _geometric(bounds: Range, num: int) -> list[Fraction]:
    low, high = _exact(bounds.low), _exact(bounds.high)
    if num == 1:
        return [low]
    first, last = math.log(bounds.low), math.log(bounds.high)
    inner = (math.exp(first + (last - first) * i / (num - 1)) for i in range(1, num - 1))
    return [low, *(min(max(Fraction(f"{v:.6g}"), low), high) for v in inner), high]


def _powers_of_two(bounds: Range) -> list[Fraction]:
    # frexp gives the exponent without rounding, where log2 of a large number may not.
    first = math.frexp(bounds.low)[1] - 1
    last = math.frexp(bounds.high)[1] - 1
    powers = [Fraction(2) ** e for e in range(first, last + 1)]
    return [p for p in powers if _exact(bounds.low) <= p <= _exact(bounds.high)]
