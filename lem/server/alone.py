"""The live view of one's own campaign: a small server on this machine's loopback, for as long as
the campaign runs.

Its address holds a random token, so that nobody else on the machine can look, nor any page that a
browser has open. There is no archive, no database and no log behind it.
"""

import asyncio
import contextlib
import logging
import secrets
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from lem.campaign.execute import OnMoment
from lem.charts.model import Target
from lem.errors import EnvironmentFault, Interrupted
from lem.live import sse
from lem.live.audience import Audience
from lem.live.feed import Feed
from lem.live.hub import Hub
from lem.server import headers
from lem.server.platform.live_page import TEMPLATE, LivePage
from lem.server.protocol import MAX_HEADER_BYTES, patient
from lem.server.streaming import METHOD, EventStream, recording
from lem.web import assets, rendering
from lem.web.addresses import StaticLinks
from lem.web.rendering import Shown, Site
from lem.web.strings import text

HOST = "127.0.0.1"
CHANNEL = "campaign"
CONNECTIONS = 64
HEADER_S = 10.0
START_S = 10.0
GRACE_S = 3.0
"""So long a page that is open may take to see the end."""
HEADERS = {
    "Content-Security-Policy": headers.PAGE_POLICY.format("'none'"),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@contextmanager
def shown(folder: Path, name: str, port: int, say: Callable[[str], None]) -> Iterator[OnMoment]:
    """Within, what the yielded function is told of the campaign in ``folder`` can be watched at the
    address that ``say`` is given. ``port`` 0: any free one.

    Raises :class:`EnvironmentFault` where nothing can listen there. Nothing that goes wrong later
    reaches the campaign.
    """
    sock = _bind(port)
    with tempfile.TemporaryDirectory(prefix="lem-live-") as own:
        hub = Hub(Path(own), idle_s=float("inf"))
        server = _Serving(hub, name, sock)
        feed = Feed(folder, hub.channel(CHANNEL), say)
        say(f"watch it at {server.address}")
        state, message = "done", ""
        try:
            yield feed.on_moment
        except (KeyboardInterrupt, Interrupted):
            state, message = "cancelled", "stopped by the user"
            raise
        except BaseException as e:
            state, message = "failed", str(e)
            raise
        finally:
            feed.end(state, message)
            server.stop()
            hub.close()


def _bind(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((HOST, port))
    except (OSError, OverflowError) as e:
        sock.close()
        why = e.strerror if isinstance(e, OSError) else str(e)
        raise EnvironmentFault(
            f"the live view cannot listen at port {port}: {why}",
            hint="--web-port with another number, or without it: any free one",
        ) from e
    sock.set_inheritable(False)
    return sock


class _Serving:
    """The server in a thread of its own."""

    def __init__(self, hub: Hub, name: str, sock: socket.socket) -> None:
        token = secrets.token_urlsafe(24)
        self.address = f"http://{HOST}:{sock.getsockname()[1]}/{token}/"
        self._audience = Audience(hub)
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        self._server = uvicorn.Server(
            uvicorn.Config(
                application(self._audience, name, token),
                http=patient(HEADER_S),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                limit_concurrency=CONNECTIONS,
                timeout_graceful_shutdown=1,
                h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            )
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._run, args=(sock,), name="live view server", daemon=True
        )
        self._thread.start()
        until = time.monotonic() + START_S
        while not self._server.started and self._thread.is_alive() and time.monotonic() < until:
            time.sleep(0.01)

    def _run(self, sock: socket.socket) -> None:
        asyncio.set_event_loop(self._loop)
        with contextlib.suppress(Exception):
            self._loop.run_until_complete(self._server.serve([sock]))
        self._loop.close()

    def stop(self) -> None:
        """After those who watch have seen the end, or a moment."""
        until = time.monotonic() + GRACE_S
        while self._audience.size and time.monotonic() < until:
            time.sleep(0.05)
        self._server.should_exit = True
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._audience.end)
        self._thread.join(timeout=5)


def application(audience: Audience, name: str, token: str) -> Starlette:
    """The page, its files, the stream and the recording, all below ``/<token>/``."""

    async def page(_: Request) -> Response:
        return Response(_page(name), media_type="text/html; charset=utf-8", headers=HEADERS)

    async def events(request: Request) -> Response:
        after = sse.last_seen(
            request.headers.get("last-event-id"), request.query_params.get("after")
        )
        request.scope[METHOD] = request.method
        return EventStream(audience, CHANNEL, after, nullcontext())

    async def whole(request: Request) -> Response:
        return recording(request, audience.hub.channel(CHANNEL))

    async def asset(request: Request) -> Response:
        wanted = request.path_params["name"]
        if wanted not in assets.names():
            return PlainTextResponse("there is no such file\n", 404)
        kept = {**HEADERS, "Cache-Control": "private, max-age=3600"}
        return Response(assets.read(wanted), media_type=assets.media_type(wanted), headers=kept)

    async def to_page(_: Request) -> Response:
        return RedirectResponse(f"/{token}/")

    inside = [
        Route("/", page),
        Route("/events", events),
        Route("/recording", whole),
        Route("/assets/{name:path}", asset),
    ]
    return Starlette(routes=[Route(f"/{token}", to_page), Mount(f"/{token}", routes=inside)])


def _page(name: str) -> str:
    live = LivePage(
        id=CHANNEL,
        name=name,
        state="running",
        events="./events",
        recording="./recording",
        alone=True,
    )
    title = text("live.title", name=name)
    target = Target("live", {"id": CHANNEL})
    context = {"shown": live}
    site = Site(StaticLinks(""), static=True)
    return rendering.page(Shown(target, TEMPLATE, title, text("live.description"), context), site)
