"""What every request passes before a route sees it, and every answer on its way out.

In order: who asks, is it meant for us, is there room, may it ask so often, is its body of a size;
then the route, in bounded time; then headers, one line of log, and the metrics.
"""

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote_plus

from lem.server import headers
from lem.server.bodies import Bodies, has_body, replayed
from lem.server.clients import Client, check_host, client_of, networks
from lem.server.logs import failure, log, shown_address
from lem.server.metrics import Metrics
from lem.server.problems import MEDIA_TYPE, HttpProblem, document
from lem.server.rates import RateLimits, client_group
from lem.server.settings import ServerSettings
from lem.server.streaming import LEFT, METHOD, TRANSPORT
from lem.server.untaken import Untaken

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

API = "/api/v1"
SUBMISSIONS = f"{API}/submissions"
EVENTS = f"{API}/runners/events"
HELLO = f"{API}/runners/register"
CAMPAIGNS = f"{API}/campaigns"
DOCUMENTS = (CAMPAIGNS, f"{CAMPAIGNS}/plan", EVENTS)
VIEWED = re.compile(rf"{API}/campaigns/q[0-9a-f]{{20}}/(events|recording)", re.ASCII)
"""What streams to viewers, without end, and whole recordings: both have bounds of their own."""
HEAVY = (f"{API}/export", f"{API}/campaigns/plan")
HEAVY_ENDS = ("/attribute", "/recording")
UNLIMITED = ("/healthz",)
METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "QUERY"})


class Gone(Exception):
    """The client has closed the connection, or takes nothing any more."""


class Outgoing:
    """The way out: adds headers, counts, and lets nothing pass after :meth:`shut`. Without
    ``chunk_s`` somebody else looks after clients that take nothing; with it, the connection
    (``transport``) of one that does not for so long is ended."""

    def __init__(
        self, send: Send, request: "Request", chunk_s: float | None, transport: Any
    ) -> None:
        self._send = send
        self._request = request
        self._chunk_s = chunk_s
        self._transport = transport
        self._shut = False
        self.status = 0
        self.bytes = 0
        self.complete = False

    def shut(self) -> None:
        self._shut = True

    async def send(self, message: Message) -> None:
        if self._shut:
            return
        request = self._request
        if message["type"] == "http.response.start":
            self.status = message["status"]
            given = list(message.get("headers", ()))
            if request.unread:
                # What is left of the body would be taken for the next request, or never end.
                given.append((b"connection", b"close"))
            message = {
                **message,
                "headers": headers.of_answer(
                    given, request.method, request.path, request.client.secure, request.id
                ),
            }
        elif message["type"] == "http.response.body":
            self.complete = not message.get("more_body", False)
            if request.method == "HEAD":
                message = {**message, "body": b""}
            self.bytes += len(message.get("body", b""))
        if self._chunk_s is None:
            await self._send(message)
            return
        try:
            # A client that takes nothing would hold its answer, and what that needs, for ever.
            await asyncio.wait_for(self._send(message), self._chunk_s)
        except TimeoutError:
            self._shut = True
            if self._transport is not None:
                # Closing it would wait for the client.
                self._transport.abort()
            raise Gone from None

    async def problem(self, problem: HttpProblem) -> None:
        body = document(problem, self._request.id)
        given = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            *((k.lower().encode(), v.encode()) for k, v in problem.headers.items()),
        ]
        await self.send({"type": "http.response.start", "status": problem.status, "headers": given})
        await self.send({"type": "http.response.body", "body": body})


class Request:
    """What is known before routing."""

    def __init__(self, scope: Scope, client: Client) -> None:
        self.id = secrets.token_hex(8)
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.client = client
        self.started = time.perf_counter()
        found = VIEWED.fullmatch(self.path) if self.method in ("GET", "HEAD") else None
        self.is_view = found is not None and found[1] == "events"
        self.has_seat = found is not None
        """Whether it counts among those that watch, and not among what is under way."""
        self.unread = has_body(scope)
        """Whether some of its body may still be on its way."""

    def reading(self, receive: Receive) -> Receive:
        """``receive`` that knows when the body has ended."""

        async def noted() -> Message:
            message = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                self.unread = False
            return message

        return noted


