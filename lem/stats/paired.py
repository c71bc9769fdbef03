"""Estimators and intervals over blocks. Pure; SciPy is imported where a quantile is needed, since
it costs a fifth of a second.

Within a block every arm meets the same board, room and day, so the ratio of two arms of one block
is free of the meter's gain error and of slow drift. Log-ratios are averaged over blocks.
"""

import math
from collections.abc import Sequence

from lem.stats.estimates import RatioEstimate


def t_quantile(p: float, df: float) -> float:
    """Quantile of Student's t."""
    from scipy.special import stdtrit

    return float(stdtrit(df, p))


def ratio_to_baseline(
    pairs: Sequence[tuple[float, float]], level: float = 0.95, comparisons: int = 1
) -> RatioEstimate:
    """Geometric mean of arm ÷ baseline over blocks with a Student t interval.

    ``pairs`` holds (arm, baseline) of each block, both > 0. With dᵢ = ln(armᵢ ÷ baselineᵢ) the
    interval is exp(d̄ ± t(1 − α/2, n − 1)·s ÷ √n): the paired t interval on logarithms. With
    ``comparisons`` = m intervals side by side α = (1 − level) ÷ m (Bonferroni), so that all m hold
    together with probability ≥ ``level`` (Miller, Simultaneous Statistical Inference, 1981, 2.1).

    Raises ValueError without pairs or for a value that is not finite and positive.
    """
    if not pairs:
        raise ValueError("no block has both arms")
    if any(not math.isfinite(v) or v <= 0 for pair in pairs for v in pair):
        raise ValueError("a ratio needs finite, positive values")
    if comparisons < 1 or not 0 < level < 1:
        raise ValueError("level must lie between 0 and 1, comparisons be at least 1")
    logs = [math.log(a) - math.log(b) for a, b in pairs]
    n = len(logs)
    mean = math.fsum(logs) / n
    ratio = math.exp(mean)
    if n < 2:
        reason = "an interval needs at least 2 blocks"
        return RatioEstimate(ratio, None, None, n, None, level, comparisons, reason)
    sd = standard_deviation(logs)
    # Rounding alone leaves about 1e-16; equal readings in every block mean a meter too coarse
    # to show the scatter, not a perfect measurement.
    if sd < 1e-12:
        reason = "the readings are the same in every block: too coarse to show their scatter"
        return RatioEstimate(ratio, None, None, n, sd, level, comparisons, reason)
    half = t_quantile(1 - (1 - level) / (2 * comparisons), n - 1) * sd / math.sqrt(n)
    # A wild scatter over two blocks can exceed what a float can hold: then nothing is known.
    if half > 600:
        reason = "the blocks disagree too much for an interval"
        return RatioEstimate(ratio, None, None, n, sd, level, comparisons, reason)
    low, high = math.exp(mean - half), math.exp(mean + half)
    return RatioEstimate(ratio, low, high, n, sd, level, comparisons)


def standard_deviation(values: Sequence[float]) -> float:
    """Sample standard deviation (n − 1). Needs at least two values."""
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
