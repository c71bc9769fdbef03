"""Dots and whiskers, the same in every chart: filled where there is an interval, hollow where there
is none, a diamond where energy is estimated and not measured."""

from lem.charts.figures import known
from lem.charts.model import Interval
from lem.charts.scales import Scale
from lem.charts.sheet import Sheet

CAP = 6.0
OVER = "over"
"""Class of whiskers that lie over a bar."""
ESTIMATED_DOT = "Diamonds with dashed whiskers: estimated, not measured."
ESTIMATED_BAR = "Hatched: estimated, not measured."
HOLLOW = "Hollow: no interval is known."
CUT = "An arrow in place of a whisker's end: the interval goes on beyond the axis."
BELOW = "An arrow at the axis's edge: a value that is not above 0 has no place on a log scale."


def whisker(
    sheet: Sheet,
    scale: Scale,
    interval: Interval,
    across: float,
    *,
    upright: bool = False,
    estimated: bool = False,
    of: str = "whisker",
    cap: float = CAP,
) -> None:
    """The interval along a scale, at ``across`` on the other; an end that lies beyond the axis is
    an arrow."""
    if interval is None or not all(known(v) for v in interval):
        return
    start, end = scale.at(interval[0]), scale.at(interval[1])
    if of == OVER:
        # A rim in the paper's colour: the whisker shows on any bar.
        sheet.line(*_turned(start, across, upright), *_turned(end, across, upright), "under")
    else:
        # Of a short one they would be a box around its dot.
        cap = min(cap, max(2.0, abs(end - start) / 2))
    line = _line(start, end, across, upright)
    caps = ""
    for at, cut, way in zip((start, end), scale.cuts(interval), (-1, 1), strict=True):
        way = way if scale.last > scale.first else -way
        if cut:
            sheet.say(CUT)
            _arrow(sheet, at, across, way, upright)
        else:
            caps += _line(across - cap, across + cap, at, not upright)
    # One element, of which a chart may have hundreds; only the line itself can be dashed.
    if not estimated:
        sheet.path(line + caps, of)
    else:
        sheet.path(line, f"{of} dashed")
        if caps:
            sheet.path(caps, of)


def _line(start: float, end: float, across: float, upright: bool) -> str:
    if upright:
        return f"M{across:.5g} {start:.5g}V{end:.5g}"
    return f"M{start:.5g} {across:.5g}H{end:.5g}"


def _turned(along: float, across: float, upright: bool) -> tuple[float, float]:
    return (across, along) if upright else (along, across)


def _arrow(sheet: Sheet, at: float, across: float, way: int, upright: bool) -> None:
    corners = [(at + 6.0 * way, across), (at, across - 4), (at, across + 4)]
    points = " L".join("{:.5g} {:.5g}".format(*_turned(a, c, upright)) for a, c in corners)
    sheet.path(f"M{points} Z", "coloured")


def on_scale(scale: Scale, value: float) -> bool:
    return value > 0 or not scale.log


def dot(
    sheet: Sheet, x: float, y: float, *, hollow: bool, estimated: bool, radius: float = 4.0
) -> None:
    of = "hollow" if hollow else "mark"
    if estimated:
        sheet.say(ESTIMATED_DOT)
        r = radius + 1.2
        sheet.path(f"M{x:.5g} {y - r:.5g} l{r:g} {r:g} l{-r:g} {r:g} l{-r:g} {-r:g} Z", "hollow")
        return
    sheet.circle(x, y, radius, of)


def edge(sheet: Sheet, scale: Scale, across: float, *, upright: bool = False) -> None:
    """Where a value would lie that a logarithmic axis has no place for."""
    sheet.say(BELOW)
    way = -1 if scale.last > scale.first else 1
    _arrow(sheet, scale.first - 6.0 * way, across, way, upright)
