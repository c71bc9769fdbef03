"""Everybody who watches, on one event loop: each gets what is new as soon as it is there."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Literal

from lem.live import sse
from lem.live.channel import Channel, Place
from lem.live.hub import Hub

STALL_S = 20.0
"""A viewer whose socket has taken nothing for so long is dropped."""
TICK_S = 1.0
CLOSE_EVERY = 10
"""Ticks between looks for channels that nobody needs."""

Send = Callable[[bytes], Awaitable[None]]
End = Literal["end", "shutdown"]


class Crowd:
    """The viewers of one channel."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.members = 0
        self._loop = asyncio.get_running_loop()
        self._waiting: list[asyncio.Future[None]] = []
        channel.listen(self._told)

    def _told(self) -> None:
        """From any thread."""
        # The loop may have ended meanwhile.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self.wake)

    def wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def news(self) -> None:
        """Wait until something is new, or somebody looks after the viewers."""
        future = self._loop.create_future()
        self._waiting.append(future)
        await future

    def close(self) -> None:
        self.channel.leave(self._told)
        self.wake()


class Viewer:
    """One of them. ``drop`` closes its connection."""

    def __init__(self, send: Send, drop: Callable[[], None]) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self.drop = drop
        self.bytes = 0
        self.sending_since: float | None = None
        self.sent_at = self._loop.time()
        self.stalled = False

    async def send(self, data: bytes) -> None:
        now = self._loop.time()
        self.sending_since = self.sent_at = now
        await self._send(data)
        self.sending_since = None
        self.bytes += len(data)


class Audience:
    """Knows no web server: what a viewer is given goes to a function of its own."""

    def __init__(self, hub: Hub, stall_s: float = STALL_S) -> None:
        self.hub = hub
        self._stall_s = stall_s
        self._crowds: dict[str, Crowd] = {}
        self._viewers: set[Viewer] = set()
        self._ticking: asyncio.Task[None] | None = None
        self._ending = False

    @property
    def size(self) -> int:
        return len(self._viewers)

    async def watch(self, name: str, after: int, viewer: Viewer) -> End:
        """Give a viewer everything after the batch ``after``, and what comes, until the campaign
        has ended or the server does."""
        crowd = await self._join(name)
        self._viewers.add(viewer)
        try:
            return await self._follow(crowd, min(after, crowd.channel.last), viewer)
        finally:
            self._viewers.discard(viewer)
            self._leave(name, crowd)

    async def _follow(self, crowd: Crowd, after: int, viewer: Viewer) -> End:
        channel, place = crowd.channel, Place(after)
        loop = asyncio.get_running_loop()
        await viewer.send(sse.RETRY)
        while not self._ending:
            is_over = channel.over
            piece = channel.new(place)
            if piece is None:
                piece = await asyncio.to_thread(channel.read, place)
            if piece.data:
                await viewer.send(piece.data)
                place = piece.place
                continue
            if is_over:
                await viewer.send(sse.end(place.after))
                return "end"
            if loop.time() - viewer.sent_at >= sse.KEEP_ALIVE_S:
                await viewer.send(sse.KEEP_ALIVE)
            await crowd.news()
        return "shutdown"

    async def _join(self, name: str) -> Crowd:
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.ensure_future(self._tick())
        crowd = self._crowds.get(name)
        if crowd is None:
            channel = self.hub.open_already(name)
            if channel is None:
                channel = await asyncio.to_thread(self.hub.channel, name)
            crowd = self._crowds.get(name)
            if crowd is None:
                crowd = self._crowds[name] = Crowd(channel)
        crowd.members += 1
        return crowd

    def _leave(self, name: str, crowd: Crowd) -> None:
        crowd.members -= 1
        if crowd.members == 0 and self._crowds.get(name) is crowd:
            del self._crowds[name]
            crowd.channel.used_at = time.monotonic()
            crowd.close()

    async def _tick(self) -> None:
        """Drop who takes nothing, see what other servers have added, and have viewers see whether
        to say that all is well."""
        loop, ticks = asyncio.get_running_loop(), 0
        while not self._ending:
            await asyncio.sleep(TICK_S)
            ticks += 1
            now = loop.time()
            for viewer in list(self._viewers):
                since = viewer.sending_since
                if since is not None and now - since > self._stall_s:
                    viewer.stalled = True
                    viewer.drop()
            for crowd in list(self._crowds.values()):
                crowd.channel.look()
                crowd.wake()
            if ticks % CLOSE_EVERY == 0:
                await asyncio.to_thread(self.hub.close_idle)

    def end(self) -> None:
        """The server ends: every stream does, now, so that nothing waits for them. On the loop."""
        self._ending = True
        for crowd in list(self._crowds.values()):
            crowd.wake()
        if self._ticking is not None:
            self._ticking.cancel()
