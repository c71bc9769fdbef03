"""Speaks to an archive over HTTP. What it answers is hostile until it is parsed."""

import ipaddress
import json
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx

from lem import __version__
from lem.contract.base import Document, Part
from lem.contract.submission import ArchiveInfo, Receipt
from lem.errors import BadInput, LemError
from lem.submit.manifest import base64_of
from lem.submit.settings import address

API = "/api/v1"
MAX_ANSWER_BYTES = 64 * 2**20
MAX_WORDS = 500
CONNECT_S, READ_S = 10.0, 60.0
PIECE_BYTES = 1 << 18
ANSWER_S = 300.0
"""An answer that comes drop by drop is given up after this."""

Kind = TypeVar("Kind", bound=Document)


class Unreachable(LemError):
    """The archive cannot be reached now, or is in trouble of its own: try again later."""

    exit_code = 3

    def __init__(self, message: str, hint: str | None = None, wait_s: float | None = None) -> None:
        super().__init__(message, hint)
        self.wait_s = wait_s
        """How long the server asks to wait."""


class Declined(LemError):
    """The archive said no. ``reason`` is its code (docs/trust.md), ``status`` that of HTTP."""

    exit_code = 2

    def __init__(self, reason: str, message: str, status: int) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status


class ArchiveClient:
    """One archive. Use as a context manager, or :meth:`close` it.

    ``plain_http``: whether another machine may be spoken to without encryption. ``within_s``: after
    so many seconds everything is given up, whatever is under way; ``read_s``: the longest silence
    of an answer. ``headers`` go with every request. ``transport`` is for tests.
    """

    def __init__(
        self,
        url: str,
        *,
        plain_http: bool = False,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        within_s: float | None = None,
        read_s: float = READ_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self.url = address(url)
        self._until = None if within_s is None else time.monotonic() + within_s
        self._read_s = read_s
        parts = urlsplit(self.url)
        if parts.scheme == "http" and not plain_http and not is_loopback(parts.hostname or ""):
            raise BadInput(
                f"{self.url} is another machine, spoken to without encryption: whoever is in"
                " between could read and change what is said",
                hint="use its https:// address, or say --plain-http where the network is yours",
            )
        given = headers or {}
        headers = {"User-Agent": f"lem/{__version__}", "Accept-Encoding": "identity"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._http = httpx.Client(
            headers={**headers, **given},
            follow_redirects=False,
            transport=transport,
        )

    def __enter__(self) -> "ArchiveClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def info(self) -> ArchiveInfo:
        """Which archive this is, and what it takes."""
        return self._document(ArchiveInfo, "GET", "/archive")

    def nonce(self, key: str) -> str:
        """A number to be used once, for what this key signs next."""
        answer = self._json("POST", "/nonces", body={"key": key})
        nonce = answer.get("nonce") if isinstance(answer, dict) else None
        if not isinstance(nonce, str) or not 22 <= len(nonce) <= 64:
            raise self._strange("no nonce")
        return nonce

    def enrol(self, public_key: bytes, proof: bytes, name: str, secret: str | None) -> str:
        """Make a key known; returns its id. ``proof``: signature of ``enrol_message``."""
        answer = self._json(
            "POST",
            "/keys",
            body={
                "public_key": base64_of(public_key),
                "name": name,
                "secret": secret,
                "proof": base64_of(proof),
            },
        )
        return self._text(answer, "key")

    def rotate(
        self, key: str, new_public_key: bytes, nonce: str, signature: bytes, proof: bytes
    ) -> None:
        """Put another key in the place of ``key``: ``rotate_message``, signed by the old key and
        (``proof``) by the new one."""
        self._json(
            "POST",
            f"/keys/{key}/rotate",
            body={
                "public_key": base64_of(new_public_key),
                "nonce": nonce,
                "signature": base64_of(signature),
                "proof": base64_of(proof),
            },
        )

    def revoke(self, key: str, nonce: str, signature: bytes) -> None:
        """Let a key sign nothing more: ``revoke_message``, signed by it."""
        self._json(
            "POST",
            f"/keys/{key}/revoke",
            body={"nonce": nonce, "signature": base64_of(signature)},
        )

    def submit(self, body: bytes) -> Receipt:
        """Send a submission (``pack.write``)."""
        return self._document(Receipt, "POST", "/submissions", content=body)

    def receipt(self, submission: str) -> Receipt:
        """The receipt of a submission that is there. Raises :class:`Declined` (404) where it is
        not."""
        return self._document(Receipt, "GET", f"/submissions/{submission}")

    def retract(self, campaign: str, key: str, nonce: str, signature: bytes) -> Any:
        """Take back a campaign: ``retract_message``, signed by one of its submitter's keys."""
        return self._json(
            "POST",
            "/campaigns/retract",
            body={
                "campaign": campaign,
                "key": key,
                "nonce": nonce,
                "signature": base64_of(signature),
            },
        )

    def log(self, after: int = 0, limit: int = 1000) -> Any:
        """Entries of the public log, the oldest first."""
        return self.get("/log", {"after": after, "limit": limit})

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Any question to the archive (``/leaderboard``, ``/results``, …): what its JSON says."""
        return self._json("GET", path, params=params)

    def tell(self, kind: type[Kind], path: str, document: Part | bytes) -> Kind | None:
        """Send a document (or its JSON); what is answered, or None where that is nothing (204)."""
        content = document if isinstance(document, bytes) else document.model_dump_json().encode()
        answer = self._ask("POST", path, content=content, media_type="application/json")
        return self._parsed(kind, path, answer) if answer else None

    def post_text(self, path: str, text: bytes) -> bytes:
        """What is answered to a question that is asked with a campaign (``/campaigns/plan``)."""
        return self._ask("POST", path, content=text, media_type="application/yaml")

    def download(self, path: str, params: Mapping[str, Any] | None = None) -> bytes:
        """What the archive answers, as it comes (an export, a trace)."""
        return self._ask("GET", path, params=params)

    def read(self, kind: type[Kind], path: str, params: Mapping[str, Any] | None = None) -> Kind:
        """As :meth:`get`, for an answer that is a document of the contract."""
        return self._document(kind, "GET", path, params=params)

    def _document(self, kind: type[Kind], method: str, path: str, **request: Any) -> Kind:
        return self._parsed(kind, path, self._ask(method, path, **request))

    def _parsed(self, kind: type[Kind], path: str, answer: bytes) -> Kind:
        try:
            return kind.parse(answer, f"{self.url}{API}{path}")
        except BadInput as e:
            raise self._strange(str(e)) from e

    def _json(self, method: str, path: str, **request: Any) -> Any:
        answer = self._ask(method, path, **request)
        if not answer:
            return None
        try:
            return json.loads(answer)
        except (ValueError, RecursionError) as e:
            raise self._strange("no JSON") from e

    def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        content: bytes | None = None,
        media_type: str = "application/x-tar",
    ) -> bytes:
        given = {k: v for k, v in (params or {}).items() if v is not None}
        headers = {} if content is None else _body_headers(content, media_type)
        if isinstance(body, Part):
            body = body.model_dump(mode="json")
        try:
            with self._http.stream(
                method,
                self.url + API + quote(path, safe="/-._~"),
                params=given or None,
                json=body,
                content=None if content is None else self._pieces(content),
                headers=headers,
                timeout=self._timeout(),
            ) as answer:
                data = self._read(answer)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as e:
            raise Unreachable(
                f"the archive at {self.url} cannot be reached: {_words(str(e) or type(e).__name__)}"
            ) from e
        if 200 <= answer.status_code < 300:
            return data
        raise self._no(answer, data)

    def _read(self, answer: httpx.Response) -> bytes:
        if answer.headers.get("content-encoding", "identity") != "identity":
            raise self._strange("an encoded answer that was not asked for")
        until = min(time.monotonic() + ANSWER_S, self._until or math.inf)
        data = bytearray()
        for piece in answer.iter_bytes():
            data += piece
            if len(data) > MAX_ANSWER_BYTES:
                raise self._strange(f"more than {MAX_ANSWER_BYTES >> 20} MiB")
            if time.monotonic() > until:
                raise self._slow()
        return bytes(data)

    def _pieces(self, content: bytes) -> Iterator[bytes]:
        for at in range(0, len(content), PIECE_BYTES):
            if self._until is not None and time.monotonic() > self._until:
                raise self._slow()
            yield content[at : at + PIECE_BYTES]

    def _timeout(self) -> httpx.Timeout:
        left_s = math.inf if self._until is None else self._until - time.monotonic()
        if left_s <= 0:
            raise self._slow()
        return httpx.Timeout(min(self._read_s, left_s), connect=min(CONNECT_S, left_s))

    def _slow(self) -> Unreachable:
        return Unreachable(f"the archive at {self.url} takes too long to answer")

    def _no(self, answer: httpx.Response, data: bytes) -> LemError:
        status = answer.status_code
        problem = _problem(data)
        said = _words(problem.get("detail") or problem.get("title") or f"HTTP status {status}")
        if status in (408, 425, 429) or status >= 500:
            return Unreachable(
                f"the archive at {self.url} is in trouble: {said}"
                if status >= 500
                else f"the archive at {self.url} asks to wait: {said}",
                wait_s=_seconds(answer.headers.get("retry-after")),
            )
        if 300 <= status < 400:
            where = _words(answer.headers.get("location", "nowhere"))
            return Declined(
                "redirected", f"{self.url} sends elsewhere ({where}); use that address", status
            )
        reason = _words(problem.get("reason") or "", 80) or f"http_{status}"
        return Declined(reason, f"the archive says: {said} ({reason})", status)

    def _text(self, answer: Any, name: str) -> str:
        value = answer.get(name) if isinstance(answer, dict) else None
        if not isinstance(value, str) or len(value) > 200:
            raise self._strange(f"no {name}")
        return value

    def _strange(self, what: str) -> Unreachable:
        return Unreachable(
            f"{self.url} does not answer as an archive does: {_words(what)}",
            hint="is this the address of an archive, and of one that this lem knows?",
        )


def _body_headers(content: bytes, media_type: str) -> dict[str, str]:
    return {"Content-Type": media_type, "Content-Length": str(len(content))}


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _problem(data: bytes) -> dict[str, str]:
    """The texts of a problem document (RFC 9457), if it is one."""
    try:
        found = json.loads(data[: 2**20])
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {k: v for k, v in found.items() if isinstance(v, str)}


def _words(text: str, most: int = MAX_WORDS) -> str:
    """Somebody else's words on one line; what prints them makes control characters visible."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[:most] + "…"


def _seconds(text: str | None) -> float | None:
    if text is None or not text.isascii() or not text.isdigit():
        return None
    return float(min(int(text[:9]), 3600))
