"""What errors that no number of blocks lessens leave of shares of variance.

An error that is the same in every block, such as a board's gain, looks like an effect of whatever
decides which boards an experiment uses, and of nothing else. So a share's interval has to hold what
it would be without: the shares are computed for every error that can be called likely, and the
interval reaches to the least and the largest of them. That is the projection of a joint confidence
region (H. Scheffé, Biometrika 40 (1953) 87): a share of 0 is held as well as a large one, where a
linear approximation, or quantiles of simulated shares, would never reach 0.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lem.stats.attribution import Array, Shares, component, kept_as, shares, subsets

MINOR = 0.1
"""Parts of an error below this share of its largest one count as no dimension of their own: how
likely the others are together does not hang on them."""
LINE = 401
"""Points that are looked at where the error has one part."""
DIRECTIONS, RADII = 600, 12
ROUNDS, NEIGHBOURS, CLOSER = 24, 200, 0.8
"""Elsewhere: first everywhere in the region, then around what was best, ever closer (in many
dimensions slowly, or it stops before it is there) …"""
STARTS = 3
"""… from so many of the best points that lie apart: a share may be least at several."""


@dataclass(frozen=True)
class Bounds:
    """Of one campaign's shares, with errors that all its blocks share; ``effects`` as there."""

    low: Array
    """(effects): ends of each share's own interval, scatter included; NaN below 3 blocks."""
    high: Array
    least: Array
    """(effects): the smallest share that the shared errors alone leave possible."""
    total_low: float
    """Lower end of the interval of the cells' variance, scatter included; without scatter below
    3 blocks."""
    deviation: float
    """Standard uncertainty that they give the logarithm of a cell beside the mean of all, RMS over
    cells."""


def with_shared(
    logs: Array, found: Shares, errors: Sequence[Array], least: float, level: float = 0.95
) -> Bounds | None:
    """``found`` of one campaign's ``logs`` (blocks, k₁, …, k_d), with errors that are the same in
    every block.

    ``errors``: what they may be, each an array (k₁, …, k_d, parts): a cell's logarithm is off by
    its row · z, with z independent and standard normal. Of several the intervals hold each.
    None where no cell is off from the mean of all by more than ``least``.

    The interval reaches from the least s(z) − h·√(1 − |z|²/R²) to the largest s(z) + h·√(1 −
    |z|²/R²), with s(z) the share without the error that z stands for, R the radius that holds z
    with ``level``, and h the half-width by scatter. Where s is linear in z the two add in squares,
    as in comparisons; where s has an end of its own within R, in full.
    """
    regions = [r for e in errors if (r := _region(logs, found, e, least, level)) is not None]
    if not regions:
        return None
    size = len(found.effects)
    low, high, lowest = np.full(size, np.nan), np.full(size, np.nan), np.full(size, np.inf)
    total_low = math.inf
    for region in regions:
        total, least_total = region.total_low()
        total_low = min(total_low, total)
        for i in range(size):
            if least_total <= 0:
                # Without the errors there may be no spread to have a share of.
                below, above, alone = -math.inf, math.inf, 0.0
            else:
                below, above, alone = region.interval(i)
            low[i], high[i] = np.fmin(low[i], below), np.fmax(high[i], above)
            lowest[i] = min(lowest[i], alone)
    deviation = max(region.deviation for region in regions)
    return Bounds(low, high, lowest, total_low, deviation)


def _region(
    logs: Array, found: Shares, error: Array, least: float, level: float
) -> "_Region | None":
    from scipy.special import chdtri

    parts = error.shape[-1]
    rows = error.reshape(-1, parts)
    left, sizes, _ = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    kept = sizes / math.sqrt(len(rows)) > least
    if not kept.any():
        return None
    columns = (left * sizes)[:, kept]
    dimensions = int((sizes >= MINOR * sizes[0]).sum())
    radius = math.sqrt(float(chdtri(dimensions, 1 - level)))
    return _Region(logs, found, columns.reshape(*error.shape[:-1], -1), radius)


