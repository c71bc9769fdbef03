"""The comparison of a campaign so far, as ``lem results compare`` works it out, for live views."""

from collections.abc import Mapping
from pathlib import Path

from lem.analysis.comparison import ArmResult, Comparison
from lem.analysis.quantities import ENERGY, ESTIMATED, Quantity
from lem.analysis.results import Campaign
from lem.contract.live import Interval, Row, Table
from lem.errors import BadInput
from lem.stats import Absolute, absolute
from lem.stores.counted import counted

MOST = 1e15


def tables(folder: Path, places: Mapping[str, int], at: int, over: bool) -> list[Table]:
    """One table for each class of devices that is compared, empty where nothing can be compared
    yet. ``places``: arm → its number. ``over``: whether nothing more is to be run.

    An arm's energy has its expanded uncertainty (k = 2) around it, and none where fewer than two
    blocks count, between which nothing is known to scatter. Its ratio has the joint interval of all
    ratios.
    """
    campaign = Campaign(folder)
    try:
        comparison = campaign.compare()
    except BadInput:
        return []
    estimated: dict[str, Absolute] = {}
    if comparison.estimated:
        estimated = _estimated(campaign)
    found = []
    for quantity in comparison.quantities:
        rows = [
            Row(
                arm=places[a.arm.arm_id],
                blocks=a.blocks,
                energy_per_output_token_j=_energy(a, quantity, estimated),
                ratio=_ratio(a, quantity),
            )
            for a in comparison.arms
            if a.arm.arm_id in places
        ]
        found.append(
            Table(
                at=at,
                provisional=comparison.provisional or not over,
                device_class=ESTIMATED if quantity.estimated else quantity.part,
                estimated=quantity.estimated,
                level=_level(comparison),
                rows=rows,
            )
        )
    return found


def _level(comparison: Comparison) -> float:
    return min(max(comparison.level, 0.001), 0.999)


def _estimated(campaign: Campaign) -> dict[str, Absolute]:
    """Arm → estimated energy. What is compared is CPU time, which has the same ratios."""
    counting = {o.path for o in counted(campaign.outcomes())}
    figures: dict[str, list[tuple[float, float | None]]] = {}
    for row in campaign.rows([ENERGY]):
        figure = row.metrics.get(ENERGY, {}).get(ESTIMATED)
        if row.outcome.path in counting and figure is not None:
            figures.setdefault(row.outcome.arm_id, []).append((figure.value, figure.uncertainty))
    return {
        arm: absolute([v for v, _ in found], [u for _, u in found])
        for arm, found in figures.items()
    }


def _energy(
    arm: ArmResult, quantity: Quantity, estimated: Mapping[str, Absolute]
) -> Interval | None:
    figure = arm.figures.get(quantity.key)
    if quantity.estimated:
        figure = estimated.get(arm.arm.arm_id)
    elif quantity.metric != ENERGY:
        return None
    if figure is None:
        return None
    return with_uncertainty(figure.mean, figure.expanded if figure.n > 1 else None)


def _ratio(arm: ArmResult, quantity: Quantity) -> Interval | None:
    ratio = arm.ratios.get(quantity.key)
    if ratio is None or not 0 <= ratio.ratio <= MOST:
        return None
    low, high = ratio.low, ratio.high
    if low is None or high is None or not 0 <= low <= high <= MOST:
        low = high = None
    return Interval(value=ratio.ratio, low=low, high=high)


def with_uncertainty(value: float, expanded: float | None) -> Interval | None:
    """``value`` ± ``expanded``, from 0 on; None for what is no amount."""
    if not 0 <= value <= MOST:
        return None
    if expanded is None or not 0 <= expanded <= MOST - value:
        return Interval(value=value)
    return Interval(value=value, low=max(0.0, value - expanded), high=value + expanded)
