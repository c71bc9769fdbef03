"""Figures of single runs, in the form that pages show figures in."""

from collections.abc import Mapping
from typing import Any, NamedTuple

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


def interval(value: float, uncertainty: float | None, factor: float = 1.0) -> Interval:
    if uncertainty is None:
        return None
    return (value - uncertainty) * factor, (value + uncertainty) * factor


def named(section: str, name: str) -> str:
    """A string of the catalogue, or the name itself where outside text has one it doesn't know."""
    key = f"{section}.{name}"
    return text(key) if key in catalogue() else name


Context = Mapping[str, Any]
