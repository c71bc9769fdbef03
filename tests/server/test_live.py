"""Live events over HTTP: from runners, hostile ones too, to whoever watches."""

import dataclasses
import gzip
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import leases
import pytest
from leases import Held, phase, power
from pydantic import ValidationError
from server_process import Process

from lem.archive.database import open_database
from lem.contract.live import MAX_BATCH_BYTES, MAX_EVENTS, Batch
from lem.live.log import SERVER
from lem.server import live as live_module
from lem.server.live import BATCHES_AT_ONCE, BYTES_AT_ONCE
from lem.server.settings import Bounds

from .conftest import UNLIMITED, Serve, Served

API = "/api/v1"
UNKNOWN = "q" + "0" * 20


@pytest.fixture
def lease(lite: Served) -> Held:
    return leases.held(lite.service.database)


def post(served: Served, lease: Held, batch: Any, **headers: str) -> httpx.Response:
    body = batch if isinstance(batch, bytes) else json.dumps(batch).encode()
    given = {**lease.headers, **{k.replace("_", "-"): v for k, v in headers.items()}}
    answer: httpx.Response = served.client.post(
        f"{API}/runners/events", content=body, headers=given
    )
    return answer


def recorded(served: Served, lease: Held) -> list[Any]:
    answer = served.client.get(f"{API}/campaigns/{lease.queued}/recording")
    assert answer.status_code == 200
    return [json.loads(line) for line in answer.text.splitlines()]


def streamed(served: Served, lease: Held, **headers: str) -> str:
    """All of a stream that ends."""
    given = {k.replace("_", "-"): v for k, v in headers.items()}
    answer = served.client.get(f"{API}/campaigns/{lease.queued}/events", headers=given)
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def test_a_batch_is_taken_once_and_in_its_turn(lite: Served, lease: Held) -> None:
    for number, wanted in [(0, 1), (0, 1), (1, 2), (5, 2), (2, 3)]:
        answer = post(lite, lease, lease.batch(number, phase(number)))
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"schema_version": 1, "next": wanted}
    assert recorded(lite, lease) == [[1, n, [phase(n)]] for n in (0, 1, 2)]


def test_events_are_written_anew_not_passed_on(lite: Served, lease: Held) -> None:
    body = (
        f'{{"queued": "{lease.queued}", "fence": 1, "number": 0, "schema_version": 1,\n'
        '"events": [ {"phase": "idle", "at": 1.0e0, "k": "ph\\u0061se"} ] }'
    )
    answer = post(lite, lease, body.replace("1.0e0", "1").encode())
    assert answer.status_code == 200, answer.text
    stored = lite.client.get(f"{API}/campaigns/{lease.queued}/recording").content
    assert stored == b'[1,0,[{"k":"phase","at":1,"phase":"idle"}]]\n'


@pytest.mark.parametrize(
    ("batch", "status"),
    [
        (b"", 400),
        (b"not json", 400),
        (b"[" * 100_000, 400),
        (b"[]", 422),
        ({"fence": "1"}, 422),
        ({"fence": 0}, 422),
        ({"fence": -1}, 422),
        ({"number": -1}, 422),
        ({"number": 2**60}, 422),
        ({"queued": "../../etc/passwd"}, 422),
        ({"queued": "q" + "0" * 19 + "\n"}, 422),
        ({"queued": "q" + "0" * 20 + "/x"}, 422),
        ({"schema_version": 2}, 422),
        ({"more": 1}, 422),
        ({"events": None}, 422),
        ({"events": [phase(1)] * (MAX_EVENTS + 1)}, 422),
        ({"events": [{"k": "song", "at": 1}]}, 422),
        ({"events": [{"at": 1, "phase": "idle"}]}, 422),
        ({"events": [{**phase(1), "more": 1}]}, 422),
        ({"events": [{**phase(1), "phase": "<script>"}]}, 422),
        ({"events": [{**phase(1), "at": -1}]}, 422),
        ({"events": [{**phase(1), "at": 2**60}]}, 422),
        ({"events": [{**power(1), "w": "NaN"}]}, 422),
        ({"events": [{**power(1), "w": -1}]}, 422),
        ({"events": [{**power(1), "w": 1e16}]}, 422),
        ({"events": [{**power(1), "device_class": "GPU"}]}, 422),
        ({"events": [{**power(1), "device": "x" * 41}]}, 422),
        (
            {"events": [{"k": "text", "at": 1, "request": "r", "text": "x" * 2001, "end": True}]},
            422,
        ),
        ({"events": [{"k": "flag", "at": 1, "flag": "x" * 201, "message": ""}]}, 422),
    ],
    ids=lambda x: str(x)[:40],
)
def test_what_is_no_batch_is_refused_whole(
    lite: Served, lease: Held, batch: Any, status: int
) -> None:
    body = batch if isinstance(batch, bytes) else {**lease.batch(0, phase(1)), **batch}
    answer = post(lite, lease, body)
    assert answer.status_code == status, answer.text
    assert answer.json()["reason"] in ("not_json", "bad_batch")
    assert len(answer.content) < 20_000
    assert not lite.service.live.hub.is_there(lease.queued)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_does_not_have(lite: Served, lease: Held, number: str) -> None:
    body = json.dumps(lease.batch(0, power(1, 5.0))).replace("5.0", number)
    assert post(lite, lease, body.encode()).status_code in (400, 422)


