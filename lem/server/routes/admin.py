"""For those who run the archive: invitations, keys, tokens. Each needs an admin's token, or a
session opened with one."""

from typing import Annotated, Literal, Self

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, Field, model_validator

from lem.archive import identities
from lem.archive.queries.filters import Question
from lem.archive.queue import admin, people
from lem.archive.schema import IDENTITY, KEY
from lem.contract.base import Sha256
from lem.server.answers import fresh
from lem.server.auth import Here, needs
from lem.server.describe import asked, parameters, problems
from lem.server.problems import API_SCHEMA_VERSION, HttpProblem
from lem.server.routes.keys import Body, KeyPath, Revoked

router = APIRouter(prefix="/admin", tags=["admin"], dependencies=[Depends(needs("admin"))])
YEAR_S = 366 * 86400
MOST_INVITATIONS = 500
PersonId = Annotated[str, Field(pattern="^p[0-9a-f]{20}$")]
Handle = Annotated[str, Field(pattern="^t[0-9a-f]{20}$")]
InvitationId = Annotated[str, Path(pattern="^[0-9a-f]{16}$")]


class InvitationWanted(Body):
    name: str = Field(max_length=200, examples=["Measurement group, Example University"])
    valid_s: Annotated[int, Field(ge=60, le=YEAR_S)] = int(identities.INVITATION_S)


