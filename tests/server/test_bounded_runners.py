"""What runners ask for that takes much: so much of it at once, and no more."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import leases
import pytest
from leases import phase

from lem.contract.queue import Handover
from lem.server.routes import runners

from .conftest import Served

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


@pytest.mark.parametrize("patient", [True, False])
def test_two_handovers_at_a_time(
    lite: Served, monkeypatch: pytest.MonkeyPatch, patient: bool
) -> None:
    slow = Slow()
    monkeypatch.setattr(runners, "handover", slow)
    if not patient:
        monkeypatch.setattr(runners, "WAIT_S", 0.2)
    lease = leases.held(lite.service.database)
    asked = {"queued": lease.queued, "fence": "1"}

    def ask() -> Any:
        return lite.client.get(f"{API}/runners/handover", params=asked, headers=lease.headers)

    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(ask) for _ in range(6)]
        threading.Timer(1.5, slow.go.set).start()
        statuses = sorted(a.result().status_code for a in answers)
    assert slow.most == 2
    assert statuses == ([200] * 6 if patient else [200] * 2 + [503] * 4)
    assert ask().status_code == 200


def test_a_lease_that_has_ended_is_believed_no_more(lite: Served) -> None:
    lease = leases.held(lite.service.database)
    events = f"{API}/runners/events"
    first = lite.client.post(events, json=lease.batch(0, phase(1)), headers=lease.headers)
    assert first.status_code == 200
    leases.end(lite.service.database, lease, "queued")
    lite.service.live.say(lease.queued, "queued")
    late = lite.client.post(events, json=lease.batch(1, phase(2)), headers=lease.headers)
    assert (late.status_code, late.json()["reason"]) == (409, "lease_lost")
