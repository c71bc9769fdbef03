"""Single runs, with their records and traces."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import Field

from lem.archive.queries.filters import Question
from lem.archive.queries.results import (
    Result,
    ResultsQuestion,
    Runs,
    Trace,
    file_of,
    result,
    results,
    trace,
)
from lem.server.answers import REVALIDATED, queried
from lem.server.auth import Here
from lem.server.describe import asked, parameters, problems, read

router = APIRouter(tags=["results"])
RunPath = Annotated[str, Path(pattern=r"^[0-9a-f]{64}-[0-9]{1,5}$")]


class TraceQuestion(Question):
    points: Annotated[int, Field(ge=10, le=20_000, description="Of each series, at most.")] = 2000


@router.get(
    "/results",
    response_model=Runs,
    responses=read(404, 410),
    openapi_extra=parameters(ResultsQuestion),
)
def get_results(
    request: Request,
    service: Here,
    question: Annotated[ResultsQuestion, Depends(asked(ResultsQuestion))],
) -> Response:
    """Runs, the newest submission first, page by page."""
    return queried(service, request, question, lambda c: results(c, question))


@router.get("/results/{id}", response_model=Result, responses=read(404))
def get_result(request: Request, service: Here, id: RunPath) -> Response:
    """One run: its whole public record, who sent it, what the archive found."""
    return queried(service, request, None, lambda c: result(c, service.packs, id))


@router.get(
    "/results/{id}/trace",
    response_model=Trace,
    responses=read(404, 413),
    openapi_extra=parameters(TraceQuestion),
)
def get_trace(
    request: Request,
    service: Here,
    id: RunPath,
    question: Annotated[TraceQuestion, Depends(asked(TraceQuestion))],
) -> Response:
    """The readings that a run's figures come from; where there are many, a part of them."""
    return queried(
        service,
        request,
        question,
        lambda c: trace(c, service.packs, id, question.points),
    )


@router.get(
    "/results/{id}/files/{kind}",
    response_class=Response,
    responses={
        200: {
            "description": "CSV, gzip, as it was sent",
            "content": {"application/gzip": {"schema": {"type": "string", "format": "binary"}}},
        },
        **problems(404),
    },
)
def get_file(service: Here, id: RunPath, kind: Literal["trace", "responses"]) -> Response:
    """The file as it was sent: every figure can be derived from it anew."""
    with service.database.reading() as connection:
        data = file_of(connection, service.packs, id, kind)
    return Response(
        data,
        media_type="application/gzip",
        headers={
            "Content-Disposition": f'attachment; filename="{kind}-{id[:16]}.csv.gz"',
            "Cache-Control": REVALIDATED,
        },
    )
