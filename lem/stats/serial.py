"""Absolute figures over blocks that may resemble their neighbours: means, intervals widened by the
autocorrelation that may be there, and tests that refuse. Works on many series at once: (…, blocks).
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from lem.stats.layout import Array
from lem.stats.quantiles import t_quantile

CAUTION = 1.5
"""How many standard errors above its estimate the autocorrelation is taken to be. The smallest
(in steps of ¼) with which intervals of 3 to 60 blocks cover 94.5 % up to an autocorrelation of ½
(docs/coverage.md)."""
MOST = 0.95
"""Intervals allow for no larger autocorrelation than this."""
WANDERS = 0.8
"""An estimated autocorrelation from which on a series wanders too much for an interval."""
NOTICED = 0.05
"""Significance at which an autocorrelation is noticed."""
DRIFTS = 0.01
"""Significance at which a slope is noticed."""
FEWEST = 10
"""Merged blocks below which nothing is merged any more."""

REFUSALS = {
    1: "an interval needs at least 3 blocks",
    2: "the readings are the same in every block: too coarse to show their scatter",
    3: "neighbouring blocks resemble each other so much that their mean is not settled",
    4: "the figures drift over the campaign",
}


@dataclass(frozen=True)
class Serial:
    """(…) each."""

    mean: Array
    half_width: Array
    """NaN where there is no interval; ``refused`` says why."""
    lag1: Array
    """Autocorrelation of neighbouring blocks, before merging."""
    lag1_p: Array
    """How probable one as large is among independent blocks (one-sided)."""
    slope: Array
    """Change from first to last block by the straight line of least squares."""
    slope_p: Array
    """How probable a slope as large is without drift, with autocorrelation allowed for."""
    merged: NDArray[np.int64]
    """Neighbouring blocks averaged into one before the interval (1, 2, 4, …)."""
    refused: NDArray[np.int8]


def absolute_intervals(values: Array, level: float = 0.95) -> Serial:
    """Mean of each series with its interval.

    The interval is mean ± t·s·√(V ÷ E), where V = Var(mean) ÷ σ² and E = E(s²) ÷ σ² of n values of
    a first-order autoregression whose autocorrelation is the estimated one, corrected for its bias
    (Marriott and Pope, Biometrika 41 (1954) 390), plus ``CAUTION``/√n: with few blocks an
    autocorrelation goes unnoticed, so the interval always allows for one. Where it is noticed,
    neighbouring blocks are merged by twos as long as ``FEWEST`` remain. There is no interval where
    the series still wanders (``WANDERS``) or a slope is noticed. Refusing whenever autocorrelation
    is noticed would be worse: those let through are then the ones that hide it best.
    """
    values = np.asarray(values, dtype=float)
    flat = values.reshape(-1, values.shape[-1])
    count, n = flat.shape
    refused = np.zeros(count, dtype=np.int8)
    merged = np.ones(count, dtype=np.int64)
    lag, lag_p = autocorrelation(flat)
    change, slope_p = slope(flat)
    half = half_width(flat, level)
    resembling, by = np.flatnonzero(lag_p < NOTICED), 2
    while len(resembling) and n // by >= FEWEST:
        series = _merge(flat[resembling], by)
        half[resembling], merged[resembling] = half_width(series, level), by
        resembling = resembling[autocorrelation(series)[1] < NOTICED]
        by *= 2
    estimate = likely(_merge(flat[resembling], by // 2), caution=0.0)
    refused[resembling[estimate >= WANDERS]] = 3
    refused[slope_p < DRIFTS] = 4
    if n < 3:
        refused[:] = 1
    else:
        refused[np.ptp(flat, axis=-1) <= 1e-12 * np.abs(flat).max(axis=-1)] = 2
    half[refused > 0] = np.nan
    shape = values.shape[:-1]
    return Serial(
        flat.mean(axis=-1).reshape(shape),
        half.reshape(shape),
        lag.reshape(shape),
        lag_p.reshape(shape),
        change.reshape(shape),
        slope_p.reshape(shape),
        merged.reshape(shape),
        refused.reshape(shape),
    )


def autocorrelation(values: Array) -> tuple[Array, Array]:
    """Lag-1 autocorrelation of series (count, n), and the one-sided p-value against independence.

    Of n independent normal values r₁ has mean −1/n and variance (n − 2)² ÷ n²(n − 1) (Moran,
    Biometrika 35 (1948) 255). NaN and 1 below three values.
    """
    from scipy.special import ndtr

    n = values.shape[-1]
    if n < 3:
        return np.full(len(values), np.nan), np.ones(len(values))
    away = values - values.mean(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        lag = np.sum(away[:, 1:] * away[:, :-1], axis=-1) / np.sum(away**2, axis=-1)
    z = (lag + 1 / n) * n * np.sqrt(n - 1) / (n - 2)
    return lag, np.where(np.isfinite(lag), ndtr(-z), 1.0)


def slope(values: Array) -> tuple[Array, Array]:
    """Change from first to last along the straight line of least squares of series (count, n), and
    its two-sided p-value. The line's standard error is widened like an interval, by the
    autocorrelation that the rest may have."""
    from scipy.special import stdtr

    n = values.shape[-1]
    if n < 4:
        return np.full(len(values), np.nan), np.ones(len(values))
    time = np.linspace(-0.5, 0.5, n)
    # Row by row, not a product of matrices: those differ in the last digit with the stack's height.
    change = np.sum(values * time, axis=-1) / (time @ time)
    rest = values - values.mean(axis=-1, keepdims=True) - change[:, None] * time
    squares = np.sum(rest**2, axis=-1)
    widened = np.sqrt(variance_ratio(rest) * n)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.abs(change) / (np.sqrt(squares / (n - 2) / (time @ time)) * widened)
    # What lies on a line to the last bit is a drift, unless the line is level.
    exact = np.where(change != 0, 0.0, 1.0)
    return change, np.where(squares > 0, 2 * stdtr(n - 2, -t), exact)


def half_width(series: Array, level: float) -> Array:
    n = series.shape[-1]
    if n < 3 or not len(series):
        return np.full(len(series), np.nan)
    spread = series.std(axis=-1, ddof=1) * np.sqrt(variance_ratio(series))
    half: Array = t_quantile(0.5 + level / 2, n - 1) * spread
    return half


def variance_ratio(series: Array) -> Array:
    """Var(mean) ÷ E(s²), with the autocorrelation that may be there; 1/n without any."""
    grid, ratios = _variance_ratios(series.shape[-1])
    ratio: Array = np.interp(np.clip(likely(series, CAUTION), 0, MOST), grid, ratios)
    return ratio


@lru_cache(maxsize=512)
def _variance_ratios(n: int) -> tuple[Array, Array]:
    """Of n values, for autocorrelations from 0 to ``MOST``. Not to be written to."""
    grid = np.linspace(0, MOST, 181)
    k = np.arange(1, n)
    of_mean = (1 + 2 * np.power.outer(grid, k) @ (1 - k / n)) / n
    of_square = (1 - of_mean) * n / (n - 1)
    return grid, of_mean / of_square


def likely(series: Array, caution: float) -> Array:
    """The lag-1 autocorrelation, corrected for its bias, and ``caution`` ÷ √n more."""
    n = series.shape[-1]
    lag = np.nan_to_num(autocorrelation(series)[0])
    likely: Array = lag + (1 + 3 * np.maximum(lag, 0)) / n + caution / np.sqrt(n)
    return likely


def _merge(values: Array, by: int) -> Array:
    """Means of ``by`` neighbours; what is left over at the end is dropped from the scatter."""
    n = values.shape[-1] // by
    merged: Array = values[:, : n * by].reshape(len(values), n, by).mean(axis=-1)
    return merged
