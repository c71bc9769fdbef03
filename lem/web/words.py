"""Figures, counts and settings as a reader sees them."""

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from lem.analysis.naming import OF_ENGINES
from lem.analysis.quantities import least_of
from lem.analysis.text import is_cut, plain, scaled, three_digits, with_uncertainty
from lem.analysis.words import places, rounded, with_ends
from lem.charts.table import Cell, Table


class HasFigure(Protocol):
    @property
    def metric(self) -> str: ...
    @property
    def value(self) -> float: ...
    @property
    def uncertainty(self) -> float | None: ...
    @property
    def unit(self) -> str: ...


class Said(NamedTuple):
    """A figure in words."""

    value: str
    """``20.50 ± 0.41``; ``37 (0–300)`` of what can't be below 0 where the interval would be."""
    unit: str
    certain: bool
    """Whether an uncertainty is stated."""
    cut: bool
    """Whether its interval is cut at 0."""


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
    value, least = found.value * factor, least_of(found.metric)
    u = None if found.uncertainty is None else found.uncertainty * factor
    text = with_uncertainty(value, u, least=least).replace("-", "−")
    return Said(text, said_unit(unit), u is not None, bool(u) and is_cut(value, u or 0.0, least))


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


def cells(table: Table) -> list[list[tuple[str, bool]]]:
    """A chart's table as it is read: each cell's text, and whether it is a number. A value with its
    ends has the digits that they bear, the ends rounded outwards: to three digits each, narrow
    intervals would look like none, and one could reach across what it does not."""
    names = [c.name for c in table.columns]
    values = [i for i, n in enumerate(names) if names[i + 1 : i + 3] == [f"{n}, low", f"{n}, high"]]
    return [_row(row, values) for row in table.rows]


def _row(row: Sequence[Cell], values: Sequence[int]) -> list[tuple[str, bool]]:
    told = [
        ("", False) if c is None else (c, False) if isinstance(c, str) else (number(c), True)
        for c in row
    ]
    for i in values:
        value, low, high = row[i : i + 3]
        if isinstance(value, float) and isinstance(low, float) and isinstance(high, float):
            told[i : i + 3] = [(text, True) for text in _with_ends(value, low, high)]
    return told


def _with_ends(value: float, low: float, high: float) -> tuple[str, str, str]:
    if not low < high:
        return number(value), number(low), number(high)
    if low > 0 and high > 100 * low:
        return with_ends(value, low, high)
    decimals = places((high - low) / 2)
    ends = rounded(low, decimals, math.floor), rounded(high, decimals, math.ceil)
    return _apart(f"{value:.{decimals}f}"), _apart(ends[0]), _apart(ends[1])


def _apart(text: str) -> str:
    """With thin spaces between thousands."""
    whole, dot, rest = text.partition(".")
    whole = f"{int(whole):,}".replace(",", "\u202f") if abs(int(whole)) >= 1000 else whole
    return f"{whole}{dot}{rest}".replace("-", "−")


def count(value: int) -> str:
    return f"{value:,}".replace(",", "\u202f")


def day(moment: str | None) -> str:
    """The date of an ISO 8601 moment."""
    return (moment or "")[:10]


def setting(value: Any, path: str = "") -> str:
    """A value of an experiment as text. ``path``: of which setting; what is not set of an engine is
    at the engine's default."""
    if value is None:
        from lem.web.strings import text

        return text("settings.default" if path.startswith(OF_ENGINES) else "settings.not_set")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return plain(value)
    return plain(json.dumps(value, ensure_ascii=False))
