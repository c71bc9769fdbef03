"""Columns of numbers as text of printable digits: a byte for each digit, which compresses well and
needs no escapes in JSON.

A digit is one of ``ALPHABET`` and stands for its place there. A column of ``n`` numbers is one
plane of ``n`` digits or two, the higher one first: number ``i`` is ``93 d[i] + d[n + i]``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lem.archive.columns import Floats, Ints

ALPHABET = bytes(c for c in range(0x20, 0x7F) if c not in b'"\\')
BASE = len(ALPHABET)
STEPS = BASE * BASE - 2
"""Of a quantised column; the two codes beyond them are those of zero and of no number."""
ZERO, NONE = STEPS, STEPS + 1
_DIGITS = np.frombuffer(ALPHABET, dtype=np.uint8)


def planes(codes: NDArray[Any], several: int) -> str:
    """Whole numbers below ``several`` (at most 93²) as digits."""
    places = codes if several <= BASE else np.concatenate(np.divmod(codes, BASE))
    return str(_DIGITS[places].tobytes(), "ascii")


def quantised(values: Floats, log: bool) -> tuple[float, float, Ints]:
    """Lowest and highest, and each value's step from the one to the other: of the logarithm of what
    is not negative, or of the value itself. NaN is ``NONE``, and a zero of logarithms ``ZERO``."""
    codes = np.full(len(values), NONE, dtype=np.int64)
    there = ~np.isnan(values)
    if log:
        codes[values == 0] = ZERO
        there &= values != 0
    if not there.any():
        return 1.0, 1.0, codes
    given = values[there]
    low, high = float(given.min()), float(given.max())
    if low < high:
        ends = np.array([low, high])
        size, (first, last) = (np.log(given), np.log(ends)) if log else (given, ends)
        codes[there] = np.rint((STEPS - 1) * ((size - first) / (last - first))).astype(np.int64)
    else:
        codes[there] = 0
    return low, high, codes
