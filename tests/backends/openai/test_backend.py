"""The openai backend against a real server: llama.cpp's own, in a process of its own."""

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tick import lem

from lem import plugins
from lem.backends.listener import process_listening
from lem.backends.openai import server as openai_server
from lem.backends.openai.server import Settings
from lem.backends.protocol import Apart, Backend, Engine
from lem.contract.flags import worst
from lem.contract.record import Record
from lem.contract.spec import ModelSpec, Synthetic
from lem.contract.workload import Concurrency
from lem.errors import RunFailed
from lem.stores.folder import outcomes
from lem.workloads import responses
from lem.workloads.requests import Request

from ..conformance import make_job
from ..conformance_served import OpenLoad
from .llama_http import LlamaHttp

pytestmark = pytest.mark.engines

REQUEST = Request("r0", [504, 3575, 282, 4649, 314], 3, "The capital of France is")


def backend() -> Any:
    return plugins.load("backends", "openai")()


@pytest.fixture(scope="module")
def server(gguf: Path) -> Iterator[LlamaHttp]:
    server = LlamaHttp(gguf, 3)
    yield server
    server.stop()


class TestReal(OpenLoad):
    name = "openai"
    software = "llama.cpp"
    settings: dict[str, Any] = {}
    arrival = Concurrency(concurrency=3)
    bad_argument = ({"base_url": "http://127.0.0.1:1/v1", "colour": "red"}, "no such argument")
    bad_generate = ({"temperature": "hot"}, "must be number")

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def arguments_of(cls, server: LlamaHttp) -> None:
        cls.arguments = {"base_url": f"http://127.0.0.1:{server.port}/v1"}

    @pytest.fixture(scope="class")
    @classmethod
    def backend(cls) -> Backend:
        return backend()

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls, gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
        target = tmp_path_factory.mktemp("openai")
        return target / str(backend().prepare(ModelSpec(id="smollm2"), gguf, target, False))

    @pytest.fixture(scope="class")
    @classmethod
    def engine(
        cls,
        arguments_of: None,
        backend: Backend,
        model: Path,
        requests: list[Request],
        tmp_path_factory: pytest.TempPathFactory,
    ) -> Any:
        folder = tmp_path_factory.mktemp("requests")
        engine = backend.load(make_job(cls.name, model, folder, requests, {}, cls.arguments))
        yield engine
        engine.close()

    def test_facts_name_what_the_engine_uses(self, engine: Engine) -> None:
        """What the server tells; the rest is said to be unknown."""
        facts = engine.facts()
        assert facts["server"] == "llama.cpp" and facts["token_counts"] == "each chunk"
        assert facts["served_model"] == "SmolLM2-135M-Instruct.Q4_1.gguf"
        assert facts["dtype"] == facts["device"] == facts["attention"] == "unknown"
        peak = facts["peak_memory_bytes.cpu"]
        assert isinstance(peak, int) and 2**26 < peak < 2**40

    def test_answers_are_readable(self, engine: Engine) -> None:
        log = self.serve(engine, [REQUEST])
        assert log.responses["r0"].text.startswith(" Paris")

    def test_the_process_is_the_server_s(self, engine: Engine, server: LlamaHttp) -> None:
        assert isinstance(engine, Apart)
        assert engine.process == server.process.pid != os.getpid()
        assert engine.flags() == set()

    def test_no_prompt_probabilities_no_likelihood(self, engine: Engine) -> None:
        assert engine.nll(REQUEST.input_ids) is None


@pytest.mark.parametrize("settings", [{"api": "chat"}, {"prompt": "text"}])
def test_text_can_be_sent_too(
    server: LlamaHttp, gguf: Path, tmp_path: Path, settings: dict[str, str]
) -> None:
    args = {"base_url": f"http://localhost:{server.port}/v1", **settings}
    job = make_job("openai", gguf, tmp_path, [REQUEST], {}, args)
    engine = backend().load(job)
    log = TestReal().serve(engine, [REQUEST])
    assert "Paris" in log.responses["r0"].text or settings == {"api": "chat"}
    assert len(log.responses["r0"].token_ns) == 3
    # The chat template's own tokens are not in the list's.
    assert engine.flags() == ({"input_tokens_differ"} if "api" in settings else set())
    assert engine.nll(REQUEST.input_ids) is None


