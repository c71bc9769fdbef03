"""Draws what changes between two levels of a choice: a line for everything else that stays."""

from collections.abc import Sequence

from lem.charts.figures import known, reading
from lem.charts.labels import spread
from lem.charts.lettering import measure, shorten
from lem.charts.marks import HOLLOW, dot, edge, on_scale, whisker
from lem.charts.model import Slope, SlopeLine
from lem.charts.rows import axis_words
from lem.charts.scales import Scale, scale
from lem.charts.sheet import NORMAL, SMALL, Sheet

HEIGHT = 300.0
GAP = 16.0
WIDEST = 340.0
"""Pixels between the two columns: longer lines look as if they rose less."""


def draw(sheet: Sheet, chart: Slope, top: float) -> float:
    """Two columns and the lines between them; where they end."""
    whole = [s for s in chart.lines if known(s.left) and known(s.right)]
    top = sheet.paragraph(0, top + 11, axis_words(chart.axis), sheet.width, SMALL, "muted", 2) + 8
    bottom = top + 14 + max(HEIGHT, GAP * len(whole) + 20)
    values = [v for s in whole for v in (s.left, s.right) if v is not None]
    intervals = [i for s in whole for i in (s.left_interval, s.right_interval)]
    up = scale(chart.axis, values, intervals, bottom - 8, top + 20)
    lefts = [reading(s.left, s.left_interval, chart.axis) for s in whole]
    rights = [reading(s.right, s.right_interval, chart.axis) for s in whole]
    if sheet.narrow:
        # The unit stands above; the columns have no room for it at each figure.
        lefts, rights = (
            [t.removesuffix(f" {chart.axis.unit}") for t in c] for c in (lefts, rights)
        )
    labels = 0.0 if sheet.narrow else min(_widest(whole, [s.label for s in whole]) + 16,
                                          0.3 * sheet.width)  # fmt: skip
    readings = _widest(whole, lefts) + 24
    first = labels + readings
    last = min(sheet.width - _widest(whole, rights) - 24, first + WIDEST)
    for x, name, anchor in ((first, chart.left, "end"), (last, chart.right, "start")):
        room = x if anchor == "end" else sheet.width - x
        sheet.text(x, top + 4, shorten(name, room, NORMAL, True), anchor=anchor,
                   of="label emphasis", full=name)  # fmt: skip
        sheet.line(x, top + 12, x, bottom, "axis")
    for i, line in enumerate(whole):
        _line(sheet, line, i, up, first, last, f"{line.label}: {lefts[i]} → {rights[i]}")
    _readings(sheet, whole, lefts, [up.at(s.left or 0) for s in whole], first, -1, top + 22, bottom)
    _readings(sheet, whole, rights, [up.at(s.right or 0) for s in whole], last, 1, top + 22, bottom)
    if labels:
        places = spread([up.at(s.left or 0) for s in whole], GAP, top + 22, bottom)
        for line, y in zip(whole, places, strict=True):
            name = shorten(line.label, labels - 16, NORMAL, line.emphasis)
            of = "label emphasis" if line.emphasis else "label"
            sheet.text(labels - 16, y + 4.5, name, anchor="end", of=of, full=line.label)
    end = bottom + 6
    if sheet.narrow:
        end = _legend(sheet, whole, end)
    if lost := len(chart.lines) - len(whole):
        who = "1 line" if lost == 1 else f"{lost} lines"
        sheet.say(f"Left out: {who} without a value on both sides.")
    return end


def _widest(whole: Sequence[SlopeLine], texts: Sequence[str]) -> float:
    return max((measure(t, NORMAL, s.emphasis) for s, t in zip(whole, texts, strict=True)),
               default=0)  # fmt: skip


def colour_of(line: SlopeLine, place: int) -> int:
    return place % 6 + 1 if line.colour is None else line.colour


def _line(
    sheet: Sheet, line: SlopeLine, place: int, up: Scale, first: float, last: float, title: str
) -> None:
    assert line.left is not None and line.right is not None
    with sheet.group(f"c-{colour_of(line, place)}", title, line.target):
        if on_scale(up, line.left) and on_scale(up, line.right):
            of = "line dashed" if line.estimated else "line"
            sheet.path(f"M{first:.5g} {up.at(line.left):g} L{last:.5g} {up.at(line.right):g}", of)
        ends = ((first, line.left, line.left_interval), (last, line.right, line.right_interval))
        for x, value, interval in ends:
            whisker(sheet, up, interval, x, upright=True, estimated=line.estimated)
            if not on_scale(up, value):
                edge(sheet, up, x, upright=True)
                continue
            if interval is None and not line.estimated:
                sheet.say(HOLLOW)
            radius = 5.0 if line.emphasis else 4.0
            dot(sheet, x, up.at(value), hollow=interval is None, estimated=line.estimated,
                radius=radius)  # fmt: skip


def _readings(
    sheet: Sheet,
    whole: Sequence[SlopeLine],
    texts: Sequence[str],
    wanted: Sequence[float],
    x: float,
    side: int,
    top: float,
    bottom: float,
) -> None:
    """Figures beside their ends, moved apart where they would touch, and led to them."""
    at = x + 22 * side
    room = x - 22 if side < 0 else sheet.width - at
    places = spread(wanted, GAP, top, bottom)
    for i, (line, text, mark, y) in enumerate(zip(whole, texts, wanted, places, strict=True)):
        if abs(y - mark) > 2:
            with sheet.group(f"c-{colour_of(line, i)}"):
                sheet.line(x + 8 * side, mark, at - 3 * side, y, "leader")
        of = "label emphasis" if line.emphasis else "label"
        sheet.text(at, y + 4.5, shorten(text, room, NORMAL, line.emphasis), of=of,
                   anchor="end" if side < 0 else "start", full=text)  # fmt: skip


def _legend(sheet: Sheet, whole: Sequence[SlopeLine], top: float) -> float:
    """What each line is, where its label has no room beside it."""
    y = top + 14
    for i, line in enumerate(whole):
        with sheet.group(f"c-{colour_of(line, i)}"):
            sheet.line(2, y - 4, 20, y - 4, "line dashed" if line.estimated else "line")
        of = "label emphasis" if line.emphasis else "label"
        name = shorten(line.label, sheet.width - 28, NORMAL, line.emphasis)
        sheet.text(28, y, name, of=of, full=line.label)
        y += 18
    return y - 8
