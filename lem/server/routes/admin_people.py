"""For those who run the archive: people and runners. Each needs an admin's token, or a session
opened with one."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, Field

from lem.archive.queries.filters import Question
from lem.archive.queue import admin, people
from lem.contract.queue import Hardware, Hello
from lem.server.answers import fresh
from lem.server.auth import Here, needs
from lem.server.describe import asked, parameters, problems
from lem.server.problems import API_SCHEMA_VERSION, HttpProblem

router = APIRouter(prefix="/admin", tags=["admin"], dependencies=[Depends(needs("admin"))])
PersonPath = Annotated[str, Path(pattern="^p[0-9a-f]{20}$")]
RunnerPath = Annotated[str, Path(pattern="^r[0-9a-f]{20}$")]


class PeopleQuestion(Question):
    after: Annotated[str, Field(pattern="^(p[0-9a-f]{20})?$")] = ""
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class RunnersQuestion(Question):
    after: Annotated[str, Field(pattern="^(r[0-9a-f]{20})?$")] = ""
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class PersonListed(BaseModel):
    id: str
    name: str
    enrolled_by: str
    invited_as: str | None = Field(description="The name on the invitation.")
    created_at: str
    disabled_at: str | None
    tokens: int = Field(description="Valid ones.")
    used_on: str | None = Field(description="The last day on which one of them was used.")


class People(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    rows: list[PersonListed]
    next: str | None = Field(description="``after`` of the next page.")


class RunnerListed(BaseModel):
    id: str
    name: str
    token: str = Field(description="The handle of its token.")
    hardware: Hardware
    lem_version: str
    registered_at: str
    seen_at: str
    doing: str
    disabled_at: str | None


class RunnersListed(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    rows: list[RunnerListed]
    next: str | None = Field(description="``after`` of the next page.")


class Set(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    id: str
    disabled: bool


@router.get(
    "/people",
    response_model=People,
    responses=problems(401, 403),
    openapi_extra=parameters(PeopleQuestion),
)
def get_people(
    service: Here, question: Annotated[PeopleQuestion, Depends(asked(PeopleQuestion))]
) -> Response:
    """Everybody who has joined."""
    with service.database.reading() as connection:
        found = admin.every_person(connection, question.after, question.limit)
    rows = [PersonListed(**row._asdict()) for row in found]
    return fresh(People(rows=rows, next=rows[-1].id if len(rows) == question.limit else None))


@router.post("/people/{id}/disable", response_model=Set, responses=problems(401, 403, 404))
def post_person_disabled(service: Here, id: PersonPath) -> Response:
    """A person's tokens open nothing from now on, and its browsers are signed out. What it queued
    stays as it is."""
    return _person(service, id, True)


@router.post("/people/{id}/enable", response_model=Set, responses=problems(401, 403, 404))
def post_person_enabled(service: Here, id: PersonPath) -> Response:
    """A person's tokens are worth something again."""
    return _person(service, id, False)


@router.get(
    "/runners",
    response_model=RunnersListed,
    responses=problems(401, 403),
    openapi_extra=parameters(RunnersQuestion),
)
def get_every_runner(
    service: Here, question: Annotated[RunnersQuestion, Depends(asked(RunnersQuestion))]
) -> Response:
    """Every runner that has ever registered."""
    with service.database.reading() as connection:
        found = admin.every_runner(connection, question.after, question.limit)
    rows = [_runner(row) for row in found]
    following = rows[-1].id if len(rows) == question.limit else None
    return fresh(RunnersListed(rows=rows, next=following))


@router.post("/runners/{id}/disable", response_model=Set, responses=problems(401, 403, 404))
def post_runner_disabled(service: Here, id: RunnerPath) -> Response:
    """A runner claims nothing any more. Its token stays valid: revoke it where that is meant."""
    return _disable_runner(service, id, True)


@router.post("/runners/{id}/enable", response_model=Set, responses=problems(401, 403, 404))
def post_runner_enabled(service: Here, id: RunnerPath) -> Response:
    """A runner may claim again."""
    return _disable_runner(service, id, False)


def _person(service: Here, id: str, disabled: bool) -> Response:
    with service.database.writing() as connection:
        if not people.set_disabled(connection, id, disabled):
            raise HttpProblem(404, "person_unknown", "there is no such person")
    return fresh(Set(id=id, disabled=disabled))


def _disable_runner(service: Here, id: str, disabled: bool) -> Response:
    with service.database.writing() as connection:
        if not admin.disable_runner(connection, id, disabled):
            raise HttpProblem(404, "runner_unknown", "there is no such runner")
    return fresh(Set(id=id, disabled=disabled))


def _runner(row: admin.RunnerRow) -> RunnerListed:
    hello = Hello.model_validate_json(row.hello)
    return RunnerListed(
        id=row.id,
        name=row.name,
        token=row.token,
        hardware=hello.hardware,
        lem_version=hello.lem_version,
        registered_at=row.registered_at,
        seen_at=datetime.fromtimestamp(row.seen_at, UTC).isoformat("T", "seconds"),
        doing=row.doing,
        disabled_at=row.disabled_at,
    )