def test_half_of_a_surrogate_pair_is_refused(lite: Served, lease: Held) -> None:
    text = {"k": "text", "at": 1, "request": "r", "text": "a\ud800b", "end": True}
    assert post(lite, lease, json.dumps(lease.batch(0, text)).encode()).status_code == 400


def test_a_batch_of_more_bytes_than_may_be_is_refused(lite: Served, lease: Held) -> None:
    body = json.dumps(lease.batch(0, phase(1))).encode()
    assert post(lite, lease, body.ljust(MAX_BATCH_BYTES)).status_code == 200
    assert post(lite, lease, body.ljust(MAX_BATCH_BYTES + 1)).status_code == 413
    assert post(lite, lease, body.ljust(3 * 2**20)).status_code == 413


def test_only_who_holds_the_lease_is_heard(lite: Served, lease: Held) -> None:
    other = leases.held(lite.service.database)
    batch = lease.batch(0, phase(1))
    answer = lite.client.post(f"{API}/runners/events", json=batch)
    assert (answer.status_code, answer.json()["reason"]) == (401, "token_needed")
    for headers, status in [
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Basic eA=="}, 401),
        (lite.token("submitter"), 403),
        (lite.token("admin"), 409),
        (other.headers, 409),
    ]:
        answer = lite.client.post(f"{API}/runners/events", json=batch, headers=headers)
        assert answer.status_code == status, (headers, answer.text)
    unknown = {**batch, "queued": UNKNOWN}
    assert post(lite, lease, unknown).json()["reason"] == "lease_lost"
    assert post(lite, lease, {**batch, "fence": 2}).json()["reason"] == "lease_lost"
    assert not lite.service.live.hub.is_there(lease.queued)
    assert post(lite, lease, batch).status_code == 200


ARMS = b'{"k":"campaign","arms":[' + b",".join([b"{}"] * 1000) + b"]}"
HEAD = b'{"queued":"q00000000000000000000","fence":1,"number":0,"events":['
WRONG_EVERYWHERE = {
    "arms": HEAD + b",".join([ARMS] * 160) + b"]}",
    "settings": HEAD
    + b'{"k":"campaign","arms":[{"settings":{'
    + b",".join(b'"%d":[]' % i for i in range(40_000))
    + b"}}]}]}",
    "classes": HEAD
    + b'{"k":"end","energy_per_output_token_j":{'
    + b",".join(b'"%d":1' % i for i in range(40_000))
    + b"}}]}",
    "rows": HEAD + b'{"k":"table","rows":[' + b",".join([b"{}"] * 100_000) + b"]}]}",
}
"""What is wrong in very many places."""


@pytest.mark.parametrize("which", WRONG_EVERYWHERE)
def test_what_is_wrong_everywhere_is_wrong_in_a_few_places(which: str) -> None:
    with pytest.raises(ValidationError) as found:
        Batch.model_validate_json(WRONG_EVERYWHERE[which])
    assert found.value.error_count() <= 20


