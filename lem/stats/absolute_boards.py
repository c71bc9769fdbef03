"""Absolute figures of blocks that were spread over boards (or nodes), whose gains differ: blocks on
one board resemble each other, so it is boards that are repeated. Many series at once: (…, blocks).
"""

import numpy as np
from numpy.typing import NDArray

from lem.stats.boards import Grouped, grouped
from lem.stats.layout import Array
from lem.stats.quantiles import t_quantile
from lem.stats.serial import (
    DRIFTS,
    FEWEST,
    NOTICED,
    WANDERS,
    Serial,
    absolute_intervals,
    autocorrelation,
    half_width,
    likely,
    variance_ratio,
)


def absolute_on_boards(values: Array, which: NDArray[np.int64], level: float = 0.95) -> Serial:
    """Mean of each series with its interval, for boards like these. ``which`` (…, blocks): the
    board's number.

    The half-widths of two intervals are added in squares. The boards': t of boards − 1 degrees of
    freedom times √(scatter of their means × Σ of squared shares of the blocks). The blocks': as in
    :func:`lem.stats.serial.absolute_intervals`, with the autocorrelation that may be there, of what
    is left without the boards' means or of the whole series, whichever is narrower: where boards
    take turns in long stretches the series wanders, and with hardly more blocks than boards nearly
    nothing is left. Autocorrelation and slope are tested within boards, so that the order in which
    boards were used is no drift; nothing is merged.

    A series on one board, and one with each block on a board of its own, is treated as any other.
    """
    values = np.asarray(values, dtype=float)
    which = np.broadcast_to(which, values.shape)
    shape, n = values.shape[:-1], values.shape[-1]
    flat, on = values.reshape(-1, n), which.reshape(-1, n)
    found = grouped(flat, on)
    plain = absolute_intervals(flat, level)
    several = (found.boards > 1) & (found.boards < n)
    half, refused = plain.half_width.copy(), plain.refused.copy()
    lag, lag_p, merged = plain.lag1.copy(), plain.lag1_p.copy(), plain.merged.copy()
    change, slope_p = plain.slope.copy(), plain.slope_p.copy()
    if several.any():
        at = np.flatnonzero(several)
        part = grouped(flat[at], on[at])
        lag[at], lag_p[at] = autocorrelation(part.rest)
        change[at], slope_p[at] = _slope(part, on[at])
        half[at], merged[at] = _half_width(flat[at], part, level), 1
        wanders = (lag_p < NOTICED) & (likely(np.nan_to_num(found.rest), 0.0) >= WANDERS)
        # Of what few blocks leave beside their boards' means, independent blocks look like that.
        wanders &= found.df >= FEWEST
        coarse = plain.refused == 2
        kinds = np.select([coarse, slope_p < DRIFTS, wanders], [2, 4, 3], 0)
        refused[at] = kinds[at]
        half[refused > 0] = np.nan
    return Serial(
        plain.mean.reshape(shape),
        half.reshape(shape),
        lag.reshape(shape),
        lag_p.reshape(shape),
        change.reshape(shape),
        slope_p.reshape(shape),
        merged.reshape(shape),
        refused.reshape(shape),
    )


def _half_width(values: Array, found: Grouped, level: float) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(found.scatter * found.concentration)
        boards = t_quantile(0.5 + level / 2, found.boards - 1) * spread
        left = np.sqrt(found.within / found.df * variance_ratio(found.rest))
        blocks = np.fmin(t_quantile(0.5 + level / 2, found.df) * left, half_width(values, level))
    width: Array = np.hypot(boards, np.nan_to_num(blocks))
    return width


def _slope(found: Grouped, which: NDArray[np.int64]) -> tuple[Array, Array]:
    """As :func:`lem.stats.serial.slope`, by a line of one steepness on every board; NaN and 1 where
    the order of boards leaves hardly any time within them."""
    from scipy.special import stdtr

    n = found.rest.shape[-1]
    time = np.broadcast_to(np.linspace(-0.5, 0.5, n), found.rest.shape)
    within = grouped(time, which).rest
    squares = np.sum(within**2, axis=-1)
    df = found.df - 1
    told = (df >= 2) & (squares > 1e-9)
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.sum(found.rest * within, axis=-1) / squares
        rest = found.rest - change[:, None] * within
        error = np.sqrt(np.sum(rest**2, axis=-1) / df / squares * variance_ratio(rest) * n)
        t = np.where(error > 0, np.abs(change) / error, np.where(change != 0, np.inf, 0.0))
        p = 2 * stdtr(np.maximum(df, 1), -t)
    return np.where(told, change, np.nan), np.where(told, p, 1.0)
