"""What a comparison says of quality, in plain words."""

import math
from collections.abc import Callable

from lem.analysis.comparison import ArmResult, Comparison
from lem.analysis.quality import Loss


def about_answers(comparison: Comparison, arm: ArmResult) -> str:
    """``its answers are worse: …``; nothing where they are as good as the baseline's, or where
    nothing was measured."""
    quality = arm.quality
    if quality is None or quality.standing in (None, "kept"):
        return ""
    losses = list(quality.losses.values())
    deciding = [v for v in losses if v.measure != "agreement"] or losses
    found = [v for v in deciding if v.standing == quality.standing]
    if quality.standing == "cannot_tell":
        what = "whether its answers are as good can't be told"
    elif all(v.measure == "agreement" for v in found):
        what = "its answers differ"
    else:
        what = "its answers are worse"
    return f"{what}: {_listed(comparison, arm, found)}"


def _listed(comparison: Comparison, arm: ArmResult, losses: list[Loss]) -> str:
    return "; ".join(_said(comparison, arm, loss) for loss in losses)


def _said(comparison: Comparison, arm: ArmResult, loss: Loss) -> str:
    if loss.measure == "nll":
        return f"NLL is {percent(abs(loss.value))} % {'higher' if loss.value > 0 else 'lower'}"
    if loss.measure == "accuracy":
        # Ends are rounded outwards.
        ends = f"{_points(-loss.high, math.floor)} to {_points(-loss.low, math.ceil)}"
        return f"accuracy is {_points(-loss.value)} ({ends}, {loss.n} questions)"
    alike = arm.quality.agreement if arm.quality is not None else None
    floor = comparison.agreement_floor
    if alike is None:
        return "its answers are others"
    own = (
        "the baseline's own in other blocks are not known"
        if floor is None
        else f"the baseline's own in other blocks: {_of(floor.same, floor.prompts)}"
    )
    return f"{_of(alike.same, alike.prompts)} of {alike.prompts} are the baseline's ({own})"


def _of(share: float, n: int) -> str:
    """A mean number of answers: whole where it is."""
    count = share * n
    return f"{count:.0f}" if abs(count - round(count)) < 0.05 else f"{count:.1f}"


def _points(change: float, to: Callable[[float], int] = round) -> str:
    """A change of a share: ``6.0 points lower``."""
    tenths = to(round(1000 * change, 6))
    if tenths == 0:
        return "0 points"
    return f"{abs(tenths) / 10:.1f} points {'higher' if tenths > 0 else 'lower'}"


def percent(share: float) -> str:
    """To two significant digits, at least one decimal."""
    value = 100 * share
    return f"{value:.1f}" if value >= 0.1 or value == 0 else f"{value:.2g}"
