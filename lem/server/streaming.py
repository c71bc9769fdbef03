"""Live events as answers: streams of server-sent events, which last as long as somebody watches,
and whole recordings."""

import asyncio
import socket
import zlib
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lem.live import sse
from lem.live.audience import Audience, Viewer
from lem.live.channel import Channel
from lem.server.negotiation import is_known, takes_gzip

SEND_BUFFER = 128 * 1024
"""Of the kernel, for each viewer: as much as a page far away needs, and no more for one that takes
nothing."""

GRACE_S = 30.0
"""For a whole answer, beside the time that its size allows."""

NDJSON = "application/x-ndjson"
GZIP_LEVEL = 5
GZIP_BITS = 16 + zlib.MAX_WBITS
TRANSPORT = "lem.transport"
METHOD = "lem.method"
"""In a request's scope: its connection, and the method that it came with."""
LEFT = "lem.left"
"""There too, afterwards: why a viewer was given no more."""


class EventStream(Response):
    """What ``audience`` has of the channel ``name`` after the batch ``after``. Holds its ``seat``
    until the end."""

    media_type = sse.MEDIA_TYPE

    def __init__(
        self,
        audience: Audience,
        name: str,
        after: int,
        seat: AbstractContextManager[None],
    ) -> None:
        super().__init__(media_type=self.media_type)
        self._audience = audience
        self._name = name
        self._after = after
        self._seat = seat
        # Of a proxy: nothing is to be collected. And no other request follows on this connection.
        self.raw_headers = [
            (b"content-type", sse.MEDIA_TYPE.encode()),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
            (b"connection", b"close"),
        ]

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope.get(METHOD, scope["method"]) == "HEAD":
            await self._begin(send)
            await send({"type": "http.response.body", "body": b""})
            return
        with self._seat:
            await self._begin(send)
            scope[LEFT] = await self._watched(scope.get(TRANSPORT), receive, send)

    async def _begin(self, send: Any) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": list(self.raw_headers),
            }
        )

    async def _watched(self, transport: Any, receive: Any, send: Any) -> str:
        _bound(transport)

        async def give(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        def drop() -> None:
            if transport is not None:
                transport.abort()
            watching.cancel()

        viewer = Viewer(give, drop)
        watching = asyncio.ensure_future(self._audience.watch(self._name, self._after, viewer))
        listening = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({watching, listening}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            listening.cancel()
            watching.cancel()
            await asyncio.wait({watching, listening})
        if watching.cancelled():
            return "stalled" if viewer.stalled else "gone"
        how = watching.result()
        await send({"type": "http.response.body", "body": b""})
        return how


async def _gone(receive: Any) -> None:
    """Returns once the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _bound(transport: Any) -> None:
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is not None:
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)


class Whole(StreamingResponse):
    """A recording. Holds its ``seat`` until the end, which comes after ``limit_s`` at the latest:
    whoever reads more slowly is cut off."""

    def __init__(
        self,
        body: Iterator[bytes],
        headers: dict[str, str],
        seat: AbstractContextManager[None],
        limit_s: float | None,
    ) -> None:
        super().__init__(body, media_type=NDJSON, headers=headers)
        self._seat = seat
        self._limit_s = limit_s

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        if scope.get(METHOD, scope["method"]) == "HEAD":
            await Response(media_type=NDJSON, headers=dict(self.headers))(scope, receive, send)
            return
        with self._seat:
            async with cut_off(scope, self._limit_s):
                await super().__call__(scope, receive, send)


@asynccontextmanager
async def cut_off(scope: MutableMapping[str, Any], limit_s: float | None) -> AsyncIterator[None]:
    """Whoever has not taken after ``limit_s`` what is sent here is disconnected."""
    try:
        async with asyncio.timeout(limit_s):
            yield
    except TimeoutError:
        if (transport := scope.get(TRANSPORT)) is not None:
            transport.abort()
        scope[LEFT] = "slow"


def recording(
    request: Request,
    channel: Channel,
    seat: AbstractContextManager[None] | None = None,
    least_bytes_s: float | None = None,
) -> Response:
    """The log of a channel; compressed, where the client takes that. ``least_bytes_s``: so fast, on
    the whole, it is to be read, as it is before it is compressed."""
    headers = {
        "Cache-Control": "public, no-cache" if channel.over else "no-store",
        "Vary": "Accept-Encoding",
        "ETag": f'W/"{channel.last}{"-over" if channel.over else ""}"',
    }
    if channel.over and is_known(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    body = channel.recording()
    if takes_gzip(request.headers.get("accept-encoding", "")):
        body, headers["Content-Encoding"] = _gzipped(body), "gzip"
    limit_s = None if least_bytes_s is None else GRACE_S + channel.size / least_bytes_s
    return Whole(body, headers, seat or nullcontext(), limit_s)


def _gzipped(body: Iterator[bytes]) -> Iterator[bytes]:
    compress = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_BITS)
    for part in body:
        if made := compress.compress(part):
            yield made
    yield compress.flush()
