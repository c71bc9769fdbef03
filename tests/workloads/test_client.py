"""The client against a server of its own process whose every write is known."""

import itertools
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lem.contract.workload import Poisson
from lem.errors import RunFailed
from lem.workloads import stamps
from lem.workloads.client import FAILURES_IN_A_ROW, Client
from lem.workloads.load import Log, Source
from lem.workloads.overload import growth
from lem.workloads.requests import Request
from lem.workloads.schedules import at_rate
from lem.workloads.sockets import Connection, Sockets
from lem.workloads.sources import Backlog, ClosedLoop, arriving
from lem.workloads.steady import Phase
from lem.workloads.stock import Stock
from lem.workloads.wire import Wire

SERVER = Path(__file__).with_name("fake_server.py")


class Fake:
    """The server's process."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        self.address = ("127.0.0.1", int(self.process.stdout.readline()))

    def died(self) -> str | None:
        status = self.process.poll()
        return None if status is None else f"the server ended ({status})\nits last line"

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def fake() -> Iterator[Fake]:
    server = Fake()
    yield server
    server.stop()


def wire(**more: Any) -> Wire:
    def body(r: Request) -> dict[str, Any]:
        return {"prompt": r.input_ids, "max_tokens": r.output_tokens, **more}

    return Wire("/v1/completions", body)


def requests(n: int, tokens: int = 5) -> list[Request]:
    return [Request(f"r{i}", [1, 2, 3], tokens, "") for i in range(n)]


def serve(
    client: Client, n: int = 1, clients: int = 1, tokens: int = 5, log: Log | None = None
) -> Log:
    log = log or Log()
    client.serve(ClosedLoop(clients, Stock(requests(n, tokens)), log, limit=n), log)
    return log


def one_end(log: Log) -> tuple[str, str]:
    (response,) = log.responses.values()
    assert response.end_ns is not None and response.end_ns >= response.sent_ns
    return response.status, response.text


def written_ns(text: str) -> list[int]:
    return [int(t) for t in text.split()]


@pytest.mark.parametrize("kernel", [True, False])
def test_every_token_gets_the_time_of_its_own_bytes(fake: Fake, kernel: bool) -> None:
    client = Client(fake.address, wire(gap_ms=10, together=True), kernel_stamps=kernel)
    log = serve(client, n=60, clients=20, tokens=8)
    assert {r.status for r in log.responses.values()} == {"done"}
    for r in log.responses.values():
        truth = written_ns(r.text)
        assert len(truth) == len(r.token_ns) == 8
        # Never before its bytes were written, and always before the next chunk's were.
        assert all(stamp >= at for stamp, at in zip(r.token_ns, truth, strict=True))
        assert r.token_ns == sorted(r.token_ns)
        assert r.sent_ns <= (r.written_ns or 0) <= r.token_ns[0] <= (r.end_ns or 0)
    assert client.flags == set()
    # The very first chunks may come before the kernel has begun to stamp.
    assert client.facts()["client_stamps"] in (("kernel", "both") if kernel else ("process",))


def test_stamps_are_true_though_the_source_takes_its_time(fake: Fake) -> None:
    """Meter edges are read inside ``take``: tokens that come meanwhile keep their own time."""
    log = Log()
    inner = ClosedLoop(4, Stock(requests(4, 12)), log, limit=4)

    class Slow:
        def take(self, room: int, busy: int) -> list[Request] | None:
            taken = inner.take(room, busy)
            time.sleep(0.5)
            return taken

        def due_ns(self) -> int | None:
            return None

    Client(fake.address, wire(gap_ms=40)).serve(Slow(), log)
    for r in log.responses.values():
        truth = written_ns(r.text)
        gaps = [b - a for a, b in itertools.pairwise(r.token_ns)]
        # Told in the lump they would have had one or two times only.
        assert len(r.token_ns) == 12 and len(set(r.token_ns)) > 3 and min(gaps) >= 0
        assert all(stamp >= at for stamp, at in zip(r.token_ns, truth, strict=True))


def test_tokens_are_told_while_the_source_takes_its_time(fake: Fake) -> None:
    log = Log()
    seen: list[int] = []

    class Blocking:
        def take(self, room: int, busy: int) -> list[Request] | None:
            if not log.responses:
                log.sent(requests(1, 20))
                return requests(1, 20)
            deadline = time.monotonic() + 20
            while log.tokens < 10 and time.monotonic() < deadline:
                time.sleep(0.005)
            seen.append(log.tokens)
            return None

        def due_ns(self) -> int | None:
            return None

    Client(fake.address, wire(gap_ms=5)).serve(Blocking(), log)
    assert seen[0] >= 10 and log.tokens == 20


class Chunks:
    """A socket whose reader gets hold of the interpreter's lock 30 ms after each chunk was read."""

    def __init__(self, came_ns: list[int]) -> None:
        self.came_ns = came_ns

    def fileno(self) -> int:
        return -1

    def recvmsg(self, size: int, ancillary: int) -> tuple[bytes, list[Any], int, None]:
        at_ns = self.came_ns.pop(0) + stamps.clock_difference_ns()
        time.sleep(0.03)
        told = stamps.STAMP.pack(*divmod(at_ns, 10**9))
        return b"data: x", [(socket.SOL_SOCKET, stamps.SO_TIMESTAMPNS, told)], 0, None


