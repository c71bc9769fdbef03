"""The public log: every acceptance, change of tier, retraction and key, each entry bound to the one
before it."""

from typing import Annotated

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from lem.archive.log import LogEntry, entries, head
from lem.archive.queries.answer import Answer
from lem.archive.queries.answer import head as state
from lem.archive.queries.filters import Question
from lem.contract.base import Sha256
from lem.server.answers import queried
from lem.server.auth import Here
from lem.server.describe import asked, parameters, read

router = APIRouter(tags=["log"])


class LogQuestion(Question):
    after: Annotated[int, Field(ge=0, le=2**53, description="The last entry seen.")] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 1000


class LogPage(Answer):
    entries: list[LogEntry]
    next: int | None
    """``after`` of the next page; None where there are no more."""


class LogHead(Answer):
    """The last entry: kept by a reader, it holds for all before it."""

    seq: int
    hash: Sha256


@router.get("/log", response_model=LogPage, responses=read(), openapi_extra=parameters(LogQuestion))
def get_log(
    request: Request,
    service: Here,
    question: Annotated[LogQuestion, Depends(asked(LogQuestion))],
) -> Response:
    """Entries, the oldest first. ``lem log verify URL`` checks the chain."""

    def ask(connection: sa.Connection) -> LogPage:
        found = entries(connection, question.after, question.limit)
        return LogPage(
            **state(connection).model_dump(),
            entries=found,
            next=found[-1].seq if len(found) == question.limit else None,
        )

    return queried(service, request, question, ask, _last)


@router.get("/log/head", response_model=LogHead, responses=read())
def get_log_head(request: Request, service: Here) -> Response:
    """Place and hash of the last entry; 0 and zeros where there is none."""

    def ask(connection: sa.Connection) -> LogHead:
        last = head(connection)
        return LogHead(**state(connection).model_dump(), seq=last.seq, hash=last.hash)

    return queried(service, request, None, ask, _last)


def _last(connection: sa.Connection) -> str:
    """Keys are enrolled and revoked without any change of the data."""
    return head(connection).hash
