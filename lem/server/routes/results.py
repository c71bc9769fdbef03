"""Single runs, with their records and traces."""

from typing import Annotated, Literal, Self

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import Field, model_validator

from lem.archive.queries.export import ExportQuestion
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
from lem.server.files import CONTENT, as_file

router = APIRouter(tags=["results"])
RunPath = Annotated[str, Path(pattern=r"^[0-9a-f]{64}-[0-9]{1,5}$")]


class ResultsParameters(ResultsQuestion):
    """Also as a file: all that match at once, as ``/export`` gives them."""

    format: Annotated[
        Literal["json", "csv", "jsonl", "parquet", "boamps"],
        Field(description="Anything but json: all runs that match as one file, without pages."),
    ] = "json"

    @model_validator(mode="after")
    def _pages(self) -> Self:
        if self.format != "json" and self.cursor is not None:
            raise ValueError("a file has all that match; pages (cursor) are of json alone")
        return self

    def export(self) -> ExportQuestion:
        """The same runs as a file. Raises ``Refused`` later where more match than ``limit``."""
        given = self.model_dump(exclude={"cursor", "limit"})
        limit = {"limit": self.limit} if "limit" in self.model_fields_set else {}
        return ExportQuestion.model_validate({**given, **limit})


class TraceQuestion(Question):
    points: Annotated[int, Field(ge=10, le=20_000, description="Of each series, at most.")] = 2000


@router.get(
    "/results",
    response_model=Runs,
    responses={
        **read(404, 410),
        200: {**read()[200], "description": "Runs, or a file of them", "content": CONTENT},
    },
    openapi_extra=parameters(ResultsParameters),
)
def get_results(
    request: Request,
    service: Here,
    question: Annotated[ResultsParameters, Depends(asked(ResultsParameters))],
) -> Response:
    """Runs, the newest submission first, page by page; or all of them as a file."""
    if question.format != "json":
        return as_file(service, request, question.export())
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
