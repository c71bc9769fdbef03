"""Signing in, one's own tokens, and joining. The pages are the same for everybody: what depends on
who asks comes from the API, by their scripts."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from lem.server.auth import Here
from lem.server.platform.shell import page
from lem.web.strings import text

router = APIRouter(include_in_schema=False)


@router.get("/account", name="page account")
def get_account(request: Request, service: Here) -> Response:
    return page(
        request,
        service,
        "account",
        "account.html",
        text("account.title"),
        text("account.description"),
        {"view": "account", "enrolment": service.settings.enrolment},
    )


@router.get("/join", name="page join")
def get_join(request: Request, service: Here) -> Response:
    """The invitation's secret is behind the ``#``, which no browser sends."""
    return page(
        request,
        service,
        "join",
        "account.html",
        text("join.title"),
        text("join.description"),
        {"view": "join", "enrolment": service.settings.enrolment},
    )


@router.get("/enrol", name="page enrol")
def get_enrol() -> Response:
    """Links of invitations were of this address once. Browsers keep what is behind the ``#``."""
    return RedirectResponse("/join", 308, headers={"Cache-Control": "no-store"})
