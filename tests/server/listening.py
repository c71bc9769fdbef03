"""A server of this process that listens, and clients that take nothing of what it sends."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from postgres import free_port

from lem.server.protocol import patient
from lem.server.service import Service


class Listening:
    def __init__(self, app: Any) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.service: Service = app.state.service
        config = uvicorn.Config(
            app,
            port=self.port,
            http=patient(10),
            ws="none",
            lifespan="on",
            log_config=None,
            timeout_graceful_shutdown=5,
        )
        self.server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self.server.run, daemon=True)
        self._thread.start()
        soon(lambda: self.server.started, 60)

    @property
    def waiting(self) -> list[int]:
        """Of each connection: bytes that are in this process until its client takes them."""
        connections = list(self.server.server_state.connections)
        return [c.transport.get_write_buffer_size() for c in connections]

    def ask(self, path: str, headers: dict[str, str] | None = None) -> socket.socket:
        """A connection on which this was asked, of whose answer nothing was read."""
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(20)
        s.connect(("127.0.0.1", self.port))
        lines = [f"{k}: {v}\r\n" for k, v in {"Host": "127.0.0.1", **(headers or {})}.items()]
        s.sendall(f"GET {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode())
        return s

    def is_over(self, client: socket.socket, size: int) -> None:
        """Waits until no connection is left. ``client`` is closed, and had less than ``size``."""
        soon(lambda: not self.waiting)
        got = 0
        with suppress(ConnectionResetError):
            while piece := client.recv(2**20):
                got += len(piece)
        client.close()
        assert got < size

    def end(self) -> None:
        self.server.should_exit = True
        self._thread.join(60)


@contextmanager
def listening(app: Any) -> Iterator[Listening]:
    server = Listening(app)
    try:
        yield server
    finally:
        server.end()


def soon(is_so: Callable[[], object], patience_s: float = 20) -> None:
    until = time.monotonic() + patience_s
    while not is_so():
        assert time.monotonic() < until, "it did not come to be"
        time.sleep(0.02)
