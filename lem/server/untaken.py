"""Answers that are out but not taken. A server that closes a connection waits until its client has
read what was written, however long that takes."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Untaken:
    """Ends connections of whose answer nothing is taken for ``stall_s``. On one event loop."""

    def __init__(self, stall_s: float) -> None:
        self._stall_s = stall_s
        self._answering: dict[Any, object] = {}
        """By connection: which answer was begun last."""
        self._looks: dict[Any, asyncio.TimerHandle] = {}
        """By connection, where an answer is out and something of it left."""

    @contextmanager
    def answering(self, transport: Any) -> Iterator[None]:
        """While it lasts, whoever answers looks after the client; from then on this does."""
        if transport is None:
            yield
            return
        if (look := self._looks.pop(transport, None)) is not None:
            look.cancel()
        this = self._answering[transport] = object()
        try:
            yield
        finally:
            # Of two requests that came together the second may have begun.
            if self._answering.get(transport) is this:
                del self._answering[transport]
                self._later(transport, transport.get_write_buffer_size())

    def _later(self, transport: Any, left: int) -> None:
        if left:
            loop = asyncio.get_running_loop()
            self._looks[transport] = loop.call_later(self._stall_s, self._look, transport, left)

    def _look(self, transport: Any, before: int) -> None:
        del self._looks[transport]
        left = transport.get_write_buffer_size()
        if left >= before:
            transport.abort()
        else:
            self._later(transport, left)
