"""How much of the spread over a complete grid each swept parameter explains (functional ANOVA).

The logarithm of each cell of the grid is split into a mean, one effect for each parameter and one
for each set of parameters together, orthogonal to each other (Hoeffding; Efron and Stein, Ann.
Stat. 9 (1981) 586). The variance of the cells is the sum of the effects' variances, and an effect's
share of it is its Sobol index on the grid (I. M. Sobol, Math. Comp. Sim. 55 (2001) 271).

Squares of noisy effects are too large by the noise: with enough settings, scatter alone would
"explain" something. So an effect's variance is the mean over all pairs of *different* blocks of the
product of what the two say of it (a U-statistic; W. Hoeffding, Ann. Math. Stat. 19 (1948) 293).
Blocks' noise is independent, so nothing of it is left on average, whatever it looks like within a
block.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Effect = tuple[int, ...]
"""Indices of the parameters that act together; one of them: its main effect."""
MAX_ORDER = 2
"""Effects of more parameters together are pooled: nobody could read them, and there are 2^d."""
POOLED: Effect = ()
"""Stands for all effects of more than :data:`MAX_ORDER` parameters together."""


@dataclass(frozen=True)
class Shares:
    """Of one or many campaigns (…): effects in the order of ``effects``."""

    effects: tuple[Effect, ...]
    share: Array
    """(…, effects): part of the variance; sums to 1. May lie a little below 0."""
    half_width: Array
    """(…, effects): of each share's own interval; NaN below 3 blocks."""
    total: Array
    """(…): variance of the cells' logarithms, without what noise adds."""
    total_half_width: Array
    """(…): of its interval."""
    noise: Array
    """(…): standard deviation of one run's logarithm, beside cell and block."""
    chance: Array
    """(…): how likely cells that do not differ at all would look this different (F test of the
    two-way layout of blocks and cells). Two blocks have no interval that could tell it."""


def shares(logs: Array, level: float = 0.95) -> Shares:
    """``logs`` (…, blocks, k₁, …, k_d): natural logarithms, complete; the last ``d`` axes are the
    parameters (at least two values each). At least two blocks.

    Intervals are Tukey's jackknife over blocks with Student's t on n − 1 degrees of freedom (R. G.
    Miller, Biometrika 61 (1974) 1).
    """
    return _shares(np.asarray(logs, dtype=float), level, parameters(logs))


def parameters(logs: Any) -> int:
    """One campaign's number of parameters."""
    return int(np.ndim(logs)) - 1


def of_many(logs: Array, grid: int, level: float = 0.95) -> Shares:
    """As :func:`shares`, for many campaigns at once: the last ``grid`` axes are the parameters."""
    return _shares(np.asarray(logs, dtype=float), level, grid)


def _shares(logs: Array, level: float, d: int) -> Shares:
    from lem.stats.quantiles import t_quantile

    cells = tuple(range(-d, 0))
    blocks = logs.shape[-d - 1]
    if blocks < 2:
        raise ValueError("at least two blocks are needed")
    size = int(np.prod(logs.shape[-d:]))
    products: dict[Effect, Array] = {}
    for effect in subsets(d):
        part = component(logs, effect, cells).reshape(*logs.shape[:-d], size)
        kept = kept_as(effect)
        # (…, blocks, blocks): what two blocks together say of the effect's variance.
        gram = part @ np.swapaxes(part, -1, -2) / size
        products[kept] = products.get(kept, 0.0) + gram
    effects = tuple(products)
    grams = np.stack([products[e] for e in effects], axis=-3)
    variance = _over_pairs(grams)
    total = variance.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = variance / total[..., None]
        half, total_half = np.full_like(share, np.nan), np.full_like(total, np.nan)
        if blocks > 2:
            without = np.stack([_over_pairs(_without(grams, b)) for b in range(blocks)], axis=0)
            all_of_it = without.sum(axis=-1)
            q = t_quantile(0.5 + level / 2, blocks - 1)
            half = q * _jackknife(without / all_of_it[..., None])
            total_half = q * _jackknife(all_of_it)
    noise = _noise(logs, cells)
    return Shares(effects, share, half, total, total_half, noise, _chance(logs, cells, noise))


def subsets(d: int) -> list[Effect]:
    """All effects of ``d`` parameters."""
    return [s for n in range(1, d + 1) for s in itertools.combinations(range(d), n)]


def kept_as(effect: Effect) -> Effect:
    """Where an effect's variance is counted."""
    return effect if len(effect) <= MAX_ORDER else POOLED


def component(logs: Array, effect: Effect, cells: tuple[int, ...]) -> Array:
    """The part of each block that this effect is: centred along its own parameters, averaged over
    the others, in the shape of the whole grid. ``cells``: the parameters' axes."""
    part = logs
    for i, axis in enumerate(cells):
        mean = part.mean(axis=axis, keepdims=True)
        part = part - mean if i in effect else np.broadcast_to(mean, logs.shape)
    return np.ascontiguousarray(part)


def _over_pairs(grams: Array) -> Array:
    """Mean over pairs of different blocks."""
    n = grams.shape[-1]
    diagonal = np.trace(grams, axis1=-2, axis2=-1)
    mean: Array = (grams.sum(axis=(-1, -2)) - diagonal) / (n * (n - 1))
    return mean


def _without(grams: Array, block: int) -> Array:
    return np.delete(np.delete(grams, block, axis=-1), block, axis=-2)


def _jackknife(without: Array) -> Array:
    """Standard error from the estimates (first axis) that each leave one block out."""
    n = without.shape[0]
    spread = np.sum((without - without.mean(axis=0)) ** 2, axis=0)
    error: Array = np.sqrt((n - 1) / n * spread)
    return error


def _noise(logs: Array, cells: tuple[int, ...]) -> Array:
    block = cells[0] - 1
    n, size = logs.shape[block], int(np.prod([logs.shape[a] for a in cells]))
    residual = logs - logs.mean(axis=cells, keepdims=True)
    residual = residual - residual.mean(axis=block, keepdims=True)
    squares = np.sum(residual**2, axis=(block, *cells))
    noise: Array = np.sqrt(squares / ((n - 1) * (size - 1)))
    return noise


def _chance(logs: Array, cells: tuple[int, ...], noise: Array) -> Array:
    from scipy.special import fdtrc

    block = cells[0] - 1
    n, size = logs.shape[block], int(np.prod([logs.shape[a] for a in cells]))
    between = n * logs.mean(axis=block).var(axis=cells, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(between > 0, between / noise**2, 0.0)
    chance: Array = np.asarray(fdtrc(size - 1, (n - 1) * (size - 1), ratio))
    return chance
