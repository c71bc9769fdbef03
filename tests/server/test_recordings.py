"""Whole recordings, and clients that read them slowly."""

import asyncio
from typing import Any

import leases
import pytest

from lem.live.channel import said
from lem.server import streaming
from lem.server.settings import Bounds

from .conftest import Serve, Served

API = "/api/v1"


@pytest.fixture
def path(lite: Served) -> str:
    return path_of(lite)


def path_of(served: Served) -> str:
    queued = leases.held(served.service.database).queued
    served.service.live.hub.channel(queued).say(said("claimed", "x" * 1000))
    return f"{API}/campaigns/{queued}/recording"


class Reader:
    """A client that takes nothing until ``go``."""

    def __init__(
        self,
        served: Served,
        path: str,
        address: str,
        query: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.go = asyncio.Event()
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.bytes = 0
        self.over = False
        named = {"Host": "127.0.0.1:8000", **(headers or {})}
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1", "method": "GET", "scheme": "http", "path": path,
            "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(k.lower().encode(), v.encode()) for k, v in named.items()],
            "client": (address, 5), "server": None, "state": {},
        }  # fmt: skip
        app: Any = served.client.app
        self.task = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        if not self.over:
            self.over = True
            return {"type": "http.request", "body": b"", "more_body": False}
        return await asyncio.Future()

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = dict(message["headers"])
        elif self.status == 200:
            await self.go.wait()
            self.bytes += len(message.get("body", b""))

    async def begun(self) -> "Reader":
        while not self.status:
            await asyncio.sleep(0.01)
        return self


def test_slow_readers_keep_nobody_else_from_being_answered(serve: Serve) -> None:
    served = serve(bounds=Bounds(concurrent_requests=2, recordings=6))
    path = path_of(served)

    async def scene() -> None:
        slow = [await Reader(served, path, "192.0.2.1").begun() for _ in range(4)]
        assert [r.status for r in slow] == [200] * 4
        more = await Reader(served, path, "192.0.2.1").begun()
        assert more.status == 429 and more.headers[b"retry-after"] == b"30"
        others = [await Reader(served, path, "192.0.2.2").begun() for _ in range(2)]
        full = await Reader(served, path, "192.0.2.3").begun()
        assert full.status == 503 and full.headers[b"retry-after"] == b"30"
        plain = await Reader(served, f"{API}/archive", "192.0.2.3").begun()
        assert plain.status == 200
        for reader in (*slow, *others, plain):
            reader.go.set()
            await asyncio.wait_for(reader.task, 10)
        assert len({r.bytes for r in (*slow, *others)}) == 1
        assert served.service.live.recordings.taken == 0

    asyncio.run(scene())


def test_who_reads_too_slowly_is_cut_off(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "GRACE_S", 0.2)
    served = serve(bounds=Bounds(recording_bytes_s=1e6))
    path = path_of(served)

    async def scene() -> None:
        slow = await Reader(served, path, "192.0.2.1").begun()
        await asyncio.wait_for(slow.task, 10)
        assert slow.status == 200 and slow.bytes == 0
        assert served.service.live.recordings.taken == 0

    asyncio.run(scene())


def test_a_head_takes_no_seat_and_a_known_recording_none_either(serve: Serve) -> None:
    served = serve(bounds=Bounds(recordings=0))
    path = path_of(served)
    assert served.client.head(path).status_code == 200
    assert served.client.head(path).headers["content-type"] == streaming.NDJSON
    assert served.client.get(path).json()["reason"] == "too_many_viewers"
    served.service.live.say(path.split("/")[-2], "done")
    etag = served.client.head(path).headers["etag"]
    assert served.client.get(path, headers={"If-None-Match": etag}).status_code == 304


def test_whoever_reads_gets_it_all(lite: Served, path: str) -> None:
    channel = lite.service.live.hub.channel(path.split("/")[-2])
    answer = lite.client.get(path)
    assert len(answer.content) == channel.size
