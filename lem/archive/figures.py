"""What is said of a configuration, from its counted runs: pure arithmetic on arrays, many
configurations at once.

- Each block counts once: arms of one experiment in a block share its hour and its boards, so they
  are not two of its kind. Each submitter counts once: ``mean`` is the mean of the submitters'
  means, and those are means of their blocks' means.
- U of one submitter's mean: √(h² + ū²), where h is the half-width of its repeatability interval
  (:func:`lem.stats.serial.absolute_intervals` over its blocks in the order of campaign, block)
  and ū the mean of the runs' own U: those come from the meter, which all its runs share, so they do
  not shrink by averaging. Of latencies, throughput and quality it is h alone.
- U of several: the mean of theirs, times the Birge ratio where that is above 1: √(Σ((xᵢ − x̄) ÷
  (Uᵢ/2))² ÷ (k − 1)) (Birge, Phys. Rev. 40 (1932) 207). It is not divided by √k: boards and meters
  of one make may err alike. Where it is above ``UNEXPLAINED``, what they scatter by is known from
  themselves alone: U is then at least t(k − 1)·s ÷ √k, which matters with two or three.
- Where a submitter's blocks are of several boards it is boards that are repeated: h is then that of
  :func:`lem.stats.absolute_boards.absolute_on_boards`, blocks in the order in which they began.
- Where one submitter has no U there is none, and ``why_none`` says why.

Nothing depends on which other configurations are in the same call, or on the order of the runs
given: the same runs give the same bits.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lem.analysis.places import Joined
from lem.archive.schema import HEADLINE, TIERS, WITH_UNCERTAINTY
from lem.contract.metrics import METRICS
from lem.stats.absolute import OVERLAP
from lem.stats.absolute_boards import absolute_on_boards
from lem.stats.quantiles import t_quantile
from lem.stats.serial import REFUSALS, absolute_intervals

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

UNEXPLAINED, UNEXPLAINED_ALONE = 2.0, 1.0
"""Birge ratios beyond which submitters contradict each other: of what a meter's uncertainty is
stated of, and of what only the scatter on one machine is known of."""
AT_ONCE = 1_000_000
"""Values that intervals are worked out of together: of a whole archive's they would take
gigabytes."""
UNSTATED, OVERLAPPING = 5, 6
WHY_NONE = {**REFUSALS, UNSTATED: "a run states no uncertainty", OVERLAPPING: OVERLAP}
"""``config_summary.why_none`` in words; 0 where there is an interval."""

HIGHER_IS_BETTER = frozenset(
    i for i, name in enumerate(HEADLINE) if name in METRICS and METRICS[name].better == "higher"
)


class Runs(NamedTuple):
    """Counted runs, one a row."""

    config: Ints
    identity: Ints
    place: Ints
    """(runs, 4): campaign, block, arm, attempt: what their order is by."""
    started: Floats
    tier: Ints
    boards: Ints
    """What a run ran on, as :func:`on_boards` numbers it."""
    values: Floats
    """(runs, headline metrics); NaN where a run has no such figure."""
    expanded: Floats
    """(runs, metrics with uncertainty); NaN where a run states none."""


SHARED = -1
"""In place of a set of boards: one of several that all hang together by boards in common."""


def on_boards(
    config: Ints, identity: Ints, sets: Ints, names_of: Callable[[list[int]], Mapping[int, str]]
) -> Ints:
    """Of each run what it ran on: the number of its set of boards. Sets of one submitter and
    configuration that have a board in common get one number, and where only one is left of several
    it is ``SHARED``. ``names_of``: sets → their boards, joined by commas; asked only where needed.
    """
    if not len(sets):
        return sets
    order = np.lexsort((sets, identity, config))
    first = np.flatnonzero(_starts(config[order]) | _starts(identity[order]))
    ends = np.append(first[1:], len(order)) - 1
    several = np.flatnonzero(sets[order[first]] != sets[order[ends]])
    if not len(several):
        return sets
    own = [order[first[i] : ends[i] + 1] for i in several]
    names = names_of(np.unique(sets[np.concatenate(own)]).tolist())
    found = sets.copy()
    for those in own:
        found[those] = _joined(sets[those], names)
    return found


def _joined(sets: Ints, names: Mapping[int, str]) -> Ints:
    joined, numbers = Joined(), np.unique(sets).tolist()
    for number in numbers:
        joined.join([("set", number), *names[number].rpartition(":")[2].split(",")])
    least: dict[object, int] = {}
    for number in numbers:
        least.setdefault(joined.of(("set", number)), number)
    if len(least) == 1:
        return np.full(len(sets), SHARED)
    return np.array([least[joined.of(("set", number))] for number in sets.tolist()])


class Summaries(NamedTuple):
    """Rows of ``config_summary``, one an element, by config, tier, metric."""

    config: Ints
    tier: Ints
    metric: Ints
    n: Ints
    submitters: Ints
    mean: Floats
    m2_within: Floats
    m2_between: Floats
    best: Floats
    last: Floats
    expanded: Floats
    """NaN where there is none."""
    why_none: Ints


def summarise(runs: Runs, tiers: Iterable[int] = TIERS) -> Summaries:
    """The summaries of these runs' configurations, of each tier at least. All counted runs of each
    have to be there."""
    runs = _ordered(runs)
    stretches = [
        stretch
        for tier in tiers
        for metric in range(len(HEADLINE))
        if (stretch := _stretch(runs, tier, metric)) is not None
    ]
    intervals = _intervals(stretches)
    found = [_of_metric(runs, s, *own) for s, own in zip(stretches, intervals, strict=True)]
    if not found:
        return Summaries(*(np.zeros(0, dtype=t) for t in _TYPES))  # type: ignore[arg-type]
    columns = [np.concatenate(column) for column in zip(*found, strict=True)]
    order = np.lexsort((columns[2], columns[1], columns[0]))
    return Summaries(*(column[order] for column in columns))


_TYPES = (*(np.int64,) * 5, *(np.float64,) * 6, np.int64)


def _ordered(runs: Runs) -> Runs:
    order = np.lexsort((*runs.place.T[::-1], runs.identity, runs.config))
    return Runs(*(column[order] for column in runs))  # type: ignore[arg-type]


class _Stretch(NamedTuple):
    """Runs of at least a tier that have a metric, by configuration, submitter and block."""

    tier: int
    metric: int
    kept: NDArray[np.bool_]
    new_config: NDArray[np.bool_]
    """Of each of these runs, whether it begins another one; likewise the next two."""
    new_submitter: NDArray[np.bool_]
    new_block: NDArray[np.bool_]
    blocks: Floats
    """The mean of each block's runs."""
    of_block: Ints
    """The submitter of each block, counted through all configurations."""
    n: Ints
    """Blocks of each submitter."""
    boards: Ints
    """Of each block, what it ran on; likewise the next."""
    began: Floats


