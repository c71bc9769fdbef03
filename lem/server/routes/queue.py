"""The queue: campaigns are added, seen by anybody, and cancelled by whom they are of."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from lem.archive.identities import Grant
from lem.archive.queries.plan import Plan, plan, read_asked
from lem.archive.queue import listing
from lem.archive.queue.acceptable import wish_of
from lem.archive.queue.adding import add, cancel
from lem.archive.queue.missing import without_measured
from lem.archive.reasons import refused
from lem.contract.queue import MAX_CAMPAIGN_BYTES, QueuedId, QueueState
from lem.server.answers import fresh
from lem.server.auth import Here, needs
from lem.server.describe import asked, parameters, problems
from lem.server.planning import turn
from lem.server.problems import API_SCHEMA_VERSION, HttpProblem, not_as_described
from lem.server.routes.keys import Body
from lem.server.service import Service

router = APIRouter(tags=["queue"])
QueuedPath = Annotated[str, Path(pattern=r"^q[0-9a-f]{20}$")]
_TRUE = ("1", "true", "yes")
WHOLE = (
    "what is measured already is run again: a comparison needs its baseline in the same blocks; "
    "only_missing: true leaves out all that is measured but the baseline"
)


class CampaignWanted(Body):
    campaign: str = Field(description="YAML or JSON, as `lem campaign run` takes it.")
    archive: bool = Field(
        default=False,
        description="That the campaign's file and all that is measured are published here.",
    )
    again: bool = Field(default=False, description="Also where all of it is measured already.")
    only_missing: bool = Field(
        default=False, description="Leave out what is measured already, but the baseline."
    )


class CampaignQueued(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    id: QueuedId | None = Field(description="None where all of it is measured already.")
    state: Literal["queued", "measured"]
    position: int | None = Field(description="1 is next, for a runner that may run it.")
    url: str | None = Field(description="The page of it, live.")
    owner_token: str | None = Field(
        description="May cancel this campaign and nothing else. Shown this once."
    )
    plan: Plan = Field(description="Of what is queued: its experiments, and what is measured.")
    notes: list[str]


class Cancelled(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    id: QueuedId
    state: QueueState = Field(description="``running``: its runner is told within seconds.")


_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": CampaignWanted.model_json_schema()},
            "application/yaml": {"schema": {"type": "string", "maxLength": MAX_CAMPAIGN_BYTES}},
        },
    },
    "parameters": [
        {
            "name": name,
            "in": "query",
            "description": "With a body that is not JSON.",
            "schema": {"type": "boolean"},
        }
        for name in ("archive", "again", "only_missing")
    ],
}


@router.post(
    "/campaigns",
    response_model=CampaignQueued,
    status_code=201,
    responses={
        200: {
            "model": CampaignQueued,
            "description": "All of it is measured already: nothing was queued",
        },
        **problems(401, 403, 409),
    },
    openapi_extra=_BODY,
)
async def post_campaign(
    request: Request, service: Here, grant: Annotated[Grant, Depends(needs("submitter"))]
) -> Response:
    """Queue a campaign for a runner. What of it is measured already is linked in the answer; it is
    queued whole, since a comparison needs its baseline in the same blocks."""
    return await run_in_threadpool(_queued, service, grant, request, await request.body())


def _wanted(request: Request, body: bytes) -> CampaignWanted:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        try:
            return CampaignWanted.model_validate_json(body)
        except ValidationError as e:
            detail = "the request does not fit its description"
            raise not_as_described(e, "bad_request", detail) from None
    try:
        text = body.decode()
    except UnicodeDecodeError as e:
        raise HttpProblem(422, "bad_request", "the campaign is not UTF-8") from e
    said = {
        name: request.query_params.get(name, "").lower() in _TRUE
        for name in ("archive", "again", "only_missing")
    }
    return CampaignWanted(campaign=text, **said)


def _queued(service: Service, grant: Grant, request: Request, body: bytes) -> Response:
    wanted = _wanted(request, body)
    text = wanted.campaign
    if len(text.encode("utf-8", "replace")) > MAX_CAMPAIGN_BYTES:
        raise HttpProblem(413, "too_large", f"a campaign has at most {MAX_CAMPAIGN_BYTES} bytes")
    if not wanted.archive:
        raise refused("consent_needed")
    with turn():
        campaign, wish = wish_of(text)
        read = read_asked(text)
    with service.database.reading() as connection:
        found = plan(connection, read)
    if found.missing == 0 and campaign.candidates is None and not wanted.again:
        note = "all of it is measured already; again: true has it run once more"
        return fresh(_made(found, [note]))
    notes = [WHOLE] if found.measured and not wanted.only_missing else []
    if wanted.only_missing and found.measured:
        with turn():
            campaign, wish = wish_of(without_measured(text, campaign, found.experiments))
            read = read_asked(wish.yaml)
        with service.database.reading() as connection:
            found = plan(connection, read)
    with service.database.queueing() as connection:
        added = add(connection, grant, wish)
    service.queue.tell([added.change])
    with service.database.reading() as connection:
        position = listing.positions(connection).get(added.id)
    url = f"{service.settings.public_url or ''}/live/{added.id}"
    made = _made(found, notes).model_copy(
        update={
            "id": added.id,
            "state": "queued",
            "position": position,
            "url": url,
            "owner_token": added.owner_token,
        }
    )
    return fresh(made, 201)


def _made(found: Plan, notes: list[str]) -> CampaignQueued:
    return CampaignQueued(
        id=None, state="measured", position=None, url=None, owner_token=None, plan=found,
        notes=notes,
    )  # fmt: skip


@router.get(
    "/queue",
    response_model=listing.Queue,
    responses=problems(),
    openapi_extra=parameters(listing.QueueQuestion),
)
def get_queue(
    service: Here,
    question: Annotated[listing.QueueQuestion, Depends(asked(listing.QueueQuestion))],
) -> Response:
    """Campaigns that wait (with state=queued: in the order of their turns), run or ended, the
    newest first."""
    service.queue.notice()
    with service.database.reading() as connection:
        return fresh(listing.queue(connection, question))


@router.get("/queue/{id}", response_model=listing.QueuedAnswer, responses=problems(404))
def get_queued(service: Here, id: QueuedPath) -> Response:
    """One campaign: its file, where it stands, who claimed it, and what became of it."""
    service.queue.notice()
    with service.database.reading() as connection:
        return fresh(listing.queued(connection, id))


@router.post("/queue/{id}/cancel", response_model=Cancelled, responses=problems(401, 403, 404))
def post_cancellation(
    service: Here, grant: Annotated[Grant, Depends(needs("submitter", "owner"))], id: QueuedPath
) -> Response:
    """End a campaign: by whoever queued it, by its owner's token, or by an admin."""
    with service.database.queueing() as connection:
        state, changes = cancel(connection, id, grant)
    service.queue.tell(changes)
    return fresh({"schema_version": API_SCHEMA_VERSION, "id": id, "state": state})
