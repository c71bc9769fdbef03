"""Campaigns: as they were sent, what mattered in one, what of a planned one is measured already,
and taking one back."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field

from lem.archive.queries.attribute import Answered as Attribution
from lem.archive.queries.attribute import AttributeQuestion, attribute
from lem.archive.queries.plan import MAX_CAMPAIGN_BYTES, Plan, plan, read_asked
from lem.archive.queries.submitted import (
    CampaignAnswer,
    Campaigns,
    CampaignsQuestion,
    campaign,
    campaigns,
)
from lem.archive.retract import retract
from lem.contract.base import Sha256
from lem.contract.submission import Nonce
from lem.server.answers import fresh, queried
from lem.server.auth import Here
from lem.server.describe import asked, parameters, problems, read
from lem.server.planning import turn
from lem.server.problems import API_SCHEMA_VERSION, HttpProblem
from lem.server.routes.keys import Body, Signature64, decoded
from lem.submit.manifest import SIGNATURE_BYTES

router = APIRouter(prefix="/campaigns", tags=["campaigns"])
CampaignPath = Annotated[str, Path(pattern=r"^[0-9a-f]{64}-[0-9]{1,12}$")]
_EXAMPLE = """\
version: 1
name: batching
models: [{id: Qwen/Qwen3-0.6B}]
backends: {transformers: {}}
sweep: {engine.max_batch_size: [1, 8]}
workload:
  requests: 64
  dataset: {kind: random, input_tokens: 128, output_tokens: 64}
"""


class Retraction(Body):
    campaign: Sha256 = Field(description="``campaign`` of the manifests' content.")
    key: Sha256
    nonce: Nonce
    signature: Signature64 = Field(examples=["A" * 86 + "=="])


class Retracted(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    campaign: Sha256
    campaign_state: str = "retracted"


@router.get(
    "",
    response_model=Campaigns,
    responses=read(),
    openapi_extra=parameters(CampaignsQuestion),
)
def get_campaigns(
    request: Request,
    service: Here,
    question: Annotated[CampaignsQuestion, Depends(asked(CampaignsQuestion))],
) -> Response:
    """Campaigns, the newest first, page by page."""
    return queried(service, request, question, lambda c: campaigns(c, question))


@router.post(
    "/plan",
    response_model=Plan,
    responses=problems(415),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/yaml": {
                    "schema": {"type": "string", "maxLength": MAX_CAMPAIGN_BYTES},
                    "example": _EXAMPLE,
                },
                "application/json": {"schema": {"type": "object"}},
            },
        }
    },
)
async def read_plan(request: Request, service: Here) -> Response:
    """What of a campaign file (YAML or JSON) has been measured, and on what. Nothing that it names
    is opened, fetched or looked up."""
    from starlette.concurrency import run_in_threadpool

    body = await request.body()
    return await run_in_threadpool(_planned, service, body)


def _planned(service: Here, body: bytes) -> Response:
    if len(body) > MAX_CAMPAIGN_BYTES:
        raise HttpProblem(
            413, "too_large", f"a campaign file has at most {MAX_CAMPAIGN_BYTES} bytes"
        )
    try:
        text = body.decode()
    except UnicodeDecodeError as e:
        raise HttpProblem(422, "bad_request", "the campaign is not UTF-8") from e
    with turn():
        wanted = read_asked(text)
    with service.database.reading() as connection:
        return fresh(plan(connection, wanted))


@router.post("/retract", response_model=Retracted, responses=problems(403, 404, 409))
def post_retraction(service: Here, retraction: Retraction) -> Response:
    """Take a campaign back, whole, signed by its submitter. What was sent is deleted; the public
    log keeps its hash alone."""
    signature = decoded(retraction.signature, SIGNATURE_BYTES, "signature")
    retract(
        service.database,
        service.packs,
        retraction.key,
        retraction.campaign,
        retraction.nonce,
        signature,
    )
    return fresh(Retracted(campaign=retraction.campaign))


@router.get("/{id}", response_model=CampaignAnswer, responses=read(404))
def get_campaign(request: Request, service: Here, id: CampaignPath) -> Response:
    """One campaign: what is there of it, and what the checks found."""
    return queried(service, request, None, lambda c: campaign(c, id))


@router.get(
    "/{id}/attribute",
    response_model=Attribution,
    responses=read(404),
    openapi_extra=parameters(AttributeQuestion),
)
def get_attribution(
    request: Request,
    service: Here,
    id: CampaignPath,
    question: Annotated[AttributeQuestion, Depends(asked(AttributeQuestion))],
) -> Response:
    """Which choice mattered in this campaign."""
    return queried(service, request, question, lambda c: attribute(c, service.packs, id, question))
