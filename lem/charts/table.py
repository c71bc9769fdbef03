"""A chart as a table: what stands below it on a page and in its CSV. Every mark that was given is
here, also what the drawing left out, with its interval and unit."""

import csv
import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lem.charts.lettering import clean
from lem.charts.model import (
    AnyChart,
    Axis,
    Bars,
    Headline,
    Interval,
    Intervals,
    Row,
    Scatter,
    Slope,
    Traces,
)

Cell = str | float | None


@dataclass(frozen=True)
class Column:
    name: str
    unit: str = ""
    """Of the numbers below; empty for words, ratios, and shares, which are from 0 to 1."""


@dataclass(frozen=True)
class Table:
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    """One cell for each column; None where nothing is known."""

    def csv(self) -> str:
        """The table as CSV, units in the head. Text that a spreadsheet would run as a formula gets
        a leading '."""
        out = io.StringIO()
        write = csv.writer(out, lineterminator="\n")
        write.writerow(_inert(f"{c.name} ({c.unit})" if c.unit else c.name) for c in self.columns)
        for row in self.rows:
            write.writerow("" if c is None else _inert(c) if isinstance(c, str) else c for c in row)
        return out.getvalue()


def _inert(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def table(chart: AnyChart) -> Table:
    """One row for each mark; of traces one for each reading."""
    if isinstance(chart, Scatter):
        return _scatter(chart)
    if isinstance(chart, Intervals | Bars):
        return _rows(chart.axis, chart.rows)
    if isinstance(chart, Headline):
        return _headline(chart)
    if isinstance(chart, Slope):
        return _slope(chart)
    return _traces(chart)


def _figure(axis: Axis, name: str = "") -> tuple[Column, ...]:
    """Value, low and high."""
    first = clean(name or axis.label)
    unit = "" if axis.share else clean(axis.unit)
    return Column(first, unit), Column(f"{first}, low", unit), Column(f"{first}, high", unit)


def _cells(value: float | None, interval: Interval) -> tuple[Cell, ...]:
    low, high = interval or (None, None)
    return _finite(value), _finite(low), _finite(high)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _made(columns: Iterable[Column], rows: Iterable[tuple[Cell, ...]]) -> Table:
    """Columns of words that no row has are left out."""
    every, kept = list(columns), list(rows)
    used = [
        i for i, c in enumerate(every) if c.name not in _OPTIONAL or any(row[i] for row in kept)
    ]
    return Table(
        tuple(every[i] for i in used), tuple(tuple(_word(row[i]) for i in used) for row in kept)
    )


_OPTIONAL = ("details", "rank", "series", "origin", "as text", "configuration")


def _word(cell: Cell) -> Cell:
    return clean(cell) if isinstance(cell, str) else cell


def _origin(estimated: bool, any_estimated: bool) -> str:
    if not any_estimated:
        return ""
    return "estimated" if estimated else "measured"


def _rows(axis: Axis, rows: tuple[Row, ...]) -> Table:
    any_estimated = any(r.estimated for r in rows)
    columns = (Column("rank"), Column("name"), Column("details"), *_figure(axis),
               Column("as text"), Column("origin"))  # fmt: skip
    return _made(
        columns,
        (
            (r.rank, r.label, r.sublabel, *_cells(r.value, r.interval), r.text,
             _origin(r.estimated, any_estimated))
            for r in rows
        ),
    )  # fmt: skip


def _headline(chart: Headline) -> Table:
    made = _rows(chart.axis, (chart.first, chart.second))
    name = [c.name for c in made.columns].index("name")
    at = [c.name for c in made.columns].index(clean(chart.axis.label))
    ratio: list[Cell] = [None] * len(made.columns)
    ratio[name] = clean(f"ratio ({chart.ratio_label})" if chart.ratio_label else "ratio")
    ratio[at : at + 3] = _cells(chart.ratio, chart.ratio_interval)
    # A ratio has no unit, so the column's cannot be the unit of all: it becomes a column.
    unit = made.columns[at].unit
    columns = (*(Column(c.name) for c in made.columns), Column("unit"))
    return Table(columns, (*((*row, unit) for row in made.rows), (*ratio, "")))


def _scatter(chart: Scatter) -> Table:
    marks = [(s.name, m) for s in chart.series for m in s.marks]
    any_estimated = any(m.estimated for _, m in marks)
    columns = (Column("series"), Column("configuration"), *_figure(chart.x), *_figure(chart.y),
               Column("origin"))  # fmt: skip
    return _made(
        columns,
        (
            (series, m.label or m.title, *_cells(m.x, m.x_interval), *_cells(m.y, m.y_interval),
             _origin(m.estimated, any_estimated))
            for series, m in marks
        ),
    )  # fmt: skip


def _slope(chart: Slope) -> Table:
    any_estimated = any(s.estimated for s in chart.lines)
    columns = (Column("name"), *_figure(chart.axis, chart.left),
               *_figure(chart.axis, chart.right), Column("origin"))  # fmt: skip
    return _made(
        columns,
        (
            (s.label, *_cells(s.left, s.left_interval), *_cells(s.right, s.right_interval),
             _origin(s.estimated, any_estimated))
            for s in chart.lines
        ),
    )  # fmt: skip


def _traces(chart: Traces) -> Table:
    # The meter's own interval of a single reading is not known: no columns that would be empty.
    columns = (Column("line"), Column("device class"), Column("time", "s"),
               Column(clean(chart.axis.label), clean(chart.axis.unit)))  # fmt: skip
    return Table(columns, tuple(_readings(chart)))


def _readings(chart: Traces) -> Iterator[tuple[Cell, ...]]:
    for line in chart.lines:
        name, device = clean(line.name), clean(line.device_class)
        for t, value in zip(line.t_s, line.values, strict=True):
            yield name, device, _finite(t), _finite(value)
