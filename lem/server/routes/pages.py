"""The public face: pages, what they show as data, their charts as files and as embeds."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Literal
from urllib.parse import unquote

import orjson
import sqlalchemy as sa
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from lem.archive.demo import is_demo
from lem.charts.data import data
from lem.charts.model import AnyChart, Target
from lem.pages.page import Kind, Page, Params, Reader, asked
from lem.pages.registry import kinds
from lem.server.answers import encode, known_beforehand, of_state
from lem.server.auth import Here
from lem.server.headers import PAGE_POLICY
from lem.server.problems import HttpProblem
from lem.server.service import Service
from lem.web import assets, rendering
from lem.web.addresses import PATHS, LiveLinks, path_of
from lem.web.rendering import Site
from lem.web.strings import text

router = APIRouter(include_in_schema=False)
HTML = "text/html; charset=utf-8"
PAGE = {"Content-Security-Policy": PAGE_POLICY.format("'none'")}
EMBED = {
    "Content-Security-Policy": PAGE_POLICY.format("*"),
    "Cross-Origin-Resource-Policy": "cross-origin",
}
# What a chart's file may do when it is opened by itself: show its own style.
DRAWING = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
FOREVER = "public, max-age=31536000, immutable"
Theme = Literal["light", "dark", "auto"]


def site_of(service: Service, demo: bool = False) -> Site:
    """This server as an outlet. ``demo``: made-up records may be in the archive as it is now."""
    return Site(LiveLinks(service.settings.public_url), demo=demo or service.settings.demo)


class _Asked:
    """One request for a page or for something of it."""

    def __init__(self, kind: Kind, service: Service, request: Request) -> None:
        self.kind, self.service, self.request = kind, service, request
        self.params = {k: str(v) for k, v in request.path_params.items() if k != "chart"}
        self.query = [p for p in request.query_params.multi_items() if p[0] not in _OURS]
        self.target = Target(kind.name, self.params, tuple(self.query))

    def page(self, connection: sa.Connection) -> Page:
        reader = Reader(connection, self.service.packs)
        return self.kind.build(reader, self.params, asked(self.query))

    def chart(self, connection: sa.Connection) -> tuple[Page, AnyChart]:
        page = self.page(connection)
        found = page.charts.get(self.request.path_params["chart"])
        if found is None:
            raise HttpProblem(404, "no_such_chart", "this page has no such chart")
        return page, found

    def site(self, connection: sa.Connection) -> Site:
        return _site(self.service, connection)

    def answer(
        self,
        make: Callable[[sa.Connection], tuple[bytes, str]],
        headers: dict[str, str],
        more: str = "",
    ) -> Response:
        about = _about(self.query, more)
        return of_state(self.service, self.request, about, make, headers=headers)


def _about(query: Sequence[tuple[str, str]], more: str = "") -> bytes:
    return orjson.dumps([query, more])


def _site(service: Service, connection: sa.Connection) -> Site:
    # An archive becomes one for demonstrations while servers have it open, too.
    return site_of(service, is_demo(connection))


def _made(
    page: Page, target: Target, service: Service, connection: sa.Connection
) -> tuple[bytes, str]:
    return rendering.page(page.shown(target), _site(service, connection)).encode(), HTML


def make_beforehand(service: Service, reader: Reader, kind: Kind, params: Params) -> None:
    """The page as whoever asks for it first, with no query, will get it."""
    target = Target(kind.name, {k: str(v) for k, v in params.items()})

    def make(connection: sa.Connection) -> tuple[bytes, str]:
        return _made(kind.build(reader, target.params, ()), target, service, connection)

    path = "/" + unquote(path_of(target))
    known_beforehand(service, reader.connection, path, _about([]), make)


_OURS = frozenset({"theme", "width"})
"""Parameters of embeds and files of charts, which no page knows."""


def _html(kind: Kind) -> Callable[[Request, Here], Response]:
    def get(request: Request, service: Here) -> Response:
        one = _Asked(kind, service, request)
        if any(value == "" for _, value in one.query):
            # As a form sends it. The address that is kept and shared has only what was chosen.
            chosen = Target(kind.name, one.params, tuple(asked(one.query)))
            return RedirectResponse(LiveLinks().page(chosen), 303)

        def make(connection: sa.Connection) -> tuple[bytes, str]:
            return _made(one.page(connection), one.target, service, connection)

        return one.answer(make, PAGE)

    return get


def _json(kind: Kind) -> Callable[[Request, Here], Response]:
    def get(request: Request, service: Here) -> Response:
        one = _Asked(kind, service, request)

        def make(connection: sa.Connection) -> tuple[bytes, str]:
            answer = one.page(connection).data()
            if answer is None:
                raise HttpProblem(404, "no_such_form", "this page has no data of its own")
            return encode(answer), "application/json"

        return one.answer(make, {})

    return get


def _csv(kind: Kind) -> Callable[[Request, Here], Response]:
    def get(request: Request, service: Here) -> Response:
        one = _Asked(kind, service, request)

        def make(connection: sa.Connection) -> tuple[bytes, str]:
            found = one.page(connection).table
            if found is None:
                raise HttpProblem(404, "no_such_form", "this page has no table of its own")
            return found.csv().encode(), "text/csv; charset=utf-8"

        return one.answer(make, _as_file(f"{kind.name}.csv"))

    return get


def _chart_csv(kind: Kind) -> Callable[[Request, Here], Response]:
    def get(request: Request, service: Here) -> Response:
        from lem.charts.table import table

        one = _Asked(kind, service, request)

        def make(connection: sa.Connection) -> tuple[bytes, str]:
            _, chart = one.chart(connection)
            return table(chart).csv().encode(), "text/csv; charset=utf-8"

        return one.answer(make, _as_file(f"{request.path_params['chart']}.csv"))

    return get


def _chart_json(kind: Kind) -> Callable[[Request, Here], Response]:
    def get(request: Request, service: Here) -> Response:
        one = _Asked(kind, service, request)

        def make(connection: sa.Connection) -> tuple[bytes, str]:
            _, chart = one.chart(connection)
            return orjson.dumps(data(chart, LiveLinks().page)), "application/json"

        return one.answer(make, {})

    return get


Width = Annotated[int, Query(ge=320, le=1600)]


def _chart_svg(kind: Kind) -> Callable[..., Response]:
    def get(
        request: Request, service: Here, theme: Theme = "light", width: Width = 860
    ) -> Response:
        one = _Asked(kind, service, request)
        return one.answer(
            lambda c: (_drawn(one, c, theme, width).encode(), "image/svg+xml"),
            DRAWING,
            f"{theme} {width}",
        )

    return get


def _chart_png(kind: Kind) -> Callable[..., Response]:
    def get(
        request: Request, service: Here, theme: Theme = "light", width: Width = 860
    ) -> Response:
        from lem.charts.png import png

        one = _Asked(kind, service, request)
        return one.answer(
            lambda c: (png(_drawn(one, c, theme, width)), "image/png"), {}, f"{theme} {width}"
        )

    return get


def _drawn(one: _Asked, connection: sa.Connection, theme: Theme, width: int) -> str:
    from lem.charts.svg import svg

    _, chart = one.chart(connection)
    return svg(
        chart,
        href=None,
        standalone=True,
        theme="dark" if theme == "dark" else "light",
        width=width,
    )


def _embed(kind: Kind) -> Callable[..., Response]:
    def get(request: Request, service: Here, theme: Theme = "auto") -> Response:
        one = _Asked(kind, service, request)

        def make(connection: sa.Connection) -> tuple[bytes, str]:
            page, chart = one.chart(connection)
            shown = page.shown(one.target)
            return rendering.embedded(shown, chart, one.site(connection), theme).encode(), HTML

        return one.answer(make, EMBED, theme)

    return get


def _as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="lem-{name}"'}


def _bind() -> None:
    for name, kind in kinds().items():
        path = PATHS[name]
        named = path or "index"
        # The first that fits is taken: an id alone would take "….json" for an id.
        router.add_api_route(f"/{named}.json", _json(kind), name=f"json {name}")
        router.add_api_route(f"/{named}.csv", _csv(kind), name=f"csv {name}")
        router.add_api_route(f"/{path}", _html(kind), name=f"page {name}")
        charts = f"/charts/{named}/{{chart}}"
        router.add_api_route(f"{charts}.csv", _chart_csv(kind), name=f"chart csv {name}")
        router.add_api_route(f"{charts}.json", _chart_json(kind), name=f"chart json {name}")
        router.add_api_route(f"{charts}.svg", _chart_svg(kind), name=f"chart svg {name}")
        router.add_api_route(f"{charts}.png", _chart_png(kind), name=f"chart png {name}")
        router.add_api_route(f"/embed/{named}/{{chart}}", _embed(kind), name=f"embed {name}")


_bind()


@cache
def _asset(name: str) -> tuple[bytes, str]:
    return assets.read(name), assets.media_type(name)


@router.get("/assets/{name:path}")
def get_asset(request: Request, service: Here, name: str) -> Response:
    """Files whose names tell their content: they never change."""
    if name not in assets.names():
        raise HttpProblem(404, "no_such_asset", "there is no such file")
    kept = {"Cache-Control": FOREVER}
    return of_state(
        service, request, name.encode(), lambda c: _asset(name), headers=kept, once=True
    )


@router.get("/favicon.ico")
def get_icon() -> Response:
    return RedirectResponse("/assets/icon.svg", 301)


@router.get("/robots.txt")
def get_robots() -> Response:
    return Response("User-agent: *\nAllow: /\n", media_type="text/plain")


def wants_html(request: Request) -> bool:
    """Whether a browser asked for a page, and not a program for data."""
    path = request.scope["path"]
    return not path.startswith(_FOR_PROGRAMS) and "text/html" in request.headers.get("accept", "")


_FOR_PROGRAMS = ("/api/", "/healthz", "/readyz", "/metrics", "/assets/")


def problem_page(request: Request, problem: HttpProblem) -> Response:
    """An error as a page of the site."""
    missing = problem.status == 404
    shown = rendering.error(
        site_of(request.app.state.service),
        problem.status,
        text("error.not_found" if missing else "error.refused"),
        text("error.not_found_text") if missing else problem.detail,
        [e.message for e in problem.errors] + ([problem.hint] if problem.hint else []),
    )
    return Response(shown, problem.status, headers={**problem.headers, **PAGE}, media_type=HTML)
