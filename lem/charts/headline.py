"""Draws two configurations beside each other, and how many times one is the other."""

from lem.charts.bars import bar
from lem.charts.figures import known, reading
from lem.charts.lettering import measure, shorten, wrap
from lem.charts.marks import CAP, OVER, whisker
from lem.charts.model import Axis, Headline, Row
from lem.charts.rows import axis_words
from lem.charts.scales import Scale, scale
from lem.charts.sheet import SMALL, Sheet

NAME = 15.0
THICK = 26.0
BIG = 46.0


def draw(sheet: Sheet, chart: Headline, top: float) -> float:
    """Both bars on one scale from zero, the ratio between them; where they end."""
    axis = Axis(chart.axis.label, chart.axis.unit, share=chart.axis.share)
    rows = (chart.first, chart.second)
    readings = [r.text or reading(r.value, r.interval, axis) for r in rows]
    values = [r.value for r in rows if r.value is not None]
    widest = max(measure(t, NAME, True) for t in readings) + 14
    last = sheet.width - (4 if sheet.narrow else min(widest, 0.4 * sheet.width))
    along = scale(axis, values, [r.interval for r in rows], 1, last)
    y = _side(sheet, chart.first, readings[0], along, top, 1)
    y = _ratio(sheet, chart, y + 16)
    y = _side(sheet, chart.second, readings[1], along, y + 16, 2)
    sheet.text(0, y + 16, axis_words(axis), size=SMALL, of="muted")
    return y + 24


def _side(sheet: Sheet, row: Row, said: str, along: Scale, top: float, colour: int) -> float:
    """Name, bar and reading of one configuration; where it ends."""
    colour = colour if row.colour is None else row.colour
    y = top + NAME
    with sheet.group("row", target=row.target):
        for line in wrap(row.label, sheet.width, NAME, 2, True):
            sheet.text(0, y, line, size=NAME, of="label emphasis",
                       full=row.label if "…" in line else "")  # fmt: skip
            y += NAME * 1.3
    if row.sublabel:
        sheet.text(0, y - 2, shorten(row.sublabel, sheet.width, SMALL), size=SMALL, of="muted",
                   full=row.sublabel)  # fmt: skip
        y += SMALL * 1.35
    if sheet.narrow:
        sheet.text(0, y, said, size=NAME, of="label emphasis")
        y += NAME * 1.3
    middle = y - NAME + 6 + THICK / 2
    if row.value is not None and known(row.value):
        with sheet.group(f"c-{colour}", f"{row.label}: {said}", row.target):
            hollow = row.interval is None
            bar(sheet, along, row.value, middle, THICK, colour, hollow, row.estimated)
            whisker(sheet, along, row.interval, middle, of=OVER, cap=CAP + 3)
    if not sheet.narrow:
        high = row.value if row.interval is None else row.interval[1]
        at = along.at(high if high is not None and known(high) else 0) + 12
        sheet.text(at, middle + 5, said, size=NAME, of="label emphasis")
    return middle + THICK / 2


def _ratio(sheet: Sheet, chart: Headline, top: float) -> float:
    """The big figure, and beside it what it is a ratio of, with its interval."""
    axis = Axis("", "")
    big = chart.ratio_text or f"{short(chart.ratio, chart.ratio_interval)}×"
    big = shorten(big, 0.5 * sheet.width, BIG, True)
    base = top + BIG * 0.78
    sheet.text(0, base, big, size=BIG, of="label emphasis")
    left = measure(big, BIG, True) + 10
    label = wrap(chart.ratio_label, sheet.width - left, NAME + 2, 2, True)
    interval = ""
    if chart.ratio_interval is not None:
        interval = f"95 % interval {_ends(chart, axis)}"
    y = base - 16 if interval else base - 4
    y -= (len(label) - 1) * 9
    for line in label:
        sheet.text(left, y, line, size=NAME + 2, of="label emphasis")
        y += 20
    if interval:
        sheet.text(left, y - 1, interval, size=SMALL, of="muted")
    return base + 8


def _ends(chart: Headline, axis: Axis) -> str:
    """``4.5 to 5.1``, rounded outwards as everywhere."""
    shown = reading(chart.ratio, chart.ratio_interval, axis)
    return shown.partition("(")[2].rstrip(")").replace("–", " to ")


def short(ratio: float, interval: tuple[float, float] | None) -> str:
    """The ratio alone, with the digits that its interval supports."""
    return reading(ratio, interval, Axis("", "")).partition(" ")[0]