def test_nothing_is_looked_at_of_whom_the_server_does_not_know(
    lite: Served, lease: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    parsed = live_module.parsed

    def looking(body: bytes) -> Batch:
        looked.append(len(body))
        return parsed(body)

    monkeypatch.setattr(live_module, "parsed", looking)
    body = WRONG_EVERYWHERE["arms"]
    for headers in ({"Authorization": "Bearer wrong"}, lite.token("submitter")):
        lite.client.post(f"{API}/runners/events", content=body, headers=headers)
    assert looked == []
    assert post(lite, lease, body).status_code == 422
    assert looked == [len(body)]


def test_wrong_tokens_are_counted(serve: Serve) -> None:
    served = serve(rates=dataclasses.replace(UNLIMITED, wrong="3/hour"))
    wrong = {"Authorization": "Bearer wrong"}
    found = [
        served.client.post(f"{API}/runners/events", content=b"{}", headers=wrong).status_code
        for _ in range(5)
    ]
    assert found == [401, 401, 401, 429, 429]


def test_more_errors_than_are_shown_are_not_made(lite: Served, lease: Held) -> None:
    extra = ",".join(f'"a{i}":1' for i in range(1000)).encode()
    answer = post(lite, lease, b"{" + extra + b"}")
    assert answer.status_code == 422
    assert answer.json()["errors"] == []
    assert "1,004 places" in answer.json()["detail"]


def test_who_sends_much_that_is_no_batch_is_not_looked_at_for_a_while(
    lite: Served, lease: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "BAD_PER_S", 0.001)
    other = leases.held(lite.service.database)
    assert [post(lite, lease, b"{}").status_code for _ in range(7)] == [422] * 5 + [429] * 2
    assert post(lite, lease, lease.batch(0, phase(1))).status_code == 429
    assert post(lite, other, other.batch(0, phase(1))).status_code == 200


def test_a_lease_that_is_over_is_noticed(
    lite: Served, lease: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert post(lite, lease, lease.batch(0, phase(1))).status_code == 200
    monkeypatch.setattr(live_module, "LEASE_KNOWN_S", 0.0)
    lite.service.live._leases.clear()
    leases.end(lite.service.database, lease)
    answer = post(lite, lease, lease.batch(1, phase(2)))
    assert (answer.status_code, answer.json()["reason"]) == (409, "lease_lost")


def test_a_later_lease_is_believed_at_once_and_the_older_one_no_more(
    lite: Served, lease: Held
) -> None:
    assert post(lite, lease, lease.batch(0, phase(1))).status_code == 200
    later = leases.pass_on(lite.service.database, lease)
    assert post(lite, later, later.batch(0, phase(2))).status_code == 200
    # Though that it was valid is remembered for a second.
    answer = post(lite, lease, lease.batch(1, phase(3)))
    assert (answer.status_code, answer.json()["reason"]) == (409, "lease_lost")
    assert [line[:2] for line in recorded(lite, lease)] == [[1, 0], [2, 0]]


def test_a_flood_of_batches_is_stopped_and_only_that_runner(
    lite: Served, lease: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "BATCHES_PER_S", 0.001)
    other = leases.held(lite.service.database)
    answers = [post(lite, lease, lease.batch(n)) for n in range(int(BATCHES_AT_ONCE) + 3)]
    found = [a.status_code for a in answers]
    assert found == [200] * int(BATCHES_AT_ONCE) + [429] * 3
    assert answers[-1].headers["retry-after"] == "1"
    assert answers[-1].json()["reason"] == "too_many_events"
    assert post(lite, other, other.batch(0)).status_code == 200
    assert len(recorded(lite, lease)) == int(BATCHES_AT_ONCE)


def test_a_flood_of_bytes_is_stopped(
    lite: Served, lease: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "BYTES_PER_S", 1.0)
    fits = int(BYTES_AT_ONCE) // MAX_BATCH_BYTES
    bodies = [json.dumps(lease.batch(n)).encode().ljust(MAX_BATCH_BYTES) for n in range(fits + 2)]
    found = [post(lite, lease, body).status_code for body in bodies]
    assert found == [200] * fits + [429] * 2


def test_a_runner_that_waits_may_go_on(
    lite: Served, lease: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "BATCHES_AT_ONCE", 2.0)
    monkeypatch.setattr(live_module, "BATCHES_PER_S", 20.0)
    answers = [post(lite, lease, lease.batch(n)).status_code for n in range(5)]
    assert answers[:2] == [200, 200] and 429 in answers
    time.sleep(0.2)
    wanted = post(lite, lease, lease.batch(0)).json()["next"]
    assert post(lite, lease, lease.batch(wanted)).status_code == 200


def test_what_a_hostile_runner_fills_has_an_end(lite: Served, lease: Held) -> None:
    channel = lite.service.live.hub.channel(lease.queued)
    channel._log._cap = 50_000
    for n in range(60):
        lite.service.live._allowed.clear()
        events = [phase(n)] * 100
        assert post(lite, lease, lease.batch(n, *events)).status_code == 200
    assert channel._log.size <= 62_500
    lite.service.live.say(lease.queued, "done")
    assert recorded(lite, lease)[-1][0] == SERVER


def test_a_stream_is_as_browsers_read_it(lite: Served, lease: Held) -> None:
    lite.service.live.say(lease.queued, "claimed", "by a runner")
    post(lite, lease, lease.batch(0, phase(5), power(6)))
    lite.service.live.say(lease.queued, "done")
    answer = lite.client.get(f"{API}/campaigns/{lease.queued}/events")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "content-length" not in answer.headers
    retry, first, second, third, end, rest = answer.text.split("\n\n")
    assert (retry, rest) == ("retry: 1000", "")
    assert re.fullmatch(
        r'id: 1\ndata: \[\{"k":"state","at":\d+,"state":"claimed","message":"by a runner"\}\]',
        first,
    )
    events = json.loads(second.removeprefix("id: 2\ndata: "))
    assert events == [phase(5), {**power(6)}]
    assert third.startswith("id: 3\ndata: [")
    assert end == "event: end\nid: 3\ndata: 3"


def test_who_comes_back_gets_what_follows(lite: Served, lease: Held) -> None:
    for n in range(5):
        post(lite, lease, lease.batch(n, phase(n)))
    lite.service.live.say(lease.queued, "done")
    ids = re.compile(r"^id: (\d+)\ndata: \[", re.MULTILINE)
    path = f"{API}/campaigns/{lease.queued}/events"
    for after in range(8):
        expected = [str(n) for n in range(after + 1, 7)]
        assert ids.findall(streamed(lite, lease, Last_Event_ID=str(after))) == expected
        answer = lite.client.get(path, params={"after": str(after)})
        assert ids.findall(answer.text) == expected
    junk = lite.client.get(path, params={"after": "x"}, headers={"Last-Event-ID": "y"})
    assert len(ids.findall(junk.text)) == 6


def test_a_campaign_that_ended_without_a_word_is_told_to_have(lite: Served, lease: Held) -> None:
    post(lite, lease, lease.batch(0, phase(1)))
    leases.end(lite.service.database, lease, "cancelled")
    assert '"state":"cancelled"' in streamed(lite, lease)
    assert streamed(lite, lease).count('"state":"cancelled"') == 1


def test_there_is_nothing_where_nothing_was_queued(lite: Served) -> None:
    for what in ("events", "recording"):
        answer = lite.client.get(f"{API}/campaigns/{UNKNOWN}/{what}")
        assert (answer.status_code, answer.json()["reason"]) == (404, "no_such_campaign")
        for wrong in ("q" + "0" * 19, "Q" + "0" * 20, "q" + "g" * 20, "..%2f" + "0" * 16):
            answer = lite.client.get(f"{API}/campaigns/{wrong}/{what}")
            assert answer.status_code in (404, 422), wrong
    assert not list(lite.settings.data.glob("live/*"))


def test_head_tells_of_a_stream_without_one(lite: Served, lease: Held) -> None:
    lite.service.live.say(lease.queued, "claimed")
    answer = lite.client.head(f"{API}/campaigns/{lease.queued}/events")
    assert answer.status_code == 200 and answer.content == b""
    assert answer.headers["content-type"] == "text/event-stream"
    answer = lite.client.head(f"{API}/campaigns/{lease.queued}/recording")
    assert answer.status_code == 200 and answer.content == b""
    assert lite.service.live.seats.taken == 0


def test_pages_from_elsewhere_may_watch_but_not_post(lite: Served, lease: Held) -> None:
    path = f"{API}/campaigns/{lease.queued}/events"
    asks = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "GET"}
    answer = lite.client.options(
        path, headers={**asks, "Access-Control-Request-Headers": "last-event-id"}
    )
    assert answer.status_code == 204
    assert "last-event-id" in answer.headers["access-control-allow-headers"].lower()
    asks["Access-Control-Request-Method"] = "POST"
    answer = lite.client.options(f"{API}/runners/events", headers=asks)
    assert answer.status_code == 405


def test_a_recording_is_compressed_for_who_takes_it_and_kept_once_it_is_whole(
    lite: Served, lease: Held
) -> None:
    for n in range(50):
        post(lite, lease, lease.batch(n, phase(n), power(n)))
    path = f"{API}/campaigns/{lease.queued}/recording"
    with lite.client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
        packed = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert answer.headers["cache-control"] == "no-store"
    plain = lite.client.get(path, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(packed) == plain.content
    assert len(packed) < len(plain.content) / 3
    lite.service.live.say(lease.queued, "done")
    whole = lite.client.get(path)
    assert whole.headers["cache-control"] == "public, no-cache"
    again = lite.client.get(path, headers={"If-None-Match": whole.headers["etag"]})
    assert again.status_code == 304


# In a process of its own, over sockets.


class Stream:
    """A viewer with a plain socket."""

    def __init__(self, server: Process, queued: str, after: int = 0, **headers: str) -> None:
        self.sock = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        lines = [f"{k.replace('_', '-')}: {v}\r\n" for k, v in headers.items()]
        self.sock.sendall(
            f"GET {API}/campaigns/{queued}/events?after={after} HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{server.port}\r\n{''.join(lines)}\r\n".encode()
        )
        self.data = b""
        self.closed = False

    def read(self, until: Callable[["Stream"], bool], timeout_s: float = 30) -> "Stream":
        limit = time.monotonic() + timeout_s
        while not until(self):
            assert time.monotonic() < limit, self.data[-500:]
            self.sock.settimeout(0.2)
            try:
                data = self.sock.recv(65536)
            except TimeoutError:
                continue
            except ConnectionError:
                data = b""
            if not data:
                self.closed = True
                assert until(self), self.data[-500:]
                return self
            self.data += data
        return self

    @property
    def status(self) -> int:
        return int(self.data.split(b" ", 2)[1])

    @property
    def numbers(self) -> list[int]:
        """Of the frames that came whole."""
        body = unchunked(self.data.partition(b"\r\n\r\n")[2])
        frames = body.split(b"\n\n")[:-1]
        return [int(f[4 : f.index(b"\n")]) for f in frames if f.startswith(b"id: ")]

    def close(self) -> None:
        self.sock.close()


def unchunked(data: bytes) -> bytes:
    """The whole chunks of a body."""
    body = b""
    while b"\r\n" in data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if len(data) < length + 2:
            break
        body, data = body + data[:length], data[length + 2 :]
    return body


class Running:
    """A server, and the lease of a campaign there."""

    def __init__(self, make: Callable[..., Process], *arguments: str) -> None:
        self.server = make(*arguments)
        self._make = make
        database = open_database(None, self.server_data)
        self.lease = leases.held(database)
        database.close()
        self.client = httpx.Client(base_url=self.server.url, headers=self.lease.headers)

    @property
    def server_data(self) -> Any:
        return self.server.log.parent / "data"

    def post(self, number: int, *events: dict[str, Any]) -> int:
        batch = self.lease.batch(number, *events)
        for _ in range(200):
            answer = self.client.post(f"{API}/runners/events", json=batch)
            if answer.status_code != 429:
                break
            time.sleep(0.05)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["next"])

    def watch(self, after: int = 0, **headers: str) -> Stream:
        return Stream(self.server, self.lease.queued, after, **headers)


@pytest.fixture
def running(process: Callable[..., Process]) -> Iterator[Running]:
    made = Running(process)
    yield made
    made.client.close()


@pytest.mark.slow
def test_what_is_posted_is_seen_at_once(running: Running) -> None:
    stream = running.watch()
    stream.read(lambda s: b"retry: 1000" in s.data)
    for n in range(10):
        began = time.monotonic()
        running.post(n, phase(n), power(n))
        stream.read(lambda s, n=n: s.numbers == list(range(1, n + 2)))  # type: ignore[misc]
        assert time.monotonic() - began < 5
    assert b"transfer-encoding: chunked" in stream.data.lower()
    assert b"connection: close" in stream.data.lower()
    metrics = httpx.get(f"{running.server.url}/metrics").text
    assert "lem_live_viewers 1.0" in metrics
    # The one that asks.
    assert "lem_http_requests_in_flight 1.0" in metrics
    stream.close()
    until(lambda: "viewer left" in running.server.said())
    line = next(x for x in running.server.said().splitlines() if "viewer left" in x)
    told = json.loads(line)
    assert told["why"] == "gone" and told["route"] == f"{API}/campaigns/{{queued}}/events"
    until(lambda: "lem_live_viewers 0.0" in httpx.get(f"{running.server.url}/metrics").text)


def until(true: Callable[[], bool], timeout_s: float = 20) -> None:
    limit = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.05)