def _stretch(runs: Runs, tier: int, metric: int) -> _Stretch | None:
    kept = (runs.tier >= tier) & np.isfinite(runs.values[:, metric])
    if not kept.any():
        return None
    new_config = _starts(runs.config[kept])
    new_submitter = new_config | _starts(runs.identity[kept])
    place = runs.place[kept]
    new_block = new_submitter | _starts(place[:, 0]) | _starts(place[:, 1])
    of_block = (np.cumsum(new_submitter) - 1)[new_block]
    blocks = _means(runs.values[kept, metric], new_block)
    n = np.bincount(of_block)
    boards = runs.boards[kept][new_block]
    began = np.minimum.reduceat(runs.started[kept], np.flatnonzero(new_block))
    new = (new_config, new_submitter, new_block)
    return _Stretch(tier, metric, kept, *new, blocks, of_block, n, boards, began)


def _of_metric(runs: Runs, stretch: _Stretch, half: Floats, why: Ints) -> Summaries:
    tier, metric, kept, new_config, new_submitter, new_block, blocks, of_block, n, *_ = stretch
    config, values, started = runs.config[kept], runs.values[kept, metric], runs.started[kept]
    of_run = np.cumsum(new_submitter) - 1
    of_submitter = np.cumsum(new_config)[new_submitter] - 1
    means = _sums(of_block, blocks) / n
    k = np.bincount(of_submitter)
    # Sorted within each configuration, so that it does not matter who was enrolled first.
    by_value = np.lexsort((means, of_submitter))
    mean = _sums(of_submitter, means[by_value]) / k
    config_of_run = of_submitter[of_run]
    own = runs.expanded[kept, metric] if metric < len(WITH_UNCERTAINTY) else None
    own = None if own is None else _means(own, new_block)
    each, why = _of_submitters(half, why, of_block, n, own)
    most = UNEXPLAINED if own is not None else UNEXPLAINED_ALONE
    expanded, why_none = _together(means, mean, each, why, of_submitter, k, most)
    first = np.flatnonzero(new_config)
    size = np.diff(np.append(first, len(values)))
    ends = first + size - 1
    best_by = np.lexsort((values, config_of_run))
    best = values[best_by][ends if metric in HIGHER_IS_BETTER else first]
    last = values[np.lexsort((started, config_of_run))][ends]
    return Summaries(
        config=config[first],
        tier=np.full(len(first), tier),
        metric=np.full(len(first), metric),
        n=size,
        submitters=k,
        mean=mean,
        m2_within=_sums(config_of_run, (values - means[of_run]) ** 2),
        m2_between=_sums(of_submitter, ((means - mean[of_submitter]) ** 2)[by_value]),
        best=best,
        last=last,
        expanded=expanded,
        why_none=why_none,
    )


