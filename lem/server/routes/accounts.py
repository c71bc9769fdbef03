"""Accounts: joining, signing in and out in a browser, and one's own tokens."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field

from lem.archive.queue import people
from lem.archive.refused import Refused
from lem.server.answers import fresh
from lem.server.auth import (
    CHALLENGE,
    Asking,
    Here,
    asking,
    clear_cookie,
    cookie,
    from_own_page,
    needs_person,
    not_from_elsewhere,
    set_cookie,
)
from lem.server.describe import problems
from lem.server.problems import API_SCHEMA_VERSION, HttpProblem
from lem.server.rates import client_group
from lem.server.routes.keys import Body

router = APIRouter(tags=["accounts"])
Me = Annotated[Asking, Depends(needs_person)]
YEAR_S = 366 * 86400
TokenHandle = Annotated[str, Path(pattern="^t[0-9a-f]{20}$")]
_TOKEN = "t3b6a27bcceb6a42d62a3"
_PERSON = "p29da51b30aa47fd16e32"


class Joining(Body):
    name: str = Field(
        default="",
        max_length=200,
        description="Shown beside what is queued. Without it: the name that the invitation was "
        "made for.",
        examples=["Ada"],
    )
    invitation: str | None = Field(
        default=None, max_length=200, description="Its secret.", examples=[None]
    )


class PersonShown(BaseModel):
    id: str = Field(examples=[_PERSON])
    name: str


class Joined(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    person: PersonShown
    token: str = Field(description="A submitter's. Shown this once.")


class SigningIn(Body):
    token: str = Field(max_length=200, examples=["tqXzO7FGdA8xDLJq4fWnmoYcl0RpsM2nB1CjAhVdKek"])


class Who(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    signed_in: bool
    role: Literal["admin", "submitter", "runner", "owner"] | None = None
    person: PersonShown | None = Field(
        default=None, description="Whom the token belongs to; an admin's may belong to nobody."
    )
    name: str | None = Field(
        default=None, description="The person's, or else that of an admin's token."
    )
    token: str | None = Field(default=None, description="The handle of the token.")
    until: str | None = Field(
        default=None, description="When the session ends, where nothing is asked meanwhile."
    )


class TokenShown(BaseModel):
    handle: str = Field(examples=[_TOKEN])
    name: str
    role: Literal["admin", "submitter", "runner", "owner"]
    created_at: str
    expires_at: str | None
    used_on: str | None = Field(description="The last day of use.")
    current: bool = Field(description="Whether it is the one that asks.")


class Tokens(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    rows: list[TokenShown]


class OwnToken(Body):
    name: str = Field(max_length=200, description="What it is for.", examples=["my laptop"])
    valid_s: Annotated[int, Field(ge=60, le=YEAR_S)] | None = Field(
        default=None, description="Never longer than the token that asks."
    )


class OwnTokenMade(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    token: str = Field(description="Shown this once.")
    about: TokenShown


class Done(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    done: bool = True


@router.post("/accounts", response_model=Joined, status_code=201, responses=problems(403))
def post_account(request: Request, service: Here, wanted: Joining) -> Response:
    """Join: a person with a first token. By invitation, or anybody where enrolment is open."""
    not_from_elsewhere(request)
    service.rates.check("enrolling", f"person {_group(request)}")
    with service.database.writing() as connection:
        joined = people.join(connection, wanted.name, wanted.invitation, service.settings.enrolment)
    person = PersonShown(id=joined.person, name=joined.name)
    return fresh(Joined(person=person, token=joined.token), 201)


@router.get("/session", response_model=Who, responses=problems(400, 401))
def get_session(request: Request, service: Here) -> Response:
    """Who asks, by token or by session."""
    found = asking(service, request)
    answer = fresh(_who(service, found))
    if found is None and cookie(request) is not None:
        clear_cookie(request, answer)
    return answer


@router.post(
    "/session",
    response_model=Who,
    status_code=201,
    responses=problems(401, 403),
    dependencies=[Depends(from_own_page)],
)
def post_session(request: Request, service: Here, given: SigningIn) -> Response:
    """Sign a browser in with a token: the answer sets a cookie, which no script can read."""
    group = _group(request)
    service.rates.look("wrong", group)
    try:
        with service.database.writing() as connection:
            session, secret = people.open_session(connection, given.token, cookie(request))
    except Refused as e:
        if e.reason != "token_unknown":
            raise
        service.rates.check("wrong", group)
        raise HttpProblem(401, "bad_token", e.message, headers=CHALLENGE) from e
    answer = fresh(_who(service, Asking(session.grant, session)), 201)
    set_cookie(request, answer, secret)
    return answer


@router.delete(
    "/session",
    response_model=Who,
    responses=problems(403),
    dependencies=[Depends(from_own_page)],
)
def delete_session(request: Request, service: Here) -> Response:
    """Sign this browser out. Where it was not signed in, nothing happens."""
    secret = cookie(request)
    if secret is not None:
        with service.database.writing() as connection:
            people.end_session(connection, secret)
    answer = fresh(Who(signed_in=False))
    clear_cookie(request, answer)
    return answer


@router.get("/tokens", response_model=Tokens, responses=problems(400, 401, 403))
def get_tokens(service: Here, me: Me) -> Response:
    """One's own valid tokens, never their secrets."""
    with service.database.reading() as connection:
        found = people.tokens_of(connection, _person(me))
    return fresh(Tokens(rows=[shown(t, me) for t in found]))


@router.post(
    "/tokens", response_model=OwnTokenMade, status_code=201, responses=problems(400, 401, 403, 409)
)
def post_own_token(service: Here, me: Me, wanted: OwnToken) -> Response:
    """Another token of one's own, for submitting alone."""
    with service.database.writing() as connection:
        made, secret = people.make_token(connection, me.grant, wanted.name, wanted.valid_s)
    return fresh(OwnTokenMade(token=secret, about=shown(made, me)), 201)


@router.delete("/tokens/{handle}", response_model=Done, responses=problems(400, 401, 403, 404))
def delete_own_token(request: Request, service: Here, me: Me, handle: TokenHandle) -> Response:
    """Revoke one of one's own tokens. The browsers that signed in with it are signed out."""
    with service.database.writing() as connection:
        if not people.revoke(connection, handle, _person(me)):
            raise HttpProblem(404, "no_such_token", "you have no such token")
    answer = fresh(Done())
    if me.session is not None and handle == me.grant.token:
        clear_cookie(request, answer)
    return answer


def shown(token: people.Listed, me: Asking) -> TokenShown:
    return TokenShown(
        handle=token.handle,
        name=token.name,
        role=token.role,
        created_at=token.created_at,
        expires_at=token.expires_at,
        used_on=token.used_on,
        current=token.handle == me.grant.token,
    )


def _who(service: Here, found: Asking | None) -> Who:
    if found is None:
        return Who(signed_in=False)
    grant, person = found.grant, None
    if grant.person_id is not None and grant.person is not None:
        with service.database.reading() as connection:
            person = PersonShown(id=grant.person, name=people.name_of(connection, grant.person_id))
    until = None
    if found.session is not None:
        until = datetime.fromtimestamp(found.session.until, UTC).isoformat("T", "seconds")
    return Who(
        signed_in=True,
        role=grant.role,
        person=person,
        name=person.name if person else grant.name if grant.role == "admin" else None,
        token=grant.token,
        until=until,
    )


def _person(me: Asking) -> int:
    assert me.grant.person_id is not None
    return me.grant.person_id


def _group(request: Request) -> str:
    return client_group(request.scope["lem.client"].address)
