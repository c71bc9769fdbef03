"""Every arm beside one of them, also those that never ran in the same blocks."""

import math
from collections.abc import Hashable, Mapping, Sequence
from statistics import fmean, variance
from typing import NamedTuple, TypeVar

from lem.stats.campaign import ratios

Arm = TypeVar("Arm", bound=Hashable)

COARSE = 1e-12
"""A standard deviation of logarithms below this is rounding."""


class Beside(NamedTuple):
    log_ratio: float
    """ln(the other arm ÷ this one)."""
    half_width: float | None
    """Of its interval; None where there is none."""
    alike: bool
    """Whether the readings are the same in every block, so that no scatter is seen."""


def beside(
    table: Mapping[Arm, Mapping[int, float]],
    arm: Arm,
    reference: Arm | None,
    level: float,
    boards: Mapping[int, Hashable] | None = None,
) -> dict[Arm, Beside]:
    """Each other arm's ratio to ``arm``, with intervals that hold jointly with ``level``.

    Arms that share blocks with it are compared within those (:func:`lem.stats.ratios`). Others are
    compared through ``reference``, which ran beside both: the difference of two independent means
    with Welch's degrees of freedom (B. L. Welch, Biometrika 34 (1947) 28). What may go wrong is
    divided evenly among all of them (Bonferroni). ``boards``: block → the board (or node) that it
    ran on. Between arms that were beside the reference on boards with none in common no scatter
    tells what is the boards' and what the arms', so there is no interval.
    """
    others = [a for a in table if a != arm and table[a]]
    found: dict[Arm, Beside] = {}
    if not table[arm] or not others:
        return found
    near = [a for a in others if table[a].keys() & table[arm].keys()]
    each = (1 - level) / len(others)
    joint = 1 - each * len(near)
    for other, r in ratios({a: table[a] for a in (arm, *near)}, arm, level=joint).items():
        alike = r.sd_log is not None and r.sd_log < COARSE
        found[other] = Beside(math.log(r.ratio), r.half_width_log, alike)
    for other in others:
        if other not in found and reference is not None:
            one = _indirect(table, arm, other, reference, 1 - each)
            if one is not None:
                apart = boards is not None and _apart(table, (arm, other), reference, boards)
                found[other] = Beside(one.log_ratio, None, False) if apart else one
    return found


def _indirect(
    table: Mapping[Arm, Mapping[int, float]], arm: Arm, other: Arm, reference: Arm, level: float
) -> Beside | None:
    from lem.stats.quantiles import t_quantile

    mine, theirs = (_to(table, a, reference) for a in (arm, other))
    if not mine or not theirs:
        return None
    difference = fmean(theirs) - fmean(mine)
    if len(mine) < 2 or len(theirs) < 2:
        return Beside(difference, None, False)
    parts = [(variance(v) / len(v), len(v) - 1) for v in (mine, theirs)]
    total = sum(p for p, _ in parts)
    if total < COARSE**2:
        return Beside(difference, None, True)
    df = total**2 / sum(p**2 / n for p, n in parts)
    half = float(t_quantile(0.5 + level / 2, df)) * math.sqrt(total)
    return Beside(difference, half, False)


def _apart(
    table: Mapping[Arm, Mapping[int, float]],
    arms: tuple[Arm, Arm],
    reference: Arm,
    boards: Mapping[int, Hashable],
) -> bool:
    """Whether two arms' blocks with the reference have no board in common."""
    mine, theirs = (
        {boards.get(b) for b in table[a].keys() & table[reference].keys()} for a in arms
    )
    return mine.isdisjoint(theirs)


def _to(table: Mapping[Arm, Mapping[int, float]], arm: Arm, reference: Arm) -> Sequence[float]:
    """ln(arm ÷ reference) of each block that has both."""
    base = table[reference]
    return [math.log(v / base[b]) for b, v in table[arm].items() if b in base]
