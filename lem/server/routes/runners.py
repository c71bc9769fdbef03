"""Runners: they register, claim campaigns, say that they go on, and end. Each needs the token of a
runner; who they are and what they run anybody may see.

Documents as in ``lem/contract/queue.py``. A runner whose lease is lost is answered 409
``lease_lost`` by everything.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel

from lem.archive.identities import Grant
from lem.archive.queue import ending, leases
from lem.archive.queue.claims import claim
from lem.archive.queue.handover import handover
from lem.archive.queue.runners import RunnerRow, listed, register, runner_of, seen
from lem.contract.queue import (
    Claimed,
    Finish,
    Finished,
    Handover,
    Heartbeat,
    Hello,
    QueuedId,
    Standing,
    Wanted,
    Welcome,
)
from lem.server.answers import fresh
from lem.server.auth import Here, needs
from lem.server.describe import problems
from lem.server.pieces import InPieces
from lem.server.problems import API_SCHEMA_VERSION, HttpProblem

router = APIRouter(prefix="/runners", tags=["runners"])
Runner = Annotated[Grant, Depends(needs("runner"))]
AT_ONCE = 2
"""Handovers, each of which holds all of a campaign in memory."""
_handing: set[str] = set()
"""The tokens, by their hashes, to whose runners one is under way."""


class Runners(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    rows: list[RunnerRow]
    """Who was heard of last first; none that was not heard of for a month."""


@router.get("", response_model=Runners, responses=problems())
def get_runners(service: Here) -> Response:
    """The machines that run queued campaigns, and what their owners let them run."""
    with service.database.reading() as connection:
        rows = listed(connection)
    return fresh(Runners(rows=rows))


@router.post("/register", response_model=Welcome, responses=problems(401, 403, 409))
def post_registration(service: Here, grant: Runner, hello: Hello) -> Response:
    """A runner says who it is; again whenever anything of it changes."""
    with service.database.queueing() as connection:
        handle = register(connection, hello, grant.token_hash)
    return fresh(
        Welcome(
            runner=handle,
            lease_s=leases.LEASE_S,
            heartbeat_s=leases.HEARTBEAT_S,
            poll_s=leases.POLL_S,
        )
    )


@router.post(
    "/claim",
    response_model=Claimed,
    responses={204: {"description": "There is nothing for it now"}, **problems(401, 403, 404)},
)
def post_claim(service: Here, grant: Runner, wanted: Wanted) -> Response:
    """The next campaign for a runner, with a lease. The same again (the answer was lost) gives the
    same campaign, with another fence."""
    with service.database.queueing() as connection:
        answer = claim(connection, wanted.runner, grant.token_hash, wanted.queued)
    service.queue.tell(answer.changes)
    return Response(status_code=204) if answer.claimed is None else fresh(answer.claimed)


@router.post("/heartbeat", response_model=Standing, responses=problems(401, 403, 404, 409))
def post_heartbeat(service: Here, grant: Runner, told: Heartbeat) -> Response:
    """A runner goes on, with a campaign or without. The answer says whether it is to end it."""
    with service.database.queueing() as connection:
        runner = runner_of(connection, told.runner, grant.token_hash)
        now = leases.moment_of(runner, None)
        standing = Standing()
        if told.queued is not None:
            standing = leases.heartbeat(
                connection, told.queued, told.fence or 0, grant.token_hash, now
            )
        seen(connection, runner, now, told.doing)
    return fresh(standing)


@router.post("/finish", response_model=Finished, responses=problems(401, 403, 409))
def post_finish(service: Here, grant: Runner, told: Finish) -> Response:
    """A lease ends. The same again gives the same answer."""
    with service.database.queueing() as connection:
        state, changes = ending.finish(connection, told, grant.token_hash)
    service.queue.tell(changes)
    return fresh(Finished(state=state))


@router.get("/handover", response_model=Handover, responses=problems(401, 403, 404, 409))
async def get_handover(
    service: Here,
    grant: Runner,
    queued: QueuedId,
    fence: Annotated[int, Query(ge=1, le=2**53)],
) -> Response:
    """What was submitted of a campaign so far, for the runner that goes on with it."""

    def made() -> Response:
        with service.database.reading() as connection:
            return fresh(handover(connection, service.packs, queued, fence, grant.token_hash))

    return InPieces(made, _seat(grant.token_hash))


@contextmanager
def _seat(token_hash: str) -> Iterator[None]:
    """One of ``AT_ONCE``, on the event loop. Nobody waits for one: whoever did would keep others
    from being answered."""
    again = {"Retry-After": "10"}
    if token_hash in _handing:
        raise HttpProblem(
            429, "busy", "another campaign is handed over to this token's runners", headers=again
        )
    if len(_handing) >= AT_ONCE:
        raise HttpProblem(503, "busy", "too many campaigns are handed over now", headers=again)
    _handing.add(token_hash)
    try:
        yield
    finally:
        _handing.remove(token_hash)
