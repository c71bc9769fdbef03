"""Figures of single runs, in the form that pages show figures in."""

from typing import NamedTuple

from lem.analysis.quantities import DIFFERENCES, ESTIMATED
from lem.archive.queries.answer import Tier
from lem.archive.queries.figures import UNSEEN
from lem.charts.model import Interval
from lem.web.strings import catalogue, text


class OneFigure(NamedTuple):
    """As :class:`lem.archive.queries.answer.Figure` has it, of one run."""

    metric: str
    value: float
    uncertainty: float | None
    unit: str
    energy_class: str
    """Of this figure; empty where it is of no device class."""
    tier: Tier
    part: str = ""
    why_no_uncertainty: str | None = None


def tier_of(metric: str, tier: Tier) -> Tier:
    """A likelihood, which no file shows, is the submitter's word whatever the run's tier."""
    return "self-reported" if metric in UNSEEN else tier


def metric_name(metric: str) -> str:
    """Of a headline metric, or of a record's."""
    for section in ("metrics", "more_metrics"):
        if f"{section}.{metric}" in catalogue():
            return text(f"{section}.{metric}")
    return metric


def is_energy(metric: str) -> bool:
    """Or power: what an energy class is of."""
    return metric.endswith(("_j", "_w"))


def name_in_class(metric: str, energy_class: str) -> str:
    """The metric's name; of an estimate it says that it is one, wherever the name stands alone."""
    name = metric_name(metric)
    if energy_class != ESTIMATED or not is_energy(metric):
        return name
    return text("figure.estimated_name", name=name[:1].lower() + name[1:])


def by_class(metric: str, energy_class: str) -> str:
    """``By GPU energy.``; empty of what is no energy."""
    if not is_energy(metric):
        return ""
    return text("figure.by_class", energy_class=text(f"class.{energy_class}"))


def part_name(metric: str, part: str) -> str:
    """What of ``metric`` is of: energy, power or memory of a device class, or a percentile."""
    kinds = {"_w": "power_of", "_bytes": "memory_of"}
    own = next((section for end, section in kinds.items() if metric.endswith(end)), "class")
    for section in (own, "percentile"):
        if f"{section}.{part}" in catalogue():
            said = text(f"{section}.{part}")
            return said if said[1:2].isupper() else said[:1].lower() + said[1:]
    return part


def interval(metric: str, value: float, uncertainty: float | None, factor: float = 1.0) -> Interval:
    """What a chart draws of ``value ± uncertainty``, times ``factor``: not below 0, where the
    quantity can't be."""
    if uncertainty is None:
        return None
    low = value - uncertainty
    if metric not in DIFFERENCES:
        low = min(max(0.0, low), value)
    return low * factor, (value + uncertainty) * factor


def named(section: str, name: str) -> str:
    """A string of the catalogue, or the name itself where outside text has one it doesn't know."""
    key = f"{section}.{name}"
    return text(key) if key in catalogue() else name
