"""Lets lem alone speak to the vLLM server that it started: mixed into the server by ``middleware``.

The server's development mode, which lem needs for its facts, lets whoever reaches its port call any
method of vLLM's workers: have files written, or other weights loaded. In a container nobody else
does; with the process launcher every user of the machine does, and every page in a browser on it.
"""

import hmac
import os
from collections.abc import Awaitable, Callable
from typing import Any

VARIABLE = "LEM_SERVER_KEY"
HEADER = "X-Lem-Key"
OPEN = "/health"
"""Asked until the server is ready, and tells nothing."""

App = Callable[[Any, Any, Any], Awaitable[None]]


class Gate:
    """ASGI middleware: refuses what comes without the key. Costs a request some microseconds, and
    a token nothing."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._key = os.environ.get(VARIABLE, "").encode()
        if not self._key:
            raise ValueError(f"{VARIABLE} is not set")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan" or self._may(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"this server is lem's own\n"})
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _may(self, scope: Any) -> bool:
        if scope.get("path") == OPEN:
            return True
        wanted = HEADER.lower().encode()
        found = [value for name, value in scope.get("headers", ()) if name.lower() == wanted]
        return len(found) == 1 and hmac.compare_digest(found[0], self._key)