class InvitationMade(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    secret: str = Field(description="Shown this once.")
    link: str | None = Field(
        description="Where the server knows its own address: for a browser, or for lem key enrol."
    )


class TokenWanted(Body):
    role: Literal["admin", "runner", "submitter"]
    name: str = Field(max_length=200, examples=["backup of the board"])
    valid_s: Annotated[int, Field(ge=60, le=YEAR_S)] | None = None
    person: PersonId | None = Field(
        default=None,
        description="Whom it is for. Without one, a submitter's or an admin's token makes a new "
        "person of this name.",
    )


class TokenMade(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    token: str = Field(description="Shown this once.")


class TokensRevoked(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    revoked: int


class TokenNamed(Body):
    """One token by its handle, or all of a name."""

    name: str | None = Field(default=None, max_length=200)
    handle: Handle | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.name is None) == (self.handle is None):
            raise ValueError("either a name or a handle")
        return self


class TokensQuestion(Question):
    after: Annotated[str, Field(pattern="^(t[0-9a-f]{20})?$")] = ""
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class TokenListed(BaseModel):
    handle: str
    role: Literal["admin", "runner", "submitter", "owner"]
    name: str
    person: str | None
    created_at: str
    expires_at: str | None
    used_on: str | None = Field(description="The last day of use.")


class TokensListed(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    rows: list[TokenListed]
    next: str | None = Field(description="``after`` of the next page.")


class InvitationListed(BaseModel):
    id: str = Field(description="For taking it back; of no use for joining.")
    name: str
    created_at: str
    expires_at: str


class Invitations(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    rows: list[InvitationListed]


class TakenBack(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    done: bool = True


class KeysQuestion(Question):
    after: Sha256 = "0" * 64
    limit: Annotated[int, Field(ge=1, le=500)] = 100


class KeyListed(BaseModel):
    key: Sha256
    identity: int
    name: str
    enrolled_by: str
    created_at: str
    revoked_at: str | None
    replaced_by: str | None


class Keys(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    rows: list[KeyListed]
    next: str | None = Field(description="``after`` of the next page.")


@router.post(
    "/invitations",
    response_model=InvitationMade,
    status_code=201,
    responses=problems(401, 403),
)
def post_invitation(service: Here, wanted: InvitationWanted) -> Response:
    """A secret with which one person can join or one key can be enrolled, once."""
    with service.database.writing() as connection:
        secret = identities.invite(connection, wanted.name, wanted.valid_s)
    url = service.settings.public_url
    link = f"{url}/join#{secret}" if url else None
    return fresh(InvitationMade(secret=secret, link=link), 201)


@router.get("/invitations", response_model=Invitations, responses=problems(401, 403))
def get_invitations(service: Here) -> Response:
    """Those that can still be used, without their secrets."""
    with service.database.reading() as connection:
        found = admin.open_invitations(connection, MOST_INVITATIONS)
    return fresh(Invitations(rows=[InvitationListed(**row._asdict()) for row in found]))


@router.post(
    "/invitations/{id}/revoke", response_model=TakenBack, responses=problems(401, 403, 404)
)
def post_invitation_revocation(service: Here, id: InvitationId) -> Response:
    """Take an invitation back that nobody has used yet."""
    with service.database.writing() as connection:
        if not admin.take_back(connection, id):
            raise HttpProblem(404, "invitation_unknown", "there is no such open invitation")
    return fresh(TakenBack())


@router.get(
    "/tokens",
    response_model=TokensListed,
    responses=problems(401, 403),
    openapi_extra=parameters(TokensQuestion),
)
def get_every_token(
    service: Here,
    question: Annotated[TokensQuestion, Depends(asked(TokensQuestion))],
) -> Response:
    """Valid tokens by their handles, without those of single campaigns."""
    with service.database.reading() as connection:
        found = people.every_token(connection, question.after, question.limit)
    rows = [TokenListed(**row._asdict()) for row in found]
    following = rows[-1].handle if len(rows) == question.limit else None
    return fresh(TokensListed(rows=rows, next=following))


@router.post(
    "/tokens", response_model=TokenMade, status_code=201, responses=problems(401, 403, 404)
)
def post_token(service: Here, wanted: TokenWanted) -> Response:
    """A new bearer token; only its hash is kept."""
    with service.database.writing() as connection:
        token = admin.issue(connection, wanted.role, wanted.name, wanted.valid_s, wanted.person)
    return fresh(TokenMade(token=token), 201)


@router.post("/tokens/revoke", response_model=TokensRevoked, responses=problems(401, 403))
def post_token_revocation(service: Here, named: TokenNamed) -> Response:
    """Revoke one token, or every token of a name. Browsers that signed in with it are signed
    out."""
    with service.database.writing() as connection:
        if named.handle is not None:
            gone = int(people.revoke(connection, named.handle))
        else:
            gone = identities.revoke_token(connection, named.name or "")
    return fresh(TokensRevoked(revoked=gone))


@router.get(
    "/keys",
    response_model=Keys,
    responses=problems(401, 403),
    openapi_extra=parameters(KeysQuestion),
)
def get_keys(
    service: Here,
    question: Annotated[KeysQuestion, Depends(asked(KeysQuestion))],
) -> Response:
    """Every key, by its id."""
    with service.database.reading() as connection:
        found = connection.execute(
            sa.select(KEY, IDENTITY.c.name, IDENTITY.c.enrolled_by)
            .join(IDENTITY, IDENTITY.c.id == KEY.c.identity_id)
            .where(KEY.c.id > question.after)
            .order_by(KEY.c.id)
            .limit(question.limit)
        ).all()
    rows = [
        KeyListed(
            key=row.id,
            identity=row.identity_id,
            name=row.name,
            enrolled_by=row.enrolled_by,
            created_at=row.created_at,
            revoked_at=row.revoked_at,
            replaced_by=row.replaced_by,
        )
        for row in found
    ]
    return fresh(Keys(rows=rows, next=rows[-1].key if len(rows) == question.limit else None))


@router.post("/keys/{key}/revoke", response_model=Revoked, responses=problems(401, 403, 404))
def post_key_revocation(service: Here, key: KeyPath) -> Response:
    """Revoke a key for its owner (lost, or used by somebody else). What it signed stays."""
    with service.database.writing() as connection:
        if identities.key_of(connection, key) is None:
            raise HttpProblem(404, "key_unknown", "this key is not enrolled here")
        identities.revoke_by_admin(connection, key)
    return fresh(Revoked(key=key))
