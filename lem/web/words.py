"""Figures, counts and settings as a reader sees them."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from lem.analysis.text import plain, scaled, three_digits, with_uncertainty


class HasFigure(Protocol):
    @property
    def value(self) -> float: ...
    @property
    def uncertainty(self) -> float | None: ...
    @property
    def unit(self) -> str: ...


class Said(NamedTuple):
    """A figure in words."""

    value: str
    """``20.50 ± 0.41``."""
    unit: str
    certain: bool
    """Whether an uncertainty is stated."""


UNITS = {
    "J/token": "J per token",
    "J/request": "J per request",
    "J/answer": "J per answer",
    "tokens/s": "tokens per second",
    "requests/s": "requests per second",
    "nat/token": "nat per token",
    "s/token": "s per token",
}


def figure(found: HasFigure, among: Sequence[HasFigure] = ()) -> Said:
    """In a unit that reads well; ``among``: those that it stands beside, which share the unit."""
    factor, unit = scaled(found.unit, [f.value for f in among or (found,)])
    u = found.uncertainty
    text = with_uncertainty(found.value * factor, None if u is None else u * factor)
    return Said(text.replace("-", "−"), said_unit(unit), u is not None)


def said_unit(unit: str) -> str:
    """``mJ/token`` → ``mJ per token``."""
    return UNITS.get(unit) or unit.replace("/", " per ").replace("tokens", "tokens")


def quantity(metric: str) -> str:
    """What a headline metric is called on pages."""
    from lem.web.strings import text

    return text(f"metrics.{metric}")


def number(value: float) -> str:
    """To three significant digits, large ones with thin spaces between thousands."""
    if abs(value) >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}".replace(",", "\u202f")
    return three_digits(value).replace("-", "−")


def count(value: int) -> str:
    return f"{value:,}".replace(",", "\u202f")


def day(moment: str | None) -> str:
    """The date of an ISO 8601 moment."""
    return (moment or "")[:10]


def setting(value: Any) -> str:
    """A value of an experiment as text."""
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return plain(value)
    return plain(json.dumps(value, ensure_ascii=False))
