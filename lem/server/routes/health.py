"""For whoever runs the server: is it alive, can it serve, what does it do."""

import os
import tempfile

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from lem import __version__
from lem.archive.database import setting
from lem.errors import LemError
from lem.server.answers import fresh
from lem.server.auth import Here, granted
from lem.server.clients import Client
from lem.server.describe import problems
from lem.server.logs import failure
from lem.server.metrics import CONTENT_TYPE
from lem.server.problems import HttpProblem
from lem.server.service import Service

router = APIRouter(tags=["operation"])


class Health(BaseModel):
    status: str = "ok"
    lem_version: str = __version__


@router.get("/healthz", response_model=Health, responses=problems())
async def get_health() -> Response:
    """The process lives. Nothing else is asked."""
    return fresh(Health())


@router.get("/readyz", response_model=Health, responses=problems())
def get_ready(service: Here, request: Request) -> Response:
    """The database answers and has this version's tables, and submissions can be written."""
    try:
        with service.database.reading() as connection:
            setting(connection, "data_version")
    except (LemError, Exception) as e:
        failure("not ready: database", e, request_id=request.scope.get("lem.request_id"))
        raise _not_ready("the database does not answer") from e
    try:
        _check_writable(service)
    except OSError as e:
        failure("not ready: disk", e, request_id=request.scope.get("lem.request_id"))
        raise _not_ready("the folder for submissions cannot be written") from e
    return fresh(Health())


def _check_writable(service: Service) -> None:
    for folder in (service.packs.folder, service.spool):
        with tempfile.TemporaryFile(dir=folder) as f:
            f.write(b"?")
            f.flush()
            os.fsync(f.fileno())


def _not_ready(detail: str) -> HttpProblem:
    return HttpProblem(503, "not_ready", detail, headers={"Retry-After": "5"})


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"description": "Prometheus' text format", "content": {"text/plain": {}}},
        **problems(401, 403),
    },
)
def get_metrics(service: Here, request: Request) -> Response:
    """For Prometheus: from this machine and private networks, or with an admin's token."""
    client: Client = request.scope["lem.client"]
    if not service.settings.metrics_public and not client.near:
        grant = granted(service, request)
        if grant is None or grant.role != "admin":
            raise HttpProblem(403, "not_allowed", "not for everyone")
    return Response(service.metrics.text(), headers={"Content-Type": CONTENT_TYPE})
