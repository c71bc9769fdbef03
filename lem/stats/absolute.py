"""An absolute figure (joules per token) over blocks: its repeatability and its uncertainty."""

import math
from collections.abc import Sequence
from dataclasses import replace

from lem.stats.estimates import Absolute

FEW_BLOCKS = 60
"""Below this many blocks a drift may well go unnoticed: intervals allow for it, and the expanded
uncertainty, which does not, is rough (docs/method.md)."""


def absolute(
    values: Sequence[float], uncertainties: Sequence[float | None], level: float = 0.95
) -> Absolute:
    """Mean of one value per block, in the blocks' order, with its repeatability interval and its
    expanded uncertainty (JCGM 100:2008, GUM, 5.1, 6.2).

    ``uncertainties`` are the runs' own, expanded (k = 2). They come from the meter (gain, offset,
    tick), which every run shares, so they do not shrink by averaging: u_B is their mean ÷ 2.
    u_A = s ÷ √n. U = 2·√(u_A² + u_B²) is not called a 95 % interval: with few blocks u_A itself is
    uncertain and slow drift goes unnoticed. The repeatability interval (``low``, ``high``) allows
    for both, see :func:`lem.stats.serial.absolute_intervals`; it says nothing of the meter.

    Raises ValueError for no values or unequal lengths.
    """
    return _with_interval(mean_of(values, uncertainties, level), values)


def mean_of(
    values: Sequence[float], uncertainties: Sequence[float | None], level: float = 0.95
) -> Absolute:
    """:func:`absolute` without the repeatability interval, which takes most of its time."""
    if not values or len(values) != len(uncertainties):
        raise ValueError("one uncertainty (or None) for each value, at least one value")
    n = len(values)
    mean = math.fsum(values) / n
    u_a = standard_deviation(values) / math.sqrt(n) if n > 1 else None
    stated = [u for u in uncertainties if u is not None]
    u_b = math.fsum(stated) / n / 2 if len(stated) == n else None
    expanded = None if u_b is None else 2 * math.hypot(u_a or 0.0, u_b)
    return Absolute(mean, n, u_a, u_b, expanded, few_blocks=n < FEW_BLOCKS, level=level)


def _with_interval(found: Absolute, values: Sequence[float]) -> Absolute:
    import numpy as np

    from lem.stats.serial import REFUSALS, absolute_intervals

    s = absolute_intervals(np.asarray(values, dtype=float), found.level)
    refused, half = int(s.refused), float(s.half_width)
    lag1, change = float(s.lag1), float(s.slope)
    found = replace(
        found,
        merged=int(s.merged),
        lag1=lag1 if math.isfinite(lag1) else None,
        slope=change / found.mean if math.isfinite(change) and found.mean else None,
    )
    if refused:
        return replace(found, reason=REFUSALS[refused])
    return replace(found, low=found.mean - half, high=found.mean + half)


def standard_deviation(values: Sequence[float]) -> float:
    """Sample standard deviation (n − 1). Needs at least two values."""
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
