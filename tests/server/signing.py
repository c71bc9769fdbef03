"""Keys as a client has them, and what they sign."""

from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lem.submit.manifest import base64_of, enrol_message, key_id, raw_public


class Holder:
    """Holds one key. Names come from a seed, so that failures repeat."""

    def __init__(self, seed: int = 1) -> None:
        self.private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public = raw_public(self.private)
        self.id = key_id(self.public)

    def sign(self, message: bytes) -> str:
        return base64_of(self.private.sign(message))

    def enrolment(self, archive: str, secret: str | None = None, name: str = "me") -> Any:
        return {
            "public_key": base64_of(self.public),
            "name": name,
            "secret": secret,
            "proof": self.sign(enrol_message(archive, self.public)),
        }


def archive_of(client: Any) -> str:
    return str(client.get("/api/v1/archive").json()["archive"])


def enrolled(client: Any, seed: int = 1, secret: str | None = None) -> Holder:
    holder = Holder(seed)
    done = client.post("/api/v1/keys", json=holder.enrolment(archive_of(client), secret))
    assert done.status_code == 201, done.text
    return holder


def nonce_for(client: Any, holder: Holder) -> str:
    done = client.post("/api/v1/nonces", json={"key": holder.id})
    assert done.status_code == 201, done.text
    return str(done.json()["nonce"])
