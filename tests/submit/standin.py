"""A small archive that speaks HTTP for real, keeps what it got in memory, and can be in trouble.

It stands in for the server in tests of the client: it checks signatures, nonces and packs with the
functions that both sides share, and answers once for each content.
"""

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lem.contract.submission import Manifest
from lem.errors import BadInput
from lem.submit import manifest as m
from lem.submit import pack
from tests.submit import given

ARCHIVE = "a" * 64


class No(Exception):
    def __init__(self, status: int, reason: str, **more: str) -> None:
        super().__init__(reason)
        self.status, self.reason, self.more = status, reason, more


class Archive(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.archive = ARCHIVE
        self.enrolment = "open"
        self.secret = "an-invitation"
        self.max_submission_bytes = 2**26
        self.keys: dict[str, bytes] = {}
        self.names: dict[str, str] = {}
        self.revoked: set[str] = set()
        self.nonces: dict[str, str] = {}
        self.receipts: dict[str, dict[str, Any]] = {}
        self.bodies: dict[str, bytes] = {}
        self.attempts: dict[tuple[str, int, str, int], str] = {}
        self.retracted: set[str] = set()
        self.asked: list[str] = []
        self.received: list[str] = []
        """The content of every submission that arrived whole, as often as it did."""
        self.trouble: list[Callable[[str], None]] = []
        """Each is called (and used up) by one request, before it is answered."""
        self.lose_answers = 0
        """So many submissions are taken without an answer."""
        self.lock = threading.Lock()

    def handle_error(self, *_: object) -> None:
        """Clients that are killed break their connections off."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def info(self) -> dict[str, Any]:
        return given.info(
            archive=self.archive,
            enrolment=self.enrolment,
            max_submission_bytes=self.max_submission_bytes,
        ).model_dump(mode="json")

    def use_nonce(self, nonce: str, key: str) -> None:
        if self.nonces.pop(nonce, None) != key:
            raise No(409, "nonce_unknown")

    def public(self, key: str) -> bytes:
        if key not in self.keys:
            raise No(403, "key_unknown")
        if key in self.revoked:
            raise No(403, "key_revoked")
        return self.keys[key]

    def submit(self, body: bytes) -> tuple[int, dict[str, Any]]:
        found = pack.read(body)
        claimed = found.unverified
        verified: Manifest = m.verify(found.manifest, found.signature, self.public(claimed.key))
        if verified.archive != self.archive:
            raise No(422, "wrong_archive")
        content, sha = verified.content, m.content_sha256(verified.content)
        self.received.append(sha)
        if sha in self.receipts:
            return 200, {**self.receipts[sha], "already_there": True}
        self.use_nonce(verified.nonce, verified.key)
        if content.campaign in self.retracted:
            raise No(409, "campaign_retracted")
        places = [(content.campaign, r.block, r.arm_id, r.attempt) for r in content.runs]
        if any(p in self.attempts for p in places):
            raise No(409, "attempt_known")
        self.attempts |= dict.fromkeys(places, sha)
        self.bodies[sha] = body
        self.receipts[sha] = {
            "schema_version": 1,
            "submission": sha,
            "campaign": content.campaign,
            "received_at": "2026-05-04T12:00:00.000+00:00",
            "already_there": False,
            "runs": len(content.runs),
            "campaign_state": "open",
            "missing": "block 3",
            "checks": "pending",
            "findings": [],
            "log_seq": len(self.receipts) + 1,
            "log_hash": f"{len(self.receipts) + 1:064x}",
        }
        return 201, self.receipts[sha]


class _Handler(BaseHTTPRequestHandler):
    server: Archive
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        at = self.server
        with at.lock:
            at.asked.append(f"{self.command} {self.path}")
            try:
                if at.trouble:
                    at.trouble.pop(0)(self.path)
                status, answer = self._answer(body)
                if self.path.endswith("/submissions") and at.lose_answers:
                    at.lose_answers -= 1
                    self.close_connection = True
                    self.connection.close()
                    return
            except No as e:
                status, answer = e.status, {
                    "type": "about:blank", "title": "no", "status": e.status,
                    "detail": f"it is {e.reason}", "reason": e.reason, **e.more,
                }  # fmt: skip
            except BadInput as e:
                status, answer = 422, {"detail": str(e), "reason": "bad_submission"}
        data = json.dumps(answer).encode()
        self.send_response(status)
        if status in (429, 503) and "retry" in answer:
            self.send_header("Retry-After", answer["retry"])
        if 300 <= status < 400:
            self.send_header("Location", answer["to"])
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _answer(self, body: bytes) -> tuple[int, Any]:
        at = self.server
        path = self.path.removeprefix("/api/v1").partition("?")[0].strip("/").split("/")
        if path == ["archive"]:
            return 200, at.info()
        if self.command == "GET" and path[0] == "submissions":
            if path[1] not in at.receipts:
                raise No(404, "submission_unknown")
            return 200, {**at.receipts[path[1]], "already_there": True}
        if path == ["submissions"]:
            return at.submit(body)
        said = json.loads(body or b"{}")
        if path == ["nonces"]:
            at.public(said["key"])
            nonce = secrets.token_urlsafe(24)
            at.nonces[nonce] = said["key"]
            return 200, {"nonce": nonce, "expires_at": "2026-05-04T12:10:00.000+00:00"}
        if path == ["keys"]:
            public = m.from_base64(said["public_key"], 32)
            m.check_signature(
                m.enrol_message(at.archive, public), m.from_base64(said["proof"], 64), public
            )
            if at.enrolment == "invitation" and said["secret"] != at.secret:
                raise No(403, "invitation_unknown")
            key = m.key_id(public)
            if key in at.keys:
                raise No(409, "key_known")
            at.keys[key], at.names[key] = public, said["name"]
            return 201, {"key": key, "identity": 1}
        return 200, self._signed(path, said)

    def _signed(self, path: list[str], said: dict[str, Any]) -> Any:
        at = self.server
        signature = m.from_base64(said["signature"], 64)
        if path[0] == "campaigns":
            public = at.public(said["key"])
            message = m.retract_message(at.archive, said["campaign"], said["nonce"])
            m.check_signature(message, signature, public)
            at.use_nonce(said["nonce"], said["key"])
            at.retracted.add(said["campaign"])
            return {"campaign": said["campaign"], "state": "retracted"}
        key = path[1]
        public = at.public(key)
        if path[2] == "revoke":
            m.check_signature(m.revoke_message(at.archive, key, said["nonce"]), signature, public)
            at.use_nonce(said["nonce"], key)
            at.revoked.add(key)
            return {"key": key}
        new = m.from_base64(said["public_key"], 32)
        message = m.rotate_message(at.archive, key, new, said["nonce"])
        m.check_signature(message, signature, public)
        m.check_signature(message, m.from_base64(said["proof"], 64), new)
        at.use_nonce(said["nonce"], key)
        at.keys[m.key_id(new)] = new
        at.revoked.add(key)
        return {"key": m.key_id(new)}


@contextmanager
def archive() -> Iterator[Archive]:
    """Within, it answers at ``.url``."""
    server = Archive()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def refuse(status: int, reason: str, **more: str) -> Callable[[str], None]:
    """Trouble: this answer to the next request."""

    def act(path: str) -> None:
        raise No(status, reason, **more)

    return act


def let(path: str) -> None:
    """No trouble: the next request is answered."""
