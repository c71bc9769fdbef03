"""Where values lie along an axis, its ticks, and what is written at them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from lem.charts.model import Axis, Interval

FAR = 10.0
"""An interval's end lies at most so many times beyond the outermost value (or as far as the values
lie apart, if that is more) before it is cut: two blocks may have one that spans ten decades."""
MARGIN = 0.05
FURTHEST = 1e100
"""Nothing lies further out, nor nearer to 0 than its inverse: what is reckoned of the ends of an
axis stays within what floats hold, whatever a file from outside says."""


@dataclass(frozen=True)
class Scale:
    """Maps values from ``low`` to ``high`` to pixels from ``first`` to ``last``."""

    low: float
    high: float
    first: float
    last: float
    log: bool

    def at(self, value: float) -> float:
        """Pixels, to a tenth; values beyond the ends lie at them."""
        return round(self.first + self._share(value) * (self.last - self.first), 1)

    def _share(self, value: float) -> float:
        value = min(max(value, self.low), self.high)
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def cuts(self, interval: Interval) -> tuple[bool, bool]:
        """Whether the interval goes on beyond the axis, below and above."""
        if interval is None:
            return False, False
        slack = 1e-9 * abs(self.high - self.low)
        return interval[0] < self.low - slack, interval[1] > self.high + slack

    def ticks(self, least_gap: float, wanted: Sequence[float] = ()) -> list[float]:
        """Round numbers at least ``least_gap`` pixels apart; the wanted ones, if they are half as
        far from each other."""
        inside = [t for t in wanted if self.low <= t <= self.high]
        if len(inside) > 1 and self._roomy(inside, least_gap / 2):
            return inside
        most = max(2, int(abs(self.last - self.first) / least_gap) + 1)
        some: list[float] = []
        for found in _choices(self.low, self.high, self.log):
            if 2 <= len(found) <= most and self._roomy(found, least_gap):
                return found
            some = some or found
        # No two have room: the outermost ones, or the only one.
        return some if len(some) < 2 else [some[0], some[-1]]

    def _roomy(self, ticks: Sequence[float], least_gap: float) -> bool:
        at = [self.at(t) for t in ticks]
        return all(abs(b - a) >= least_gap for a, b in pairwise(at))


def scale(
    axis: Axis,
    values: Iterable[float],
    intervals: Iterable[Interval],
    first: float,
    last: float,
    always: Iterable[float] = (),
    far: float = FAR,
) -> Scale:
    """A scale that holds all values and, as far as they are not absurdly wide, their intervals.
    On a logarithmic axis what is not above 0 cannot lie on it and is left out."""
    log = axis.log
    known = [_within(v) for v in (*values, *always) if math.isfinite(v)]
    known = [v for v in known if v > 0 or not log]
    low, high = (min(known), max(known)) if known else ((1.0, 1.0) if log else (0.0, 1.0))
    ends = [_within(e) for i in intervals if i is not None for e in i if math.isfinite(e)]
    if log:
        far = max(far, 2.0, high / low)
        ends = [e for e in ends if e > 0]
        low = max(min([low, *ends]), low / far)
        high = min(max([high, *ends]), high * far)
        margin = max(math.log(high / low) * MARGIN, 0.04)
        return Scale(low / math.exp(margin), high * math.exp(margin), first, last, True)
    if axis.positive and low >= 0:
        ends = [max(0.0, e) for e in ends]
    far = far * max(abs(low), abs(high), high - low) or 1.0
    low, high = max(min([low, *ends]), low - far), min(max([high, *ends]), high + far)
    if axis.share and low >= 0 and high <= 1:
        # Shares that all lie low would look large on an axis of their own.
        return Scale(
            0.0, 1.0 if high > 0.5 or high == 0 else high * (1 + MARGIN), first, last, False
        )
    if not axis.zero and high > low:
        margin = MARGIN * (high - low)
        return Scale(low - margin, high + margin, first, last, False)
    if low == high == 0:
        high = 1.0
    low, high = min(0.0, low), max(0.0, high)
    margin = MARGIN * (high - low)
    return Scale(
        low - margin if low < 0 else 0.0, high + margin if high > 0 else 0.0, first, last, False
    )


def _within(value: float) -> float:
    size = abs(value)
    return math.copysign(min(size, FURTHEST), value) if size >= 1 / FURTHEST else 0.0


def _choices(low: float, high: float, log: bool) -> Iterable[list[float]]:
    """Ticks, dense ones first."""
    if log:
        yield from log_choices(low, high)
        if high / low < 30:
            yield from linear_choices(low, high)
    else:
        yield from linear_choices(low, high)


def linear_choices(low: float, high: float) -> Iterable[list[float]]:
    """Multiples of 1, 2, 2.5 and 5 times powers of ten, from about 12 to 1 of them."""
    rough = (high - low) / 12
    power = 10.0 ** math.floor(math.log10(rough))
    for step in (m * p for p in (power, 10 * power, 100 * power) for m in (1, 2, 2.5, 5)):
        if step >= rough:
            first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
            yield [round(n * step, 12) for n in range(first, last + 1)]


def log_choices(low: float, high: float) -> Iterable[list[float]]:
    """All digits of each power of ten, then fewer, then powers further apart."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 4, 6, 8), (1, 2, 5), (1, 3), (1,)):
        found = [float(f"{m * 10.0**p:.12g}") for p in powers for m in digits]
        yield [t for t in found if low <= t <= high]
    for step in range(2, len(powers) + 1):
        found = [float(f"1e{p}") for p in powers if p % step == 0]
        yield [t for t in found if low <= t <= high]


def tick_text(value: float, axis: Axis) -> str:
    """``2,000``, ``0.05``, ``25 %``, ``3M``: short, without an exponent as far as that is short."""
    if axis.share:
        return f"{float(f'{100 * value:.10g}'):g} %"
    size = abs(value)
    for factor, letter in ((1e9, "G"), (1e6, "M")):
        if factor <= size < 1000 * factor:
            return f"{value / factor:g}{letter}".replace("-", "−")
    if 1e3 <= size < 1e6 and value == round(value):
        return f"{value:,.0f}".replace("-", "−")
    return f"{float(f'{value:.10g}'):g}".replace("-", "−")