class _Region:
    """All z within ``radius``, and what the shares are without the errors that they stand for.

    With errors E·z taken off, an effect's variance is a quadratic in z: that of the cells' means,
    since scatter does not hang on z.
    """

    def __init__(self, logs: Array, found: Shares, columns: Array, radius: float) -> None:
        self._logs, self._found, self._columns, self._radius = logs, found, columns, radius
        grid = columns.ndim - 1
        size, parts = math.prod(columns.shape[:-1]), columns.shape[-1]
        self.deviation = math.sqrt(float((columns**2).sum()) / size)
        self._linear = np.zeros((len(found.effects), parts))
        self._square = np.zeros((len(found.effects), parts, parts))
        means = logs.mean(axis=0)
        axes = tuple(range(-grid, 0))
        for effect in subsets(grid):
            i = found.effects.index(kept_as(effect))
            own = component(means, effect, axes).reshape(size)
            off = component(np.moveaxis(columns, -1, 0), effect, axes).reshape(parts, size)
            self._linear[i] += off @ own / size
            self._square[i] += off @ off.T / size
        self._plain = found.share * found.total
        self._points = np.vstack([self._everywhere(parts), *self._vertices()])

    def variance(self, z: Array) -> Array:
        """(points, effects) of ``z`` (points, parts)."""
        squares = np.einsum("pi,eij,pj->pe", z, self._square, z, optimize=True)
        found: Array = self._plain - 2 * z @ self._linear.T + squares
        return found

    def total(self, z: Array) -> Array:
        found: Array = self.variance(z).sum(axis=-1)
        return found

    def share(self, z: Array, i: int) -> Array:
        variance = self.variance(z)
        found: Array = variance[:, i] / variance.sum(axis=-1)
        return found

    def interval(self, i: int) -> tuple[float, float, float]:
        """Ends of a share's interval, and the smallest share that the errors alone leave."""

        def figure(z: Array) -> Array:
            return self.share(z, i)

        ends = self._ends(figure)
        half = float(self._found.half_width[i])
        low, high = (self._end(figure, z, sign, half, lambda s: float(s.half_width[i]))
                     for z, sign in zip(ends, (1, -1), strict=True))  # fmt: skip
        return low, high, float(figure(ends[0][None])[0])

    def total_low(self) -> tuple[float, float]:
        """Lower end of the interval of all variance, and its least by the errors alone."""
        least = self._ends(self.total, both=False)[0]
        half = float(self._found.total_half_width)
        low = self._end(self.total, least, 1, half, lambda s: float(s.total_half_width))
        alone = float(self.total(least[None])[0])
        return (alone if math.isnan(low) else low), alone

    def _end(
        self,
        figure: Callable[[Array], Array],
        at: Array,
        sign: int,
        half: float,
        there: Callable[[Shares], float],
    ) -> float:
        """The least (``sign`` 1) or the largest (−1) of a figure with what scatter adds; ``at``: of
        the figure alone. NaN without a half-width."""
        if math.isnan(half):
            return math.nan
        wide = max(half, there(self._without(at)))

        def with_scatter(z: Array) -> Array:
            rest = 1 - (z**2).sum(axis=-1) / self._radius**2
            found: Array = figure(z) - sign * wide * np.sqrt(np.maximum(rest, 0.0))
            return found

        return float(with_scatter(self._end_point(with_scatter, sign)[None])[0])

    def _without(self, z: Array) -> Shares:
        return shares(self._logs - self._columns @ z)

    def _ends(self, figure: Callable[[Array], Array], both: bool = True) -> list[Array]:
        """Where a figure of z is least and, unless told otherwise, where it is largest."""
        return [self._end_point(figure, sign) for sign in ((1, -1) if both else (1,))]

    def _end_point(self, figure: Callable[[Array], Array], sign: int) -> Array:
        values = sign * figure(self._points)
        order = np.argsort(values)
        best: Array = self._points[order[0]]
        if len(best) == 1:
            return best
        starts = [best]
        for z in self._points[order[: len(order) // 10]]:
            if min(float(np.linalg.norm(z - s)) for s in starts) > self._radius / 2:
                starts.append(z)
            if len(starts) == STARTS:
                break
        ends = np.vstack([self._closer(figure, sign, z)[None] for z in starts])
        found: Array = ends[int(np.argmin(sign * figure(ends)))]
        return found

    def _vertices(self) -> list[Array]:
        """Where an effect's variance, or that of all, is least: it may be 0, and a lattice misses
        that."""
        squares = [*self._square, self._square.sum(axis=0)]
        linear = [*self._linear, self._linear.sum(axis=0)]
        found = [np.linalg.pinv(c) @ b for c, b in zip(squares, linear, strict=True)]
        return [z[None] for z in found if np.linalg.norm(z) <= self._radius]

    def _everywhere(self, parts: int) -> Array:
        if parts == 1:
            return np.linspace(-self._radius, self._radius, LINE)[:, None]
        draw = np.random.default_rng(parts)
        directions = draw.normal(size=(DIRECTIONS, parts))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        radii = self._radius * np.arange(RADII + 1)[:, None, None] / RADII
        points: Array = (radii * directions).reshape(-1, parts)
        return points

    def _closer(self, figure: Callable[[Array], Array], sign: int, best: Array) -> Array:
        draw = np.random.default_rng(0)
        for i in range(ROUNDS):
            step = CLOSER ** (i + 1) * self._radius
            near = best + step * draw.normal(size=(NEIGHBOURS, len(best)))
            far = np.maximum(np.linalg.norm(near, axis=1, keepdims=True) / self._radius, 1.0)
            near = np.vstack([best[None], near / far])
            best = near[int(np.argmin(sign * figure(near)))]
        return best
