"""The other claims: equivalence, absolute figures, what is handed on from run to run."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from coverage_study.campaigns import AR_SD, autoregression
from coverage_study.study import BATCH, GOAL, generator
from lem.stats.intervals import compare_arms
from lem.stats.serial import NOTICED, absolute_intervals

AUTOCORRELATIONS = (0.0, 0.25, 0.5, 0.8)
LENGTHS = (3, 5, 10, 20, 40, 59, 60, 100)
MUST_COVER = 0.5
"""Up to this autocorrelation absolute intervals must cover."""


class Absolute(NamedTuple):
    blocks: int
    phi: float
    covered: float
    error: float
    refused: float
    noticed: float
    """Share of series whose autocorrelation is noticed."""
    wider: float
    """Median half-width in units of the plain t interval's of independent blocks."""
    unnoticed_covered: float
    """Share covered of those series alone whose autocorrelation is not noticed."""

    @property
    def good(self) -> bool:
        enough = self.covered >= GOAL or self.phi > MUST_COVER
        seen = self.noticed >= 0.95 or self.blocks < 60 or self.phi < 0.5
        return enough and seen


def absolute(blocks: int, phi: float, campaigns: int, seed: int) -> Absolute:
    """Means of ``blocks`` values with scatter of 1 % and first-order autocorrelation ``phi``."""
    from scipy.special import stdtrit

    rng = generator(seed, f"absolute/{blocks}/{phi}")
    values = 1 + AR_SD * autoregression(rng, campaigns, blocks, phi)
    found = absolute_intervals(values)
    given = found.refused == 0
    hidden = given & (found.lag1_p >= NOTICED)
    holds = np.abs(found.mean - 1) <= found.half_width
    covered = float(holds[given].mean())
    plain = stdtrit(blocks - 1, 0.975) * AR_SD / np.sqrt(blocks)
    return Absolute(
        blocks,
        phi,
        covered,
        float(np.sqrt(covered * (1 - covered) / given.sum())),
        float(1 - given.mean()),
        float((found.lag1_p < NOTICED).mean()),
        float(np.median(found.half_width[given]) / plain),
        float(holds[hidden].mean()) if hidden.any() else 0.0,
    )


class Hardest(NamedTuple):
    """The noise, of those tried, that a number of arms and blocks covers least."""

    arms: int
    blocks: int
    covered: float
    error: float
    noise: str


def hardest(arms: int, blocks: int, campaigns: int, seed: int) -> Hardest:
    """Lowest coverage over ways in which arms differ in noise, for a fixed number of blocks."""
    found = []
    for kind, sd in _ways(arms).items():
        rng = generator(seed, f"hardest/{arms}/{blocks}/{kind}")
        holds = []
        for _ in range(0, campaigns, BATCH):
            logs = np.log1p(0.01 * sd * rng.standard_normal((BATCH, blocks, arms)))
            intervals = compare_arms(logs)
            holds.append((np.abs(intervals.log_ratio) <= intervals.half_width).all(axis=-1))
        covered = float(np.concatenate(holds).mean())
        found.append((covered, kind))
    covered, kind = min(found)
    n = BATCH * len(range(0, campaigns, BATCH))
    return Hardest(arms, blocks, covered, float(np.sqrt(covered * (1 - covered) / n)), kind)


def _ways(arms: int) -> dict[str, NDArray[np.float64]]:
    def one(place: int, factor: float) -> NDArray[np.float64]:
        return np.where(np.arange(arms) == place, factor, 1.0)

    up = np.linspace(0.5, 2, arms)
    ways = {f"baseline × {f:g}": one(0, f) for f in (1.5, 2, 3, 10)}
    ways |= {f"one arm × {f:g}": one(1, f) for f in (2, 3, 10)}
    return (
        {"all alike": np.ones(arms)}
        | ways
        | {"graded, quiet baseline": up, "graded, noisy baseline": up[::-1]}
    )


class Same(NamedTuple):
    arms: int
    blocks: int
    margin: float
    wrongly: float
    """Share of campaigns that call an arm the same which lies at the margin's very edge."""
    rightly: float
    """Share that call all arms the same where all are."""


def same(arms: int, blocks: int, margin: float, campaigns: int, seed: int) -> Same:
    """Equivalence of arms with noise of 1 %."""
    rng = generator(seed, f"same/{arms}/{blocks}/{margin}")
    noise = np.log1p(0.01 * rng.standard_normal((campaigns, blocks, arms)))
    edge = np.log1p(margin) * np.where(np.arange(arms) % 2, 1, -1.0)
    edge[0] = 0
    low, high = np.log1p(-margin), np.log1p(margin)
    edge = np.where(edge < 0, low, edge)
    shares = []
    for truth in (edge, np.zeros(arms)):
        found = compare_arms(noise + truth)
        below = found.log_ratio - found.half_width_same > low
        within = below & (found.log_ratio + found.half_width_same < high)
        shares.append(within)
    return Same(
        arms,
        blocks,
        margin,
        float(shares[0].any(axis=-1).mean()),
        float(shares[1].all(axis=-1).mean()),
    )
