"""A value with its interval as it is read: the digits are those that the interval supports."""

import math

from lem.analysis.words import places, rounded, two_digits, with_ends
from lem.charts.model import Axis, Interval

NOTHING = "—"


def known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def reading(value: float | None, interval: Interval, axis: Axis) -> str:
    """``20.50 ± 0.41 mJ/token``; ``0.444 (0.423–0.466)`` of an interval that is not even;
    without an interval three significant digits."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if axis.share:
        percent = Axis(axis.label, "%")
        scaled = None if interval is None else (100 * interval[0], 100 * interval[1])
        return reading(100 * value, scaled, percent)
    unit = f" {axis.unit}" if axis.unit else ""
    if interval is None:
        return f"{_signed(three_digits(value))}{unit}"
    low, high = interval
    half = (high - low) / 2
    if not 0 < half < math.inf:
        return f"{_signed(three_digits(value))}{unit}"
    decimals = places(half)
    if abs((low + high) / 2 - value) <= 0.51 * 10.0**-decimals and (axis.unit or low <= 0):
        return f"{_signed(f'{value:.{decimals}f}')} ± {half:.{decimals}f}{unit}"
    if low > 0:
        shown, first, last = with_ends(value, low, high)
    else:
        shown = f"{value:.{decimals}f}"
        if value and not float(shown):
            shown = two_digits(value)
        first = "0" if low == 0 else rounded(low, decimals, math.floor)
        last = rounded(high, decimals, math.ceil)
    return f"{_signed(shown)} ({_signed(first)}–{_signed(last)}){unit}"


def three_digits(value: float) -> str:
    """At least three significant digits, without an exponent."""
    if value == 0:
        return "0"
    return f"{value:.{min(12, max(0, 2 - math.floor(math.log10(abs(value)))))}f}"


def _signed(text: str) -> str:
    return text.replace("-", "−")
