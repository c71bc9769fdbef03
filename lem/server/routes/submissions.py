"""Submissions: taken in, and their receipts."""

import asyncio
import re
import time
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Path, Request, Response

from lem.archive.ingest import receipt, receive
from lem.archive.queue.presenting import Presented
from lem.archive.refused import Refused
from lem.contract.submission import Receipt
from lem.server.answers import fresh
from lem.server.auth import Here, needs
from lem.server.bodies import Spool, spooled
from lem.server.describe import problems
from lem.server.problems import HttpProblem
from lem.server.service import Service

router = APIRouter(prefix="/submissions", tags=["submissions"])
MEDIA_TYPE = "application/x-tar"
QUEUED, FENCE = "Lem-Queued", "Lem-Fence"
LOOK_S = 0.05


@router.post(
    "",
    response_model=Receipt,
    responses={
        200: {"description": "It was there already: nothing changed"},
        201: {"model": Receipt, "description": "Accepted"},
        **problems(401, 403, 409, 415),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "One uncompressed tar: manifest.json, signature, files/<sha256> …",
            "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def post_submission(request: Request, service: Here) -> Response:
    """A signed submission. Once this is answered with 200 or 201, it is kept. The same content
    again, however often, gives the same receipt. Of a campaign of the queue, only the runner that
    holds its lease submits, with its token and the headers Lem-Queued and Lem-Fence."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != MEDIA_TYPE:
        raise HttpProblem(415, "unsupported_media_type", f"a submission is sent as {MEDIA_TYPE}")
    lease = await to_thread.run_sync(_lease, service, request)
    with await spooled(request.receive, service.spool, service.settings.bounds) as spool:
        await _its_turn(service)
        try:
            return await to_thread.run_sync(_received, service, spool, lease)
        finally:
            service.receiving.release()


async def _its_turn(service: Service) -> None:
    """Waits without a thread, of which all other requests would have one less."""
    until = time.monotonic() + service.settings.bounds.request_s / 2
    while not service.receiving.acquire(blocking=False):
        if time.monotonic() > until:
            raise HttpProblem(
                503, "busy", "other submissions are being taken in", headers={"Retry-After": "5"}
            )
        await asyncio.sleep(LOOK_S)


def _lease(service: Service, request: Request) -> Presented | None:
    """The lease that a runner says to hold; None for everybody else. What stores the submission
    looks whether it does."""
    given = [request.headers.getlist(name) for name in (QUEUED, FENCE)]
    if given == [[], []]:
        return None
    if [len(values) for values in given] != [1, 1]:
        raise HttpProblem(422, "bad_request", f"{QUEUED} and {FENCE} go together, once each")
    (queued,), (fence,) = given
    if not re.fullmatch("q[0-9a-f]{20}", queued) or not re.fullmatch("[1-9][0-9]{0,15}", fence):
        raise HttpProblem(422, "bad_request", f"{QUEUED} or {FENCE} is none")
    grant = needs("runner")(request)
    return Presented(queued, int(fence), grant.token_hash)


def _received(service: Service, spool: Spool, lease: Presented | None) -> Response:
    try:
        body = spool.read()
        made = receive(service.database, service.packs, body, lease=lease)
    except Refused as e:
        service.metrics.submissions.labels(e.reason).inc()
        raise
    service.metrics.submissions.labels("already_there" if made.already_there else "accepted").inc()
    if not made.already_there:
        service.metrics.submission_bytes.inc(len(body))
        service.metrics.runs.inc(made.runs)
        if service.checkers is not None:
            service.checkers.ring()
    return fresh(made, 200 if made.already_there else 201)


@router.get("/{sha256}", response_model=Receipt, responses=problems(404))
def get_submission(
    service: Here, sha256: Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
) -> Response:
    """The receipt as it is now: state of the campaign, checks, findings."""
    return fresh(receipt(service.database, sha256))