@pytest.mark.parametrize(
    ("args", "generate", "engine", "kind", "words"),
    [
        ({"base_url": None}, {}, {}, "bad_argument", "base_url is missing"),
        ({"base_url": "http://192.0.2.7:8000/v1"}, {}, {}, "unsupported", "another machine"),
        ({"base_url": "http://example.org/v1"}, {}, {}, "unsupported", "another machine"),
        ({"base_url": "http://127.0.0.1.example.org/v1"}, {}, {}, "unsupported", "another machine"),
        ({"base_url": "https://127.0.0.1:1/v1"}, {}, {}, "bad_argument", "not of the form"),
        ({"base_url": "http://me:secret@127.0.0.1:1/v1"}, {}, {}, "bad_argument", "password"),
        ({"base_url": "http://127.0.0.1:99999/v1"}, {}, {}, "bad_argument", "ort"),
        ({"base_url": "http://127.0.0.1:1/v1"}, {}, {}, "unsupported", "no server answers"),
        ({"api": "telepathy"}, {}, {}, "bad_argument", "completions, chat"),
        ({"api": "chat", "prompt": "ids"}, {}, {}, "bad_argument", "text, not token ids"),
        ({"api_key_env": "no name"}, {}, {}, "bad_argument", "LEM_API_KEY"),
        ({"api_key_env": "HF_TOKEN"}, {}, {}, "bad_argument", "no other variable"),
        ({"model": 3}, {}, {}, "bad_argument", "args.model is a text"),
        ({"model": "another"}, {}, {}, "bad_argument", "which of the server's models"),
        ({}, {"stream": False}, {}, "bad_argument", "generate.stream"),
        ({}, {}, {"max_batch_size": 4}, "unsupported", "has its own settings"),
    ],
)
def test_what_cannot_be(
    server: LlamaHttp,
    gguf: Path,
    tmp_path: Path,
    args: dict[str, Any],
    generate: dict[str, Any],
    engine: dict[str, Any],
    kind: str,
    words: str,
) -> None:
    here = {"base_url": f"http://127.0.0.1:{server.port}/v1"}
    args = {k: v for k, v in {**here, **args}.items() if v is not None}
    job = make_job("openai", gguf, tmp_path, [REQUEST], engine, args, generate)
    with pytest.raises(RunFailed, match=words) as e:
        backend().load(job)
    assert e.value.kind == kind and "secret" not in str(e.value)
    (rejection,) = backend().reject(job)
    assert words in rejection.message


def test_a_container_is_told_that_it_cannot_reach_the_host(gguf: Path, tmp_path: Path) -> None:
    args = {"base_url": "http://127.0.0.1:1/v1"}
    job = make_job("openai", gguf, tmp_path, [REQUEST], {}, args)
    with pytest.raises(RunFailed, match="a container cannot reach") as e:
        backend().load(job.model_copy(update={"launcher": "docker"}))
    assert "launcher: process" in str(e.value.hint)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1.evil.example:80/v1", "not this machine's loopback"),
        ("http://0.0.0.0:80/v1", "not this machine's loopback"),
        ("http://2130706433:80/v1", "not this machine's loopback"),
        ("http://[::ffff:10.0.0.1]:80/v1", "not this machine's loopback"),
        ("http://127.0.0.1@10.0.0.1/v1", "password"),
        ("https://127.0.0.1/v1", "not of the form"),
        ("http://[::1%25eth0]:80/v1", "not of the form"),
        ("http://127.0.0.1:80/vé", "not of the form"),
        ("http://127.0.0.1:80/v 1", "not of the form"),
        ("http://127.0.0.1:80/v1?x=1", "not of the form"),
        ("http://127.0.0.1:99999/v1", "Port out of range"),
    ],
)
def test_a_place_is_on_the_loopback_and_spelled_plainly(
    url: str, words: str, gguf: Path, tmp_path: Path
) -> None:
    (rejection,) = backend().reject(
        make_job("openai", gguf, tmp_path, [REQUEST], {}, {"base_url": url})
    )
    assert words in rejection.message


