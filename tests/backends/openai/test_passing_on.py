"""A gateway is told from an engine by the connection that it holds to it: a real relay in a process
of its own before a server in another."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import urlopen

import pytest

from lem.backends.listener import process_listening
from lem.backends.openai import backend, server
from lem.backends.openai.passing_on import connected_outside, is_reached, passes_on
from lem.backends.openai.server import Settings
from lem.errors import RunFailed

ENGINE = """
import sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Engine(BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.2)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"tokens")
    def log_message(self, *_):
        pass
server = ThreadingHTTPServer(("127.0.0.1", 0), Engine)
print(server.server_address[1], flush=True)
server.serve_forever()
"""
RELAY = """
import socket, sys, threading
def pump(a, b):
    while data := a.recv(65536):
        b.sendall(data)
    b.shutdown(socket.SHUT_WR)
def relay(client):
    engine = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    threading.Thread(target=pump, args=(client, engine), daemon=True).start()
    pump(engine, client)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    threading.Thread(target=relay, args=(listener.accept()[0],), daemon=True).start()
"""


class Started:
    def __init__(self, program: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def engine() -> Iterator[Started]:
    started = Started(ENGINE)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def relay(engine: Started) -> Iterator[Started]:
    started = Started(RELAY, str(engine.port))
    yield started
    started.stop()


def asked(port: int) -> None:
    with urlopen(f"http://127.0.0.1:{port}/", timeout=20) as answer:
        assert answer.read() == b"tokens"


def test_an_engine_answers_by_itself(engine: Started) -> None:
    assert passes_on(engine.pid, lambda: asked(engine.port)) is False


def test_a_relay_is_connected_to_the_engine_while_it_answers(
    engine: Started, relay: Started
) -> None:
    assert passes_on(relay.pid, lambda: asked(relay.port)) is True
    # The connection that the relay opened was accepted by the engine, which opened none.
    assert passes_on(engine.pid, lambda: asked(relay.port)) is False


def test_between_processes_of_one_tree_nothing_is_passed_on(
    engine: Started, relay: Started
) -> None:
    """An engine's server and its workers speak to each other, too."""
    seen = []

    def both() -> None:
        time.sleep(0.1)
        seen.append(connected_outside([relay.pid]))
        seen.append(connected_outside([relay.pid, engine.pid]))

    looking = threading.Thread(target=both)
    looking.start()
    asked(relay.port)
    looking.join()
    assert seen == [True, False]


def test_what_the_request_raises_comes_out(engine: Started) -> None:
    with pytest.raises(ZeroDivisionError):
        passes_on(engine.pid, lambda: 1 / 0 and None)


def found_for(monkeypatch: pytest.MonkeyPatch, port: int, engine_port: int | None) -> int:
    monkeypatch.setattr(server, "answered", lambda settings, found: asked(port))
    settings = Settings(("127.0.0.1", port), "/v1", None, "completions", "ids", None,
                        engine_port=engine_port)  # fmt: skip
    found: Any = SimpleNamespace()
    return backend._engine(settings, found)


def test_behind_a_relay_the_engine_has_to_be_named(
    monkeypatch: pytest.MonkeyPatch, engine: Started, relay: Started
) -> None:
    assert process_listening(relay.port) == relay.pid
    assert found_for(monkeypatch, engine.port, None) == engine.pid
    with pytest.raises(RunFailed, match="may be a gateway") as refused:
        found_for(monkeypatch, relay.port, None)
    assert refused.value.kind == "unsupported"
    assert "args.engine_port" in (refused.value.hint or "")
    assert found_for(monkeypatch, relay.port, engine.port) == engine.pid
    # Whoever says that it is the engine all the same is believed.
    assert found_for(monkeypatch, relay.port, relay.port) == relay.pid


def test_a_port_of_another_server_is_not_believed_to_be_the_engine_s(
    monkeypatch: pytest.MonkeyPatch, engine: Started, relay: Started
) -> None:
    other = Started(ENGINE)
    try:
        with pytest.raises(RunFailed, match=f"nothing was connected to port {other.port}"):
            found_for(monkeypatch, relay.port, other.port)
        # Nor where somebody asks that one meanwhile on a connection that is over.
        asked(other.port)
        assert not is_reached(other.pid, other.port, lambda: asked(relay.port))
        assert is_reached(engine.pid, engine.port, lambda: asked(relay.port))
    finally:
        other.stop()


def test_tables_of_the_kernel_as_they_may_be(tmp_path: Path) -> None:
    """By hand: an accepted connection, both ends of an own one (one of them by IPv6), one out."""
    head = "  sl  local_address rem_address   st tx rx tr tm->when retrnsmt uid timeout inode\n"
    here, mapped = "0100007F", "0000000000000000FFFF00000100007F"

    def line(local: str, remote: str, state: str, inode: int) -> str:
        return f"   0: {local} {remote} {state} 0:0 00:0 0 0 0 {inode} 1\n"

    tables = tmp_path / "net"
    tables.mkdir()
    fds = tmp_path / "7" / "fd"
    fds.mkdir(parents=True)
    for inode in (1, 2, 3, 4):
        (fds / str(inode)).symlink_to(f"socket:[{inode}]")
    inside = line(f"{here}:1F90", "00000000:0000", "0A", 1)
    inside += line(f"{here}:1F90", f"{here}:C000", "01", 2)
    inside += line(f"{here}:D000", f"{here}:D001", "01", 3)
    (tables / "tcp").write_text(head + inside)
    (tables / "tcp6").write_text(head + line(f"{mapped}:D001", f"{mapped}:D000", "01", 4))
    assert not connected_outside([7], tmp_path)
    (tables / "tcp6").write_text(head + line(f"{mapped}:D001", f"{mapped}:D002", "01", 4))
    # The other end is gone, closed and nobody's, or another process's.
    assert not connected_outside([7], tmp_path)
    for inode, outside in ((0, False), (99, True)):
        other = line(f"{here}:D002", f"{here}:D001", "01", inode)
        (tables / "tcp").write_text(head + inside + other)
        assert connected_outside([7], tmp_path) is outside
    # Another machine's end is in no table.
    (tables / "tcp").write_text(head + inside)
    (tables / "tcp6").write_text(head + line(f"{mapped}:D001", "0A00A8C0:0050", "01", 4))
    assert connected_outside([7], tmp_path)
    # Somebody else's sockets are nobody's business.
    assert not connected_outside([8], tmp_path)
