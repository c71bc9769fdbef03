"""``lem serve`` as its users start it: a process, its log, its end, its checker."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from server.signing import enrolled
from server_process import Process

Start = Callable[..., Process]


def gone(pid: int, patience_s: float = 30) -> bool:
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def lines(process: Process) -> list[dict[str, object]]:
    return [json.loads(x) for x in process.said().splitlines() if x.startswith("{")]


def test_it_starts_without_set_up_and_keeps_what_it_has(process: Start) -> None:
    first = process()
    with httpx.Client(base_url=first.url) as client:
        holder = enrolled(client)
        archive = client.get("/api/v1/archive").json()["archive"]
    assert first.terminate() == 0
    said = first.said()
    assert f"archive: {first.url}/api/v1/archive" in said
    assert "open to anybody" in said and "lem results push" in said
    second = process()
    with httpx.Client(base_url=second.url) as client:
        assert client.get("/api/v1/archive").json()["archive"] == archive
        assert client.post("/api/v1/nonces", json={"key": holder.id}).status_code == 201
    assert second.terminate(signal.SIGINT) == 0


def test_its_log_is_json_lines_without_addresses_or_secrets(process: Start) -> None:
    server = process()
    secret = "s3cret-in-query"
    httpx.get(f"{server.url}/api/v1/log?token={secret}", headers={"Authorization": f"B {secret}"})
    httpx.get(f"{server.url}/api/v1/archive")
    server.terminate()
    assert secret not in server.said()
    request = [x for x in lines(server) if x["event"] == "request"][-1]
    assert request["route"] == "/api/v1/archive"
    assert (request["method"], request["status"], request["client"]) == ("GET", 200, "127.0.0.0/24")


def test_what_is_under_way_at_the_end_is_finished(process: Start) -> None:
    server = process()
    body = json.dumps({"key": "0" * 64}).encode()
    with socket.create_connection(("127.0.0.1", server.port), 10) as s:
        head = f"POST /api/v1/nonces HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        s.sendall(head.encode() + b"Content-Type: application/json\r\n\r\n" + body[:10])
        time.sleep(0.5)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", server.port), 2).close()
        s.sendall(body[10:])
        answer = s.recv(65536)
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert server.process.wait(60) == 0


def test_its_checkers_end_with_it(process: Start) -> None:
    server = process("--checkers", "2")
    checkers = server.children()
    assert len(checkers) == 2
    assert server.terminate() == 0
    assert all(gone(pid) for pid in checkers)


def test_its_checker_ends_with_it_even_when_it_is_killed(process: Start) -> None:
    server = process("--checkers", "1")
    (checker,) = server.children()
    server.process.kill()
    server.process.wait()
    assert gone(checker)


def test_a_checker_that_dies_is_started_again(process: Start) -> None:
    server = process("--checkers", "1")
    (first,) = server.children()
    os.kill(first, signal.SIGKILL)
    until = time.monotonic() + 30
    while time.monotonic() < until and server.children() in ([], [first]):
        time.sleep(0.05)
    (second,) = server.children()
    assert second != first
    assert any(x["event"] == "a checker ended" for x in lines(server))


def test_secrets_are_in_no_arguments(process: Start, postgres: object, tmp_path: Path) -> None:
    from postgres import TEMPLATE, Server

    assert isinstance(postgres, Server)
    url = postgres.new_database(TEMPLATE).replace("lem@", "lem:swordfish@")
    file = tmp_path / "url"
    file.write_text(url + "\n")
    server = process("--checkers", "1", LEM_DATABASE_URL_FILE=str(file))
    for pid in (server.process.pid, *server.children()):
        assert b"swordfish" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    (checker,) = server.children()
    assert b"swordfish" not in Path(f"/proc/{checker}/environ").read_bytes()
    assert httpx.get(f"{server.url}/readyz").status_code == 200
    server.terminate()
    assert "swordfish" not in server.said()


class TestSlowClients:
    @pytest.mark.slow
    def test_headers_that_never_end_are_cut_off(self, process: Start) -> None:
        server = process()
        with socket.create_connection(("127.0.0.1", server.port), 10) as s:
            s.settimeout(30)
            s.sendall(b"GET / HTTP/1.1\r\nX: ")
            assert s.recv(10) == b""

    def test_what_is_not_http_is_told_so(self, process: Start) -> None:
        server = process()
        for sent in (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"GET / HTTP/1.1\r\nA b: c\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", server.port), 10) as s:
                s.sendall(sent)
                answer = s.recv(65536)
            assert answer.startswith(b"HTTP/1.1 400 ") and b"application/problem+json" in answer

    def test_headers_without_end_are_bounded(self, process: Start) -> None:
        server = process()
        with socket.create_connection(("127.0.0.1", server.port), 10) as s:
            s.sendall(b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 100_000)
            answer = s.recv(65536)
        assert answer.startswith(b"HTTP/1.1 4")

    def test_a_client_that_hangs_up_leaves_nothing(self, process: Start, tmp_path: Path) -> None:
        server = process()
        head = b"POST /api/v1/submissions HTTP/1.1\r\nHost: localhost\r\n"
        head += b"Content-Type: application/x-tar\r\nContent-Length: 9000000\r\n\r\n"
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", server.port), 10) as s:
                s.sendall(head + b"x" * 3_000_000)
        assert httpx.get(f"{server.url}/readyz").status_code == 200
        incoming, until = tmp_path / "data" / "incoming", time.monotonic() + 60

        def left() -> tuple[list[Path], str]:
            metrics = httpx.get(f"{server.url}/metrics").text
            (under_way,) = re.findall(r"^lem_http_requests_in_flight (.+)$", metrics, re.MULTILINE)
            return list(incoming.iterdir()), under_way

        while (found := left()) != ([], "1.0") and time.monotonic() < until:
            time.sleep(0.05)
        assert found == ([], "1.0")

    def test_a_body_that_was_not_read_begins_no_request(self, process: Start) -> None:
        server = process()
        inner = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
        head = b"POST /api/v1/submissions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999"
        with socket.create_connection(("127.0.0.1", server.port), 10) as s:
            s.sendall(head + b"\r\nContent-Type: application/x-tar\r\n\r\n" + inner)
            s.settimeout(20)
            answer = b""
            while piece := s.recv(65536):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 413 ") and b"connection: close" in answer.lower()
        assert answer.count(b"HTTP/1.1 ") == 1 and b"lem_http" not in answer

    def test_headers_cannot_be_smuggled_in(self, process: Start) -> None:
        server = process()
        with socket.create_connection(("127.0.0.1", server.port), 10) as s:
            s.sendall(
                b"POST /api/v1/nonces HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"
                b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /metrics HTTP/1.1\r\n\r\n"
            )
            s.settimeout(10)
            answer = s.recv(65536)
        assert answer.startswith(b"HTTP/1.1 4") and b"lem_http" not in answer


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lem.cli.main", "serve", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class TestWhatIsInTheWay:
    def test_a_port_in_use(self, tmp_path: Path) -> None:
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            done = run("--data", str(tmp_path), "--port", str(s.getsockname()[1]))
        assert done.returncode == 3 and "in use already" in done.stderr
        assert "Traceback" not in done.stderr

    def test_a_database_that_does_not_answer(self, tmp_path: Path) -> None:
        url = "postgresql://lem:swordfish@127.0.0.1:1/lem"
        done = run("--data", str(tmp_path), "--port", "0", "--database", url)
        assert done.returncode == 3 and "cannot be opened" in done.stderr
        assert "swordfish" not in done.stderr + done.stdout
        assert "can be read by everybody" in done.stderr

    def test_a_database_of_a_newer_lem(self, tmp_path: Path) -> None:
        import sqlite3

        from lem.archive.database import open_database

        database = open_database(None, tmp_path)
        database.migrate()
        database.close()
        with sqlite3.connect(tmp_path / "archive.db") as c:
            c.execute("UPDATE alembic_version SET version_num = '9999'")
        done = run("--data", str(tmp_path), "--port", "0")
        assert done.returncode == 3 and "newer lem" in done.stderr

    def test_another_kind_of_database(self, tmp_path: Path) -> None:
        done = run("--data", str(tmp_path), "--port", "0", "--database", "mysql://a@b/c")
        assert done.returncode == 2 and "mysql" in done.stderr

    def test_a_missing_package(self, tmp_path: Path) -> None:
        (tmp_path / "uvicorn.py").write_text("raise ModuleNotFoundError('no', name='uvicorn')")
        done = run("--data", str(tmp_path / "d"), PYTHONPATH=str(tmp_path))
        assert done.returncode == 3
        assert "uvicorn" in done.stderr and 'pip install "lem-energy[server]"' in done.stderr
