"""Large documents as answers, of which only so many may be in memory."""

from collections.abc import Callable, MutableMapping
from contextlib import AbstractContextManager
from typing import Any

from anyio import to_thread
from starlette.responses import Response

from lem.server.streaming import GRACE_S, cut_off

PIECE_BYTES = 256 * 1024
LEAST_BYTES_S = 256 * 1024
"""On the whole, beside ``GRACE_S``: a client waits five minutes for the largest of them."""


class InPieces(Response):
    """The answer that ``make`` gives, in a thread, sent piece by piece. Holds its ``seat`` from
    before it is made until it is sent, and whoever reads it too slowly is cut off."""

    def __init__(self, make: Callable[[], Response], seat: AbstractContextManager[None]) -> None:
        super().__init__()
        self._make = make
        self._seat = seat

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        with self._seat:
            answer = await to_thread.run_sync(self._make)
            body = bytes(answer.body)
            async with cut_off(scope, GRACE_S + len(body) / LEAST_BYTES_S):
                await send(
                    {
                        "type": "http.response.start",
                        "status": answer.status_code,
                        "headers": answer.raw_headers,
                    }
                )
                for at in range(0, len(body), PIECE_BYTES):
                    await send(
                        {
                            "type": "http.response.body",
                            "body": body[at : at + PIECE_BYTES],
                            "more_body": at + PIECE_BYTES < len(body),
                        }
                    )
