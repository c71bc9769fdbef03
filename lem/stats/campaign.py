"""One campaign's ratios and the number of blocks it needs, from plain Python values."""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from lem.stats.estimates import (
    Between,
    BlocksNeeded,
    CarryOver,
    Method,
    OnBoards,
    OneBoard,
    RatioEstimate,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lem.stats import boards as boards_
    from lem.stats.layout import Array

Arm = TypeVar("Arm", bound=Hashable)


def ratios(
    table: Mapping[Arm, Mapping[int, float]],
    baseline: Arm,
    *,
    pilot: int | None = None,
    target: float | None = None,
    level: float = 0.95,
    comparisons: int | None = None,
    boards: Mapping[int, str] | None = None,
    gains: Mapping[Arm, Mapping[str, float]] | None = None,
) -> dict[Arm, RatioEstimate]:
    """Every arm's ratio to ``baseline`` with intervals that hold jointly with ``level``.

    ``table``: arm → block → value (> 0); a missing block is a run that does not count. ``pilot``:
    number of blocks after which the number of blocks was computed (:func:`blocks_needed`); None
    where it was fixed beforehand. ``target``: the half-width asked for, as a share.
    ``comparisons``: how many intervals hold jointly, at least as many as there are arms beside the
    baseline; more where arms are still expected. Arms without a common block are left out.
    ``boards``: block → the board (or node) that it ran on, by name; where there are several, see
    :func:`lem.stats.boards.compare_on_boards`. ``gains``: arm → board → standard uncertainty that
    gains leave in its log-ratio there (0 where it is not named): what they explain is no
    disagreement of boards.

    Raises ValueError for a value that is not finite and positive, or an unknown baseline.
    """
    import numpy as np

    from lem.stats.intervals import REFUSALS, compare_arms

    arms, logs, blocks = _logs(table, baseline)
    if len(arms) == 1:
        return {}
    m = max(comparisons or 0, len(arms) - 1)
    first = None if pilot is None else sum(b < pilot for b in blocks)
    names = sorted({boards[b] for b in blocks}) if boards is not None else []
    on = None
    if boards is not None and len(names) > 1:
        from lem.stats.boards import compare_on_boards

        which = np.array([names.index(boards[b]) for b in blocks])
        left = _gains(gains or {}, arms[1:], names)
        found, on = compare_on_boards(logs, which, 0, first, level, m, left)
    else:
        found = compare_arms(logs, 0, first, level, m)
    beside: Sequence[OnBoards | None] = [None] * (len(arms) - 1)
    if on is not None:
        centres = [math.exp(float(v)) for v in found.log_ratio]
        beside = _on_boards(on, names, level, m, centres, left)
    estimates: dict[Arm, RatioEstimate] = {}
    for i, arm in enumerate(arms[1:]):
        log_ratio, half = float(found.log_ratio[i]), float(found.half_width[i])
        refused = int(found.refused[i])
        n = int(found.pairs[i])
        sd = float(found.sd[i]) if n > 1 else None
        ratio = math.exp(log_ratio)
        if refused:
            estimates[arm] = RatioEstimate(
                *(ratio, None, None, n, sd, level, m, REFUSALS[refused]),
                target=target,
                on_boards=beside[i],
            )
            continue
        estimates[arm] = RatioEstimate(
            ratio=ratio,
            low=math.exp(log_ratio - half),
            high=math.exp(log_ratio + half),
            n=n,
            sd_log=sd,
            level=level,
            comparisons=m,
            method="boards" if on is not None and on.wider[i] else _method(m),
            df=float(found.df[i]),
            half_width_log=half,
            half_width_same_log=float(found.half_width_same[i]),
            target=target,
            on_boards=beside[i],
        )
    return estimates


def _gains(
    gains: Mapping[Arm, Mapping[str, float]], arms: Sequence[Arm], names: Sequence[str]
) -> "Array":
    import numpy as np

    return np.array([[gains.get(a, {}).get(name, 0.0) for name in names] for a in arms])


def _on_boards(
    on: "boards_.OnBoards",
    names: Sequence[str],
    level: float,
    m: int,
    ratios: Sequence[float],
    gains: "Array",
) -> list[OnBoards]:
    """Of every arm beside the baseline."""
    from lem.stats.boards import allowed, apart, component

    between = component(on.grouped)
    each = apart(on.grouped, level, m, allowed(gains, level, m))
    found = []
    for i, ratio in enumerate(ratios):
        half = _known(on.half_width[i])
        found.append(
            OnBoards(
                boards=int(on.grouped.boards[i]),
                between=between_of(between, i),
                low=None if half is None else ratio * math.exp(-half),
                high=None if half is None else ratio * math.exp(half),
                each=each_board(on.grouped, each, names, i),
            )
        )
    return found


def between_of(found: "boards_.Component", i: int | tuple[()] = ()) -> Between:
    """The component of one series (``i``: of several, which)."""
    return Between(*(_known(v[i]) for v in (found.sd, found.low, found.high, found.most)))


def each_board(
    found: "boards_.Grouped",
    beside: "boards_.Apart",
    names: Sequence[str],
    i: int | tuple[()] = (),
) -> tuple[OneBoard, ...]:
    """Every board that has a block of the series."""
    counts, away, half, out = (
        v[i] for v in (found.counts, beside.deviation, beside.half_width, beside.apart)
    )
    return tuple(
        OneBoard(name, int(counts[k]), _known(away[k]), _known(half[k]), bool(out[k]))
        for k, name in enumerate(names)
        if counts[k] > 0
    )


def _known(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def blocks_needed(
    table: Mapping[Arm, Mapping[int, float]],
    baseline: Arm,
    target: float,
    *,
    pilot: int,
    level: float = 0.95,
    comparisons: int | None = None,
) -> BlocksNeeded:
    """How many blocks make every interval at most ± ``target`` wide (a share: 0.01 is ±1 %).

    Uses blocks 0 to ``pilot`` − 1 alone, whatever else is in ``table`` (as in :func:`ratios`), so
    that it gives the same answer whenever it is asked: n is computed once and then kept (Stein,
    Ann. Math. Stat. 16 (1945) 243). Arms with fewer than two blocks beside the baseline are left
    out. Raises ValueError as :func:`ratios`.
    """
    from lem.stats import intervals
    from lem.stats.layout import fit

    early = {a: {b: v for b, v in own.items() if b < pilot} for a, own in table.items()}
    base = early.get(baseline, {})
    kept = {a: own for a, own in early.items() if a == baseline or len(own.keys() & base) > 1}
    if len(kept) < 2:
        reason = "no arm has two blocks with the baseline"
        return BlocksNeeded(None, None, None, reason)
    arms, logs, _ = _logs(kept, baseline)
    m = max(comparisons or 0, len(arms) - 1)
    guard, variance = intervals.planned(fit(logs, 0), level, m)
    if float(variance.max()) < intervals.COARSE**2:
        return BlocksNeeded(None, None, None, intervals.REFUSALS[2])
    needed = float(intervals.blocks_needed(logs, target, 0, level, m))
    if not math.isfinite(needed):
        return BlocksNeeded(None, None, None, intervals.REFUSALS[3])
    n = max(int(needed), pilot)
    return BlocksNeeded(n, _method(m), float(guard.max()) / math.sqrt(n))


def _method(comparisons: int) -> Method:
    return "dunnett" if comparisons > 1 else "t"


def _logs(
    table: Mapping[Arm, Mapping[int, float]], baseline: Arm
) -> tuple[list[Arm], "Array", list[int]]:
    """Arms (the baseline first) that share a block with it, their logarithms, the blocks' numbers.
    Blocks without the baseline tell nothing of any ratio and are left out."""
    import numpy as np

    if baseline not in table:
        raise ValueError("the baseline is not in the table")
    for own in table.values():
        if any(not math.isfinite(v) or v <= 0 for v in own.values()):
            raise ValueError("a ratio needs finite, positive values")
    base = table[baseline]
    arms = [baseline, *(a for a in table if a != baseline and table[a].keys() & base.keys())]
    blocks = sorted(b for b in base if any(b in table[a] for a in arms[1:]))
    logs: Any = np.full((len(blocks), len(arms)), np.nan)
    for j, arm in enumerate(arms):
        for i, block in enumerate(blocks):
            if block in table[arm]:
                logs[i, j] = math.log(table[arm][block])
    return arms, logs, blocks


def carry_over(
    table: Mapping[Arm, Mapping[int, float]],
    order: Mapping[int, Sequence[Arm]],
    baseline: Arm,
    level: float = 0.95,
    previous: Mapping[int, int] | None = None,
) -> CarryOver | None:
    """What a run hands on to the next, from the blocks in which every arm counts.

    ``order``: block → arms in the order in which they ran. The last run of a block is taken to come
    before the first of the next, where both are known; ``previous``: block → the block before it,
    where that is another, as on another board. None where no run has one before it.

    The share is not known (None) where fewer than three blocks are whole, or where runs and order
    do not tell: the arms do not differ, every block has the same order, or the bound is no less
    than 1 (more than all cannot be handed on). The bounds on the bias are then those of a share of
    1, small among arms that hardly differ.
    """
    import numpy as np

    from lem.stats import carry

    arms, logs, blocks = _logs(table, baseline)
    before = _predecessors(arms, blocks, order, previous)
    if len(arms) < 2 or not (before >= 0).any():
        return None
    known = [{*arms} <= {*order.get(b, ())} for b in blocks]
    whole = np.array(known) & np.isfinite(logs).all(axis=1)
    if whole.sum() >= 3:
        found = carry.carry_over(logs[whole], before[whole], 0, level)
        share, bound = float(found.share), float(found.bound)
        if math.isfinite(share) and bound < 1:
            return CarryOver(
                share=share,
                bound=bound,
                level=level,
                runs=int((before[whole] >= 0).sum()),
                bias={a: float(found.bias[j]) for j, a in enumerate(arms[1:])},
                noticed=bound - abs(share) < abs(share) and float(found.standard_error) > 0,
            )
    drawn = carry.all_handed_on(logs, before)
    pull = {a: float(drawn[j]) for j, a in enumerate(arms[1:])}
    return CarryOver(
        share=None,
        bound=1.0,
        level=level,
        runs=int((before >= 0).sum()),
        bias={a: abs(p) for a, p in pull.items()},
        noticed=False,
        pull=pull,
    )


def _predecessors(
    arms: Sequence[Arm],
    blocks: Sequence[int],
    order: Mapping[int, Sequence[Arm]],
    previous: Mapping[int, int] | None = None,
) -> "NDArray[np.int64]":
    """(blocks, arms): the place among ``arms`` of the one that ran before, −1 where none did or
    its figure is not known."""
    import numpy as np

    column = {a: j for j, a in enumerate(arms)}
    before = np.full((len(blocks), len(arms)), -1)
    for i, block in enumerate(blocks):
        ran = order.get(block, ())
        last = block - 1 if previous is None else previous.get(block)
        sequence = [*(() if last is None else order.get(last, ())[-1:]), *ran]
        shift = len(sequence) - len(ran)
        for place, arm in enumerate(ran):
            if arm in column and place + shift > 0:
                before[i, column[arm]] = column.get(sequence[place + shift - 1], -1)
    return before
