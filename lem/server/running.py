"""Serves the application: one process with uvicorn, and how it starts and ends."""

import errno
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn

from lem.archive.database import open_database
from lem.archive.demo import open_as
from lem.errors import EnvironmentFault
from lem.server.app import create_app
from lem.server.logs import set_up
from lem.server.protocol import MAX_HEADER_BYTES, patient
from lem.server.settings import DATABASE_PATIENCE_S, ServerSettings


def bind(host: str, port: int) -> socket.socket:
    """A listening socket, before anything else is started. Raises :class:`EnvironmentFault`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as e:
        raise EnvironmentFault(
            f"there is no address {host!r} to listen at", hint="--host 127.0.0.1, or 0.0.0.0"
        ) from e
    family, kind, protocol, _, address = found[0]
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(address)
    except OSError as e:
        sock.close()
        raise _not_bound(e, host, port) from e
    sock.set_inheritable(False)
    return sock


def _not_bound(error: OSError, host: str, port: int) -> EnvironmentFault:
    if error.errno == errno.EADDRINUSE:
        return EnvironmentFault(
            f"port {port} is in use already", hint="--port with another number (0: any free one)"
        )
    if error.errno == errno.EACCES:
        return EnvironmentFault(
            f"this user may not listen at port {port}", hint="a port above 1023, behind a proxy"
        )
    return EnvironmentFault(
        f"cannot listen at {host}: {error.strerror}", hint="--host names an address of this machine"
    )


def migrate(settings: ServerSettings) -> None:
    """Before the server starts, where an error can be told plainly. Raises
    :class:`EnvironmentFault` and :class:`BadInput`."""
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not os.access(settings.data, os.W_OK | os.X_OK):
        raise EnvironmentFault(
            f"{settings.data} cannot be written", hint="--data names a folder of this user's"
        )
    database = open_database(settings.database_url, settings.data, patience_s=DATABASE_PATIENCE_S)
    try:
        database.migrate()
        open_as(database, settings.demo)
    finally:
        database.close()


class _Server(uvicorn.Server):
    """Ends with exit code 0 when it was told to end. ``end_streams``: those that would go on."""

    def __init__(self, config: uvicorn.Config, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._end_streams()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # uvicorn would end at once at a second SIGINT; a second SIGTERM changes nothing.
        if sig == signal.SIGINT and self.should_exit:
            self.force_exit = True
        self.should_exit = True


def serve(settings: ServerSettings, sock: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT: then nothing new is accepted, and what is under way is
    finished for as long as ``bounds.shutdown_s``."""
    set_up(settings.log_format)
    bounds = settings.bounds
    # Each connection is an open file, and so are packs and the database.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        http=patient(bounds.header_s),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=int(bounds.shutdown_s),
        limit_concurrency=bounds.connections,
        h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        backlog=512,
    )
    server = _Server(config, app.state.service.live.audience.end)
    try:
        server.run(sockets=[sock])
    except SystemExit as e:
        if e.code:
            raise EnvironmentFault(
                "the server could not start", hint="its log says why, just above"
            ) from e
    except KeyboardInterrupt:
        # uvicorn raises the signal once more after it ended as asked.
        sys.stderr.flush()
