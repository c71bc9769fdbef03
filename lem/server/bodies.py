"""Bodies of requests: never more bytes than asked for, never waited for longer than is fair."""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from lem.server.problems import HttpProblem
from lem.server.settings import Bounds

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Bodies:
    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds

    async def whole(self, scope: MutableMapping[str, Any], receive: Receive, limit: int) -> bytes:
        """A small body, all of it. Raises :class:`HttpProblem` 408 or 413."""
        if not has_body(scope):
            return b""
        self.check_length(scope, limit)
        receive = self.timed(receive)
        parts: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise HttpProblem(400, "body_incomplete", "the body ended early")
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise too_large(limit)
            parts.append(part)
            more = message.get("more_body", False)
        return b"".join(parts)

    def check_length(self, scope: MutableMapping[str, Any], limit: int) -> None:
        """Refuse before anything is read where the client says how much it has. What it says is
        not believed further: bytes are counted as they come."""
        for name, value in scope["headers"]:
            if name.lower() == b"content-length" and value.isdigit() and int(value) > limit:
                raise too_large(limit)

    def timed(self, receive: Receive) -> Receive:
        """``receive`` with limits on the wait for each piece and for all of them."""
        until: list[float] = []

        async def waited() -> Message:
            now = time.monotonic()
            if not until:
                until.append(now + self._bounds.body_s)
            wait_s = min(self._bounds.chunk_s, until[0] - now)
            try:
                return await asyncio.wait_for(receive(), max(0.001, wait_s))
            except TimeoutError:
                raise HttpProblem(
                    408, "body_too_slow", "the body took too long to arrive"
                ) from None

        return waited


def has_body(scope: MutableMapping[str, Any]) -> bool:
    names = {name.lower() for name, _ in scope["headers"]}
    return b"content-length" in names or b"transfer-encoding" in names


def replayed(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that gives ``body`` once, and after it what the connection says."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def too_large(limit: int) -> HttpProblem:
    return HttpProblem(413, "too_large", f"the body is larger than {limit} bytes")


class Spool:
    """What arrived, kept on disk beyond ``spool_bytes`` until it is its turn. Close it."""

    def __init__(self, folder: Path, bounds: Bounds) -> None:
        self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed by __exit__
            max_size=bounds.spool_bytes, dir=str(folder)
        )

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def read(self) -> bytes:
        self._file.seek(0)
        return self._file.read()

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


async def spooled(receive: Receive, folder: Path, bounds: Bounds) -> Spool:
    """A submission as it arrives. Raises :class:`HttpProblem`."""
    spool = Spool(folder, bounds)
    try:
        size = 0
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise HttpProblem(400, "body_incomplete", "the body ended early")
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > bounds.submission_bytes:
                raise too_large(bounds.submission_bytes)
            spool.write(part)
            more = message.get("more_body", False)
    except BaseException:
        spool.__exit__()
        raise
    return spool