@pytest.mark.slow
def test_killed_in_the_middle_both_sides_go_on_and_nothing_is_missing(
    running: Running, process: Callable[..., Process]
) -> None:
    """As a runner that repeats what was not acknowledged, and a page that comes back."""
    number, seen = 0, []

    def post() -> None:
        nonlocal number
        while True:
            try:
                number = running.post(number, phase(number), power(number))
            except httpx.HTTPError:
                return

    for round_ in range(3):
        stream = running.watch(after=len(seen))
        poster = threading.Thread(target=post)
        poster.start()
        stream.read(lambda s: len(s.numbers) >= 30)
        running.server.process.kill()
        running.server.process.wait()
        poster.join()
        stream.read(lambda s: s.closed or not s.numbers)
        seen += stream.numbers
        assert seen == list(range(1, len(seen) + 1)), round_
        port = running.server.port
        running.server = Process(running.server_data, port=port)
    try:
        number = running.post(number, phase(number))
        stream = running.watch(after=len(seen))
        stream.read(lambda s: len(seen) + len(s.numbers) == number)
        assert seen + stream.numbers == list(range(1, number + 1))
        lines = httpx.get(
            f"{running.server.url}{API}/campaigns/{running.lease.queued}/recording"
        ).text.splitlines()
        assert [json.loads(x)[:2] for x in lines] == [[1, n] for n in range(number)]
    finally:
        running.server.kill()


