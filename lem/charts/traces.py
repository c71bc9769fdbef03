"""Draws quantities over time with a run's phases."""

import math
from collections.abc import Sequence

from lem.charts.labels import end_labels
from lem.charts.lettering import measure, shorten
from lem.charts.model import Axis, Phase, TimeLine, Traces
from lem.charts.rows import axis_words
from lem.charts.scales import Scale, scale, tick_text
from lem.charts.sheet import NORMAL, SMALL, Sheet

HEIGHT, LOW_HEIGHT = 280.0, 230.0
TIME = Axis("time", "s", zero=False)
DASHED = "Dashed: estimated, not measured."


def draw(sheet: Sheet, chart: Traces, top: float) -> float:
    """The plot, from ``top`` on; where it ends."""
    lines = [t for t in chart.lines if any(math.isfinite(v) for v in t.values)]
    beside = _beside(sheet, lines)
    if not beside and len(lines) > 1:
        top = _legend(sheet, lines, top)
    words = axis_words(chart.axis)
    if len(lines) == 1:
        words = f"{words}: {lines[0].name}"
    sheet.text(0, top + 11, shorten(words, sheet.width, SMALL), size=SMALL, of="muted", full=words)
    top += 22 + (16 if chart.phases else 0)
    bottom = top + (LOW_HEIGHT if sheet.narrow else HEIGHT)
    values = [v for t in lines for v in _range(t.values)]
    up = scale(chart.axis, values, (), bottom, top)
    ticks = up.ticks(46, chart.axis.ticks)
    left = max((measure(tick_text(t, chart.axis), SMALL) for t in ticks), default=20) + 10
    along = _time(chart, lines, left, sheet.width - (beside or 8))
    _phases(sheet, chart.phases, along, top, bottom)
    for tick in ticks:
        at = up.at(tick)
        sheet.line(left, at, along.last, at, "grid")
        said = tick_text(tick, chart.axis)
        sheet.text(left - 6, at + 4, said, size=SMALL, anchor="end", of="muted")
    for tick in along.ticks(64):
        at, said = along.at(tick), tick_text(tick, TIME)
        sheet.line(at, bottom, at, bottom + 4, "axis")
        sheet.text(at, bottom + 17, said, size=SMALL, anchor="middle", of="muted")
    sheet.line(left, bottom, along.last, bottom, "axis")
    sheet.text(along.last, bottom + 34, axis_words(TIME), size=SMALL, anchor="end", of="muted")
    ends = []
    for i, line in enumerate(lines):
        with sheet.group(f"c-{colour_of(line, i)}", line.name):
            estimated = line.device_class == "estimated"
            if estimated:
                sheet.say(DASHED)
            points = decimated(line.t_s, line.values, along, up)
            sheet.path(_path(points), "line thin dashed" if estimated else "line thin")
        last = next(y for x, y in reversed(points) if not math.isnan(y))
        ends.append((line.name, along.last, last, colour_of(line, i)))
    if beside:
        end_labels(sheet, ends, along.last + 12, top, bottom)
    if silent := len(chart.lines) - len(lines):
        who = "1 line" if silent == 1 else f"{silent} lines"
        sheet.say(f"Left out: {who} without a value.")
    return bottom + 40


def colour_of(line: TimeLine, place: int) -> int:
    return place % 7 + 1 if line.colour is None else line.colour


def _range(values: Sequence[float]) -> list[float]:
    finite = [v for v in values if math.isfinite(v)]
    return [min(finite), max(finite)]


def _time(chart: Traces, lines: Sequence[TimeLine], first: float, last: float) -> Scale:
    times = [t for line in lines for t in (line.t_s[0], line.t_s[-1])]
    times += [t for p in chart.phases for t in (p.start_s, p.end_s)]
    low, high = min(times, default=0.0), max(times, default=1.0)
    return Scale(low, high if high > low else low + 1.0, first, last, False)


def _beside(sheet: Sheet, lines: Sequence[TimeLine]) -> float:
    """Room for names at the lines' ends; 0 where a legend is better."""
    if sheet.narrow or not 1 < len(lines) <= 8:
        return 0.0
    room = max(measure(t.name, NORMAL, True) for t in lines) + 16
    return room if room <= 0.25 * sheet.width else 0.0


def _legend(sheet: Sheet, lines: Sequence[TimeLine], top: float) -> float:
    x, y = 0.0, top + 12
    for i, line in enumerate(lines):
        name = shorten(line.name, sheet.width - 28, NORMAL)
        needed = 26 + measure(name, NORMAL) + 16
        if x and x + needed > sheet.width + 16:
            x, y = 0.0, y + 20
        with sheet.group(f"c-{colour_of(line, i)}"):
            estimated = line.device_class == "estimated"
            sheet.line(x + 1, y - 4, x + 19, y - 4, "line dashed" if estimated else "line")
        sheet.text(x + 26, y, name, full=line.name)
        x += needed
    return y + 12


def _phases(sheet: Sheet, phases: Sequence[Phase], along: Scale, top: float, bottom: float) -> None:
    """Each a shaded stretch with its name above, where that has room."""
    free = 0.0
    chosen = any(p.measured for p in phases)
    for i, phase in enumerate(phases):
        start, end = along.at(phase.start_s), along.at(phase.end_s)
        with sheet.group("phase", f"{phase.name}: {phase.start_s:.4g} to {phase.end_s:.4g} s"):
            if phase.measured if chosen else i % 2 == 0:
                sheet.rect(start, top, max(end - start, 0.5), bottom - top, "band")
            sheet.line(start, top - 16, start, bottom, "grid")
            sheet.line(end, top - 16, end, bottom, "grid")
        if measure(phase.name, SMALL) <= end - start and start >= free:
            sheet.text(
                (start + end) / 2, top - 6, phase.name, size=SMALL, anchor="middle", of="muted"
            )
            free = end


def decimated(
    t_s: Sequence[float], values: Sequence[float], along: Scale, up: Scale
) -> list[tuple[float, float]]:
    """Pixels of the line: of each column of a pixel the first, least, most and last value, so that
    no peak is lost. A gap (a value that is not finite) is a NaN."""
    columns: list[list[tuple[float, float]]] = []
    column = None
    for t, value in zip(t_s, values, strict=True):
        if not math.isfinite(t):
            continue
        x = along.at(t)
        if not math.isfinite(value):
            columns.append([(x, math.nan)])
            column = None
            continue
        if column is None or int(x) != column:
            columns.append([])
            column = int(x)
        columns[-1].append((x, value))
    points: list[tuple[float, float]] = []
    for found in columns:
        if len(found) > 4:
            order = sorted(range(len(found)), key=lambda i: found[i][1])
            kept = sorted({0, order[0], order[-1], len(found) - 1})
            found = [found[i] for i in kept]
        points += [(x, v if math.isnan(v) else up.at(v)) for x, v in found]
    return points


def _path(points: Sequence[tuple[float, float]]) -> str:
    parts, pen = [], "M"
    for i, (x, y) in enumerate(points):
        if math.isnan(y):
            pen = "M"
            continue
        alone = pen == "M" and (i + 1 == len(points) or math.isnan(points[i + 1][1]))
        # A value between two gaps would else be nothing: a line of no length has no ends.
        parts.append(f"{pen}{x:g} {y:g}" + (" h1" if alone else ""))
        pen = "L"
    return "".join(parts)
