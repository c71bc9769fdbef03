"""Draws marks over two axes: series with whiskers, fronts as steps, names beside marks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from lem.charts.figures import known, reading
from lem.charts.labels import Box, end_labels, place
from lem.charts.lettering import measure, shorten
from lem.charts.marks import HOLLOW, dot, edge, on_scale, whisker
from lem.charts.model import Axis, Mark, Scatter, Series
from lem.charts.rows import axis_words
from lem.charts.scales import Scale, scale, tick_text
from lem.charts.sheet import NORMAL, SMALL, Sheet

HEIGHT, LOW_HEIGHT = 400.0, 320.0
MANY = 60
"""With more marks than this, smaller dots."""
NEAR = 1.0
"""How far beyond the outermost value the end of an interval may stretch an axis, as a multiple of
what the values themselves take: among many marks the widest must not press the rest together."""


@dataclass(frozen=True)
class Point:
    mark: Mark
    x: float
    y: float
    """Pixels."""


def draw(sheet: Sheet, chart: Scatter, top: float) -> float:
    """The plot, from ``top`` on; where it ends."""
    series = [_with_values(s) for s in chart.series]
    ends = _ends(sheet, series)
    if not ends:
        top = legend(sheet, chart.series, top)
    sheet.text(0, top + 11, shorten(axis_words(chart.y), sheet.width, SMALL), size=SMALL,
               of="muted", full=axis_words(chart.y))  # fmt: skip
    top += 24
    bottom = top + (LOW_HEIGHT if sheet.narrow else HEIGHT)
    marks = [m for s in series for m in s.marks]
    up = scale(
        chart.y, [_y(m) for m in marks], [m.y_interval for m in marks], bottom, top, far=NEAR
    )
    y_ticks = up.ticks(46, chart.y.ticks)
    left = max((measure(tick_text(t, chart.y), SMALL) for t in y_ticks), default=20) + 8
    last = sheet.width - (ends or 8)
    along = scale(
        chart.x, [_x(m) for m in marks], [m.x_interval for m in marks], left + 8, last, far=NEAR
    )
    _grid(sheet, chart, along, up, left, y_ticks)
    points = [[Point(m, along.at(_x(m)), up.at(_y(m))) for m in s.marks] for s in series]
    colours = [i % 7 + 1 if s.colour is None else s.colour for i, s in enumerate(series)]
    radius = 3.0 if len(marks) > MANY else 4.0
    for s, found, colour in zip(series, points, colours, strict=True):
        with sheet.group(f"c-{colour}"):
            _path(sheet, s, found, along)
            for p in found:
                _mark(sheet, s, p, along, up, chart, radius)
    paths = [b for s, found in zip(series, points, strict=True) for b in _path_boxes(s, found)]
    _names(sheet, [p for found in points for p in found], paths, along, up, left)
    if ends:
        named = [(s.name, found[-1].x, found[-1].y, c)
                 for s, found, c in zip(series, points, colours, strict=True) if found]  # fmt: skip
        end_labels(sheet, named, last + 10, top, bottom)
    lost = sum(len(s.marks) for s in chart.series) - len(marks)
    if lost:
        who = "1 point" if lost == 1 else f"{lost} points"
        sheet.say(f"Left out: {who} without a value.")
    return bottom + 40


def _with_values(series: Series) -> Series:
    kept = tuple(m for m in series.marks if known(m.x) and known(m.y))
    return replace(series, marks=kept)


def _x(mark: Mark) -> float:
    assert mark.x is not None
    return mark.x


def _y(mark: Mark) -> float:
    assert mark.y is not None
    return mark.y


def _ends(sheet: Sheet, series: Sequence[Series]) -> float:
    """Room for the series' names at their lines' ends; 0 where a legend is better."""
    shown = [s for s in series if s.marks]
    lines = all(s.joined and s.name and not s.steps for s in shown)
    labelled = any(m.label for s in shown for m in s.marks)
    if sheet.narrow or not lines or labelled or not 1 < len(shown) <= 8:
        return 0.0
    room = max(measure(s.name, NORMAL) for s in shown) + 14
    return room if room <= 0.28 * sheet.width else 0.0


def _grid(
    sheet: Sheet, chart: Scatter, along: Scale, up: Scale, left: float, y_ticks: Sequence[float]
) -> None:
    top, bottom = up.last, up.first
    for tick in y_ticks:
        at = up.at(tick)
        sheet.line(left, at, along.last, at, "grid")
        sheet.text(left - 6, at + 4, tick_text(tick, chart.y), size=SMALL, anchor="end", of="muted")
    for tick in along.ticks(56 if sheet.narrow else 64, chart.x.ticks):
        at = along.at(tick)
        sheet.line(at, top, at, bottom, "grid")
        said = tick_text(tick, chart.x)
        inside = min(at, sheet.width - measure(said, SMALL) / 2)
        sheet.text(inside, bottom + 16, said, size=SMALL, anchor="middle", of="muted")
    sheet.line(left, bottom, along.last, bottom, "axis")
    words = axis_words(chart.x)
    room = sheet.width - left
    sheet.text(min(along.last, sheet.width), bottom + 34, shorten(words, room, SMALL), size=SMALL,
               anchor="end", of="muted", full=words)  # fmt: skip


def _path(sheet: Sheet, series: Series, points: Sequence[Point], along: Scale) -> None:
    if not series.joined or len(points) < 2:
        return
    d = f"M{points[0].x:.5g} {points[0].y:.5g}"
    for p in points[1:]:
        d += f" H{p.x:.5g} V{p.y:.5g}" if series.steps else f" L{p.x:.5g} {p.y:.5g}"
    sheet.path(d, "line dashed" if series.dashed else "line")


def _path_boxes(series: Series, points: Sequence[Point]) -> list[Box]:
    """Where a joined series' line lies, for names to keep off."""
    if not series.joined:
        return []
    boxes: list[Box] = []
    for a, b in pairwise(points):
        if series.steps:
            top, bottom = sorted((a.y, b.y))
            boxes += [(a.x, a.y - 1, b.x, a.y + 1), (b.x - 1, top, b.x + 1, bottom)]
        else:
            at = [(a.x + (b.x - a.x) * i / 12, a.y + (b.y - a.y) * i / 12) for i in range(13)]
            boxes += [(x - 2, y - 2, x + 2, y + 2) for x, y in at]
    return boxes