def test_a_stamp_is_true_though_the_reader_had_to_wait_for_the_lock() -> None:
    """What came in while the reader of the last chunk waited has its own time, and lay unread."""
    sockets = Sockets(("127.0.0.1", 1), wire(), Log(), 1.0)
    sockets._clock_ns = stamps.clock_difference_ns()
    now = time.monotonic_ns()
    came = [now - 2_000_000, now + 10_000_000]
    connection = Connection(Chunks(list(came)))  # type: ignore[arg-type]
    for _ in came:
        sockets._read(connection)
    found = [at_ns for _, _, at_ns in sockets._backlog]
    assert found == pytest.approx(came, abs=1_000_000)


def test_connections_are_kept(fake: Fake) -> None:
    """A closed loop of 3 clients opens 3 connections, however many requests they send."""
    files = Path(f"/proc/{fake.process.pid}/fd")
    most = 0

    def look(_: Any) -> None:
        nonlocal most
        most = max(most, sum("socket" in str(f.readlink()) for f in files.iterdir()))

    serve(Client(fake.address, wire()), n=30, clients=3, log=Log(watch=look))
    assert most == 1 + 3


@pytest.mark.parametrize(
    ("usage", "per_chunk", "tokens", "counted", "flags"),
    [
        ("each", 4, 10, 10, set()),
        ("end", 1, 4, 4, set()),
        ("end", 4, 10, 10, {"tokens_spread"}),
        ("none", 2, 4, 2, {"tokens_assumed"}),
    ],
)
def test_the_server_counts_the_tokens(
    fake: Fake, usage: str, per_chunk: int, tokens: int, counted: int, flags: set[str]
) -> None:
    client = Client(fake.address, wire(usage=usage, per_chunk=per_chunk))
    log = serve(client, tokens=tokens)
    assert len(log.responses["r0"].token_ns) == log.tokens == counted
    assert client.flags == flags


def test_another_count_of_input_tokens_is_said(fake: Fake) -> None:
    def body(r: Request) -> dict[str, Any]:
        return {"prompt": [0, *r.input_ids], "max_tokens": r.output_tokens}

    client = Client(fake.address, replace(wire(), body=body))
    serve(client)
    assert client.flags == {"input_tokens_differ"}


