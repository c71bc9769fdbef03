"""Requests, and the lists of them that every backend gets alike."""

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from lem.errors import RunFailed

MAX_LIST_BYTES = 2**30


class Request(NamedTuple):
    """``input_ids`` is what every engine is given, so that all count the same tokens."""

    id: str
    input_ids: list[int]
    output_tokens: int
    text: str
    after: str | None = None
    """The request of the same conversation whose answer must be there before this one is sent."""
    at_s: float | None = None
    """When to send it, in seconds from the first, where a trace says so."""
    nth: int = 1
    """The how-manieth time that this prompt is sent. An engine that keeps prompts would find it: a
    backend that can tell its engine to keep them apart (vLLM's ``cache_salt``) does so by this."""


Message = dict[str, str]
"""``role`` (system, user, assistant) and ``content``."""


class Tokenizer(Protocol):
    """What making request lists needs of a model's tokenizer."""

    vocabulary: int
    """Ids 0 … vocabulary − 1 exist."""
    special_ids: frozenset[int]

    def encode(self, text: str, chat: bool) -> list[int]:
        """Token ids; with ``chat``, as one user message in the model's chat template (plain, with
        the tokenizer's own special tokens, where it has none)."""

    def chat(self, messages: list[Message]) -> list[int]:
        """Token ids of a conversation that waits for its next answer, in the model's chat template
        (:func:`plain_chat` where it has none). A template may raise whatever it likes."""

    def decode(self, ids: list[int]) -> str: ...


def plain_chat(messages: list[Message]) -> str:
    """A conversation for a model without a chat template: what was said, a blank line between."""
    return "\n\n".join(m["content"] for m in messages)


def dump(requests: Iterable[Request]) -> tuple[bytes, str]:
    """A request list as gzipped JSON lines, and the SHA-256 of the lines (not of the gzip)."""
    lines = "".join(
        json.dumps(_told(r), sort_keys=True, ensure_ascii=False) + "\n" for r in requests
    ).encode()
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as f:
        f.write(lines)
    return buffer.getvalue(), hashlib.sha256(lines).hexdigest()


def _told(request: Request) -> dict[str, Any]:
    """Without what is not there, so that lists keep the hash they had before a field was added."""
    return {k: v for k, v in request._asdict().items() if v is not None and (k, v) != ("nth", 1)}


def read(path: Path, sha256: str) -> list[Request]:
    """Read a list and check its hash. Raises :class:`RunFailed` if it is not the one asked for."""
    try:
        with gzip.open(path) as f:
            lines = f.read(MAX_LIST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as e:
        raise RunFailed("contract", f"the request list cannot be read: {e}") from e
    if len(lines) > MAX_LIST_BYTES or hashlib.sha256(lines).hexdigest() != sha256:
        raise RunFailed(
            "contract",
            "the request list is not the one this run was planned with",
            hint="remove the campaign's requests folder and run again",
        )
    return [Request(**json.loads(line)) for line in lines.splitlines()]
