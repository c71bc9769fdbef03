"""Blocks that were spread over boards (or nodes): how far these differ, and what that does to the
intervals of ratios. Works on many campaigns at once.

A board's gain cancels in a ratio. What is left is that an arm may gain more on one board than on
another (another bin, cooling, driver). Two questions then have two answers (docs/method.md): what
the ratio is on these boards, which blocks as the unit of repetition answer, and what it is on
boards like these, for which the boards themselves are the unit.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lem.stats.intervals import COARSE, WILD, Intervals, compare_arms, half_widths
from lem.stats.layout import Array, fit
from lem.stats.quantiles import t_quantile

ENDS = 0.025
"""Probability beyond each end of a component's interval."""


class Grouped(NamedTuple):
    """Values (…, blocks) by their board."""

    counts: Array
    """(…, boards): blocks on each; 0 where none has a value."""
    means: Array
    """(…, boards): NaN where there is none."""
    rest: Array
    """(…, blocks): each value less its board's mean."""
    within: Array
    """(…): sum of the rest's squares."""
    boards: Array
    """(…): boards that have a value."""

    @property
    def blocks(self) -> Array:
        total: Array = self.counts.sum(axis=-1)
        return total

    @property
    def df(self) -> Array:
        """Degrees of freedom within boards."""
        return self.blocks - self.boards

    @property
    def concentration(self) -> Array:
        """Σ of squared shares of the blocks: 1 ÷ boards where all have as many, else more."""
        with np.errstate(divide="ignore", invalid="ignore"):
            share = self.counts / self.blocks[..., None]
        total: Array = np.square(share).sum(axis=-1)
        return total

    @property
    def scatter(self) -> Array:
        """(…): sample variance of the boards' means, each counting once; NaN of fewer than two.

        Times :attr:`concentration` it is no less, on average, than the variance of the mean over
        blocks among boards like these: with variance b² between and v within boards, nₖ of n blocks
        each, that is b²·Σ(nₖ/n)² + v/n, and v/n ≤ v·mean(1/nₖ)·Σ(nₖ/n)². Equal where nₖ are.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            middle = np.nansum(self.means, axis=-1, keepdims=True) / self.boards[..., None]
            square = np.nansum((self.means - middle) ** 2, axis=-1)
            found: Array = np.where(self.boards > 1, square / (self.boards - 1), np.nan)
        return found


def grouped(values: Array, which: NDArray[np.int64]) -> Grouped:
    """``which`` (…, blocks), broadcast to ``values``: the board's number, from 0. NaN: no value."""
    known = np.isfinite(values)
    member = (which[..., None] == np.arange(int(which.max(initial=0)) + 1)) & known[..., None]
    counts = member.sum(axis=-2).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        means = np.where(member, values[..., None], 0.0).sum(axis=-2) / counts
    own = np.where(member, np.nan_to_num(means)[..., None, :], 0.0).sum(axis=-1)
    rest = np.where(known, values - own, np.nan)
    within: Array = np.nansum(rest**2, axis=-1)
    return Grouped(counts, means, rest, within, (counts > 0).sum(axis=-1).astype(float))


class Component(NamedTuple):
    """(…) each: the standard deviation between boards, NaN where it cannot be told from scatter
    (no board has two blocks)."""

    sd: Array
    low: Array
    high: Array
    """95 % interval of the standard deviation."""
    most: Array
    """It is below this with 95 % confidence."""


