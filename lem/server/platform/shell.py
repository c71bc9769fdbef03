"""The frame around a page of the platform."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request, Response

from lem.archive.demo import is_demo
from lem.charts.model import Target
from lem.server.headers import PAGE_POLICY
from lem.server.service import Service
from lem.web import rendering
from lem.web.addresses import LiveLinks
from lem.web.rendering import Shown, Site

HTML = "text/html; charset=utf-8"
HEADERS = {"Content-Security-Policy": PAGE_POLICY.format("'none'"), "Cache-Control": "no-store"}


def page(
    request: Request,
    service: Service,
    name: str,
    template: str,
    title: str,
    description: str,
    context: Mapping[str, Any],
    params: Mapping[str, str] | None = None,
) -> Response:
    """A page as HTML, made now. ``name``: as in :data:`lem.web.addresses.PATHS`."""
    with service.database.reading() as connection:
        demo = is_demo(connection)
    site = Site(LiveLinks(service.settings.public_url), demo=demo or service.settings.demo)
    shown = Shown(Target(name, dict(params or {})), template, title, description, context)
    return Response(rendering.page(shown, site), media_type=HTML, headers=HEADERS)