@pytest.mark.slow
def test_one_that_takes_nothing_is_cut_off_and_goes_on_exactly_where_it_was(
    process: Callable[..., Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Running(process)
    text = {"k": "text", "at": 1, "request": "r", "text": "x" * 2000, "end": True}
    stuck = running.watch()
    stuck.read(lambda s: b"retry: 1000" in s.data)
    # Nothing is read from here on, and more comes than all buffers hold.
    count = 0
    while count < 220:
        count = running.post(count, *[text] * 8)
    other = running.watch()
    other.read(lambda s: len(s.numbers) == count, 120)
    # chunk_s is 20 s.
    until(lambda: '"why": "stalled"' in running.server.said(), 60)
    stuck.read(lambda s: s.closed)
    kept = stuck.numbers
    assert kept == list(range(1, len(kept) + 1)) and len(kept) < count
    again = running.watch(after=len(kept))
    again.read(lambda s: len(kept) + len(s.numbers) == count, 120)
    assert kept + again.numbers == list(range(1, count + 1))


@pytest.mark.slow
def test_a_server_that_is_told_to_end_ends_its_streams_at_once(running: Running) -> None:
    streams = [running.watch() for _ in range(5)]
    for stream in streams:
        stream.read(lambda s: b"retry: 1000" in s.data)
    began = time.monotonic()
    assert running.server.terminate() == 0
    assert time.monotonic() - began < 10
    for stream in streams:
        stream.read(lambda s: s.closed)
        # Whole, but not the campaign's end: a browser comes back.
        assert stream.data.endswith(b"0\r\n\r\n") and b"event: end" not in stream.data
    assert running.server.said().count('"why": "shutdown"') == 5


@pytest.mark.slow
def test_so_many_may_watch_and_no_more(serve: Serve, process: Callable[..., Process]) -> None:
    running = Running(process, "--trust-proxy", "127.0.0.1")
    bound = Bounds().viewers_by_address
    streams = [running.watch(X_Forwarded_For="192.0.2.7") for _ in range(bound)]
    for stream in streams:
        stream.read(lambda s: b"retry: 1000" in s.data)
    refused = running.watch(X_Forwarded_For="192.0.2.7").read(lambda s: b"\r\n\r\n" in s.data)
    assert refused.status == 429 and b"retry-after: 30" in refused.data.lower()
    one = running.watch(X_Forwarded_For="192.0.2.8").read(lambda s: b"retry: 1000" in s.data)
    assert one.status == 200
    # They are no requests under way: all others are answered.
    assert httpx.get(f"{running.server.url}/readyz").status_code == 200
    streams[0].close()
    until(lambda: running.watch(X_Forwarded_For="192.0.2.7").read(began).status == 200)


def began(stream: Stream) -> bool:
    return b"\r\n\r\n" in stream.data


def test_all_seats_taken_is_told_apart_from_too_many_of_one(serve: Serve) -> None:
    served = serve(bounds=Bounds(viewers=0))
    lease = leases.held(served.service.database)
    answer = served.client.get(f"{API}/campaigns/{lease.queued}/events")
    assert (answer.status_code, answer.json()["reason"]) == (503, "too_many_viewers")
    assert answer.headers["retry-after"] == "30"
