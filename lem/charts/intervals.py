"""Draws dots with whiskers, one row each."""

from lem.charts.figures import known, reading
from lem.charts.marks import HOLLOW, dot, edge, on_scale, whisker
from lem.charts.model import Axis, Intervals, Row
from lem.charts.rows import LINE, Lane, Layout, across, bands, lay_out, ruler, stretch, words
from lem.charts.scales import Scale, scale
from lem.charts.sheet import SMALL, Sheet


def draw(sheet: Sheet, chart: Intervals, top: float) -> float:
    """The rows, from ``top`` on; where they end."""
    above = LINE + 2 if chart.reference is not None and chart.reference_label else 0
    layout = lay_out(sheet, chart.rows, chart.axis, top + above)
    along = scale_of(chart, layout)
    bands(sheet, layout)
    if chart.band is not None:
        start, end = along.at(chart.band[0]), along.at(chart.band[1])
        stretch(sheet, layout, start, end, "margin")
    end = ruler(sheet, layout, along, chart.axis)
    if chart.reference is not None:
        _reference(sheet, chart, along, layout)
    words(sheet, layout)
    for lane in layout.lanes:
        _mark(sheet, lane, along, chart.axis)
    say_missing(sheet, chart.rows)
    return end


def scale_of(chart: Intervals, layout: Layout) -> Scale:
    values = [r.value for r in chart.rows if r.value is not None]
    reference = [] if chart.reference is None else [chart.reference]
    intervals = [r.interval for r in chart.rows]
    return scale(chart.axis, values, intervals, layout.first, layout.last, reference)


def _reference(sheet: Sheet, chart: Intervals, along: Scale, layout: Layout) -> None:
    assert chart.reference is not None
    at = along.at(chart.reference)
    across(sheet, layout, at, "reference")
    if chart.reference_label:
        left = at < (layout.first + layout.last) / 2
        anchor = "start" if left else "end"
        sheet.text(at, layout.top - 6, chart.reference_label, size=SMALL, anchor=anchor, of="muted")


def _mark(sheet: Sheet, lane: Lane, along: Scale, axis: Axis) -> None:
    row = lane.row
    if row.value is None or not known(row.value):
        return
    colour = 1 if row.colour is None else row.colour
    title = f"{row.label}: {lane.text or reading(row.value, row.interval, axis)}"
    with sheet.group(f"c-{colour}", title, row.target):
        whisker(sheet, along, row.interval, lane.middle, estimated=row.estimated)
        if on_scale(along, row.value):
            radius = 5.0 if row.emphasis else 4.0
            hollow = row.interval is None and not row.exact
            if hollow and not row.estimated:
                sheet.say(HOLLOW)
            x = along.at(row.value)
            dot(sheet, x, lane.middle, hollow=hollow, estimated=row.estimated, radius=radius)
        else:
            edge(sheet, along, lane.middle)


def say_missing(sheet: Sheet, rows: tuple[Row, ...]) -> None:
    if missing := sum(not known(r.value) for r in rows):
        sheet.say(f"{'1 row has' if missing == 1 else f'{missing} rows have'} no value.")
