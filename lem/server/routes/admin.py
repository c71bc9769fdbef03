"""For those who run the archive: invitations, keys, tokens. Each needs an admin's token."""

from typing import Annotated, Literal

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from lem.archive import identities
from lem.archive.queries.filters import Question
from lem.archive.schema import IDENTITY, KEY
from lem.contract.base import Sha256
from lem.server.answers import fresh
from lem.server.auth import Here, needs
from lem.server.describe import asked, parameters, problems
from lem.server.problems import API_SCHEMA_VERSION, HttpProblem
from lem.server.routes.keys import Body, KeyPath, Revoked

router = APIRouter(prefix="/admin", tags=["admin"], dependencies=[Depends(needs("admin"))])
YEAR_S = 366 * 86400


class InvitationWanted(Body):
    name: str = Field(max_length=200, examples=["Measurement group, Example University"])
    valid_s: Annotated[int, Field(ge=60, le=YEAR_S)] = int(identities.INVITATION_S)


class InvitationMade(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    secret: str = Field(description="Shown this once.")
    link: str | None = Field(description="Where the server knows its own address.")


class TokenWanted(Body):
    role: Literal["admin", "runner", "submitter"]
    name: str = Field(max_length=200, examples=["backup of the board"])
    valid_s: Annotated[int, Field(ge=60, le=YEAR_S)] | None = None


class TokenMade(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    token: str = Field(description="Shown this once.")


class TokensRevoked(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    revoked: int


class TokenNamed(Body):
    name: str = Field(max_length=200)


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
    """A secret with which one key can be enrolled, once."""
    with service.database.writing() as connection:
        secret = identities.invite(connection, wanted.name, wanted.valid_s)
    url = service.settings.public_url
    link = f"{url}/enrol#{secret}" if url else None
    return fresh(InvitationMade(secret=secret, link=link), 201)


@router.post("/tokens", response_model=TokenMade, status_code=201, responses=problems(401, 403))
def post_token(service: Here, wanted: TokenWanted) -> Response:
    """A new bearer token; only its hash is kept."""
    with service.database.writing() as connection:
        token = identities.issue_token(connection, wanted.role, wanted.name, wanted.valid_s)
    return fresh(TokenMade(token=token), 201)


@router.post("/tokens/revoke", response_model=TokensRevoked, responses=problems(401, 403))
def post_token_revocation(service: Here, named: TokenNamed) -> Response:
    """Revoke every token of this name."""
    with service.database.writing() as connection:
        gone = identities.revoke_token(connection, named.name)
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
