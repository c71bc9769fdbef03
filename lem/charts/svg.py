"""A chart as SVG: inline, to be put into a page whose stylesheet colours its classes; or alone,
with title, source and stylesheet of its own. No scripts, no style attributes."""

from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cache, singledispatch
from html import escape
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from lem.charts import bars, headline, intervals, scatter, slope, traces
from lem.charts.lettering import clean
from lem.charts.model import (
    AnyChart,
    Bars,
    Headline,
    Intervals,
    Scatter,
    Slope,
    Target,
    Traces,
)
from lem.charts.sheet import LARGE, NORMAL, SMALL, Href, Sheet
from lem.charts.theme import THEMES, Name, stylesheet

LONGEST = 300
"""Characters of any text that a chart shows."""
T = TypeVar("T")
_HARMLESS: WeakValueDictionary[int, AnyChart] = WeakValueDictionary()
"""Charts that live and were found harmless, which nothing can change: by what :func:`id` says."""


def svg(
    chart: AnyChart,
    *,
    href: Href | None = None,
    standalone: bool = False,
    width: int = 860,
    theme: Name = "light",
    name: str = "",
) -> str:
    """The chart, ``width`` pixels wide; as high as it needs. Below 560 pixels it is laid out for a
    phone. ``href`` makes addresses of targets; without it nothing is linked. ``name``: for ids
    within it, where a page has the same chart twice."""
    names = (name or chart.id,)
    return document(
        [chart], href=href, standalone=standalone, width=width, theme=theme, names=names
    )


def document(
    charts: Sequence[AnyChart],
    *,
    href: Href | None = None,
    standalone: bool = True,
    width: int = 860,
    theme: Name = "light",
    names: Sequence[str] = (),
) -> str:
    """The charts below each other as one SVG. ``names``: for ids within it, else the charts'."""
    made = [cleaned(c) for c in charts]
    edge = (16.0 if width < 560 else 24.0) if standalone else 0.0
    sheets, parts, top = [], [], edge
    for i, chart in enumerate(made):
        name = names[i] if i < len(names) else chart.id
        sheet = Sheet(width - 2 * edge, name, href)
        height = _whole(sheet, chart) if standalone else _plain(sheet, chart)
        parts.append(f'<g transform="translate({edge:g} {top:g})">{sheet.markup()}</g>')
        sheets.append(sheet)
        top += height + edge
    if not standalone:
        return _root(made, sheets, width, top, "".join(parts))
    paper = f'<rect class="paper" width="{width}" height="{top:.5g}"/>'
    style = f"<style>{stylesheet(THEMES[theme])}</style>"
    return _root(made, sheets, width, top, style + paper + "\n".join(parts))


def _root(
    charts: Sequence[AnyChart], sheets: Sequence[Sheet], width: int, height: float, inner: str
) -> str:
    # What can be followed would be hidden from screen readers within an image.
    role = "group" if any(s.linked for s in sheets) else "img"
    title = escape(charts[0].title) if charts else ""
    about = escape(" ".join(describe(c, s.said) for c, s in zip(charts, sheets, strict=True)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" viewBox="0 0 {width} {height:.5g}" '
        f'width="{width}" height="{height:.5g}" role="{role}" aria-label="{title}">'
        f"<title>{title}</title><desc>{about}</desc>{inner}</svg>\n"
    )


def describe(chart: AnyChart, said: Sequence[str] = ()) -> str:
    """What a screen reader says after the title."""
    return " ".join(_sentence(s) for s in (chart.subtitle, *said, *chart.notes) if s)


def _sentence(words: str) -> str:
    return words if words.endswith((".", "!", "?", ":")) else f"{words}."


def _plain(sheet: Sheet, chart: AnyChart) -> float:
    """Without title and source, which the page has; with what must be said of how it is drawn."""
    y = draw(chart, sheet, 2.0)
    return _key(sheet, sheet.said, y) + 2


def _whole(sheet: Sheet, chart: AnyChart) -> float:
    width = sheet.width
    y = sheet.paragraph(0, LARGE - 4, chart.title, width, LARGE, "label emphasis")
    if chart.subtitle:
        y = sheet.paragraph(0, y - 4, chart.subtitle, width, NORMAL + 1, "muted")
    y = draw(chart, sheet, y + 2)
    y = _key(sheet, (*sheet.said, *chart.notes), y)
    if chart.source:
        y = sheet.paragraph(0, y + 16, f"Source: {chart.source}", width, SMALL, "muted") - 12
    return y + 4


def _key(sheet: Sheet, sentences: Sequence[str], y: float) -> float:
    for words in sentences:
        y = sheet.paragraph(0, y + 16, words, sheet.width, SMALL, "muted") - 16
    return y


@singledispatch
def draw(chart: Any, sheet: Sheet, top: float) -> float:
    """Draw the chart from ``top`` on; where it ends."""
    raise TypeError(f"no way to draw a {type(chart).__name__}")


@draw.register
def _(chart: Scatter, sheet: Sheet, top: float) -> float:
    return scatter.draw(sheet, chart, top)


@draw.register
def _(chart: Intervals, sheet: Sheet, top: float) -> float:
    return intervals.draw(sheet, chart, top)


@draw.register
def _(chart: Bars, sheet: Sheet, top: float) -> float:
    return bars.draw(sheet, chart, top)


@draw.register
def _(chart: Slope, sheet: Sheet, top: float) -> float:
    return slope.draw(sheet, chart, top)


@draw.register
def _(chart: Traces, sheet: Sheet, top: float) -> float:
    return traces.draw(sheet, chart, top)


@draw.register
def _(chart: Headline, sheet: Sheet, top: float) -> float:
    return headline.draw(sheet, chart, top)


def cleaned(chart: AnyChart) -> AnyChart:
    """:func:`harmless`; a chart that is known to be is not looked through again: pages have each
    twice, for wide and for narrow windows."""
    if _HARMLESS.get(id(chart)) is chart:
        return chart
    made = harmless(chart)
    _HARMLESS[id(made)] = made
    return made


def harmless(thing: T) -> T:
    """The same with every text in it cleaned and cut; targets as they are. What holds nothing to be
    cleaned is given back itself: a chart may have hundreds of marks."""
    found: Any = thing
    if found is None or isinstance(found, int | float | Target):
        pass
    elif isinstance(found, str):
        short = found if len(found) <= 4 * LONGEST else found[: 4 * LONGEST]
        found = clean(short)
        found = found if len(found) <= LONGEST else found[: LONGEST - 1] + "…"
    elif isinstance(found, tuple):
        if found and (isinstance(found[0], str) or is_dataclass(found[0])):
            items = tuple(harmless(item) for item in found)
            found = found if _all_same(items, found) else items
    elif is_dataclass(found) and not isinstance(found, type):
        before = {name: getattr(found, name) for name in _names(type(found))}
        after = {name: harmless(value) for name, value in before.items()}
        found = found if _all_same(before.values(), after.values()) else replace(found, **after)
    made: T = found
    return made


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(f.name for f in fields(kind))


def _all_same(some: Iterable[object], others: Iterable[object]) -> bool:
    return all(a is b for a, b in zip(some, others, strict=True))