@pytest.mark.parametrize(
    ("scene", "tokens", "words"),
    [
        ("hang_up", 0, "hung up"),
        ("break_off", 2, "broke off"),
        ("reset", 2, "broke off"),
        ("no_reason", 2, "ended without a reason"),
        ("error_in_stream", 2, "out of blocks"),
        ("garbage_event", 1, "no JSON"),
        ("list_event", 1, "no object"),
        ("deep_event", 1, "cannot be read"),
        ("falling_count", 2, "cannot be: 1"),
        ("absurd_count", 1, "cannot be: 1000000000"),
        ("endless_line", 0, "longer than 1 MiB"),
        ("endless_head", 0, "head"),
        ("not_http", 0, "not HTTP"),
        ("http_400", 0, "HTTP 400: too long"),
        ("http_503", 0, "HTTP 503: <p>busy</p>"),
        ("unstreamed", 0, "does not stream"),
    ],
)
def test_what_goes_wrong_fails_the_request_and_no_other(
    fake: Fake, scene: str, tokens: int, words: str
) -> None:
    def body(r: Request) -> dict[str, Any]:
        what = {"prompt": r.input_ids, "max_tokens": r.output_tokens}
        return {**what, "scene": scene} if r.id in ("r0", "r2") else what

    log = serve(Client(fake.address, Wire("/v1/completions", body)), n=4)
    found = {name: r.status for name, r in log.responses.items()}
    assert found == {"r0": "failed", "r1": "done", "r2": "failed", "r3": "done"}
    for name in ("r0", "r2"):
        assert words in log.responses[name].text
        assert len(log.responses[name].token_ns) == tokens
    assert log.tokens == 2 * tokens + 10


@pytest.mark.parametrize(("scene", "tokens"), [("silence", 0), ("silence_later", 2)])
def test_a_server_that_says_nothing_is_not_waited_for(fake: Fake, scene: str, tokens: int) -> None:
    log = serve(Client(fake.address, wire(scene=scene), silent_s=0.3))
    assert one_end(log) == ("timed_out", "nothing came for 0.3 s")
    assert log.tokens == tokens


def test_a_server_killed_in_the_midst_ends_everything_at_once(fake: Fake) -> None:
    """Its last words are in the failure, and every request has an end."""
    log = Log()
    killer = threading.Timer(0.3, fake.process.kill)
    killer.start()
    begun = time.monotonic()
    client = Client(fake.address, wire(gap_ms=10), died=fake.died)
    with pytest.raises(RunFailed, match="its last line") as e:
        client.serve(ClosedLoop(8, Stock(requests(8, 30)), log), log)
    assert e.value.kind == "engine_error"
    # Requests that broke off, not the time limit of a silent server, told of it.
    assert time.monotonic() - begun < 30
    ends = [r.status for r in log.responses.values()]
    assert "open" not in ends and ends.count("failed") >= 1
    assert log.tokens == sum(len(r.token_ns) for r in log.responses.values())


def test_nobody_listens(fake: Fake) -> None:
    fake.stop()
    log = Log()
    with pytest.raises(RunFailed, match="refuses connections"):
        serve(Client(fake.address, wire()), log=log)
    assert one_end(log)[0] == "failed"


def test_a_server_that_refuses_everything_is_given_up(fake: Fake) -> None:
    log = Log()
    with pytest.raises(RunFailed, match=f"{FAILURES_IN_A_ROW} requests in a row.*too long"):
        serve(Client(fake.address, wire(scene="http_400")), n=100, log=log)
    assert {r.status for r in log.responses.values()} == {"failed"}


def test_what_breaks_off_the_serving_thread_ends_all_requests(fake: Fake) -> None:
    class Gone(Exception):
        pass

    log = Log()
    inner = ClosedLoop(3, Stock(requests(3, 500)), log)

    class Breaking:
        def take(self, room: int, busy: int) -> list[Request] | None:
            if log.tokens > 5:
                raise Gone
            return inner.take(room, busy)

        def due_ns(self) -> int | None:
            return None

    client = Client(fake.address, wire(gap_ms=5))
    with pytest.raises(Gone):
        client.serve(Breaking(), log)
    assert {r.status for r in log.responses.values()} == {"failed"}
    assert not [t for t in threading.enumerate() if t.name == "sockets"]
    # The server is as it was.
    assert one_end(serve(client))[0] == "done"


