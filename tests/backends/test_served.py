"""Servers as processes: started, waited for, watched, and gone without a rest."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lem.backends import served
from lem.backends.protocol import Apart, Engine
from lem.backends.served import ServedEngine, Server, ServerCommand, ask, free_port
from lem.errors import RunFailed
from lem.meters.process_tree import ProcessTree
from lem.workloads.client import Client
from lem.workloads.load import Log
from lem.workloads.requests import Request
from lem.workloads.sources import ClosedLoop
from lem.workloads.stock import Stock
from lem.workloads.wire import Wire

FAKE = Path(__file__).parent.parent / "workloads" / "fake_server.py"


def command(program: str, *arguments: str, port: int | None = None) -> ServerCommand:
    return ServerCommand(
        [sys.executable, "-c", program, *arguments], free_port() if port is None else port
    )


def fake_command() -> ServerCommand:
    port = free_port()
    return ServerCommand([sys.executable, str(FAKE), str(port)], port)


def engine_of(server: Server, **more: Any) -> ServedEngine:
    def body(r: Request) -> dict[str, Any]:
        return {"prompt": r.input_ids, "max_tokens": r.output_tokens, **more}

    return ServedEngine(
        Client(server.address, Wire("/v1/completions", body), died=server.died),
        server=server,
        facts=lambda: {"dtype": "none"},
        nll=lambda ids: float(len(ids)),
    )


@pytest.fixture
def engine() -> Iterator[ServedEngine]:
    engine = served.start(fake_command(), lambda s: engine_of(s, gap_ms=5))
    yield engine
    engine.close()


def gone(pid: int) -> bool:
    return served._start(pid) is None


def requests(n: int, tokens: int) -> list[Request]:
    return [Request(f"r{i}", [1, 2, 3], tokens, "") for i in range(n)]


def test_a_served_engine_from_start_to_end(engine: ServedEngine) -> None:
    log = Log()
    engine.serve(ClosedLoop(3, Stock(requests(9, 4)), log, limit=9), log)
    assert {r.status for r in log.responses.values()} == {"done"} and log.tokens == 36
    filled: Engine = engine
    assert isinstance(filled, Apart) and filled.nll([1, 2]) == 2.0 and filled.flags() == set()
    facts = filled.facts()
    peak, share = facts["peak_memory_bytes.cpu"], facts["client_cpu_share"]
    assert isinstance(peak, int) and 2**20 < peak < 2**33
    assert isinstance(share, float) and 0 < share < 2
    assert facts["dtype"] == "none" and facts["client_stamps"] in ("kernel", "both")
    # The server's tree, whose CPU time counts, is not the client's.
    assert engine.process != os.getpid()
    tree = ProcessTree(engine.process, Path("/proc"))
    assert (tree.cpu_time_ns() or 0) > 0 and os.getpid() not in tree.members()
    engine.close()
    engine.close()
    assert gone(engine.process)


def test_a_server_killed_under_load_is_a_failure_with_its_last_words(engine: ServedEngine) -> None:
    log = Log()
    threading.Timer(0.3, os.kill, (engine.process, signal.SIGKILL)).start()
    with pytest.raises(RunFailed, match="SIGKILL") as e:
        engine.serve(ClosedLoop(4, Stock(requests(4, 50)), log), log)
    assert e.value.kind == "engine_error"
    # What the fake server printed: its port.
    assert e.value.message.splitlines()[-1].isdigit()
    assert "open" not in {r.status for r in log.responses.values()}


def test_memory_that_ran_out_under_load_is_named() -> None:
    program = f"""
import os, runpy, sys, threading
def end():
    print("CUDA out of memory. Tried to allocate 2 GiB", flush=True)
    os._exit(1)
