"""Clients that ask, and take nothing of the answer."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI, Response
from server.conftest import UNLIMITED
from server.listening import Listening, listening, soon

from lem.server.app import create_app
from lem.server.settings import Bounds, ServerSettings
from lem.server.untaken import Untaken

SIZE = 24 * 2**20
"""More than kernels keep."""


def app(data: Path) -> FastAPI:
    bounds = Bounds(chunk_s=1)
    made = create_app(ServerSettings(data=data, checkers=0, rates=UNLIMITED, bounds=bounds))
    made.add_api_route("/api/v1/large", lambda: Response(b"x" * SIZE))
    return made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Listening]:
    with listening(app(tmp_path / "data")) as server:
        yield server


def test_of_an_answer_in_one_piece(server: Listening) -> None:
    client = server.ask("/api/v1/large")
    soon(lambda: sum(server.waiting))
    server.is_over(client, SIZE)


def test_of_an_answer_after_which_the_connection_is_closed(server: Listening) -> None:
    client = server.ask("/api/v1/large", {"Connection": "close"})
    soon(lambda: sum(server.waiting))
    server.is_over(client, SIZE)


def test_of_a_recording(server: Listening, tmp_path: Path) -> None:
    queued = "q" + "0" * 20
    text = '{"k":"text","at":1,"request":"r","text":"%s","end":false}' % ("a" * 1900)
    live = tmp_path / "data" / "live"
    live.mkdir(exist_ok=True)
    with (live / f"{queued}.ndjson").open("w") as f:
        f.writelines(f"[1,{n},[{text}]]\n" for n in range(SIZE // len(text)))
    client = server.ask(f"/api/v1/campaigns/{queued}/recording")
    soon(lambda: sum(server.waiting))
    server.is_over(client, SIZE)
    soon(lambda: server.service.live.recordings.taken == 0)


def test_who_reads_slowly_gets_it_all(server: Listening) -> None:
    client = server.ask("/api/v1/large")
    begun, read = time.monotonic(), 0
    while read < SIZE:
        piece = client.recv(2**20)
        assert piece
        read += len(piece)
        time.sleep(max(0.0, begun + read / (6 * 2**20) - time.monotonic()))
    assert time.monotonic() - begun > 3
    client.close()


class Transport:
    """What is left of an answer, as a test says."""

    def __init__(self) -> None:
        self.left = 0
        self.aborted = False

    def get_write_buffer_size(self) -> int:
        return self.left

    def abort(self) -> None:
        self.aborted = True


def test_one_that_asks_again_is_looked_at_anew() -> None:
    async def scene() -> None:
        untaken, client = Untaken(0.2), Transport()
        with untaken.answering(client):
            client.left = 10
        await asyncio.sleep(0.1)
        with untaken.answering(client):
            client.left = 20
            await asyncio.sleep(0.3)
            assert not client.aborted
        client.left = 15
        await asyncio.sleep(0.3)
        assert not client.aborted
        await asyncio.sleep(0.3)
        assert client.aborted

    asyncio.run(scene())


def test_one_that_asked_twice_at_once_is_looked_at_after_the_second() -> None:
    async def scene() -> None:
        untaken, client = Untaken(0.1), Transport()
        client.left = 10
        first, second = untaken.answering(client), untaken.answering(client)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        await asyncio.sleep(0.3)
        assert not client.aborted
        second.__exit__(None, None, None)
        await asyncio.sleep(0.3)
        assert client.aborted

    asyncio.run(scene())
