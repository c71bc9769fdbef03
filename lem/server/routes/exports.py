"""The same questions as files for other programs, and figures that others published."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from lem.archive.external import Listed, listed
from lem.archive.queries.answer import Answer, head
from lem.archive.queries.export import ExportQuestion
from lem.archive.queries.filters import Question
from lem.server.answers import queried
from lem.server.auth import Here
from lem.server.describe import asked, parameters, problems, read
from lem.server.files import CONTENT, as_file

router = APIRouter(tags=["export"])


class Externals(Answer):
    """Measured by others in their own ways: without interval, never ranked with the archive's own.
    Each has its source's licence."""

    rows: list[Listed]
    next: int | None
    """``after`` of the next page."""


class ExternalQuestion(Question):
    after: Annotated[int, Field(ge=0, le=2**53)] = 0
    limit: Annotated[int, Field(ge=1, le=500)] = 100


@router.get(
    "/export",
    response_class=Response,
    responses={
        200: {
            "description": "Runs, with licence and citation inside",
            "content": CONTENT,
        },
        **problems(404),
    },
    openapi_extra=parameters(ExportQuestion),
)
def get_export(
    request: Request,
    service: Here,
    question: Annotated[ExportQuestion, Depends(asked(ExportQuestion))],
) -> Response:
    """Runs as CSV, JSON Lines, Parquet or BoAmps, with licence and citation inside."""
    return as_file(service, request, question)


@router.get(
    "/external",
    response_model=Externals,
    responses=read(),
    openapi_extra=parameters(ExternalQuestion),
)
def get_external(
    request: Request,
    service: Here,
    question: Annotated[ExternalQuestion, Depends(asked(ExternalQuestion))],
) -> Response:
    """Figures that others published, in the order in which they were added."""

    def ask(c: object) -> Externals:
        rows = listed(c, question.after, question.limit)  # type: ignore[arg-type]
        return Externals(
            **head(c).fields(),  # type: ignore[arg-type]
            rows=rows,
            next=rows[-1].id if len(rows) == question.limit else None,
        )

    return queried(service, request, question, ask)
