"""Rows with a label, a track and a reading: what charts of intervals and of bars share. Wide, the
label stands left of the track and the reading right of it; narrow, both stand above it."""

from collections.abc import Sequence
from dataclasses import dataclass

from lem.charts.figures import known, reading
from lem.charts.lettering import measure, shorten, wrap
from lem.charts.model import Axis, Row
from lem.charts.scales import Scale, tick_text
from lem.charts.sheet import NORMAL, SMALL, Sheet

LINE = 16.0
PAD = 7.0
TRACK = 20.0
GAP = 12.0


@dataclass(frozen=True)
class Lane:
    """Where one row lies."""

    row: Row
    top: float
    bottom: float
    middle: float
    """Of its track."""
    lines: tuple[str, ...]
    text: str
    below: bool = False
    """Whether the reading has a line of its own, below the label."""


@dataclass(frozen=True)
class Layout:
    lanes: tuple[Lane, ...]
    first: float
    """Left end of the tracks."""
    last: float
    top: float
    bottom: float
    labels_end: float
    """Right end of the labels; narrow, their left end."""
    groups: bool


def lay_out(sheet: Sheet, rows: Sequence[Row], axis: Axis, top: float) -> Layout:
    """Places for all rows, as wide as their labels and readings need."""
    texts = [r.text or reading(r.value, r.interval, axis) for r in rows]
    if sheet.narrow:
        return _narrow(sheet, rows, texts, top)
    groups = any(r.rank for r in rows)
    left = max((measure(r.rank, SMALL) for r in rows), default=0) + 18 if groups else 0.0
    widest = max((_widest(r) for r in rows), default=0)
    room = min(widest, 0.36 * sheet.width)
    readings = max((measure(t, NORMAL, r.emphasis) for r, t in zip(rows, texts, strict=True)),
                   default=0)  # fmt: skip
    readings = min(readings, 0.34 * sheet.width)
    lanes, y = [], top
    for row, text in zip(rows, texts, strict=True):
        lines = tuple(wrap(row.label, room, NORMAL, 2, row.emphasis))
        height = LINE * (len(lines) + bool(row.sublabel)) + 2 * PAD
        lanes.append(Lane(row, y, y + height, y + height / 2, lines, text))
        y += height
    first = left + room + GAP
    return Layout(
        tuple(lanes),
        first,
        sheet.width - readings - GAP - PAD * groups,
        top,
        y,
        left + room,
        groups,
    )


def _widest(row: Row) -> float:
    return max(measure(row.label, NORMAL, row.emphasis), measure(row.sublabel, SMALL))


def _narrow(sheet: Sheet, rows: Sequence[Row], texts: Sequence[str], top: float) -> Layout:
    groups = any(r.rank for r in rows)
    indent = PAD + (max(measure(r.rank, SMALL) for r in rows) + 8 if groups else 0)
    room = sheet.width - indent - PAD
    widest = max((measure(t, NORMAL, r.emphasis) for r, t in zip(rows, texts, strict=True)),
                 default=0)  # fmt: skip
    # All rows alike: a column of readings, or each below its label.
    below = widest > 0.5 * room
    beside = room if below else room - widest - GAP
    lanes, y = [], top
    for row, text in zip(rows, texts, strict=True):
        lines = tuple(wrap(row.label, beside, NORMAL, 3, row.emphasis))
        count = len(lines) + bool(row.sublabel) + below
        height = PAD + LINE * count + TRACK + 2
        lanes.append(Lane(row, y, y + height, y + height - TRACK / 2 - 2, lines, text, below))
        y += height
    return Layout(tuple(lanes), PAD, sheet.width - PAD, top, y, indent, groups)


def bands(sheet: Sheet, layout: Layout) -> None:
    """Ranks: every other one shaded, each named at the first of the rows that share it."""
    if not layout.groups:
        return
    start, number = 0, 0
    lanes = layout.lanes
    for i in range(1, len(lanes) + 1):
        if i < len(lanes) and lanes[i].row.rank == lanes[start].row.rank:
            continue
        group = lanes[start].row.rank
        if number % 2 == 0:
            top, bottom = lanes[start].top, lanes[i - 1].bottom
            sheet.rect(0, top, sheet.width, bottom - top, "band", 4)
        at = lanes[start].top + PAD + LINE - 4
        sheet.text(PAD, at, group, size=SMALL, of="muted emphasis")
        start, number = i, number + 1