threading.Timer(1.0, end).start()
sys.argv = ["fake", sys.argv[1]]
runpy.run_path({str(FAKE)!r}, run_name="__main__")
"""
    port = free_port()
    engine = served.start(command(program, str(port), port=port), lambda s: engine_of(s, gap_ms=5))
    log = Log()
    try:
        with pytest.raises(RunFailed, match="out of memory") as e:
            engine.serve(ClosedLoop(2, Stock(requests(2, 50)), log), log)
    finally:
        engine.close()
    assert e.value.kind == "out_of_memory" and e.value.hint


@pytest.mark.parametrize(
    ("program", "kind", "words"),
    [
        ("import sys; print('vllm: error: unrecognized arguments: --x'); sys.exit(2)",
         "bad_argument", "unrecognized arguments: --x"),
        ("raise MemoryError('DefaultCPUAllocator: can\\'t allocate memory')",
         "out_of_memory", "can't allocate"),
        ("raise SystemExit('no such model')", "engine_error", "no such model"),
        ("import os; os.kill(os.getpid(), 11)", "engine_error", "SIGSEGV"),
    ],
)  # fmt: skip
def test_a_server_that_ends_before_it_is_ready(program: str, kind: str, words: str) -> None:
    with pytest.raises(RunFailed) as e:
        served.start(command(program), engine_of)
    assert e.value.kind == kind and words in e.value.message


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(RunFailed, match="cannot be started") as e:
        served.start(ServerCommand(["/nowhere/at-all"], 1), engine_of)
    assert e.value.kind == "image"


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def test_another_program_at_its_port_is_not_taken_for_the_server() -> None:
    """While a model loads its port is free for others, who would be measured in its place."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Healthy) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        try:
            loading = command("import time; time.sleep(600)", port=other.server_address[1])
            with pytest.raises(RunFailed, match="another program answers") as e:
                served.start(loading, engine_of)
            assert e.value.kind == "engine_error"
        finally:
            other.shutdown()
            thread.join()


STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sleeper = [sys.executable, "-c", "import signal, time; signal.signal(15, 1); time.sleep(600)"]
a = subprocess.Popen(sleeper)
b = subprocess.Popen(sleeper, start_new_session=True)
print(a.pid, b.pid, flush=True)
time.sleep(600)
"""


def test_nothing_is_left_of_a_server_that_will_not_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deaf to SIGTERM, with a child in its group and one in a session of its own."""
    monkeypatch.setattr(served, "TERM_S", 0.5)
    server = Server(command(STUBBORN))
    deadline = time.monotonic() + 20
    while not server.last_lines() and time.monotonic() < deadline:
        time.sleep(0.02)
    children = [int(word) for word in server.last_lines()[0].split()]
    assert len(children) == 2 and not any(gone(p) for p in children)
    server.stop()
    assert all(gone(p) for p in [server.pid, *children])
    assert server.died() is None


def test_what_stops_the_agent_while_it_waits_stops_the_server() -> None:
    """The load limit is a signal that raises in the midst of it."""

    class Stop(BaseException):
        pass

    started: list[int] = []
    before = Server.wait_ready

    def wait(self: Server) -> None:
        started.append(self.pid)

        def ring(*_: object) -> None:
            raise Stop

        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        before(self)

    class Waiting(Server):
        wait_ready = wait

    original, served.Server = served.Server, Waiting  # type: ignore[misc]
    old = signal.getsignal(signal.SIGALRM)
    try:
        with pytest.raises(Stop):
            served.start(command("import time; time.sleep(600)"), engine_of)
    finally:
        served.Server = original  # type: ignore[misc]
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert gone(started[0])


def test_the_last_lines_are_bounded(capfd: pytest.CaptureFixture[str]) -> None:
    program = "for i in range(1000): print(i)\nprint('x' * 10**6)\nraise SystemExit(3)"
    with pytest.raises(RunFailed, match="exit status 3") as e:
        served.start(command(program), engine_of)
    lines = e.value.message.splitlines()
    assert len(lines) <= 1 + served.SAID_LINES
    assert max(map(len, lines)) <= served.LINE_BYTES
    # Everything goes on to the agent's own log.
    assert "\n999\n" in capfd.readouterr().err


def test_proxies_are_not_asked(engine: ServedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert engine._server is not None
    status, headers, body = ask(engine._server.address, "/health")
    assert (status, body) == (200, "fine") and headers["content-type"] == "text/plain"


def test_nobody_answers() -> None:
    with pytest.raises(OSError):
        ask(("127.0.0.1", free_port()), "/health")
