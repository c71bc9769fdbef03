"""Pages and charts as HTML, for one outlet. Everything is escaped unless it was made here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from lem.analysis.text import plain
from lem.charts.model import AnyChart, Target
from lem.charts.svg import svg
from lem.charts.table import table
from lem.web import assets, prose, strings, words
from lem.web.addresses import Links
from lem.web.markdown import html as markdown_html

WIDE = 860


@dataclass(frozen=True)
class Site:
    """The outlet that a page is rendered for."""

    links: Links
    static: bool = False
    """Files without a server behind them."""
    demo: bool = False
    """Its records are made up, and a banner says so."""
    name: str = ""
    """What the operator calls it; empty: the project's name alone."""


@dataclass(frozen=True)
class Shown:
    """What the frame around a page needs to know of it."""

    target: Target
    template: str
    title: str
    description: str
    context: Mapping[str, Any]
    charts: Mapping[str, AnyChart] = field(default_factory=dict)
    head: Any = None
    """With ``data_version`` and ``citation``, where the page shows data."""
    has_json: bool = False
    has_csv: bool = False


def page(shown: Shown, site: Site) -> str:
    """The whole document."""
    return (
        _environment().get_template(shown.template).render(**_frame(shown, site), **shown.context)
    )


def embedded(shown: Shown, chart: AnyChart, site: Site, theme: str) -> str:
    """One chart as a document of its own, for a frame on somebody's page."""
    return (
        _environment()
        .get_template("embed.html")
        .render(**_frame(shown, site), the_chart=chart, theme=theme)
    )


def error(site: Site, status: int, title: str, detail: str, hints: list[str]) -> str:
    shown = Shown(Target("home"), "error.html", title, "", {})
    return (
        _environment()
        .get_template("error.html")
        .render(**_frame(shown, site), status=status, detail=detail, hints=hints)
    )


def alone(template: str, context: Mapping[str, Any]) -> str:
    """A document that is read without a site around it: nothing in its charts leads anywhere."""
    return _environment().get_template(template).render(draw=_draw_alone, **context)


def _frame(shown: Shown, site: Site) -> dict[str, Any]:
    links = site.links
    return {
        "page": shown,
        "site": site,
        "links": links,
        "asset": links.asset,
        "entry": assets.entry(),
        "early": assets.entry("src/early.ts"),
        "href": partial(_href, links),
        "at": links.page,
        "here": shown.target,
        "charts": shown.charts,
        "draw": partial(_draw, links),
    }


def _href(links: Links, page: str, query: Any = (), suffix: str = "", **params: Any) -> str:
    """In templates: ``href("configuration", id=…)``."""
    pairs = query.items() if isinstance(query, Mapping) else query
    asked = tuple((str(k), str(v)) for k, v in pairs)
    return links.page(Target(page, {k: str(v) for k, v in params.items()}, asked), suffix)


def _draw(links: Links, chart: AnyChart, width: int = WIDE) -> Markup:
    """The chart as SVG inside a page, where style sheets give its colours. What is in it was
    escaped when it was drawn."""
    return Markup(
        svg(chart, href=links.page, standalone=False, width=width, name=_name(chart, width))
    )


def _draw_alone(chart: AnyChart, width: int = WIDE) -> Markup:
    return Markup(svg(chart, standalone=False, width=width, name=_name(chart, width)))


def _name(chart: AnyChart, width: int) -> str:
    """A page has a chart twice, for wide and for narrow windows: what one refers to within itself
    must not be found in the other, which is hidden."""
    return chart.id if width == WIDE else f"{chart.id}-{width}"


def prepare() -> None:
    """Compile every template now, so that no reader waits for it."""
    for name in _environment().list_templates(filter_func=lambda n: n.endswith(".html")):
        _environment().get_template(name)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("lem.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.update(
        t=strings.text, texts=strings.texts, table_of=table, prose=prose.html
    )
    environment.filters.update(
        plain=plain,
        markdown=markdown_html,
        figure=words.figure,
        quantity=words.quantity,
        number=words.number,
        cells=words.cells,
        day=words.day,
        count=words.count,
        setting=words.setting,
    )
    return environment