def words(sheet: Sheet, layout: Layout) -> None:
    """Labels and readings of all rows."""
    for lane in layout.lanes:
        row = lane.row
        strong = " emphasis" if row.emphasis else ""
        with sheet.group("row", target=row.target):
            if sheet.narrow:
                _words_above(sheet, layout, lane, strong)
            else:
                _words_beside(sheet, layout, lane, strong)


def _words_beside(sheet: Sheet, layout: Layout, lane: Lane, strong: str) -> None:
    row = lane.row
    count = len(lane.lines) + bool(row.sublabel)
    y = lane.middle - LINE * count / 2 + LINE - 4
    for i, line in enumerate(lane.lines):
        full = row.label if "…" in line else ""
        sheet.text(layout.labels_end, y + LINE * i, line, anchor="end", of=f"label{strong}",
                   full=full)  # fmt: skip
    if row.sublabel:
        below = shorten(row.sublabel, layout.labels_end, SMALL)
        sheet.text(layout.labels_end, y + LINE * len(lane.lines), below, size=SMALL, anchor="end",
                   of="muted", full=row.sublabel)  # fmt: skip
    room = sheet.width - layout.last - GAP
    _reading(sheet, layout.last + GAP, lane.middle + 4.5, lane, room, "start", strong)


def _words_above(sheet: Sheet, layout: Layout, lane: Lane, strong: str) -> None:
    row, left = lane.row, layout.labels_end
    y = lane.top + PAD + LINE - 4
    for i, line in enumerate(lane.lines):
        full = row.label if "…" in line else ""
        sheet.text(left, y + LINE * i, line, of=f"label{strong}", full=full)
    below = y + LINE * len(lane.lines)
    room = sheet.width - left - PAD
    if row.sublabel:
        sheet.text(left, below, shorten(row.sublabel, room, SMALL), size=SMALL, of="muted",
                   full=row.sublabel)  # fmt: skip
        below += LINE
    if lane.below:
        _reading(sheet, left, below, lane, room, "start", strong)
    else:
        _reading(sheet, sheet.width - PAD, y, lane, room, "end", strong)


def _reading(
    sheet: Sheet, x: float, y: float, lane: Lane, room: float, anchor: str, strong: str
) -> None:
    of = ("label" if known(lane.row.value) else "muted") + strong
    shown = shorten(lane.text, room, NORMAL, bool(strong))
    sheet.text(x, y, shown, anchor=anchor, of=of, full=lane.text)


def ruler(sheet: Sheet, layout: Layout, scale: Scale, axis: Axis) -> float:
    """Grid lines, their figures below, and what the axis is; where it ends."""
    bottom = layout.bottom
    for tick in scale.ticks(64 if sheet.narrow else 76, axis.ticks):
        at = scale.at(tick)
        across(sheet, layout, at, "grid")
        said = tick_text(tick, axis)
        half = measure(said, SMALL) / 2
        inside = min(max(at, half), sheet.width - half)
        sheet.text(inside, bottom + 16, said, size=SMALL, anchor="middle", of="muted")
    if scale.low <= 0 <= scale.high and not scale.log:
        across(sheet, layout, scale.at(0), "axis")
    y = bottom + 34
    room = sheet.width - layout.first
    return sheet.paragraph(layout.first, y, axis_words(axis), room, SMALL, "muted", 2) - 6


def across(sheet: Sheet, layout: Layout, at: float, of: str) -> None:
    """A line across all rows; narrow, only through their tracks and not through their words."""
    if not sheet.narrow:
        sheet.line(at, layout.top, at, layout.bottom, of)
        return
    for lane in layout.lanes:
        sheet.line(at, lane.bottom - TRACK - 1, at, lane.bottom - 1, of)


def stretch(sheet: Sheet, layout: Layout, start: float, end: float, of: str) -> None:
    """A shaded stretch across all rows, as :func:`across`."""
    places = [(layout.top, layout.bottom)]
    if sheet.narrow:
        places = [(lane.bottom - TRACK - 1, lane.bottom - 1) for lane in layout.lanes]
    for top, bottom in places:
        sheet.rect(start, top, end - start, bottom - top, of)


def axis_words(axis: Axis) -> str:
    """``energy (mJ/token), log scale``"""
    unit = f" ({axis.unit})" if axis.unit and not axis.share else ""
    return f"{axis.label}{unit}{', log scale' if axis.log else ''}"
