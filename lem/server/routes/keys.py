"""Keys: enrolled by whoever holds them, replaced and revoked by themselves; and their nonces."""

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from lem.archive import identities
from lem.contract.base import Sha256
from lem.contract.submission import Nonce
from lem.errors import BadInput
from lem.server.answers import fresh
from lem.server.auth import Here, bearer, needs
from lem.server.describe import problems
from lem.server.problems import API_SCHEMA_VERSION, HttpProblem
from lem.server.rates import client_group
from lem.submit.manifest import KEY_BYTES, SIGNATURE_BYTES, from_base64

router = APIRouter(tags=["keys"])
KeyPath = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="SHA-256 of the public key.")]
Key64 = Annotated[str, Field(min_length=44, max_length=44, pattern=r"^[A-Za-z0-9+/]{43}=$")]
Signature64 = Annotated[str, Field(min_length=88, max_length=88, pattern=r"^[A-Za-z0-9+/]{86}==$")]
_KEY = "3b6a27bcceb6a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29"
_PUBLIC = "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik="
_SIGNATURE = "A" * 86 + "=="


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NonceWanted(Body):
    key: Sha256 = Field(examples=[_KEY])


class NonceGiven(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    nonce: str = Field(examples=["tqXzO7FGdA8xDLJq4fWnmoYcl0RpsM2nB1CjAhVdKek"])
    expires_at: str = Field(examples=["2026-05-04T12:10:00.000+00:00"])


class Enrolment(Body):
    public_key: Key64 = Field(description="Ed25519, raw, base64.", examples=[_PUBLIC])
    name: str = Field(
        max_length=200,
        description="Shown beside results. With an invitation, the name that it was made for.",
        examples=["Measurement group, Example University"],
    )
    secret: str | None = Field(
        default=None, max_length=200, description="Of the invitation's link.", examples=[None]
    )
    proof: Signature64 = Field(
        description="The key's signature of the canonical JSON of archive, public_key and "
        'purpose "enrol".',
        examples=[_SIGNATURE],
    )


class Enrolled(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    key: Sha256
    identity: int = Field(description="Of the submitter; keys that replace this one have it too.")


class Rotation(Body):
    public_key: Key64 = Field(description="The new key.", examples=[_PUBLIC])
    nonce: Nonce
    signature: Signature64 = Field(description="By the old key.", examples=[_SIGNATURE])
    proof: Signature64 = Field(description="By the new key, of the same.", examples=[_SIGNATURE])


class Revocation(Body):
    nonce: Nonce
    signature: Signature64 = Field(examples=[_SIGNATURE])


class Revoked(BaseModel):
    schema_version: int = API_SCHEMA_VERSION
    key: Sha256
    revoked: bool = True


def decoded(text: str, length: int, where: str) -> bytes:
    """Bytes of base64. Raises :class:`HttpProblem`."""
    try:
        return from_base64(text, length)
    except BadInput as e:
        raise HttpProblem(422, "bad_request", f"{where} {e.message}") from e


@router.post("/nonces", response_model=NonceGiven, status_code=201, responses=problems(403))
def post_nonce(request: Request, service: Here, wanted: NonceWanted) -> Response:
    """A nonce for one signature by this key, within ten minutes."""
    # By address too: else anybody could use up what a key's holder may ask.
    asking = client_group(request.scope["lem.client"].address)
    service.rates.check("key", f"{wanted.key} {asking}")
    with service.database.writing() as connection:
        nonce = identities.nonce(connection, wanted.key)
    return fresh(NonceGiven(nonce=nonce.nonce, expires_at=nonce.expires_at), 201)


@router.post("/keys", response_model=Enrolled, status_code=201, responses=problems(403, 409))
def post_key(request: Request, service: Here, enrolment: Enrolment) -> Response:
    """Enrol a key; with a runner's token in the place of an invitation. The same again gives the
    same answer."""
    grant = None if bearer(request) is None else needs("runner")(request)
    service.rates.check("enrolling", client_group(request.scope["lem.client"].address))
    public_key = decoded(enrolment.public_key, KEY_BYTES, "public_key")
    proof = decoded(enrolment.proof, SIGNATURE_BYTES, "proof")
    with service.database.writing() as connection:
        if grant is not None and grant.role == "runner":
            key = identities.enrol_by_token(connection, public_key, proof, enrolment.name, grant)
        else:
            key = identities.enrol(
                connection,
                public_key,
                proof,
                enrolment.secret,
                enrolment.name,
                service.settings.enrolment,
            )
        known = identities.key_of(connection, key)
        assert known is not None
    return fresh(Enrolled(key=key, identity=known.identity_id), 201)


@router.post("/keys/{key}/rotate", response_model=Enrolled, responses=problems(403, 409))
def post_rotation(service: Here, key: KeyPath, rotation: Rotation) -> Response:
    """Put a new key in this one's place. Both sign it; results stay the submitter's."""
    new = decoded(rotation.public_key, KEY_BYTES, "public_key")
    by_old = decoded(rotation.signature, SIGNATURE_BYTES, "signature")
    by_new = decoded(rotation.proof, SIGNATURE_BYTES, "proof")
    with service.database.writing() as connection:
        now = identities.rotate(connection, key, new, rotation.nonce, by_old, by_new)
        known = identities.key_of(connection, now)
        assert known is not None
    return fresh(Enrolled(key=now, identity=known.identity_id))


@router.post("/keys/{key}/revoke", response_model=Revoked, responses=problems(403, 409))
def post_revocation(service: Here, key: KeyPath, revocation: Revocation) -> Response:
    """Revoke a key, signed by itself. What it signed before stays."""
    signature = decoded(revocation.signature, SIGNATURE_BYTES, "signature")
    with service.database.writing() as connection:
        identities.revoke(connection, key, revocation.nonce, signature)
    return fresh(Revoked(key=key))
