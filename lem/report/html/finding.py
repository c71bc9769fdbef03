"""The one sentence that a report begins with: what the campaign shows, and no more."""

import math
from dataclasses import dataclass

from lem.analysis.comparison import ArmResult, Comparison
from lem.analysis.quantities import Quantity
from lem.analysis.text import figure, scaled
from lem.analysis.words import sentence, with_ends
from lem.web.strings import text


@dataclass(frozen=True)
class Finding:
    sentence: str
    arm_id: str | None = None
    """The arm that it is about, where it is about one."""


def finding(comparison: Comparison) -> Finding:
    """The largest difference from the baseline that is certain, in the first quantity (the GPU's
    where there is one), of arms that answer as well; where none is, what can be said instead."""
    quantity = comparison.quantities[0]
    arms = [a for a in comparison.arms if quantity.key in a.ratios]
    if not arms:
        return Finding(_alone(comparison, quantity))
    certain = [a for a in arms if _is_certain(a, quantity)]
    if certain:
        # What is saved by worse answers is no saving: such an arm is named only where no other is.
        as_good = [a for a in certain if not comparison.spoilt(a)] or certain
        found = max(as_good, key=lambda a: abs(math.log(a.ratios[quantity.key].ratio)))
        return Finding(sentence(comparison, found, quantity), found.arm.arm_id)
    if all(a.verdicts[quantity.key].says == "same" for a in arms):
        return Finding(_nothing_differs(comparison, quantity))
    return Finding(_cannot_tell(comparison, quantity, arms))


def _is_certain(arm: ArmResult, quantity: Quantity) -> bool:
    ratio = arm.ratios[quantity.key]
    return ratio.low is not None and arm.verdicts[quantity.key].says in ("less", "more")


def _nothing_differs(c: Comparison, quantity: Quantity) -> str:
    key = "so_far_same" if c.provisional else "same"
    return text(
        f"report.finding.{key}",
        baseline=c.baseline_name,
        noun=quantity.noun,
        margin=f"{100 * c.margin:g}",
    )


def _cannot_tell(c: Comparison, quantity: Quantity, arms: list[ArmResult]) -> str:
    """What the widest of the intervals still allows; or why there are none."""
    ratios = [a.ratios[quantity.key] for a in arms]
    ends = [(r.low, r.high) for r in ratios if r.low is not None and r.high is not None]
    if len(ends) < len(ratios):
        reason = next((r.reason for r in ratios if r.reason), "") or text("report.finding.early")
        return text(
            "report.finding.no_interval",
            baseline=c.baseline_name,
            noun=quantity.noun,
            reason=reason,
        )
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    _, shown_low, shown_high = with_ends(math.sqrt(low * high), low, high)
    return text(
        "report.finding.cannot_tell",
        baseline=c.baseline_name,
        noun=quantity.noun,
        low=shown_low,
        high=shown_high,
    )


def _alone(c: Comparison, quantity: Quantity) -> str:
    """Of a single arm, its figure; where others have nothing that counts, that."""
    base = next(a for a in c.arms if a.baseline)
    found = base.figures.get(quantity.key)
    if found is None:
        return text("report.finding.nothing")
    factor, unit = scaled(quantity.unit, [found.mean])
    key = "alone" if len(c.arms) == 1 else "baseline_only"
    if c.provisional:
        key = f"so_far_{key}"
    return text(
        f"report.finding.{key}",
        arm=base.name,
        noun=quantity.noun,
        figure=f"{figure(found, factor, least=quantity.least)} {unit}",
    )
