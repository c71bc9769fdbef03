"""The difference of two shares that were found on the same questions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True)
class PairedDifference:
    """Share of the first less that of the second."""

    difference: float
    low: float
    high: float
    n: int
    """Questions."""
    gained: float
    """Where the first is better, summed over questions; each question counts up to 1."""
    lost: float


def paired_difference(
    first: Sequence[float],
    second: Sequence[float],
    *,
    level: float = 0.95,
    comparisons: int = 1,
) -> PairedDifference:
    """First − second, whose items (0 to 1 each) are about the same questions, with an interval that
    holds jointly with ``level`` over ``comparisons`` (Bonferroni).

    The questions are a sample; what they have in common, such as being hard, drops out, which it
    would not if two shares with an interval each were held side by side. Adjusted Wald interval for
    paired binary data: D. G. Bonett, R. M. Price, J. Educ. Behav. Stat. 37 (2012) 479. An item
    between 0 and 1 is a mean over runs: gains and losses are then summed, which gives the variance
    an upper bound. Raises ValueError for none, or for unlike numbers of items.
    """
    if not first or len(first) != len(second):
        raise ValueError("paired shares need the same questions on both sides")
    n = len(first)
    gained = math.fsum(max(0.0, a - b) for a, b in zip(first, second, strict=True))
    lost = math.fsum(max(0.0, b - a) for a, b in zip(first, second, strict=True))
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    centre = up - down
    z = NormalDist().inv_cdf(1 - (1 - level) / 2 / comparisons)
    half = z * math.sqrt((up + down - centre * centre) / (n + 2))
    return PairedDifference(
        difference=(gained - lost) / n,
        low=max(-1.0, centre - half),
        high=min(1.0, centre + half),
        n=n,
        gained=gained,
        lost=lost,
    )
