"""What runners ask for that takes much: so much of it at once, and no more."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import leases
import pytest
from leases import phase
from server.conftest import Served
from server.listening import listening, soon
from server.test_front import is_problem
from server.test_recordings import Reader
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from lem.contract.queue import Handover
from lem.server import pieces
from lem.server.app import create_app
from lem.server.pieces import PIECE_BYTES
from lem.server.routes import runners
from lem.server.settings import Bounds, ServerSettings

API = "/api/v1"


class Slow:
    """A handover that takes until it is let go."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.now = self.most = 0
        self._lock = threading.Lock()

    def __call__(self, _: Any, __: Any, queued: str, *___: Any) -> Handover:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.go.wait(20)
        with self._lock:
            self.now -= 1
        return Handover(queued=queued, lock="", runs=[])


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    slow = Slow()
    monkeypatch.setattr(runners, "handover", slow)
    return slow


def ask(served: Served, lease: leases.Held) -> Any:
    asked = {"queued": lease.queued, "fence": "1"}
    return served.client.get(f"{API}/runners/handover", params=asked, headers=lease.headers)


def test_two_handovers_at_a_time(lite: Served, slow: Slow) -> None:
    held = [leases.held(lite.service.database) for _ in range(5)]
    with ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(ask, lite, lease) for lease in held]
        soon(lambda: sum(w.done() for w in waiting) == 3)
        slow.go.set()
        answers = sorted((w.result() for w in waiting), key=lambda a: a.status_code)
    assert slow.most == 2
    assert [a.status_code for a in answers] == [200] * 2 + [503] * 3
    assert is_problem(answers[-1], 503, "busy")
    assert answers[-1].headers["retry-after"] == "10"
    assert [ask(lite, lease).status_code for lease in held] == [200] * 5


def test_one_at_a_time_to_a_token_and_nobody_else_waits(lite: Served, slow: Slow) -> None:
    """More of them than there are threads."""
    lease, other = (leases.held(lite.service.database) for _ in range(2))
    with ThreadPoolExecutor(52) as pool:
        asked = [pool.submit(ask, lite, lease) for _ in range(50)]
        soon(lambda: slow.now == 1)
        reading = pool.submit(lite.client.get, f"{API}/queue")
        theirs = pool.submit(ask, lite, other)
        try:
            assert reading.result(5).status_code == 200
            soon(lambda: slow.now == 2)
        finally:
            slow.go.set()
        answers = sorted((a.result() for a in asked), key=lambda a: a.status_code)
        assert theirs.result().status_code == 200
    assert [a.status_code for a in answers] == [200] + [429] * 49
    assert is_problem(answers[-1], 429, "busy")
    assert answers[-1].headers["retry-after"] == "10"


def test_what_is_refused_holds_no_seat(lite: Served) -> None:
    lease = leases.held(lite.service.database)
    for _ in range(3):
        assert is_problem(ask(lite, lease), 404, "not_begun")


LARGE = 24 * 2**20


def large(_: Any, __: Any, queued: str, *___: Any) -> Handover:
    return Handover(queued=queued, lock="A" * LARGE, runs=[])


def test_a_large_one_comes_whole(lite: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "handover", large)
    lease = leases.held(lite.service.database)
    answer = ask(lite, lease)
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert Handover.parse(answer.content) == large(None, None, lease.queued)


def test_who_takes_nothing_of_one_holds_little_and_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runners, "handover", large)
    settings = ServerSettings(data=tmp_path, checkers=0, bounds=Bounds(chunk_s=3))
    with listening(create_app(settings)) as server:
        held = [leases.held(server.service.database) for _ in range(3)]
        path = f"{API}/runners/handover?fence=1&queued="
        idle = [server.ask(path + lease.queued, lease.headers) for lease in held[:2]]
        soon(lambda: sum(n > 0 for n in server.waiting) == 2)
        assert max(server.waiting) <= PIECE_BYTES + HIGH_WATER_LIMIT + 1024
        third = server.url + path + held[2].queued
        with httpx.Client(headers=held[2].headers) as client:
            assert client.get(third).status_code == 503
            soon(lambda: client.get(third).status_code == 200)
        for s in idle:
            server.is_over(s, LARGE)


def test_who_takes_one_too_slowly_is_cut_off(lite: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "handover", large)
    monkeypatch.setattr(pieces, "GRACE_S", 0.2)
    monkeypatch.setattr(pieces, "LEAST_BYTES_S", 2**30)
    lease = leases.held(lite.service.database)

    async def scene() -> None:
        path, asked = f"{API}/runners/handover", f"queued={lease.queued}&fence=1"
        slow = await Reader(lite, path, "192.0.2.1", asked, lease.headers).begun()
        await asyncio.wait_for(slow.task, 10)
        assert slow.status == 200 and slow.bytes == 0

    asyncio.run(scene())
    assert ask(lite, lease).status_code == 200


def test_a_lease_that_has_ended_is_believed_no_more(lite: Served) -> None:
    lease = leases.held(lite.service.database)
    events = f"{API}/runners/events"
    first = lite.client.post(events, json=lease.batch(0, phase(1)), headers=lease.headers)
    assert first.status_code == 200
    leases.end(lite.service.database, lease, "queued")
    lite.service.live.say(lease.queued, "queued")
    late = lite.client.post(events, json=lease.batch(1, phase(2)), headers=lease.headers)
    assert (late.status_code, late.json()["reason"]) == (409, "lease_lost")
