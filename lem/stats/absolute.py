"""An absolute figure (joules per token) over blocks: its repeatability and its uncertainty."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import replace

from lem.stats.estimates import Absolute

FEW_BLOCKS = 60
"""Below this many blocks a drift may well go unnoticed: intervals allow for it, and the expanded
uncertainty, which does not, is rough (docs/method.md)."""
COVERAGE = 0.95
"""Of the expanded uncertainty's part from few boards (its usual factor of 2 is 95.4 %)."""


def absolute(
    values: Sequence[float],
    uncertainties: Sequence[float | None],
    level: float = 0.95,
    boards: Sequence[Hashable] | None = None,
) -> Absolute:
    """Mean of one value per block, in the blocks' order, with its repeatability interval and its
    expanded uncertainty (JCGM 100:2008, GUM, 5.1, 6.2).

    ``uncertainties`` are the runs' own, expanded (k = 2). They come from the meter (gain, offset,
    tick), which every run shares, so they do not shrink by averaging: u_B is their mean ÷ 2.
    u_A = s ÷ √n. U = 2·√(u_A² + u_B²) is not called a 95 % interval: with few blocks u_A itself is
    uncertain and slow drift goes unnoticed. The repeatability interval (``low``, ``high``) allows
    for both, see :func:`lem.stats.serial.absolute_intervals`; it says nothing of the meter.

    ``boards``: of each block the board (or node) that it ran on. Where there are several their
    gains differ, so u_A and the interval rest on the boards' means
    (:func:`lem.stats.absolute_boards.absolute_on_boards`): they are for boards like these. u_B
    stays what it is: nothing tells how much of an error boards of a kind have in common. In U the
    boards' part has Student's quantile of boards − 1 degrees of freedom where that is above 2
    (``k_a``): of two boards the scatter is hardly known.

    Raises ValueError for no values or unequal lengths.
    """
    return _with_interval(mean_of(values, uncertainties, level, boards), values, boards)


def mean_of(
    values: Sequence[float],
    uncertainties: Sequence[float | None],
    level: float = 0.95,
    boards: Sequence[Hashable] | None = None,
) -> Absolute:
    """:func:`absolute` without the repeatability interval, which takes most of its time."""
    if not values or len(values) != len(uncertainties):
        raise ValueError("one uncertainty (or None) for each value, at least one value")
    if boards is not None and len(boards) != len(values):
        raise ValueError("one board for each value")
    n = len(values)
    groups = _by_board(values, boards)
    mean = math.fsum(values) / n
    u_a = standard_deviation(values) / math.sqrt(n) if n > 1 else None
    k_a = 2.0
    if u_a is not None and len(groups) > 1:
        means = [math.fsum(g) / len(g) for g in groups]
        shares = math.sqrt(math.fsum((len(g) / n) ** 2 for g in groups))
        of_boards = standard_deviation(means) * shares
        wide = max(2 * u_a, _student(len(groups)) * of_boards)
        u_a = max(u_a, of_boards)
        k_a = wide / u_a if u_a > 0 else k_a
    stated = [u for u in uncertainties if u is not None]
    u_b = math.fsum(stated) / n / 2 if len(stated) == n else None
    expanded = None if u_b is None else math.hypot(k_a * (u_a or 0.0), 2 * u_b)
    return Absolute(
        *(mean, n, u_a, u_b, expanded),
        few_blocks=n < FEW_BLOCKS,
        level=level,
        boards=len(groups) if len(groups) > 1 else None,
        k_a=k_a,
    )


def _student(boards: int) -> float:
    from lem.stats.quantiles import t_quantile

    return max(2.0, float(t_quantile(0.5 + COVERAGE / 2, boards - 1)))


OVERLAP = "blocks ran on sets of boards that overlap, whose errors are partly the same"


def not_averaged(found: Absolute, values: Sequence[float]) -> Absolute:
    """Of blocks on different sets of boards that all hang together by boards in common: how far
    errors average out is not known, so u_A is the scatter itself and there is no interval."""
    if len(values) < 2:
        return found
    u_a = standard_deviation(values)
    expanded = None if found.u_b is None else 2 * math.hypot(u_a, found.u_b)
    return replace(found, u_a=u_a, k_a=2.0, expanded=expanded, low=None, high=None, reason=OVERLAP)


def _by_board(values: Sequence[float], boards: Sequence[Hashable] | None) -> list[list[float]]:
    groups: dict[Hashable, list[float]] = {}
    for value, board in zip(values, boards or [None] * len(values), strict=True):
        groups.setdefault(board, []).append(value)
    return list(groups.values())


def _with_interval(
    found: Absolute, values: Sequence[float], boards: Sequence[Hashable] | None
) -> Absolute:
    import numpy as np

    from lem.stats.serial import REFUSALS, absolute_intervals

    series = np.asarray(values, dtype=float)
    if found.boards is None or boards is None:
        s = absolute_intervals(series, found.level)
    else:
        from lem.stats.absolute_boards import absolute_on_boards

        numbers = {board: i for i, board in enumerate(dict.fromkeys(boards))}
        s = absolute_on_boards(series, np.array([numbers[b] for b in boards]), found.level)
    refused, half = int(s.refused), float(s.half_width)
    lag1, change = float(s.lag1), float(s.slope)
    found = replace(
        found,
        merged=int(s.merged),
        lag1=lag1 if math.isfinite(lag1) else None,
        slope=change / found.mean if math.isfinite(change) and found.mean else None,
    )
    if refused:
        return replace(found, reason=REFUSALS[refused])
    return replace(found, low=found.mean - half, high=found.mean + half)


def standard_deviation(values: Sequence[float]) -> float:
    """Sample standard deviation (n − 1). Needs at least two values."""
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
