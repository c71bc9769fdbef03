"""Simultaneous intervals of all arms of a campaign, and the number of blocks they need.

The rule (docs/method.md; chosen in docs/coverage.md): Dunnett's quantile, and for each arm a
variance between its own and the pooled one. Pooling alone is narrowest, but fails where the
baseline is noisier than the other arms, and a test that should warn of that has no power with few
blocks. Leaning on an arm's own scatter in part covers either way, and costs a few percent in width.
After a pilot an interval is never narrower than the pilot said.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lem.stats.layout import Array, Fit, fit
from lem.stats.quantiles import dunnett_quantile, t_quantile

UNLIKE = 0.05
"""Below this p-value the variances count as unlike: blocks are then planned by the noisiest arm."""
COARSE = 1e-12
"""A standard deviation of logarithms below this is rounding: the meter is too coarse."""
PLANNED = 200
"""Up to this many blocks the quantile of the final interval is followed exactly in planning."""
WILD = 600.0
"""A half-width above this cannot be held by a float once it is raised to e: nothing is known."""


@dataclass(frozen=True)
class Intervals:
    """(…, arms − 1) each: one comparison with the baseline per arm, in the order of the columns."""

    log_ratio: Array
    half_width: Array
    """NaN where there is no interval; ``refused`` then says why."""
    half_width_same: Array
    """For the two one-sided tests of equivalence."""
    pairs: Array
    sd: Array
    df: Array
    refused: NDArray[np.int8]
    """0 none; 1 fewer than 2 blocks; 2 readings the same in every block; 3 too wild for a float."""


REFUSALS = {
    1: "an interval needs at least 2 blocks",
    2: "the readings are the same in every block: too coarse to show their scatter",
    3: "the blocks disagree too much for an interval",
}


def compare_arms(
    logs: Array,
    baseline: int = 0,
    pilot: int | None = None,
    level: float = 0.95,
    comparisons: int | None = None,
) -> Intervals:
    """Intervals that hold jointly with probability ``level``.

    ``logs`` (…, blocks, arms), natural logarithms, NaN where a run is missing, blocks in the order
    in which they were made. ``pilot`` is the number of leading blocks from which the number of
    blocks was computed (None where it was fixed beforehand): the interval is then never narrower
    than the pilot's variance makes it. ``comparisons`` is how many intervals hold jointly (default:
    all of these).
    """
    m = logs.shape[-1] - 1 if comparisons is None else comparisons
    last = fit(logs, baseline)
    with np.errstate(divide="ignore", invalid="ignore"):
        half, same, df = half_widths(last, level, m)
        narrower = same / half
        if pilot is not None and 1 < pilot < logs.shape[-2]:
            first = fit(logs[..., :pilot, :], baseline)
            half = np.fmax(half, planned(first, level, m)[0] / np.sqrt(last.pairs))
            same = half * narrower
    refused = np.zeros(half.shape, dtype=np.int8)
    refused[~(half < WILD)] = 3
    with np.errstate(invalid="ignore"):
        refused[np.sqrt(last.variance) < COARSE] = 2
    refused[last.pairs < 2] = 1
    half, same = np.where(refused > 0, np.nan, half), np.where(refused > 0, np.nan, same)
    return Intervals(
        last.log_ratio,
        half,
        same,
        last.pairs,
        np.sqrt(last.variance),
        df,
        refused,
    )


def blocks_needed(
    logs: Array,
    target: float,
    baseline: int = 0,
    level: float = 0.95,
    comparisons: int | None = None,
) -> Array:
    """Number of blocks (…) so that every half-width is at most ``target``, from a pilot's ``logs``
    (…, blocks, arms), never fewer than the pilot; NaN where the pilot cannot tell.

    ``target`` is a share (0.01 is ±1 %), taken on the logarithmic scale. Stein's two stages (Ann.
    Math. Stat. 16 (1945) 243): compute it once and keep it.
    """
    m = logs.shape[-1] - 1 if comparisons is None else comparisons
    found = fit(logs, baseline)
    guard, variance = planned(found, level, m)
    stein = np.max(np.square(guard / target), axis=-1)
    # The final interval's own quantile falls as blocks are added: the first n that is enough.
    blocks = np.arange(logs.shape[-2], max(PLANNED, logs.shape[-2]) + 1, dtype=float)
    weight = own_weight(blocks)
    q = dunnett_quantile(level, m, _df(weight, blocks - 1, blocks - 1, m))
    enough = np.max(variance, axis=-1) / target**2
    first = np.searchsorted(blocks / q**2, np.nan_to_num(enough, nan=0.0))
    beyond = np.ceil(q[-1] ** 2 * enough)
    final = np.where(first < len(blocks), blocks[np.minimum(first, len(blocks) - 1)], beyond)
    n: Array = np.maximum(np.ceil(stein - 1e-9), np.where(np.isfinite(enough), final, np.nan))
    return np.maximum(n, logs.shape[-2])


def planned(found: Fit, level: float, m: int) -> tuple[Array, Array]:
    """What a pilot promises, each (…, arms − 1): the half-width that one block would have (divided
    by √n it is that of n blocks), and the variance of one block's log-ratio.

    As long as the arms look alike, all are planned with the pooled variance: the arm that happens
    to scatter most in the pilot would ask for a third more blocks.
    """
    df, own = _variances(found, m)
    alike = (found.unlike >= UNLIKE)[..., None]
    variance = np.where(alike, 2 * found.mse[..., None], own)
    q = dunnett_quantile(level, m, np.where(alike, np.maximum(found.df, 1)[..., None], df))
    return q * np.sqrt(variance), variance


def half_widths(found: Fit, level: float, m: int) -> tuple[Array, Array, Array]:
    """Half-widths of this many blocks (two-sided; one-sided) and their degrees of freedom, each
    (…, arms − 1)."""
    df, variance = _variances(found, m)
    deviation = np.sqrt(variance / found.pairs)
    q = dunnett_quantile(level, m, df)
    # One-sided tests: Bonferroni's t, or Dunnett's two-sided quantile where that is smaller.
    return q * deviation, np.fmin(q, t_quantile(1 - (1 - level) / m, df)) * deviation, df


def _variances(found: Fit, m: int) -> tuple[Array, Array]:
    """Degrees of freedom and variance of each within-block log-ratio (…, arms − 1).

    Vᵢ = a·sᵢ² + (1 − a)·P with a of :func:`own_weight`, sᵢ² the log-ratios' own variance, and P the
    larger of two pooled ones: 2·MSE of the layout, and the mean of all sᵢ², which a noisy baseline
    raises as it should.
    """
    own_df = np.maximum(found.pairs - 1, 1)
    known = np.where(found.pairs > 1, found.pairs - 1, 0)
    count = np.maximum(known.sum(axis=-1, keepdims=True), 1)
    mean = np.nansum(known * found.variance, axis=-1, keepdims=True) / count
    pooled = np.fmax(2 * found.mse[..., None], mean)
    weight = own_weight(found.pairs)
    shared_df = np.maximum(count / np.maximum((known > 0).sum(axis=-1, keepdims=True), 1), 1)
    return _df(weight, own_df, shared_df, m), weight * found.variance + (1 - weight) * pooled


def _df(weight: Array, own: Array, shared: Array, m: int) -> Array:
    """Degrees of freedom of a·sᵢ² + (1 − a)·mean sⱼ² over ``m`` arms, by its variance under equal
    noise: comparisons with one baseline correlate ½, so the mean of m has (m + 3) ÷ 4m of the
    variance of one, and as much covariance with each (Satterthwaite, Biometrics 2 (1946) 110)."""
    df: Array = 1 / (weight**2 / own + (1 - weight**2) * (m + 3) / (4 * m) / shared)
    return df


def own_weight(blocks: Array) -> Array:
    """Weight a of an arm's own variance: ½, and more where blocks are few (0.72 of 3 blocks)."""
    weight: Array = np.minimum(0.5 + 2 / np.square(np.maximum(blocks, 1)), 1.0)
    return weight
