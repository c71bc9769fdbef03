"""For whoever runs the archive. The page itself shows nothing: what it shows comes from the API,
which answers admins alone."""

from fastapi import APIRouter, Request, Response

from lem.server.auth import Here
from lem.server.platform.shell import page
from lem.web.strings import text

router = APIRouter(include_in_schema=False)


@router.get("/admin", name="page admin")
def get_admin(request: Request, service: Here) -> Response:
    return page(
        request,
        service,
        "admin",
        "admin.html",
        text("admin.title"),
        text("admin.description"),
        {},
    )