def test_room_is_kept(fake: Fake) -> None:
    log = Log()
    most = 0

    def look(_: Any) -> None:
        nonlocal most
        most = max(most, sum(r.status == "open" for r in log.responses.values()))

    log._watch = look
    source = Backlog(Stock(requests(20)), log, limit=20)
    Client(fake.address, wire(), room=3).serve(source, log)
    assert most <= 3 and len(log.responses) == 20


def test_an_absolute_schedule_is_kept(fake: Fake) -> None:
    """Open loop: a request leaves when it is due, though earlier ones are still being answered."""
    log = Log()
    gap_ns = 30_000_000

    class Scheduled:
        def __init__(self) -> None:
            self.next_ns = time.monotonic_ns() + gap_ns
            self.left = requests(10, 10)

        def take(self, room: int, busy: int) -> list[Request] | None:
            if not self.left:
                return None
            taken = []
            while self.left and self.next_ns <= time.monotonic_ns():
                request = self.left.pop(0)
                log.sent([request], self.next_ns)
                self.next_ns += gap_ns
                taken.append(request)
            return taken

        def due_ns(self) -> int | None:
            return self.next_ns if self.left else None

    source: Source = Scheduled()
    Client(fake.address, wire(gap_ms=20)).serve(source, log)
    found = list(log.responses.values())
    assert {r.status for r in found} == {"done"} and len(found) == 10
    assert {b.sent_ns - a.sent_ns for a, b in itertools.pairwise(found)} == {gap_ns}
    # An answer takes 180 ms: six others were sent before the first one ended.
    first = found[0].end_ns or 0
    assert sum((r.written_ns or 0) < first for r in found) >= 5


def test_proxies_of_the_environment_are_not_used(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert one_end(serve(Client(fake.address, wire())))[0] == "done"


def test_no_line_break_gets_into_the_head(fake: Fake) -> None:
    bad = Wire("/v1/completions", lambda r: {}, {"Authorization": "x\r\nHost: y"})
    with pytest.raises(ValueError, match="line break"):
        serve(Client(fake.address, bad))


def test_headers_are_not_shown() -> None:
    assert "hunter2" not in repr(Wire("/", lambda r: {}, {"Authorization": "hunter2"}))


def test_an_open_loop_is_sent_by_its_schedule_and_measured_by_the_clock(fake: Fake) -> None:
    """The source, the windows and the client together: 100 requests a second, 8 tokens in 70 ms."""
    client = Client(fake.address, wire(gap_ms=10))
    log = Log()
    source = arriving(Poisson(rate=100), Stock(requests(500, 8)), log, seed=4)
    phase = Phase(
        source,
        log,
        atomic=False,
        window_s=1.0,
        enough=lambda done: len(done) >= 2,
        open_load=True,
    )
    client.serve(phase, log)
    assert phase.ended and len(phase.windows) == 2
    every = list(log.responses.values())
    assert {r.status for r in every} == {"done"}
    # Every time is the schedule's own, whenever the client got round to it.
    begun = every[0].sent_ns - next(at_rate(Poisson(rate=100), 100.0, 4)) * 1e9
    planned = itertools.islice(at_rate(Poisson(rate=100), 100.0, 4), len(every))
    assert [r.sent_ns for r in every] == pytest.approx([begun + t * 1e9 for t in planned], abs=1e3)
    for window in phase.recounted():
        assert 40 < window.sent < 180
        assert not window.failed and not window.timed_out
    first, second = phase.windows
    assert not growth(every, first.start_ns, second.end_ns).overloaded
