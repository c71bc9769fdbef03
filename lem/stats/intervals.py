"""Simultaneous intervals of all arms of a campaign, and the number of blocks they need.

The rule (docs/method.md, docs/coverage.md): pool the residual variance over arms and use Dunnett's
quantile; where one arm is noisier than the others, fall back to each arm's own t interval with
Bonferroni's correction. After a pilot the wider of the pilot's and the final interval holds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lem.stats.layout import Array, Fit, fit
from lem.stats.quantiles import dunnett_quantile, t_quantile

UNLIKE = 0.05
"""Below this p-value the variances count as unlike and are not pooled."""
COARSE = 1e-12
"""A standard deviation of logarithms below this is rounding: the meter is too coarse."""
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
    pooled: NDArray[np.bool_]
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
    half, same, df, pooled = _half_widths(last, last.pairs, level, m)
    if pilot is not None and 1 < pilot < logs.shape[-2]:
        first = fit(logs[..., :pilot, :], baseline)
        half0, same0, df0, _ = _half_widths(first, last.pairs, level, m)
        wider = half0 > half
        half, df = np.where(wider, half0, half), np.where(wider, df0, df)
        same = np.fmax(same, same0)
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
        np.broadcast_to(pooled[..., None], half.shape),
        refused,
    )


def blocks_needed(
    logs: Array,
    target: float,
    baseline: int = 0,
    level: float = 0.95,
    comparisons: int | None = None,
) -> tuple[Array, NDArray[np.bool_]]:
    """Number of blocks (…) so that every half-width is at most ``target``, from a pilot's ``logs``
    (…, blocks, arms), never fewer than the pilot; NaN where the pilot cannot tell. And whether the
    variances were pooled.

    ``target`` is a share (0.01 is ±1 %), taken on the logarithmic scale. Stein's two stages (Ann.
    Math. Stat. 16 (1945) 243): compute it once and keep it.
    """
    m = logs.shape[-1] - 1 if comparisons is None else comparisons
    first = fit(logs, baseline)
    half, _, _, pooled = _half_widths(first, np.ones_like(first.pairs), level, m)
    with np.errstate(invalid="ignore"):
        n = np.max(np.ceil(np.square(half / target) - 1e-9), axis=-1, initial=0)
    return np.maximum(n, logs.shape[-2]), pooled


def half_widths_at(
    logs: Array, n: int, baseline: int = 0, level: float = 0.95, comparisons: int | None = None
) -> Array:
    """Half-widths (…, arms − 1) to expect with ``n`` blocks and the scatter of ``logs``."""
    m = logs.shape[-1] - 1 if comparisons is None else comparisons
    found = fit(logs, baseline)
    return _half_widths(found, np.full(found.pairs.shape, float(n)), level, m)[0]


def _half_widths(
    found: Fit, n: Array, level: float, m: int
) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
    """Half-widths with ``n`` blocks (two-sided; one-sided), their degrees of freedom, and whether
    the variances were pooled."""
    pooled = found.unlike >= UNLIKE
    one_sided = 1 - (1 - level) / m
    with np.errstate(divide="ignore", invalid="ignore"):
        deviation = np.sqrt(2 * found.mse[..., None] / n)
        own = np.sqrt(found.variance / n)
        df_own = np.maximum(found.pairs - 1, 1)
        df = np.maximum(found.df, 1)[..., None] + 0 * n
    q, q_same = dunnett_quantile(level, m, df), t_quantile(one_sided, df)
    q_own = t_quantile(1 - (1 - level) / (2 * m), df_own)
    q_own_same = t_quantile(one_sided, df_own)
    use = pooled[..., None]
    return (
        np.where(use, q * deviation, q_own * own),
        np.where(use, np.fmin(q, q_same) * deviation, q_own_same * own),
        np.where(use, df, df_own),
        pooled,
    )