def component(found: Grouped) -> Component:
    """What boards differ by beyond what blocks on one board do: a one-way layout, boards random.

    By the unweighted means of unequal numbers of blocks (J. D. Thomas and R. A. Hultquist, Ann.
    Statist. 6 (1978) 582), with the interval of J. W. Tukey (Biometrika 38 (1951) 202) and J. S.
    Williams (Biometrika 49 (1962) 278). For few boards its upper end is far away, as it must be.
    Where boards' means happen to lie closer together than blocks let them, upper ends are those of
    means that scatter as blocks do: a bound of nothing would be no bound.
    """
    from scipy.special import chdtri, fdtri

    between, df = np.maximum(found.boards - 1, 1), np.maximum(found.df, 1)
    told = (found.boards > 1) & (found.df > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = np.where(found.counts > 0, 1 / found.counts, 0.0).sum(axis=-1) / found.boards
        noise = found.within / df * inverse
        scatter = found.scatter

        def end(p: float) -> Array:
            """The end beyond which the interval leaves ``p`` or 1 − ``p``."""
            seen = scatter if p < 0.5 else np.maximum(scatter, noise)
            variance = between * (seen - noise * fdtri(between, df, 1 - p)) / chdtri(between, p)
            return np.where(told, np.sqrt(np.maximum(variance, 0)), np.nan)

        sd = np.where(told, np.sqrt(np.maximum(scatter - noise, 0)), np.nan)
    return Component(sd, end(ENDS), end(1 - ENDS), end(1 - 2 * ENDS))


class Apart(NamedTuple):
    """Every board beside all others, (…, boards) each."""

    deviation: Array
    """Mean of its blocks less the mean of the blocks of all others that are not apart themselves;
    NaN of no block, or of all."""
    half_width: Array
    """Of intervals that hold jointly; NaN where the board, or the others together, have but one
    block: a run that stands out is no board that does."""
    apart: NDArray[np.bool_]
    """Boards that differ from the others; of two that differ both."""


def apart(found: Grouped, level: float, series: int = 1, allowed: Array | float = 0.0) -> Apart:
    """Which boards differ from the others: t by the scatter within boards, Bonferroni over boards
    (two boards are one comparison) and over ``series`` such sets. ``allowed`` (boards): by how much
    each may be off beyond its interval.

    The one that stands out most is put aside and the others are looked at again, or each of them
    would seem to differ from a mean that it is in.
    """
    rest = found.counts > 0
    out = np.zeros(rest.shape, dtype=bool)
    for _ in range(rest.shape[-1]):
        deviation, half = _beside(found, rest, level, series)
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.where(rest, np.nan_to_num(np.abs(deviation) / (half + allowed + COARSE)), 0.0)
        last_two = rest.sum(axis=-1, keepdims=True) == 2
        worst = (np.arange(rest.shape[-1]) == far.argmax(axis=-1)[..., None]) | last_two
        new = rest & worst & (far.max(axis=-1, keepdims=True) > 1)
        if not new.any():
            break
        out |= new
        rest = rest & ~new
    none_left = ~rest.any(axis=-1, keepdims=True)
    return Apart(*_beside(found, np.where(none_left, found.counts > 0, rest), level, series), out)


def allowed(gains: Array, level: float, series: int = 1) -> Array:
    """How far each board's gain (standard uncertainties, (…, boards); NaN of none that is there)
    explains that it is from the others, whose mean is as uncertain as one of them at most: they may
    have an error in common. Joint as in :func:`apart`."""
    from scipy.special import ndtri

    known = np.where(np.isnan(gains), 0.0, gains)
    boards = known.shape[-1]
    others = np.where(np.eye(boards, dtype=bool), 0.0, known[..., None, :]).max(axis=-1)
    tests = (~np.isnan(gains)).sum(axis=-1, keepdims=True)
    tests = np.where(tests <= 2, 1, tests) * series
    explained: Array = ndtri(1 - (1 - level) / 2 / tests) * np.hypot(known, others)
    return explained


def _beside(
    found: Grouped, among: NDArray[np.bool_], level: float, series: int
) -> tuple[Array, Array]:
    """Each board less the boards ``among`` (…, boards) without itself, with half-widths."""
    own = found.counts
    tests = np.where(found.boards == 2, 1, found.boards) * series
    counted = np.where(among, own, 0.0)
    n = counted.sum(axis=-1, keepdims=True) - counted
    with np.errstate(divide="ignore", invalid="ignore"):
        sums = np.nan_to_num(counted * found.means)
        others = (sums.sum(axis=-1, keepdims=True) - sums) / n
        q = t_quantile(1 - (1 - level) / 2 / np.maximum(tests, 1), np.maximum(found.df, 1))
        spread = np.sqrt(found.within / found.df)
        half = (q * spread)[..., None] * np.sqrt(1 / own + 1 / n)
    usable = (own > 0) & (n > 0)
    told = (own > 1) & (n > 1)
    return np.where(usable, found.means - others, np.nan), np.where(told, half, np.nan)


class OnBoards(NamedTuple):
    """(…, arms − 1) each, in the order of the columns."""

    grouped: Grouped
    """Of the within-block log-ratios."""
    half_width: Array
    """Of the ratio on boards like these, never narrower than on these; NaN where there is none."""
    noticed: NDArray[np.bool_]
    """Whether a board is shown to differ from the others (:func:`apart`)."""
    wider: NDArray[np.bool_]
    """Whether that made the ratio's interval wider."""


def compare_on_boards(
    logs: Array,
    which: NDArray[np.int64],
    baseline: int = 0,
    pilot: int | None = None,
    level: float = 0.95,
    comparisons: int | None = None,
    gains: Array | None = None,
) -> tuple[Intervals, OnBoards]:
    """:func:`lem.stats.intervals.compare_arms` of blocks that ran on the boards ``which``
    (…, blocks).

    The intervals are of the ratio on these boards, whether or not boards differ in it: with the
    boards given, blocks scatter about it independently. Where a board is shown to differ in an
    arm's ratio (:func:`apart`), that arm's interval is no narrower than that on boards like these:
    the boards' means take the place of blocks in the same rule. The latter is there for every arm.
    ``gains`` (…, arms − 1, boards): standard uncertainty that gains leave in the ratio on each
    board, as of arms on other numbers of boards: what they explain is no difference of boards.
    """
    found = compare_arms(logs, baseline, pilot, level, comparisons)
    m = logs.shape[-1] - 1 if comparisons is None else comparisons
    explained = 0.0 if gains is None else allowed(gains, level, m)
    on, same, df = _on_boards(logs, which, baseline, level, m, explained)
    with np.errstate(invalid="ignore"):
        wider = on.noticed & (on.half_width > found.half_width)
    # No narrower than on these boards; none where these have none, or where it is too wild.
    known = np.isfinite(found.half_width) & (on.half_width < WILD)
    like = np.where(known, np.fmax(on.half_width, found.half_width), np.nan)
    on = on._replace(half_width=like, wider=wider)
    stated = replace(
        found,
        half_width=np.where(wider, like, found.half_width),
        half_width_same=np.where(
            wider, np.fmax(same, found.half_width_same), found.half_width_same
        ),
        df=np.where(wider, df, found.df),
        refused=np.where(wider & ~known & (found.refused == 0), 3, found.refused),
    )
    return stated, on


def _on_boards(
    logs: Array,
    which: NDArray[np.int64],
    baseline: int,
    level: float,
    m: int,
    explained: Array | float,
) -> tuple[OnBoards, Array, Array]:
    """With the half-widths for tests of equivalence, and the degrees of freedom."""
    others = [a for a in range(logs.shape[-1]) if a != baseline]
    differences = np.swapaxes(logs[..., others] - logs[..., [baseline]], -1, -2)
    by_board = grouped(differences, which[..., None, :])
    shape = by_board.boards.shape
    means = by_board.means.reshape(-1, *by_board.means.shape[-2:])
    half, same, df = (np.full((len(means), shape[-1]), np.nan) for _ in range(3))
    present = np.isfinite(means).any(axis=-2)
    first = np.argsort(~present, axis=-1, kind="stable")
    means = np.take_along_axis(means, first[:, None, :], axis=-1)
    for boards in range(3, means.shape[-1] + 1):
        these = np.flatnonzero(present.sum(axis=-1) == boards)
        if len(these):
            table = np.swapaxes(means[these, :, :boards], -1, -2)
            table = np.concatenate([np.zeros_like(table[..., :1]), table], axis=-1)
            with np.errstate(divide="ignore", invalid="ignore"):
                half[these], same[these], df[these] = half_widths(fit(table, 0), level, m)
    with np.errstate(invalid="ignore"):
        # Half-widths are those of a mean in which every board counts alike.
        uneven = np.sqrt(by_board.concentration * by_board.boards)
    # An arm on two boards, also where others are on more.
    two, pair = by_board.boards == 2, _of_two(by_board.scatter, level, m)
    half, same, df = (
        np.where(two, of_two, found.reshape(shape))
        for of_two, found in zip(pair, (half, same, df), strict=True)
    )
    half, same = half * uneven, same * uneven
    deviation, least = _beside(by_board, by_board.counts > 0, level, m)
    with np.errstate(invalid="ignore"):
        noticed = np.asarray((np.abs(deviation) > least + explained + COARSE).any(axis=-1))
    on = OnBoards(by_board, half, noticed, noticed)
    return on, same, df


def _of_two(scatter: Array, level: float, m: int) -> tuple[Array, Array, Array]:
    """:func:`half_widths` of two boards: nothing is pooled there, and Dunnett's quantile is of one
    variance in common (with 6 arms it covered 87 %). Bonferroni's t, of one degree of freedom."""
    deviation = np.sqrt(scatter / 2)
    one = np.ones_like(deviation)
    two_sided, one_sided = (t_quantile(1 - (1 - level) / k / m, one) for k in (2, 1))
    return two_sided * deviation, one_sided * deviation, one