def _mark(
    sheet: Sheet, series: Series, p: Point, along: Scale, up: Scale, chart: Scatter, radius: float
) -> None:
    m = p.mark
    title = m.title or ": ".join(
        w for w in (m.label or series.name, _values(m, chart.x, chart.y)) if w
    )
    with sheet.group("point", title, m.target):
        cap = radius + 1.0 if radius > 3 else 2.0
        whisker(sheet, up, m.y_interval, p.x, upright=True, estimated=m.estimated, cap=cap)
        whisker(sheet, along, m.x_interval, p.y, estimated=m.estimated, cap=cap)
        if not on_scale(along, _x(m)):
            edge(sheet, along, p.y)
        elif not on_scale(up, _y(m)):
            edge(sheet, up, p.x, upright=True)
        else:
            bare = m.x_interval is None and m.y_interval is None
            r = radius + 1 if m.emphasis else radius
            hollow = series.hollow or bare
            dot(sheet, p.x, p.y, hollow=hollow, estimated=m.estimated, radius=r)
            if bare and not m.estimated:
                sheet.say(HOLLOW)


def _values(m: Mark, x: Axis, y: Axis) -> str:
    return f"{reading(m.x, m.x_interval, x)}, {reading(m.y, m.y_interval, y)}"


def _names(
    sheet: Sheet, points: Sequence[Point], paths: list[Box], along: Scale, up: Scale, left: float
) -> None:
    """Beside their marks, those first that are emphasised; what has no room is left to the title
    that a pointer shows, and to the table."""
    taken = paths
    for p in points:
        taken.append((p.x - 5, p.y - 5, p.x + 5, p.y + 5))
        for interval, line in ((p.mark.x_interval, along), (p.mark.y_interval, up)):
            if interval is not None:
                a, b = sorted(line.at(v) for v in interval)
                box = (a, p.y - 2, b, p.y + 2) if line is along else (p.x - 2, a, p.x + 2, b)
                taken.append(box)
    within = (left, up.last - 8, sheet.width, up.first)
    named = sorted((p for p in points if p.mark.label), key=lambda p: not p.mark.emphasis)
    longest = 0.45 * sheet.width
    for p in named:
        strong = p.mark.emphasis
        words = shorten(p.mark.label, longest, SMALL, strong)
        found = place(p.x, p.y, measure(words, SMALL, strong), SMALL, taken, within)
        if found is not None:
            x, y, anchor = found
            of = "label halo emphasis" if strong else "label halo"
            sheet.text(x, y, words, size=SMALL, anchor=anchor, of=of, full=p.mark.label)


def legend(sheet: Sheet, series: Sequence[Series], top: float) -> float:
    """A swatch and name for each series that has one, in as many lines as they need."""
    named = [(i, s) for i, s in enumerate(series) if s.name and s.marks]
    if len(named) < 2 and not any(s.hollow for _, s in named):
        return top
    x, y = 0.0, top + 12
    for i, s in named:
        name = shorten(s.name, sheet.width - 34, NORMAL)
        needed = 28 + measure(name, NORMAL) + 18
        if x and x + needed > sheet.width + 18:
            x, y = 0.0, y + 20
        colour = i % 7 + 1 if s.colour is None else s.colour
        with sheet.group(f"c-{colour}"):
            if s.joined:
                sheet.line(x, y - 4, x + 22, y - 4, "line dashed" if s.dashed else "line")
            hollow = s.hollow or all(m.x_interval is None and m.y_interval is None for m in s.marks)
            sheet.circle(x + 11, y - 4, 4.5, "hollow" if hollow else "mark")
        sheet.text(x + 28, y, name, full=s.name)
        x += needed
    return y + 14
