"""Live events: taken from runners, streamed to whoever watches, and whole for replays."""

from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Header, Path, Query, Request, Response

from lem.contract.live import Taken
from lem.live import sse
from lem.server.answers import fresh
from lem.server.auth import CHALLENGE, bearer, the_service, wrong_token
from lem.server.describe import problems
from lem.server.live import Live, WrongToken
from lem.server.problems import HttpProblem
from lem.server.rates import client_group
from lem.server.streaming import NDJSON, EventStream, recording

router = APIRouter(tags=["live"])
QueuedPath = Annotated[str, Path(pattern=r"^q[0-9a-f]{20}$")]


@router.post(
    "/runners/events",
    response_model=Taken,
    responses=problems(401, 403, 409, 413),
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "A batch (docs/schema/batch.json), of at most 512 KiB",
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    },
)
async def post_events(request: Request) -> Response:
    """A batch of a running campaign's events, from the runner that holds its lease. ``next`` is the
    number of the batch that is waited for: that one comes next, whatever was sent now."""
    token = bearer(request)
    if token is None:
        raise HttpProblem(
            401, "token_needed", "this needs the token of a runner", headers=CHALLENGE
        )
    # Not by a dependency: those of plain functions wait for a thread, ten times a second.
    service = the_service(request)
    try:
        await service.live.check_sender(token)
    except WrongToken:
        raise wrong_token(service, request) from None
    return fresh(await service.live.post(token, await request.body()))


@router.get(
    "/campaigns/{queued}/events",
    responses={
        200: {"description": "The stream", "content": {sse.MEDIA_TYPE: {}}},
        **problems(404),
    },
)
async def get_events(
    request: Request,
    queued: QueuedPath,
    after: Annotated[
        str | None, Query(description="Number of the last batch that is known.", max_length=20)
    ] = None,
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> Response:
    """What happens in a queued campaign, as server-sent events: a batch of events each, numbered
    from 1. A client that comes back names the last number that it had, and gets what follows.
    ``event: end`` is the last one."""
    live = the_service(request).live
    await _must_exist(live, queued)
    seat = live.seats.one(client_group(request.scope["lem.client"].address))
    return EventStream(live.audience, queued, sse.last_seen(last_event_id, after), seat)


@router.get(
    "/campaigns/{queued}/recording",
    responses={
        200: {
            "description": "A line for each batch: [fence, number, [event, …]]",
            "content": {NDJSON: {"schema": {"type": "string"}}},
        },
        **problems(404),
    },
)
async def get_recording(request: Request, queued: QueuedPath) -> Response:
    """All events of a queued campaign so far. The batch of a stream with the number n is line n."""
    live = the_service(request).live
    await _must_exist(live, queued)
    channel = await to_thread.run_sync(live.hub.channel, queued)
    seat = live.recordings.one(client_group(request.scope["lem.client"].address))
    return recording(request, channel, seat, live.bounds.recording_bytes_s)


async def _must_exist(live: Live, queued: str) -> None:
    if not await to_thread.run_sync(live.exists, queued):
        raise HttpProblem(404, "no_such_campaign", "no campaign was queued under this id")
