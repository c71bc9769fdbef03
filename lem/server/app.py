"""The application: routes, errors as problem documents, and the front before it all."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from anyio import to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from lem import __version__
from lem.archive.refused import Refused
from lem.errors import BadInput, EnvironmentFault, LemError
from lem.server import describe
from lem.server.checkers import Checkers
from lem.server.front import API, Front
from lem.server.logs import failure
from lem.server.platform import account as account_pages
from lem.server.platform import admin as admin_pages
from lem.server.platform import build as build_pages
from lem.server.platform import live as live_pages
from lem.server.platform import queue as queue_pages
from lem.server.problems import (
    MAX_ERRORS,
    MEDIA_TYPE,
    FieldError,
    HttpProblem,
    document,
    field_errors,
)
from lem.server.routes import (
    accounts,
    admin,
    admin_people,
    archive,
    board,
    campaigns,
    exports,
    health,
    keys,
    live,
    log,
    pages,
    queue,
    results,
    runners,
    submissions,
)
from lem.server.service import Service
from lem.server.settings import ServerSettings
from lem.server.warming import Warming

DESCRIPTION = """\
Records of what LLM inference costs in energy, from anyone who measures it with `lem`.

Reading needs no account. What is sent is signed (Ed25519); what a signature, a tier or a figure
does not prove stands in docs/trust.md. Every answer carries the versions of its schema, of the
metrics' meaning and of the archive's state. Errors are problem documents (RFC 9457).
Data: CC-BY-4.0.
"""


def create_app(settings: ServerSettings) -> FastAPI:
    """The server's application. Nothing is opened or started before its lifespan begins."""
    service = Service(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await to_thread.run_sync(service.open)
        service.checkers = Checkers(settings)
        service.checkers.start()
        warming = Warming(service.database, service.packs, partial(pages.make_beforehand, service))
        warming.start()
        service.queue.start()
        try:
            yield
        finally:
            await to_thread.run_sync(service.queue.stop)
            await to_thread.run_sync(warming.stop)
            await to_thread.run_sync(service.checkers.stop)
            await to_thread.run_sync(service.close)

    app = FastAPI(
        title="lem archive",
        version=__version__,
        description=DESCRIPTION,
        license_info={"name": "CC-BY-4.0 (data)", "identifier": "CC-BY-4.0"},
        openapi_url=f"{API}/openapi.json",
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.service = service
    for module in (archive, keys, submissions, log, board, results, campaigns, exports, admin):
        app.include_router(module.router, prefix=API)
    for module in (admin_people, accounts, live, queue, runners):
        app.include_router(module.router, prefix=API)
    app.include_router(health.router)
    app.include_router(account_pages.router)
    app.include_router(admin_pages.router)
    app.include_router(build_pages.router)
    app.include_router(live_pages.router)
    app.include_router(queue_pages.router)
    app.include_router(pages.router)
    _add_handlers(app)
    app.openapi = describe.complete(app)  # type: ignore[method-assign]
    app.add_middleware(
        Front,
        settings=settings,
        rates=service.rates,
        metrics=service.metrics,
    )
    return app


def _add_handlers(app: FastAPI) -> None:
    kinds: tuple[type[Exception], ...] = (
        HttpProblem,
        HTTPException,
        RequestValidationError,
        LemError,
        DataError,
        OperationalError,
        InterfaceError,
        PoolTimeout,
    )
    for kind in kinds:
        app.add_exception_handler(kind, _handled)


async def _handled(request: Request, error: Exception) -> Response:
    problem = problem_of(error)
    request_id = request.scope.get("lem.request_id")
    if problem.status >= 500 and problem.status != 503:
        failure("a request failed", error, request_id=request_id)
    if pages.wants_html(request):
        return pages.problem_page(request, problem)
    body = document(problem, request_id)
    return Response(body, problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


def problem_of(error: Exception) -> HttpProblem:
    """What a client is told of an error."""
    if isinstance(error, HttpProblem):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):
        return _routing(error)
    if isinstance(error, LemError):
        return _known(error)
    if isinstance(error, DataError):
        return HttpProblem(422, "bad_value", "a value is of no kind that the archive can look for")
    return HttpProblem(
        503,
        "database_unreachable",
        "the archive's database does not answer",
        headers={"Retry-After": "5"},
    )


def _invalid(error: RequestValidationError) -> HttpProblem:
    errors: list[dict[str, Any]] = list(error.errors())[:MAX_ERRORS]
    broken = any(e.get("type") == "json_invalid" for e in errors)
    return HttpProblem(
        400 if broken else 422,
        "not_json" if broken else "bad_request",
        "the body is not JSON" if broken else "the request does not fit its description",
        errors=field_errors(errors),
    )


_ROUTING = {
    400: ("bad_request", "the request cannot be read"),
    404: ("no_such_address", "there is nothing at this address"),
    405: ("method_not_allowed", "this address does not take this method"),
}


def _routing(error: HTTPException) -> HttpProblem:
    reason, detail = _ROUTING.get(error.status_code, ("http_error", str(error.detail)))
    return HttpProblem(error.status_code, reason, detail, headers=dict(error.headers or {}))


def _known(error: LemError) -> HttpProblem:
    if isinstance(error, Refused):
        headers = {"Retry-After": "2"} if error.status == 503 else {}
        return HttpProblem(
            error.status, error.reason, error.message, hint=error.hint, headers=headers
        )
    if isinstance(error, BadInput):
        errors = [
            FieldError(where=p.path, message=p.message, line=p.line, column=p.column)
            for p in error.problems[:20]
        ]
        return HttpProblem(422, "bad_input", error.message, hint=error.hint, errors=errors)
    if isinstance(error, EnvironmentFault):
        return HttpProblem(
            503,
            "not_ready",
            "the server cannot do this now; its log says why",
            headers={"Retry-After": "30"},
        )
    return HttpProblem(500, "internal_error", "the server failed; its log says why")
