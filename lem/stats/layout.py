"""Blocks × arms as a two-way layout: effects, pooled and separate variances, and a test of whether
pooling is fair. Works on many campaigns at once.

Logarithms have the shape (…, blocks, arms); NaN is a cell without a value. ``baseline`` is the
column that the others are compared to; per-arm results leave it out, in the order of the columns.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Fit(NamedTuple):
    """What the blocks so far say."""

    log_ratio: Array
    """(…, arms − 1): mean over common blocks of ln(arm ÷ baseline)."""
    pairs: Array
    """(…, arms − 1): number of blocks with both."""
    variance: Array
    """(…, arms − 1): sample variance of the within-block log-ratios, arm by arm."""
    mse: Array
    """(…): residual mean square of block + arm, pooled over arms: variance of one run."""
    df: Array
    """(…): its degrees of freedom."""
    unlike: Array
    """(…): smallest p-value that one arm's residuals are larger than the others', times arms."""


def fit(logs: Array, baseline: int) -> Fit:
    """Effects and variances of each campaign."""
    logs = np.asarray(logs, dtype=float)
    others = [a for a in range(logs.shape[-1]) if a != baseline]
    differences = logs[..., others] - logs[..., [baseline]]
    pairs = np.sum(np.isfinite(differences), axis=-2).astype(float)
    total = np.nansum(differences, axis=-2)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / pairs
        square = np.nansum((differences - mean[..., None, :]) ** 2, axis=-2)
        variance = np.where(pairs > 1, square / (pairs - 1), np.nan)
    pooled = _pooled(logs.reshape(-1, *logs.shape[-2:]))
    mse, df, unlike = (v.reshape(logs.shape[:-2]) for v in pooled)
    return Fit(mean, pairs, variance, mse, df, unlike)


def _pooled(logs: Array) -> tuple[Array, Array, Array]:
    """``mse``, ``df`` and ``unlike`` of campaigns (n, blocks, arms)."""
    blocks, arms = logs.shape[-2:]
    whole = np.isfinite(logs).all(axis=(-1, -2))
    residuals = (
        logs
        - logs.mean(axis=-1, keepdims=True)
        - logs.mean(axis=-2, keepdims=True)
        + logs.mean(axis=(-1, -2), keepdims=True)
    )
    squares = np.sum(residuals**2, axis=-2)
    df = np.full(logs.shape[:-2], float((blocks - 1) * (arms - 1)))
    with np.errstate(divide="ignore", invalid="ignore"):
        mse = np.where(df > 0, squares.sum(axis=-1) / df, np.nan)
    unlike = _unlike(squares, blocks)
    for at in np.flatnonzero(~whole):
        mse[at], df[at] = _with_gaps(logs[at])
        complete = logs[at][np.isfinite(logs[at]).all(axis=-1)]
        unlike[at] = _pooled(complete[None])[2][0] if len(complete) > 1 else 1.0
    return mse, df, unlike


def _unlike(squares: Array, blocks: int) -> Array:
    """Bonferroni p-value of the arm whose residuals stand out most.

    An arm's sum of squared residuals times arms ÷ (arms − 1) is the sum of squares of its contrast
    to the mean of the others, on blocks − 1 degrees of freedom and independent of what remains, so
    their ratio is an F (Grubbs, J. Am. Stat. Assoc. 43 (1948) 243, for the layout).
    """
    from scipy.special import fdtrc

    arms = squares.shape[-1]
    if arms < 3 or blocks < 2:
        return np.ones(squares.shape[:-1])
    df = blocks - 1
    own = squares * arms / (arms - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        rest = np.maximum(squares.sum(axis=-1, keepdims=True) - own, 0)
        ratio = np.where(rest > 0, own / df / (rest / (df * (arms - 2))), np.inf)
    p: Array = np.min(fdtrc(df, df * (arms - 2), ratio), axis=-1) * arms
    return np.minimum(p, 1)


def _with_gaps(logs: Array) -> tuple[Any, Any]:
    """Residual mean square of one campaign with missing cells, by least squares."""
    block, arm = np.nonzero(np.isfinite(logs))
    design = np.hstack([np.eye(logs.shape[0])[block], np.eye(logs.shape[1])[arm]])
    if not len(block):
        return np.nan, 0.0
    values = logs[block, arm]
    solution, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    df = float(len(values) - rank)
    return (np.sum((values - design @ solution) ** 2) / df if df > 0 else np.nan), df
