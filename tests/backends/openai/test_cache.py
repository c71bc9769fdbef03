"""A server that runs on between runs may keep their prompts: no run is to find another's."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from lem import plugins
from lem.backends.openai import server as openai_server
from lem.backends.openai.server import Settings
from lem.backends.protocol import Engine
from lem.backends.served import ask
from lem.workloads.load import Log
from lem.workloads.requests import Request
from lem.workloads.sources import Backlog
from lem.workloads.stock import Stock

from ..conformance import make_job
from .llama_http import LlamaHttp

pytestmark = pytest.mark.engines

REQUEST = Request("r0", [504, 3575, 282, 4649, 314], 3, "The capital of France is")


@pytest.fixture(scope="module")
def server(gguf: Path) -> Iterator[LlamaHttp]:
    server = LlamaHttp(gguf, 3)
    yield server
    server.stop()


def _serve(engine: Engine, requests: list[Request]) -> None:
    log = Log()
    engine.serve(Backlog(Stock(requests), log, limit=len(requests)), log)
    assert all(r.status == "done" for r in log.responses.values())


def test_no_run_finds_the_prompts_of_an_earlier_one(
    server: LlamaHttp, gguf: Path, tmp_path: Path
) -> None:
    """The server runs on between runs, whose requests are the same ones."""
    args = {"base_url": f"http://127.0.0.1:{server.port}/v1"}
    prompt = [504, 3575, 282, 4649, 314] * 40
    done = []
    for run in ("a", "b"):
        job = make_job("openai", gguf, tmp_path, [REQUEST], {}, args)
        settings = Settings.of(job.model_copy(update={"run_id": run}))
        found = openai_server.check(job, settings)
        assert openai_server.facts(settings, found)["prompt_cache"] == "off"
        asked = found.wire.body(Request("r0", prompt, 2, ""))
        asked = {k: v for k, v in asked.items() if not k.startswith("stream")}
        status, _, said = ask(settings.address, found.wire.path, asked)
        assert status == 200
        done.append(said["timings"]["prompt_n"])
    assert done == [200, 200]


@pytest.mark.parametrize(
    ("owner", "generate", "kept"),
    [
        ("vllm", {}, "salted"),
        ("sglang", {}, "salted"),
        ("library", {}, "unknown"),
        ("vllm", {"cache_salt": "mine"}, "unknown"),
    ],
)
def test_a_run_has_a_salt_of_its_own_where_the_server_knows_them(
    gguf: Path, tmp_path: Path, owner: str, generate: dict[str, Any], kept: str
) -> None:
    asked: list[dict[str, Any]] = []

    class Owned(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            said = {"data": [{"id": "m", "owned_by": owner}]}
            self._say(200, "application/json", json.dumps(said).encode())

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(json.loads(body))
            event = b'data: {"choices": [{"text": "a", "finish_reason": "length"}]}\n\n'
            usage = b'data: {"choices": [], "usage": {"completion_tokens": 1}}\n\n'
            self._say(200, "text/event-stream", event + usage + b"data: [DONE]\n\n")

        def _say(self, status: int, media: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Owned) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        port = http.server_address[1]
        # The port is named, since this process may hold connections of other tests.
        args = {"base_url": f"http://127.0.0.1:{port}/v1", "engine_port": port}
        job = make_job("openai", gguf, tmp_path, [REQUEST], {}, args, generate)
        for run in ("a", "b"):
            engine = plugins.load("backends", "openai")().load(
                job.model_copy(update={"run_id": run})
            )
            assert ("prompts_maybe_known" in engine.flags()) is (kept == "unknown")
            assert engine.facts()["prompt_cache"] == kept
            _serve(engine, [REQUEST, REQUEST._replace(id="r0#2", nth=2)])
        http.shutdown()
        thread.join()
    salts = [a.get("cache_salt") for a in asked if len(a["prompt"]) == len(REQUEST.input_ids)]
    if kept == "salted":
        # Both requests of a run are under way at once.
        assert sorted(salts) == ["lem-a-1", "lem-a-2", "lem-b-1", "lem-b-2"]
    else:
        assert set(salts) <= {None, "mine"}
