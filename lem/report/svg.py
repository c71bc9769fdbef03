"""Charts as SVG, written by hand: a file of a few kilobytes that any browser shows, with text that
can be searched. A plotting library would be the host's largest package (docs/dependencies.md)."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from lem.analysis.text import plain

WIDTH = 860
LEFT, RIGHT, TOP, BOTTOM = 84, 28, 64, 56
# Okabe and Ito's palette, told apart by people of all kinds of colour vision.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
GREY = "#888888"
LEAST_GAP = 34
"""Pixels between the middles of two figures below an axis."""
Interval = tuple[float, float] | None


@dataclass(frozen=True)
class Mark:
    """A point with its interval along each axis."""

    x: float
    y: float
    x_interval: Interval = None
    y_interval: Interval = None
    label: str = ""
    """Beside the mark."""
    title: str = ""
    """Shown by browsers where the pointer rests on it."""


@dataclass(frozen=True)
class Line:
    """Marks of one colour, joined where ``joined``."""

    name: str
    marks: tuple[Mark, ...]
    colour: str
    joined: bool = False
    dashed: bool = False
    hollow: bool = False
    steps: bool = False
    """Joined by steps, as the edge of what a front dominates."""


@dataclass(frozen=True)
class Bar:
    name: str
    value: float
    interval: Interval
    text: str


@dataclass(frozen=True)
class Chart:
    """One picture: lines over two axes, or bars from 0 to 1."""

    title: str
    subtitle: str
    x: str = ""
    y: str = ""
    lines: tuple[Line, ...] = ()
    bars: tuple[Bar, ...] = ()
    log_x: bool = False
    log_y: bool = False
    x_ticks: tuple[float, ...] = ()
    """Where the x axis is to have its ticks, if they have room; none: at round numbers."""
    footnotes: tuple[str, ...] = field(default=())


def document(charts: Sequence[Chart]) -> str:
    """The charts below each other as one SVG document."""
    parts: list[str] = []
    top = 0.0
    for chart in charts:
        drawn, height = _bars(chart) if chart.bars else _plot(chart)
        parts.append(f'<g transform="translate(0 {top:g})">{"".join(drawn)}</g>')
        top += height
    title = _text(charts[0].title) if charts else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top:g}" width="{WIDTH}" '
        f'height="{top:g}" font-family="sans-serif" font-size="12" fill="#222">\n'
        f'<title>{title}</title><rect width="{WIDTH}" height="{top:g}" fill="#fff"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


class Axis:
    """Where values lie along one side, and its ticks."""

    def __init__(self, values: Sequence[float], first: float, last: float, log: bool) -> None:
        known = [v for v in values if math.isfinite(v) and (v > 0 or not log)] or [1.0]
        low, high = min(known), max(known)
        self.log = log
        if log:
            margin = max(math.log(high / low) * 0.06, 0.05)
            self.low, self.high = low / math.exp(margin), high * math.exp(margin)
            self.ticks = log_ticks(self.low, self.high)
        else:
            low = min(0.0, low)
            self.low, self.high = low, high + 0.06 * (high - low or 1.0)
            self.ticks = linear_ticks(self.low, self.high)
        self.first, self.last = first, last

    def at(self, value: float) -> float:
        """Pixels; values beyond the ends are drawn at them."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return round(self.first + share * (self.last - self.first), 1)


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5 of each power of ten that lie within; more or fewer where the range is narrow or
    wide."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    decades = math.log10(high / low)
    steps = (1,) if decades > 3 else (1, 2, 5) if decades > 1 else (1, 2, 3, 4, 5, 6, 8)
    found = [m * 10.0**p for p in powers for m in steps]
    found = [t for t in found if low <= t <= high]
    return found if len(found) > 1 else linear_ticks(low, high)


