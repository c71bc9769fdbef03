"""Live events on their way: numbered, taken once, bounded, and never in anybody's way."""

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from lem.contract.live import MAX_BATCH_BYTES, MAX_EVENTS, Taken
from lem.errors import LemError
from lem.runner import uploads as u
from lem.runner.posting import Posts
from lem.runner.uploads import Uploads
from lem.submit.client import ArchiveClient, Declined, Unreachable
from tests.runner import standin
from tests.runner.standin import Server
from tests.submit import standin as archives

QUEUED = "q" + "0" * 20


class Fake:
    """Answers to batches as a list says: ``True`` takes it, an error is raised, and a number is
    waited for."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.batches: list[dict[str, Any]] = []
        self.wanted = 0
        self.stalled = threading.Event()
        self.stalled.set()

    def post(self, batch: bytes) -> Taken | None:
        self.stalled.wait(30)
        said = json.loads(batch)
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, LemError):
            raise answer
        if answer is not True:
            self.wanted = answer
            return Taken(next=answer)
        self.batches.append(said)
        self.wanted = said["number"] + 1
        return Taken(next=self.wanted)

    def close(self) -> None:
        pass

    def events(self) -> list[Any]:
        return [e for b in self.batches for e in b["events"]]


def sent_by(fake: Fake, *events: tuple[Any, bool], within_s: float = 5) -> Uploads:
    uploads = Uploads(fake, QUEUED, 7, lambda: None)  # type: ignore[arg-type]
    for event, droppable in events:
        uploads.add(json.dumps(event).encode(), droppable)
    uploads.close(within_s)
    return uploads


def test_what_is_there_goes_in_one_batch_and_the_next_has_the_next_number() -> None:
    fake = Fake()
    uploads = Uploads(fake, QUEUED, 7, lambda: None)  # type: ignore[arg-type]
    for i in range(3):
        uploads.add(json.dumps(i).encode(), False)
    time.sleep(0.4)
    uploads.add(b"3", False)
    uploads.close(5)
    assert [b["number"] for b in fake.batches] == [0, 1]
    assert fake.events() == [0, 1, 2, 3]
    assert (fake.batches[0]["queued"], fake.batches[0]["fence"]) == (QUEUED, 7)


def test_no_batch_is_larger_than_it_may_be() -> None:
    many = [(i, False) for i in range(MAX_EVENTS + 10)]
    fake = Fake()
    sent_by(fake, *many)
    assert [len(b["events"]) for b in fake.batches] == [MAX_EVENTS, 10]
    large = [("x" * (MAX_BATCH_BYTES // 2), False)] * 3
    fake = Fake()
    assert sent_by(fake, *large, ("y" * MAX_BATCH_BYTES, False)).dropped == 1
    assert [len(b["events"]) for b in fake.batches] == [1, 1, 1]


def test_a_server_that_is_away_gets_it_later(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = Fake(Unreachable("away"), Unreachable("away"))
    sent_by(fake, (1, True), (2, False), within_s=20)
    assert fake.events() == [1, 2] and fake.batches[0]["number"] == 0


def test_a_server_that_waits_for_another_number_gets_that() -> None:
    fake = Fake()
    fake.answers = [True, 0]
    uploads = Uploads(fake, QUEUED, 7, lambda: None)  # type: ignore[arg-type]
    uploads.add(b"1", False)
    time.sleep(0.3)
    uploads.add(b"2", False)  # it was set back, and waits for the first one again
    uploads.close(10)
    assert [b["number"] for b in fake.batches] == [0, 0] and fake.events() == [1, 2]


def test_one_that_was_taken_though_its_answer_was_lost_is_not_sent_twice() -> None:
    fake = Fake(Unreachable("the answer was lost"), 1)
    sent_by(fake, (1, False), within_s=10)
    assert fake.batches == [] and fake.wanted == 1


def test_a_lost_lease_is_told_and_nothing_more_is_sent() -> None:
    lost: list[bool] = []
    fake = Fake(Declined("lease_lost", "it is lost", 409))
    uploads = Uploads(fake, QUEUED, 7, lambda: lost.append(True))  # type: ignore[arg-type]
    uploads.add(b"1", False)
    time.sleep(0.3)
    uploads.add(b"2", False)
    uploads.close(1)
    assert lost == [True] and fake.batches == []


def test_what_a_server_never_takes_is_let_go() -> None:
    fake = Fake(Declined("bad_event", "no", 422))
    sent_by(fake, (1, False))
    assert fake.batches == []


def test_nobody_waits_and_samples_are_dropped_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(u, "MAX_BYTES", 10_000)
    fake = Fake()
    fake.stalled.clear()
    uploads = Uploads(fake, QUEUED, 7, lambda: None)  # type: ignore[arg-type]
    began = time.monotonic()
    for i in range(2000):
        uploads.add(json.dumps(["sample", i, "x" * 50]).encode(), True)
        if i % 100 == 0:
            uploads.add(json.dumps(["begin", i]).encode(), False)
    assert time.monotonic() - began < 2
    fake.stalled.set()
    uploads.close(10)
    kinds = [e[0] for e in fake.events()]
    assert kinds.count("begin") == 20
    assert 0 < kinds.count("sample") < 600
    assert uploads.dropped + kinds.count("sample") == 2000
    assert [e[1] for e in fake.events()] == sorted(e[1] for e in fake.events())


def test_even_what_is_kept_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(u, "MAX_BYTES", 1000)
    monkeypatch.setattr(u, "MAX_KEPT_BYTES", 2000)
    fake = Fake()
    fake.stalled.clear()
    uploads = Uploads(fake, QUEUED, 7, lambda: None)  # type: ignore[arg-type]
    for i in range(1000):
        uploads.add(json.dumps(i).encode(), False)
    fake.stalled.set()
    uploads.close(10)
    assert fake.events()[-1] == 999 and len(fake.events()) < 900


@pytest.fixture
def held(server: Server) -> Iterator[tuple[Server, Posts]]:
    one = server.put("x")
    one.id, one.state, one.fence, one.until = QUEUED, "running", 7, time.time() + 60
    server.queued = {QUEUED: one}
    posts = Posts(ArchiveClient(server.url, token=standin.TOKEN), standin.TOKEN)
    yield server, posts
    posts.close()


BEGIN = b'{"k":"begin","at":1,"arm":0,"block":0,"attempt":0}'


def test_a_plain_answer_and_an_answer_that_is_none(held: tuple[Server, Posts]) -> None:
    server, posts = held
    batch = b'{"schema_version":1,"queued":"%s","fence":7,"number":0,"events":[%s]}'
    whole = batch % (QUEUED.encode(), BEGIN)
    assert posts.post(whole) == Taken(next=1)
    assert posts.post(whole) == Taken(next=1)  # once more changes nothing
    assert len(server.queued[QUEUED].events) == 1
    with pytest.raises(Declined) as e:
        posts.post(whole.replace(b'"fence":7', b'"fence":8'))
    assert e.value.reason == "lease_lost"
    server.trouble = [trouble, trouble]
    with pytest.raises(Unreachable):
        posts.post(whole)
    assert posts.post(whole) == Taken(next=1)


def trouble(_: str) -> None:
    raise archives.No(503, "busy")


def test_a_server_that_is_not_there() -> None:
    posts = Posts(ArchiveClient("http://127.0.0.1:1"), "token")
    with pytest.raises(Unreachable):
        posts.post(b"{}")
    posts.close()
