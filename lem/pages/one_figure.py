"""Figures of single runs, in the form that pages show figures in."""

from typing import NamedTuple

from lem.analysis.quantities import DIFFERENCES
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


def part_name(part: str) -> str:
    """A device class, or a percentile."""
    for section in ("class", "percentile"):
        if f"{section}.{part}" in catalogue():
            return text(f"{section}.{part}")
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