def linear_ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers within."""
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, math.floor(high / step + 1e-9) + 1)]


def _plot(chart: Chart) -> tuple[list[str], float]:
    height = 460.0
    legend = [line for line in chart.lines if line.name]
    top = TOP + 18 * math.ceil(len(legend) / 3)
    notes = _wrapped(chart.footnotes, 120)
    bottom = height - BOTTOM - 15 * len(notes)
    marks = [m for line in chart.lines for m in line.marks]
    x = Axis([v for m in marks for v in _ends(m.x, m.x_interval)], LEFT, WIDTH - RIGHT, chart.log_x)
    y = Axis([v for m in marks for v in _ends(m.y, m.y_interval)], bottom, top, chart.log_y)
    parts = _head(chart)
    for i, line in enumerate(legend):
        parts += _key(line, LEFT + 250 * (i % 3), TOP + 18 * (i // 3))
    for tick in _roomy(x, chart.x_ticks) or x.ticks:
        at = x.at(tick)
        parts.append(_stroke(at, top, at, bottom, "#e4e4e4"))
        parts.append(_words(at, bottom + 17, f"{tick:g}", "middle"))
    for tick in y.ticks:
        at = y.at(tick)
        parts.append(_stroke(LEFT, at, WIDTH - RIGHT, at, "#e4e4e4"))
        parts.append(_words(LEFT - 8, at + 4, f"{tick:g}", "end"))
    parts.append(_stroke(LEFT, bottom, WIDTH - RIGHT, bottom, "#444"))
    parts.append(_stroke(LEFT, top, LEFT, bottom, "#444"))
    middle = (top + bottom) / 2
    parts.append(_words((LEFT + WIDTH - RIGHT) / 2, bottom + 36, chart.x, "middle"))
    parts.append(
        f'<text x="18" y="{middle:g}" text-anchor="middle" '
        f'transform="rotate(-90 18 {middle:g})">{_text(chart.y)}</text>'
    )
    for line in chart.lines:
        parts += _line(line, x, y)
    parts += _labels(marks, x, y)
    for i, note in enumerate(notes):
        parts.append(_small(LEFT, bottom + 53 + 15 * i, note))
    return parts, height


def _roomy(axis: Axis, ticks: Sequence[float]) -> Sequence[float]:
    """The ticks, or none where their figures would touch."""
    at = [axis.at(t) for t in ticks]
    return ticks if all(b - a >= LEAST_GAP for a, b in pairwise(at)) else ()


def _ends(value: float, interval: Interval) -> list[float]:
    return [value, *(interval or ())]


def _line(line: Line, x: Axis, y: Axis) -> list[str]:
    parts = []
    if line.joined and len(line.marks) > 1:
        path = f"M{x.at(line.marks[0].x)} {y.at(line.marks[0].y)}"
        for mark in line.marks[1:]:
            path += (
                f" H{x.at(mark.x)} V{y.at(mark.y)}"
                if line.steps
                else (f" L{x.at(mark.x)} {y.at(mark.y)}")
            )
        dash = ' stroke-dasharray="6 4"' if line.dashed else ""
        parts.append(
            f'<path d="{path}" fill="none" stroke="{line.colour}" stroke-width="1.6"{dash}/>'
        )
    for m in line.marks:
        at, up = x.at(m.x), y.at(m.y)
        if m.y_interval is not None:
            low, high = (y.at(v) for v in m.y_interval)
            parts.append(_stroke(at, low, at, high, line.colour))
        if m.x_interval is not None:
            low, high = (x.at(v) for v in m.x_interval)
            parts.append(_stroke(low, up, high, up, line.colour))
        fill = "#fff" if line.hollow else line.colour
        parts.append(
            f'<circle cx="{at}" cy="{up}" r="4" fill="{fill}" stroke="{line.colour}" '
            f'stroke-width="1.4"><title>{_text(m.title)}</title></circle>'
        )
    return parts


def _labels(marks: Sequence[Mark], x: Axis, y: Axis) -> list[str]:
    """Names beside their marks, those left out for which there is no room."""
    parts: list[str] = []
    taken: list[tuple[float, float, float, float]] = [
        (x.at(m.x) - 5, y.at(m.y) - 5, x.at(m.x) + 5, y.at(m.y) + 5) for m in marks
    ]
    for m in (m for m in marks if m.label):
        text = m.label if len(m.label) <= 44 else m.label[:43] + "…"
        width = 6.1 * len(text)
        at, up = x.at(m.x), y.at(m.y)
        for dx, dy, anchor in (
            (8, -6, "start"),
            (8, 14, "start"),
            (-8, -6, "end"),
            (-8, 14, "end"),
        ):
            left = at + dx if anchor == "start" else at + dx - width
            box = (left, up + dy - 10, left + width, up + dy + 2)
            inside = box[0] >= LEFT and box[2] <= WIDTH - 4
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                parts.append(_small(at + dx, up + dy, text, anchor))
                break
    return parts


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _bars(chart: Chart) -> tuple[list[str], float]:
    row, left = 30, 260
    top = TOP + 4
    bottom = top + row * len(chart.bars)
    axis = Axis([0.0, 1.0], left, WIDTH - RIGHT - 110, False)
    parts = _head(chart)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        at = axis.at(share)
        parts.append(_stroke(at, top, at, bottom, "#e4e4e4"))
        parts.append(_words(at, bottom + 17, f"{100 * share:g} %", "middle"))
    for i, bar in enumerate(chart.bars):
        y = top + row * i + row / 2
        name = bar.name if len(bar.name) <= 38 else bar.name[:37] + "…"
        start, end = axis.at(0), axis.at(bar.value)
        parts.append(_words(left - 10, y + 4, name, "end"))
        parts.append(
            f'<rect x="{start}" y="{y - 9:g}" width="{max(0.0, end - start):g}" height="18" '
            f'fill="{COLOURS[0]}" fill-opacity="0.75"/>'
        )
        edge = end
        if bar.interval is not None:
            low, high = (axis.at(v) for v in bar.interval)
            parts.append(_stroke(low, y, high, y, "#222", 1.6))
            parts += [_stroke(v, y - 5, v, y + 5, "#222", 1.6) for v in (low, high)]
            edge = max(end, high)
        parts.append(_words(edge + 8, y + 4, bar.text, "start"))
    parts.append(_stroke(axis.at(0), top, axis.at(0), bottom, "#444"))
    parts.append(_words((left + axis.at(1)) / 2, bottom + 36, chart.x, "middle"))
    notes = _wrapped(chart.footnotes, 140)
    for i, note in enumerate(notes):
        parts.append(_small(16, bottom + 58 + 15 * i, note))
    return parts, bottom + 60 + 15 * len(notes)


def _wrapped(notes: Sequence[str], width: int) -> list[str]:
    return [line for note in notes for line in textwrap.wrap(note, width)]


def _head(chart: Chart) -> list[str]:
    return [
        f'<text x="16" y="24" font-size="15" font-weight="bold">{_text(chart.title)}</text>',
        f'<text x="16" y="43" fill="#555">{_text(chart.subtitle)}</text>',
    ]


def _key(line: Line, x: float, y: float) -> list[str]:
    dash = ' stroke-dasharray="6 4"' if line.dashed else ""
    fill = "#fff" if line.hollow else line.colour
    stroke = (
        f'<line x1="{x}" y1="{y}" x2="{x + 24}" y2="{y}" stroke="{line.colour}" '
        f'stroke-width="1.6"{dash}/>'
    )
    return [
        stroke if line.joined else "",
        f'<circle cx="{x + 12}" cy="{y}" r="4" fill="{fill}" stroke="{line.colour}" '
        'stroke-width="1.4"/>',
        _words(x + 32, y + 4, line.name, "start"),
    ]


def _stroke(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1.0) -> str:
    return (
        f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{colour}" '
        f'stroke-width="{width:g}"/>'
    )


def _words(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{_text(text)}</text>'


def _small(x: float, y: float, text: str, anchor: str = "start") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="11" fill="#444">'
        f"{_text(text)}</text>"
    )


def _text(text: str) -> str:
    """Names come from campaign files and models: text, never markup."""
    return escape(plain(text))
