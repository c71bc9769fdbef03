"""``lem log verify`` against a server that tells the truth, and against some that don't."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner, Result

from lem.archive.log import LogEntry
from lem.cli.log import command
from lem.submit import settings
from lem.submit.bundle import Bundle, bundles
from lem.submit.outbox import Outbox
from tests.archive.logs import SUBMISSIONS, chain, receipt
from tests.submit.given import campaign, info

PAGE = 2


class Archive:
    """Answers ``/archive`` and ``/log`` as a server does."""

    def __init__(self) -> None:
        self.log: list[Any] = chain(*SUBMISSIONS)
        self.info = info()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = urlsplit(self.path)
                if path.path == "/api/v1/archive":
                    data = outer.info.model_dump_json().encode()
                else:
                    after = int(parse_qs(path.query)["after"][0])
                    some = [e for e in outer.log if not isinstance(e, LogEntry) or e.seq > after]
                    raw = [e.model_dump() if isinstance(e, LogEntry) else e for e in some[:PAGE]]
                    data = json.dumps({"entries": raw, "next": None}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = Archive()
    thread = threading.Thread(target=made.server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.server.shutdown()
    made.server.server_close()
    thread.join()


def verify(archive: Archive) -> Result:
    return CliRunner().invoke(command, ["verify", archive.url, "--json"])


def said(archive: Archive) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(verify(archive).stdout)
    return document


def test_its_end_is_remembered(archive: Archive) -> None:
    whole = archive.log
    archive.log = whole[:3]
    first = verify(archive)
    assert first.exit_code == 0, first.output
    document = json.loads(first.stdout)
    assert document["head"] == {"seq": 3, "hash": whole[2].hash}
    assert document["remembered"] is None and document["holds"]
    archive.log = whole
    second = said(archive)
    assert second["remembered"] == {"seq": 3, "hash": whole[2].hash}
    assert settings.read().heads[archive.info.archive].seq == 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda log: log[:3], "shortened"),
        (lambda log: [], "shortened"),
        (lambda log: chain("f" * 64, *SUBMISSIONS[1:]), "rewritten"),
        (lambda log: [*log[:1], *log[2:]], "missing"),
        (lambda log: [{"seq": "1"}], "no entry"),
        (lambda log: [None], "no entry"),
    ],
)
def test_a_log_that_is_another_is_told_and_what_was_known_stays(
    archive: Archive, change: Callable[[list[Any]], list[Any]], words: str
) -> None:
    assert verify(archive).exit_code == 0
    before = settings.read()
    archive.log = change(archive.log)
    found = verify(archive)
    assert found.exit_code == 1
    assert any(words in problem for problem in json.loads(found.stdout)["problems"])
    assert settings.read() == before


def bundle(tmp_path: Path) -> Bundle:
    return next(bundles(campaign(tmp_path / "campaign"), info()))


def test_own_receipts_have_to_be_in_it(archive: Archive, tmp_path: Path) -> None:
    outbox = Outbox()
    entry = outbox.put(bundle(tmp_path), archive.url, archive.info.archive, "test")
    submission = entry.queued.submission
    archive.log = chain(SUBMISSIONS[0], submission)
    outbox.sent(entry, receipt(archive.log[1]))
    assert said(archive)["receipts"] == 1
    archive.log = chain(SUBMISSIONS[0], SUBMISSIONS[1], SUBMISSIONS[2])
    (settings.config_folder() / settings.FILE).unlink()
    found = verify(archive)
    assert found.exit_code == 1
    (problem,) = json.loads(found.stdout)["problems"]
    assert submission in problem and "another hash than its receipt" in problem