class Front:
    def __init__(
        self, app: App, settings: ServerSettings, rates: RateLimits, metrics: Metrics
    ) -> None:
        self._app = app
        self._settings = settings
        self._bounds = settings.bounds
        self._trusted = networks(settings.trusted_proxies)
        self._rates = rates
        self._metrics = metrics
        self._bodies = Bodies(settings.bounds)
        self._untaken = Untaken(settings.bounds.chunk_s)
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, client_of(scope, self._trusted))
        transport = scope.get(TRANSPORT)
        chunk_s = None if request.is_view else self._bounds.chunk_s
        outgoing = Outgoing(send, request, chunk_s, transport)
        scope["lem.client"] = request.client
        scope["lem.request_id"] = request.id
        scope[METHOD] = request.method
        with self._untaken.answering(transport):
            try:
                await self._answer(scope, receive, request, outgoing)
            except Gone:
                pass
            finally:
                self._note(scope, request, outgoing)

    async def _answer(
        self, scope: Scope, receive: Receive, request: Request, outgoing: Outgoing
    ) -> None:
        receive = request.reading(receive)
        try:
            self._admit(scope, request)
            if headers.is_preflight(request.method, request.path, scope["headers"]):
                await _preflight(outgoing)
                return
            if request.path != SUBMISSIONS or request.method != "POST":
                limit = self._body_bytes(request)
                receive = replayed(await self._bodies.whole(scope, receive, limit), receive)
            else:
                self._bodies.check_length(scope, self._bounds.submission_bytes)
                receive = self._bodies.timed(receive)
            if request.method == "HEAD":
                scope["method"] = "GET"
            await self._routed(scope, receive, request, outgoing)
        except HttpProblem as problem:
            await outgoing.problem(problem)

    def _admit(self, scope: Scope, request: Request) -> None:
        if (
            len(scope.get("raw_path") or b"") + len(scope["query_string"])
            > self._bounds.target_bytes
        ):
            raise HttpProblem(414, "address_too_long", "the request's address is too long")
        check_host(scope["headers"], self._settings)
        if request.path in UNLIMITED:
            return
        if self._under_way >= self._bounds.concurrent_requests and not request.has_seat:
            raise HttpProblem(
                503, "busy", "too many requests are under way", headers={"Retry-After": "1"}
            )
        self._rates.check(_kind(request), client_group(request.client.address))

    def _body_bytes(self, request: Request) -> int:
        if request.path in DOCUMENTS:
            return self._bounds.document_bytes
        return self._bounds.hello_bytes if request.path == HELLO else self._bounds.body_bytes

    async def _routed(
        self, scope: Scope, receive: Receive, request: Request, outgoing: Outgoing
    ) -> None:
        """Threads can't be stopped: a route that takes too long is answered for, and goes on to
        its end unheard. Until then it counts as under way."""
        limit_s = self._bounds.request_s
        if request.path == SUBMISSIONS and request.method == "POST":
            limit_s += self._bounds.body_s
        task = asyncio.ensure_future(self._app(scope, receive, outgoing.send))
        if not request.has_seat:
            self._under_way += 1
            self._metrics.in_flight.inc()
            task.add_done_callback(self._ended)
        try:
            await asyncio.wait({task}, timeout=limit_s)
            if not task.done() and outgoing.status:
                await asyncio.wait({task})
        except asyncio.CancelledError:
            task.cancel()
            raise
        if task.done():
            await self._finished(task, request, outgoing)
            return
        task.add_done_callback(_heard)
        await outgoing.problem(
            HttpProblem(503, "took_too_long", "no answer in time", headers={"Retry-After": "10"})
        )
        outgoing.shut()

    async def _finished(
        self, task: "asyncio.Future[None]", request: Request, outgoing: Outgoing
    ) -> None:
        error = task.exception()
        if error is None:
            return
        if isinstance(error, Gone | HttpProblem) and (outgoing.status or isinstance(error, Gone)):
            raise Gone
        if isinstance(error, HttpProblem):
            raise error
        failure("internal error", error, request_id=request.id)
        if outgoing.status:
            # Cut short, so that the client sees that something is missing.
            raise Gone
        await outgoing.problem(
            HttpProblem(500, "internal_error", "the server failed; its log says why")
        )

    def _ended(self, task: "asyncio.Future[None]") -> None:
        self._under_way -= 1
        self._metrics.in_flight.dec()

    def _note(self, scope: Scope, request: Request, outgoing: Outgoing) -> None:
        seconds = time.perf_counter() - request.started
        route = _route(scope)
        method = request.method if request.method in METHODS else "other"
        status = str(outgoing.status or 499)
        self._metrics.requests.labels(method, route, status).inc()
        left = scope.get(LEFT)
        if left is None:
            self._metrics.seconds.labels(method, route).observe(seconds)
        quiet = request.path in ("/healthz", "/readyz", "/metrics") and outgoing.status == 200
        log(
            logging.DEBUG if quiet else logging.INFO,
            "request" if left is None else "viewer left",
            request_id=request.id,
            method=method,
            route=route,
            status=int(status),
            ms=round(seconds * 1e3, 1),
            bytes=outgoing.bytes,
            **({} if left is None else {"why": left}),
            client=shown_address(request.client.address, self._settings.log_addresses),
        )


def _kind(request: Request) -> str:
    if request.path in HEAVY or request.path.endswith(HEAVY_ENDS) or _as_file(request):
        return "heavy"
    if request.path.startswith("/charts/") and request.path.endswith(".png"):
        return "heavy"
    if request.method == "POST":
        if request.path == EVENTS:
            return "events"
        if request.path == CAMPAIGNS:
            return "heavy"
        if request.path.startswith(f"{API}/runners/"):
            return "runners"
    return "reading" if request.method in ("GET", "HEAD", "OPTIONS") else "writing"


def _as_file(request: Request) -> bool:
    """Whether all results are asked for as a file, and not a page of them."""
    return request.path == f"{API}/results" and any(
        unquote_plus(p.partition(b"=")[0].decode("latin-1")) == "format"
        for p in request.query.split(b"&")
    )


def _route(scope: Scope) -> str:
    """The template that a request matched, never what stood in its place."""
    path: str | None = getattr(scope.get("route"), "path", None)
    if not path:
        return "other"
    begins = scope["path"].startswith(f"{API}/") and not path.startswith(f"{API}/")
    return API + path if begins else path


def _heard(task: "asyncio.Future[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        error = task.exception()
        assert error is not None
        failure("failed after its time was over", error)


async def _preflight(outgoing: Outgoing) -> None:
    given = [*headers.READABLE, *headers.PREFLIGHT]
    await outgoing.send({"type": "http.response.start", "status": 204, "headers": given})
    await outgoing.send({"type": "http.response.body", "body": b""})