class Handler(BaseHTTPRequestHandler):
    """Wants a key, and knows only what OpenAI documents."""

    protocol_version = "HTTP/1.1"
    asked: list[bytes] = []

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != "Bearer hunter22":
            self._say(401, "application/json", b'{"error": {"message": "no key"}}')
        elif self.path == "/v1/models":
            self._say(200, "application/json", b'{"data": [{"id": "m", "max_model_len": 64}]}')
        else:
            self._say(404, "text/plain", b"no")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(body)
        if b"continuous" in body:
            said = b'{"error": {"message": "stream_options: extra fields not permitted"}}'
            self._say(400, "application/json", said)
            return
        events = (
            b'data: {"choices": [{"text": "a b c", "finish_reason": "length"}]}\n\n'
            b'data: {"choices": [], "usage": {"completion_tokens": 3, "prompt_tokens": 3}}\n\n'
            b"data: [DONE]\n\n"
        )
        self._say(200, "text/event-stream", events)

    def _say(self, status: int, media: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", media)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def strict() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_a_key_comes_from_the_environment_and_is_never_shown(
    strict: int, gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = {"base_url": f"http://127.0.0.1:{strict}/v1", "api_key_env": "LEM_API_KEY_TGI"}
    job = make_job("openai", gguf, tmp_path, [REQUEST], {}, args)
    monkeypatch.delenv("LEM_API_KEY_TGI", raising=False)
    # On the host that only checks arguments the key may be missing.
    assert backend().reject(job) == []
    with pytest.raises(RunFailed, match="no LEM_API_KEY_TGI in the environment"):
        backend().load(job)
    monkeypatch.setenv("LEM_API_KEY_TGI", "hunter21")
    with pytest.raises(RunFailed, match="wants a key") as e:
        backend().load(job)
    assert "hunter" not in str(e.value)
    monkeypatch.setenv("LEM_API_KEY_TGI", "hunter22")
    found = openai_server.check(job, Settings.of(job))
    assert "hunter22" not in repr(found) + repr(Settings.of(job)) + job.model_dump_json()
    # Counts with every chunk were refused, so they come at the end and are spread.
    assert found.counts == "end" and found.max_model_len == 64


class Telltale(Handler):
    """Repeats the key wherever it can."""

    def do_GET(self) -> None:
        key = self.headers.get("Authorization", "").partition(" ")[2]
        if self.path == "/v1/models":
            said = json.dumps({"data": [{"id": f"m-{key}"}, {"id": f"n-{key}"}][: self.models]})
        else:
            said = json.dumps({"version": f"1 {key}"})
        self._say(200, "application/json", said.encode())

    models = 1

    def version_string(self) -> str:
        return "talk " + self.headers.get("Authorization", "")

    def do_POST(self) -> None:
        key = self.headers.get("Authorization", "").partition(" ")[2]
        self.rfile.read(int(self.headers["Content-Length"]))
        said = json.dumps({"error": {"message": f"Incorrect API key provided: {key}"}})
        self._say(400, "application/json", said.encode())


def test_a_key_that_the_server_repeats_is_hidden(
    gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEM_API_KEY", "hunter22")
    with ThreadingHTTPServer(("127.0.0.1", 0), Telltale) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        args = {
            "base_url": f"http://127.0.0.1:{server.server_address[1]}/v1",
            "api_key_env": "LEM_API_KEY",
        }
        job = make_job("openai", gguf, tmp_path, [REQUEST], {}, args)
        try:
            for models, words in ((1, "Incorrect API key"), (2, "it has m-")):
                monkeypatch.setattr(Telltale, "models", models)
                with pytest.raises(RunFailed, match=words) as e:
                    backend().load(job)
                assert "hunter" not in str(e.value) and "[secret]" in str(e.value)
                (rejection,) = backend().reject(job)
                assert "hunter" not in rejection.message
        finally:
            server.shutdown()
            thread.join()


def test_the_listener_is_found_by_its_port(strict: int, tmp_path: Path) -> None:
    assert process_listening(strict) == os.getpid()
    assert process_listening(1) is None
    proc = tmp_path / "proc"
    (proc / "net").mkdir(parents=True)
    head = "  sl  local_address rem_address   st tx rx tr tm->when retrnsmt uid timeout inode\n"
    for address, found in (
        ("0100007F:1F90", 7),
        ("00000000:1F90", 7),
        # Another address of this machine, another port.
        ("0200A8C0:1F90", None),
        ("0100007F:1F91", None),
    ):
        line = f"   0: {address} 00000000:0000 0A 0:0 00:0 0 0 0 4711 1\n"
        (proc / "net" / "tcp").write_text(head + line)
        for pid, parent, name in ((7, 1, "ollama"), (8, 7, "ollama")):
            folder = proc / str(pid)
            (folder / "fd").mkdir(parents=True, exist_ok=True)
            (folder / "comm").write_text(f"{name}\n")
            (folder / "stat").write_text(f"{pid} (x) S {parent} " + "0 " * 17 + "99 0\n")
            (folder / "fd" / "3").unlink(missing_ok=True)
            (folder / "fd" / "3").symlink_to("socket:[4711]")
        assert process_listening(8080, proc) == found
    (proc / "net" / "tcp").write_text(head + line.replace("1F91", "1F90"))
    assert process_listening(8080, proc) == 7
    # TGI's launcher has the model servers beside the router that listens.
    (proc / "6").mkdir()
    (proc / "6" / "comm").write_text("text-generation\n")
    (proc / "6" / "stat").write_text("6 (x) S 1 " + "0 " * 17 + "99 0\n")
    (proc / "7" / "stat").write_text("7 (x) S 6 " + "0 " * 17 + "99 0\n")
    assert process_listening(8080, proc) == 6
    # What listens for another machine uses energy there.
    for name in ("docker-proxy", "ssh", "kubectl", "nginx"):
        (proc / "7" / "comm").write_text(f"{name}\n")
        assert process_listening(8080, proc) is None


def test_only_the_tokenizer_is_prepared(smollm2_safetensors: Path, tmp_path: Path) -> None:
    where = backend().prepare(ModelSpec(id="x"), smollm2_safetensors, tmp_path, False)
    names = {p.name for p in (tmp_path / where).iterdir()}
    assert "tokenizer.json" in names and not any(n.endswith(".safetensors") for n in names)
    tokenizer = backend().tokenizer(tmp_path / where)
    assert tokenizer.encode(REQUEST.text, False) == REQUEST.input_ids
    with pytest.raises(RunFailed, match="its own weights"):
        backend().prepare(ModelSpec(id="x", synthetic=Synthetic()), None, tmp_path / "t", False)


@pytest.mark.slow
def test_a_campaign_measures_the_server_and_not_the_client(
    server: LlamaHttp, gguf: Path, tmp_path: Path
) -> None:
    campaign: dict[str, Any] = {
        "version": 1,
        "name": "running-server",
        "models": [{"id": str(gguf)}],
        "backends": {"openai": {"args": {"base_url": f"http://127.0.0.1:{server.port}/v1"}}},
        "workload": {
            "requests": 40,
            "dataset": {"kind": "random", "input_tokens": 8, "output_tokens": 6},
            "arrival": {"kind": "concurrency", "concurrency": 3},
        },
        "generate": {"ignore_eos": True},
        "measure": {"preset": "quick", "blocks": 1, "window_s": 1, "warm_up_cap_s": 1},
        "launcher": "process",
    }
    file = tmp_path / "c.yaml"
    file.write_text(json.dumps(campaign))
    done = lem("campaign", "run", file, "--out", tmp_path / "out", cache=tmp_path / "cache")
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = outcomes(tmp_path / "out")
    folder = tmp_path / "out" / found.path
    record = Record.read(folder / "record.json")
    assert worst(record.flags) == "info" and "input_tokens_differ" not in record.flags
    assert record.client["client_stamps"] == "kernel"
    assert 0 < float(record.client["client_cpu_share"] or 0) < 1
    assert record.environment.engine_resolved["server"] == "llama.cpp"
    # Every figure of the window follows from the responses, by their time stamps.
    (window,) = record.windows
    rows = responses.read(folder / "responses.csv.gz")
    assert {r.status for r in rows} == {"done"} and {r.output_tokens for r in rows} == {6}
    inside = [t for r in rows for t in r.token_ns() if window.start_ns < t <= window.end_ns]
    assert window.output_tokens == len(inside)
    # One thread of the server works all the time; what the client takes is not counted.
    seconds = (window.end_ns - window.start_ns) / 1e9
    assert window.cpu_time_s is not None and 0 < window.cpu_time_s < 1.1 * seconds + 0.1
