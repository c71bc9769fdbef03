"""Draws bars from zero, with whiskers."""

from dataclasses import replace

from lem.charts.figures import known
from lem.charts.intervals import say_missing
from lem.charts.marks import CAP, ESTIMATED_BAR, HOLLOW, OVER, whisker
from lem.charts.model import Axis, Bars
from lem.charts.rows import Lane, across, bands, lay_out, ruler, words
from lem.charts.scales import Scale, scale
from lem.charts.sheet import Sheet

THICK = 14.0


def draw(sheet: Sheet, chart: Bars, top: float) -> float:
    """The rows, from ``top`` on; where they end."""
    # The length of a bar is its value: on no other axis than one from zero.
    axis = replace(chart.axis, log=False, zero=True)
    layout = lay_out(sheet, chart.rows, axis, top)
    values = [r.value for r in chart.rows if r.value is not None]
    intervals = [r.interval for r in chart.rows]
    along = scale(axis, values, intervals, layout.first, layout.last)
    bands(sheet, layout)
    end = ruler(sheet, layout, along, axis)
    for lane in layout.lanes:
        _bar(sheet, lane, along, axis)
    across(sheet, layout, along.at(0), "axis")
    words(sheet, layout)
    say_missing(sheet, chart.rows)
    return end


def _bar(sheet: Sheet, lane: Lane, along: Scale, axis: Axis) -> None:
    row = lane.row
    if row.value is None or not known(row.value):
        return
    colour = 1 if row.colour is None else row.colour
    hollow = row.interval is None and not row.exact
    with sheet.group(f"c-{colour}", f"{row.label}: {lane.text}", row.target):
        bar(sheet, along, row.value, lane.middle, THICK, colour, hollow, row.estimated)
        whisker(sheet, along, row.interval, lane.middle, of=OVER, cap=CAP + 1)


def bar(
    sheet: Sheet,
    along: Scale,
    value: float,
    middle: float,
    thick: float,
    colour: int,
    hollow: bool,
    estimated: bool,
) -> None:
    """From zero to the value: striped where estimated, an outline where no interval is known."""
    start, end = sorted((along.at(0), along.at(value)))
    top = middle - thick / 2
    if estimated:
        sheet.say(ESTIMATED_BAR)
        sheet.hatched(start, top, end - start, thick, colour)
    elif hollow:
        sheet.say(HOLLOW)
        sheet.rect(start, top, end - start, thick, "hollow")
    else:
        sheet.rect(start, top, end - start, thick, "bar")
