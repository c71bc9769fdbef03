"""What is signed, and with which bytes: pure functions for both sides of the wire.

Every signature is of JSON in the canonical form of RFC 8785, so that one meaning has one spelling.
"""

import base64
import hashlib
import itertools
from collections.abc import Mapping
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from lem.contract.base import Part
from lem.contract.submission import Content, Manifest, Submitted
from lem.errors import BadInput

MAX_MANIFEST_BYTES = 4 * 2**20
KEY_BYTES = 32
SIGNATURE_BYTES = 64


def canonical(document: Part | Mapping[str, Any]) -> bytes:
    """The one spelling of a document. Raises :class:`BadInput` for what has none (whole numbers
    beyond 2^53, halves of surrogate pairs)."""
    raw = document.model_dump(mode="json") if isinstance(document, Part) else dict(document)
    try:
        return rfc8785.dumps(raw)
    except (rfc8785.CanonicalizationError, ValueError, RecursionError) as e:
        raise BadInput(f"has no canonical form: {e}") from e


def content_sha256(content: Content) -> str:
    """The identity of a submission, in hexadecimal digits."""
    return hashlib.sha256(canonical(content)).hexdigest()


def raw_public(key: Ed25519PrivateKey | Ed25519PublicKey) -> bytes:
    """The 32 bytes of a key's public half."""
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def key_id(public_key: bytes) -> str:
    """SHA-256 of the raw public key, in hexadecimal digits."""
    return hashlib.sha256(_public(public_key)).hexdigest()


def sign(manifest: Manifest, key: Ed25519PrivateKey) -> tuple[bytes, bytes]:
    """The manifest's bytes, and their signature."""
    if manifest.key != key_id(raw_public(key)):
        raise BadInput("the manifest names another key than the one that signs it")
    check_runs(manifest.content)
    data = canonical(manifest)
    return data, key.sign(data)


def verify(manifest_bytes: bytes, signature: bytes, public_key: bytes) -> Manifest:
    """The manifest, if these are its one spelling, signed by this key, which it names.

    Raises :class:`BadInput`. Whom the key belongs to, the archive's name and the nonce are for the
    caller to check.
    """
    manifest = parsed(manifest_bytes)
    if manifest.key != key_id(public_key):
        raise BadInput("the manifest names another key")
    check_signature(manifest_bytes, signature, public_key)
    return manifest


def parsed(manifest_bytes: bytes) -> Manifest:
    """A manifest of which nobody has checked the signature yet. Raises :class:`BadInput` for
    another spelling than the canonical one, and for runs out of order."""
    if len(manifest_bytes) > MAX_MANIFEST_BYTES:
        raise BadInput(f"the manifest is larger than {MAX_MANIFEST_BYTES >> 20} MiB")
    manifest = Manifest.parse(manifest_bytes, "manifest.json")
    # Two members of one name, other number formats, spaces: none of them comes out again.
    if canonical(manifest) != manifest_bytes:
        raise BadInput("the manifest is not in the canonical form of RFC 8785")
    check_runs(manifest.content)
    return manifest


def check_runs(content: Content) -> None:
    """Raise :class:`BadInput` unless runs are in order, each once, and each has what it needs."""
    places = [(r.block, r.arm_id, r.attempt) for r in content.runs]
    if any(a >= b for a, b in itertools.pairwise(places)):
        raise BadInput("the manifest's runs are not in order of block, arm and attempt, each once")
    for run in content.runs:
        if not _whole(run):
            raise BadInput(
                f"block {run.block}, arm {run.arm_id}, attempt {run.attempt}: has to have either"
                " a record (and its trace and responses) or a failure"
            )


def _whole(run: Submitted) -> bool:
    if run.failure is not None:
        return run.record is None and run.trace is None and run.responses is None
    return run.record is not None


def check_signature(message: bytes, signature: bytes, public_key: bytes) -> None:
    """Raise :class:`BadInput` unless this key signed this message."""
    if len(signature) != SIGNATURE_BYTES:
        raise BadInput("the signature is not 64 bytes")
    try:
        Ed25519PublicKey.from_public_bytes(_public(public_key)).verify(signature, message)
    except (InvalidSignature, ValueError) as e:
        raise BadInput("the signature is not of these bytes by this key") from e


def enrol_message(archive: str, public_key: bytes) -> bytes:
    """Signed by a new key: who enrols it, holds it."""
    return canonical(
        {"archive": archive, "public_key": base64_of(_public(public_key)), "purpose": "enrol"}
    )


def rotate_message(archive: str, key: str, new_public_key: bytes, nonce: str) -> bytes:
    """Signed by both keys: the old one gives its place to the new one."""
    return canonical(
        {
            "archive": archive,
            "key": key,
            "nonce": nonce,
            "public_key": base64_of(_public(new_public_key)),
            "purpose": "rotate",
        }
    )


def revoke_message(archive: str, key: str, nonce: str) -> bytes:
    """Signed by the key that shall not sign anything more."""
    return canonical({"archive": archive, "key": key, "nonce": nonce, "purpose": "revoke"})


def retract_message(archive: str, campaign: str, nonce: str) -> bytes:
    """Signed by the submitter: ``campaign`` (``Content.campaign``) is taken back whole."""
    return canonical(
        {"archive": archive, "campaign": campaign, "nonce": nonce, "purpose": "retract"}
    )


def base64_of(data: bytes) -> str:
    """Standard base64, as keys and signatures are written in JSON."""
    return base64.b64encode(data).decode("ascii")


def from_base64(text: str, length: int) -> bytes:
    """So many bytes of standard base64 in its one spelling. Raises :class:`BadInput`."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError as e:
        raise BadInput("is not base64") from e
    if len(data) != length or base64_of(data) != text:
        raise BadInput(f"is not {length} bytes of base64")
    return data


def _public(public_key: bytes) -> bytes:
    if len(public_key) != KEY_BYTES:
        raise BadInput("a public key (Ed25519) has 32 bytes")
    return public_key
