"""HTTP/1.1 with a time limit for headers: a client that sends them a byte at a time (slow loris)
would otherwise keep its connection for ever."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from lem.server.problems import MEDIA_TYPE, HttpProblem, document
from lem.server.streaming import TRANSPORT

MAX_HEADER_BYTES = 32 * 1024


class PatientProtocol(H11Protocol):
    """``header_s``: set on the class by :func:`patient` before the server starts."""

    header_s: float = 10

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._header_timer: asyncio.TimerHandle | None = None
        inner = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            # Closing one that takes nothing would wait for it.
            scope[TRANSPORT] = self.transport
            await inner(scope, receive, send)

        self.app = app

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._header_timer = self.loop.call_later(self.header_s, self._give_up)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE or self.conn.our_state is h11.ERROR:
            self._stop_timer()
        elif self._header_timer is None and self.conn.trailing_data[0]:
            self._header_timer = self.loop.call_later(self.header_s, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """As uvicorn's, as a problem document."""
        problem = HttpProblem(400, "not_http", "the request is not valid HTTP/1.1")
        body = document(problem)
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            for event in (
                h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _stop_timer(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _give_up(self) -> None:
        self._header_timer = None
        if not self.transport.is_closing():
            self.transport.close()


def patient(header_s: float) -> type[PatientProtocol]:
    return type("Protocol", (PatientProtocol,), {"header_s": header_s})
