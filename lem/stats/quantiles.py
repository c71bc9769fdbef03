"""Quantiles: Student's t, and Dunnett's two-sided many-to-one t."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_STEP = 0.125
_Z = np.arange(0.0, 9.0 + _STEP, _STEP)
_Z_WEIGHT = np.exp(-(_Z**2) / 2) * _STEP / np.sqrt(2 * np.pi)
_Z_WEIGHT[1:] *= 2  # what is integrated over Z₀ is even
_NOTHING = 1e-16
"""A weight that changes no digit of a probability."""


def t_quantile(p: Any, df: Any) -> Any:
    """Quantile of Student's t, elementwise."""
    from scipy.special import stdtrit

    return stdtrit(df, p)


def dunnett_probability(q: float, comparisons: int, df: float, correlation: float = 0.5) -> float:
    """P(max |Tᵢ| ≤ q) of ``comparisons`` equally correlated t variables over one χ² variance.

    Tᵢ = (√(1 − ρ)·Zᵢ + √ρ·Z₀) ÷ S with df·S² ~ χ²(df): comparisons with one control of equal
    replication have ρ = ½ (Dunnett, J. Am. Stat. Assoc. 50 (1955) 1096; Biometrics 20 (1964)
    482). Both integrals are over functions that vanish like a Gaussian or faster, where the plain
    sum over equal steps converges faster than any power (Trefethen and Weideman, SIAM Review 56
    (2014) 385); here ten digits.
    """
    from scipy.special import gammaln, ndtr

    # ln S: density ∝ exp(df·y − df·e^{2y}/2), whose standard deviation is about 1/√(2·df).
    sd = 1 / np.sqrt(2 * df)
    y = np.arange(-12.0, 8.0 + _STEP, _STEP) * sd
    if df < 10:  # the left tail falls only as exp(df·y)
        y = np.arange(-40.0 / df, 3.0, min(sd, 1.0) * _STEP)
    log_density = df * y - df * np.exp(2 * y) / 2 + np.log(2) + df / 2 * np.log(df / 2)
    weight = np.exp(log_density - gammaln(df / 2)) * (y[1] - y[0])
    y, weight = y[weight > _NOTHING], weight[weight > _NOTHING]
    a, b = np.sqrt(correlation) * _Z[None, :], q * np.exp(y)[:, None]
    c = np.sqrt(1 - correlation)
    inner = (ndtr((b - a) / c) - ndtr((-b - a) / c)) ** comparisons
    return float(weight @ (inner @ _Z_WEIGHT))


@lru_cache(maxsize=4096)
def _dunnett(level: float, comparisons: int, df: float, correlation: float) -> float:
    from scipy.optimize import brentq

    low = float(t_quantile(0.5 + level / 2, df))
    if comparisons == 1:
        return low
    # Bonferroni is the upper bound; the sides are exact, so the root lies between.
    high = float(t_quantile(1 - (1 - level) / (2 * comparisons), df)) * (1 + 1e-6)

    def excess(q: float) -> float:
        return dunnett_probability(q, comparisons, df, correlation) - level

    return float(brentq(excess, low * (1 - 1e-6), high, xtol=1e-9))


def dunnett_quantile(level: float, comparisons: int, df: Any, correlation: float = 0.5) -> Any:
    """The q with P(max |Tᵢ| ≤ q) = ``level``; ``df`` a number or an array.

    With one comparison this is the two-sided t quantile. A correlation below the true one makes q
    larger, so the interval stays valid (Šidák, J. Am. Stat. Assoc. 62 (1967) 626).
    """
    if np.ndim(df) == 0:
        return _dunnett(level, comparisons, float(df), correlation)
    values, where = np.unique(np.asarray(df, dtype=float), return_inverse=True)
    quantiles = np.array([_dunnett(level, comparisons, float(v), correlation) for v in values])
    return quantiles[where].reshape(np.shape(df))
