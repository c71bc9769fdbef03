"""Everybody who watches, on one event loop."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from leases import event, power

from lem.live import audience as module
from lem.live import sse
from lem.live.audience import Audience, Viewer
from lem.live.channel import said
from lem.live.hub import Hub


def batch(n: int) -> list[Any]:
    return [event(power(n))]


class Page:
    """A viewer that keeps what it is given; ``takes`` is cleared while its socket is full."""

    def __init__(self) -> None:
        self.data = b""
        self.takes = asyncio.Event()
        self.takes.set()
        self.dropped = False
        self.task: asyncio.Task[str] | None = None
        self.viewer = Viewer(self.give, self.drop)

    async def give(self, data: bytes) -> None:
        await self.takes.wait()
        self.data += data

    def drop(self) -> None:
        self.dropped = True
        assert self.task is not None
        self.task.cancel()

    def watch(self, audience: Audience, after: int = 0) -> "Page":
        self.task = asyncio.create_task(audience.watch("c", after, self.viewer))
        return self

    @property
    def numbers(self) -> list[int]:
        frames = self.data.split(b"\n\n")
        return [int(f[4 : f.index(b"\n")]) for f in frames if f.startswith(b"id: ")]

    async def until(self, seen: Callable[["Page"], bool]) -> None:
        for _ in range(1000):
            if seen(self):
                return
            await asyncio.sleep(0.005)
        pytest.fail(f"it never came: {self.data[-300:]!r}")


def run(body: Callable[[Audience], Awaitable[None]], folder: Path, stall_s: float = 20.0) -> None:
    async def main() -> None:
        hub = Hub(folder)
        audience = Audience(hub, stall_s)
        try:
            await asyncio.wait_for(body(audience), 60)
        finally:
            audience.end()
            hub.close()

    asyncio.run(main())


def test_what_was_and_what_comes_in_order_and_then_the_end(tmp_path: Path) -> None:
    async def body(audience: Audience) -> None:
        channel = audience.hub.channel("c")
        for n in range(3):
            channel.take(1, n, batch(n))
        page, late = Page().watch(audience), Page().watch(audience, after=2)
        await page.until(lambda p: p.numbers == [1, 2, 3])
        assert page.data.startswith(sse.RETRY)
        channel.take(1, 3, batch(3))
        await late.until(lambda p: p.numbers == [3, 4])
        assert audience.size == 2
        channel.say(said("done", at=1))
        assert page.task is not None
        assert await page.task == "end"
        assert page.data.endswith(b"event: end\nid: 5\ndata: 5\n\n")
        assert page.numbers == [1, 2, 3, 4, 5]

    run(body, tmp_path)


def test_who_comes_after_the_end_gets_all_of_it(tmp_path: Path) -> None:
    async def body(audience: Audience) -> None:
        channel = audience.hub.channel("c")
        channel.take(1, 0, batch(0))
        channel.say(said("failed", at=1))
        page = Page().watch(audience)
        assert page.task is not None
        assert await page.task == "end"
        assert page.numbers == [1, 2]
        assert audience.size == 0

    run(body, tmp_path)


def test_from_other_threads_it_is_there_at_once(tmp_path: Path) -> None:
    async def body(audience: Audience) -> None:
        page = Page().watch(audience)
        await page.until(lambda p: p.data == sse.RETRY)
        channel = audience.hub.channel("c")
        loop = asyncio.get_running_loop()
        began = loop.time()
        threading.Thread(target=lambda: channel.take(1, 0, batch(0))).start()
        await page.until(lambda p: p.numbers == [1])
        # Well before anything that happens by the clock.
        assert loop.time() - began < 0.8 * module.TICK_S

    run(body, tmp_path)


def test_a_number_that_never_was_is_not_waited_for(tmp_path: Path) -> None:
    """As after a disk that lost the end of the log."""

    async def body(audience: Audience) -> None:
        channel = audience.hub.channel("c")
        channel.take(1, 0, batch(0))
        page = Page().watch(audience, after=500)
        await page.until(lambda p: p.data == sse.RETRY)
        channel.take(1, 1, batch(1))
        await page.until(lambda p: p.numbers == [2])

    run(body, tmp_path)


def test_one_that_takes_nothing_is_dropped_and_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TICK_S", 0.05)

    async def body(audience: Audience) -> None:
        channel = audience.hub.channel("c")
        stuck, page = Page().watch(audience), Page().watch(audience)
        await stuck.until(lambda p: p.data == sse.RETRY)
        stuck.takes.clear()
        for n in range(50):
            channel.take(1, n, batch(n))
            await page.until(lambda p, n=n: len(p.numbers) == n + 1)  # type: ignore[misc]
        await stuck.until(lambda p: p.dropped)
        assert stuck.viewer.stalled and not page.dropped
        await asyncio.sleep(0.2)
        assert audience.size == 1
        # It comes back.
        kept = stuck.numbers
        again = Page().watch(audience, after=len(kept))
        await again.until(lambda p: kept + p.numbers == list(range(1, 51)))

    run(body, tmp_path, stall_s=0.2)


def test_one_that_falls_behind_reads_from_the_file_and_catches_up(tmp_path: Path) -> None:
    async def body(audience: Audience) -> None:
        channel = audience.hub.channel("c")
        channel._ring_bytes = 500  # as if very much had come
        page = Page().watch(audience)
        await page.until(lambda p: p.data == sse.RETRY)
        page.takes.clear()
        for n in range(300):
            channel.take(1, n, batch(n))
        await asyncio.sleep(0.05)
        page.takes.set()
        await page.until(lambda p: p.numbers == list(range(1, 301)))

    run(body, tmp_path)


def test_where_nothing_happens_that_is_said_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TICK_S", 0.02)
    monkeypatch.setattr(sse, "KEEP_ALIVE_S", 0.1)

    async def body(audience: Audience) -> None:
        page = Page().watch(audience)
        await page.until(lambda p: p.data.count(sse.KEEP_ALIVE) >= 3)
        assert page.data.startswith(sse.RETRY + sse.KEEP_ALIVE)

    run(body, tmp_path)


def test_when_the_server_ends_so_does_every_stream(tmp_path: Path) -> None:
    async def body(audience: Audience) -> None:
        pages = [Page().watch(audience) for _ in range(5)]
        for page in pages:
            await page.until(lambda p: p.data == sse.RETRY)
        audience.end()
        ended = await asyncio.wait_for(
            asyncio.gather(*(p.task for p in pages if p.task is not None)), 1
        )
        assert ended == ["shutdown"] * 5

    run(body, tmp_path)


def test_a_channel_is_left_when_its_last_viewer_goes(tmp_path: Path) -> None:
    async def body(audience: Audience) -> None:
        pages = [Page().watch(audience) for _ in range(2)]
        for page in pages:
            await page.until(lambda p: p.data == sse.RETRY)
        channel = audience.hub.channel("c")
        assert channel.is_heard
        for page in pages:
            assert page.task is not None
            page.task.cancel()
        await pages[0].until(lambda p: not channel.is_heard)
        assert audience.size == 0

    run(body, tmp_path)


@pytest.mark.parametrize(
    ("header", "query", "after"),
    [
        (None, None, 0),
        ("7", None, 7),
        (None, "8", 8),
        ("7", "8", 7),
        ("", "8", 8),
        ("x", None, 0),
        ("-1", None, 0),
        ("²", None, 0),
        ("9" * 17, None, 0),
        ("1.5", "3", 3),
    ],
)
def test_where_a_viewer_goes_on(header: str | None, query: str | None, after: int) -> None:
    assert sse.last_seen(header, query) == after