def _intervals(stretches: Sequence[_Stretch]) -> list[tuple[Floats, Ints]]:
    """Of each stretch: the half-width of each submitter's mean (NaN without one), and why there is
    none (0 where there is). All series of one length are looked at together, whosever and of
    whatever metric."""
    if not stretches:
        return []
    blocks, n, boards, began = (
        np.concatenate(column)
        for column in zip(*((s.blocks, s.n, s.boards, s.began) for s in stretches), strict=True)
    )
    half = np.full(len(n), np.nan)
    why = np.ones(len(n), dtype=np.int64)
    starts = np.cumsum(n) - n
    several = np.minimum.reduceat(boards, starts) != np.maximum.reduceat(boards, starts)
    shared = (boards[starts] == SHARED) & (n >= 3)
    why[shared] = OVERLAPPING
    plain = ~several & ~shared
    for length in np.unique(n[plain & (n >= 3)]):
        alike = np.flatnonzero(plain & (n == length))
        at_once = max(1, AT_ONCE // int(length))
        for i in range(0, len(alike), at_once):
            those = alike[i : i + at_once]
            found = absolute_intervals(blocks[starts[those][:, None] + np.arange(length)])
            half[those], why[those] = found.half_width, found.refused
    # As many boards, too: sums over more columns than there are boards might be of other bits.
    spread: dict[tuple[int, int], list[tuple[int, Floats, Ints]]] = defaultdict(list)
    for i in np.flatnonzero(several & (n >= 3)).tolist():
        own = slice(starts[i], starts[i] + n[i])
        order = np.argsort(began[own], kind="stable")
        numbers, which = np.unique(boards[own][order], return_inverse=True)
        spread[int(n[i]), len(numbers)].append((i, blocks[own][order], which))
    for (length, places), series in spread.items():
        at_once = max(1, AT_ONCE // (length * places))
        for j in range(0, len(series), at_once):
            those, values, which = map(np.array, zip(*series[j : j + at_once], strict=True))
            found = absolute_on_boards(values, which)
            half[those], why[those] = found.half_width, found.refused
    cuts = np.cumsum([len(s.n) for s in stretches])[:-1]
    return list(zip(np.split(half, cuts), np.split(why, cuts), strict=True))


def _of_submitters(
    half: Floats, why: Ints, of_block: Ints, n: Ints, own: Floats | None
) -> tuple[Floats, Ints]:
    """U of each submitter's mean (NaN without one), and why there is none (0 where there is)."""
    if own is None:
        return half, why
    # NaN of one run makes the mean NaN.
    u = _sums(of_block, own) / n
    unstated = (why == 0) & np.isnan(u)
    return np.hypot(half, u), np.where(unstated, UNSTATED, why)


def _together(
    means: Floats,
    mean: Floats,
    each: Floats,
    why: Ints,
    of_submitter: Ints,
    k: Ints,
    most: float,
) -> tuple[Floats, Ints]:
    """U of each configuration's mean, and why there is none."""
    order = np.lexsort((means, each, of_submitter))
    averaged = _sums(of_submitter, each[order]) / k
    with np.errstate(divide="ignore", invalid="ignore"):
        away = ((means - mean[of_submitter]) / (each / 2)) ** 2
        birge = np.sqrt(_sums(of_submitter, away[order]) / (k - 1))
    # Two or three whose scatter nothing explains know it badly: Student's quantile, not 2.
    student = np.maximum(1, t_quantile(0.975, np.maximum(1, k - 1)) / (2 * np.sqrt(k)))
    widened = np.where(birge > most, birge * student, np.maximum(1, birge))
    expanded = np.where(k > 1, averaged * widened, averaged)
    worst = np.zeros(len(k), dtype=np.int64)
    np.maximum.at(worst, of_submitter, why)
    # A half-width too small for a number: as good as none.
    worst[(worst == 0) & ~np.isfinite(expanded)] = 2
    expanded[worst > 0] = np.nan
    return expanded, worst


def _means(values: Floats, starts: NDArray[np.bool_]) -> Floats:
    """Of each stretch of rows that begins where ``starts`` says."""
    if starts.all():
        return values
    stretch = np.cumsum(starts) - 1
    return _sums(stretch, values) / np.bincount(stretch)


def _sums(groups: Ints, values: Floats) -> Floats:
    """Of each group, added in the order of the values."""
    sums: Floats = np.bincount(groups, values).astype(np.float64)
    return sums


def _starts(keys: Ints) -> NDArray[np.bool_]:
    """True where another key begins than that of the row before."""
    return np.append(True, keys[1:] != keys[:-1])
