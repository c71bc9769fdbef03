"""What a running OpenAI-compatible server is asked: where it is, what it accepts, and what it says
of itself."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from lem.backends.served import ask
from lem.contract.base import Scalar
from lem.contract.job import KEY_VARIABLE, Job
from lem.errors import RunFailed
from lem.workloads.client import Client
from lem.workloads.load import Log
from lem.workloads.requests import Request
from lem.workloads.sources import Backlog
from lem.workloads.stock import Stock
from lem.workloads.wire import Wire, error_text, hide

KNOWN = ("base_url", "model", "api", "prompt", "api_key_env", "engine_port")
EACH = {"include_usage": True, "continuous_usage_stats": True}
"""Token counts with every chunk where the server knows how (vLLM, SGLang), else with the last."""
SALTED = ("vllm", "sglang", "tensorrt_llm")
"""Servers (``owned_by`` of their models) that find a prompt in their cache only under the same
``cache_salt``."""
CHECK_S = 120.0
WORDS = 200


@dataclass(frozen=True)
class Settings:
    """``backends.openai.args`` and ``generate``, checked."""

    address: tuple[str, int]
    prefix: str
    model: str | None
    api: Literal["completions", "chat"]
    prompt: Literal["ids", "text"]
    key_name: str | None
    sampling: dict[str, Any] = field(default_factory=dict)
    salt: str = ""
    """The run's own: the server has answered earlier runs' requests, which are the same ones."""
    engine_port: int | None = None
    """Where the engine itself listens, if it is behind a gateway at ``address``."""

    @staticmethod
    def of(job: Job) -> "Settings":
        """Raises :class:`RunFailed` for what cannot be."""
        args = dict(job.args)
        if unknown := [k for k in args if k not in KNOWN]:
            raise _bad(f"args.{unknown[0]}: openai has no such argument; it has {', '.join(KNOWN)}")
        if set_here := [k for k, v in job.engine.items() if v is not None]:
            raise RunFailed(
                "unsupported",
                f"engine.{set_here[0]}: a server that already runs has its own settings",
                hint="start the server with it, and leave it out of the campaign for openai",
            )
        address, prefix = _place(args.get("base_url"))
        api = _one_of(args, "api", ("completions", "chat"), "completions")
        prompt = _one_of(args, "prompt", ("ids", "text"), "text" if api == "chat" else "ids")
        if api == "chat" and prompt == "ids":
            raise _bad("args.prompt: chat completions take text, not token ids")
        key_name = _text(args, "api_key_env")
        if key_name is not None and not KEY_VARIABLE.fullmatch(key_name):
            raise _bad(
                "args.api_key_env is LEM_API_KEY, or begins with LEM_API_KEY_ (capital letters): a "
                "campaign gets no other variable of your environment"
            )
        generate = {k: v for k, v in job.generate.items() if v is not None}
        taken = {"model", "prompt", "messages", "max_tokens", "stream", "stream_options", "n"}
        if twice := sorted(taken & set(generate)):
            raise _bad(f"generate.{twice[0]}: lem says that itself")
        sampling = {"temperature": 0, "seed": job.seed, **generate}
        return Settings(
            address,
            prefix,
            _text(args, "model"),
            _as_api(api),
            _as_prompt(prompt),
            key_name,
            sampling,
            f"lem-{job.run_id}",
            _port(args.get("engine_port")),
        )

    def key_is_here(self) -> bool:
        """Whether the key is in the environment, or none is needed."""
        return self.key_name is None or bool(os.environ.get(self.key_name))

    def hidden(self, text: str) -> str:
        """``text`` without the key: a server may quote it in what it refuses."""
        return hide(text, self.headers())

    def headers(self) -> dict[str, str]:
        if self.key_name is None:
            return {}
        key = os.environ.get(self.key_name, "")
        if not key.isascii() or not key.isprintable():
            raise _bad("args.api_key_env: the key has characters that no header can hold")
        return {"Authorization": f"Bearer {key}"}


@dataclass(frozen=True)
class Found:
    """What the server turned out to be."""

    wire: Wire
    model: str
    version: str
    software: str
    """Its ``Server`` header."""
    max_model_len: int | None
    counts: str
    """How it counts output tokens: with ``each chunk``, at the ``end``, or ``not``."""
    prompt_cache: str
    """Of prompts of earlier runs: ``off``, ``salted`` (kept, but not found), or ``unknown``."""


def _place(base_url: object) -> tuple[tuple[str, int], str]:
    """Address and path of a server on this machine's loopback."""
    if not isinstance(base_url, str):
        raise _bad("args.base_url is missing: where the server is, as http://127.0.0.1:8000/v1")
    try:
        parts = urlsplit(base_url)
        port = parts.port or 80
    except ValueError as e:
        raise _bad(f"args.base_url: {e}") from e
    if parts.username or parts.password:
        raise _bad("args.base_url holds a password: use args.api_key_env, which is never written")
    plain = parts.path.isascii() and parts.path.isprintable() and " " not in parts.path
    if (
        parts.scheme != "http"
        or not parts.hostname
        or "%" in parts.hostname
        or parts.query
        or parts.fragment
        or not plain
    ):
        raise _bad("args.base_url is not of the form http://127.0.0.1:8000/v1")
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname
    try:
        ours = ipaddress.ip_address(host).is_loopback
    except ValueError:
        ours = False
    if not ours:
        raise RunFailed(
            "unsupported",
            f"args.base_url: {parts.hostname} is not this machine's loopback, and the energy of "
            "another machine is not measured here",
            hint="run lem on the machine that the server runs on, with http://127.0.0.1:PORT/v1",
        )
    return (host, port), parts.path.rstrip("/")


def check(job: Job, settings: Settings) -> Found:
    """Ask the server who it is, and for one token with the job's settings, so that what it refuses
    is refused now and in its own words."""
    headers = settings.headers()
    address = settings.address
    try:
        status, told, listed = ask(address, f"{settings.prefix}/models", headers=headers)
    except OSError as e:
        inside = "" if job.launcher == "process" else ", and a container cannot reach the host's"
        raise RunFailed(
            "unsupported",
            f"no server answers at http://{address[0]}:{address[1]} ({e}){inside}",
            hint="start the server, and use `launcher: process`",
        ) from e
    if status in (401, 403):
        raise _bad(f"the server wants a key (HTTP {status}): name its variable in args.api_key_env")
    entry = _entry(listed, settings.model)
    if entry is None:
        raise _bad(
            "args.model: say which of the server's models; it has "
            + settings.hidden(_names(listed))
        )
    limit = entry.get("max_model_len")
    found = Found(
        wire=Wire(f"{settings.prefix}/{_path(settings)}", lambda r: {}, headers),
        model=str(entry["id"]),
        version=settings.hidden(_version(address, headers)),
        software=settings.hidden(" ".join(told.get("server", "unknown").split())[:WORDS]),
        max_model_len=limit if isinstance(limit, int) else None,
        counts="not",
        prompt_cache=_prompt_cache(settings, told, entry),
    )
    return _tried(settings, found)


def _prompt_cache(settings: Settings, told: Mapping[str, str], entry: dict[str, Any]) -> str:
    if "llama.cpp" in told.get("server", ""):
        return "unknown" if settings.sampling.get("cache_prompt") else "off"
    salted = entry.get("owned_by") in SALTED and "cache_salt" not in settings.sampling
    return "salted" if salted else "unknown"


def answered(settings: Settings, found: Found) -> None:
    """Have the server answer one request, whatever the answer."""
    client, log = Client(settings.address, found.wire, silent_s=CHECK_S), Log()
    request = Request("listen", [1, 2, 3], 16, "One, two, three, four,")
    client.serve(Backlog(Stock([request]), log, limit=1), log)


def _tried(settings: Settings, found: Found) -> Found:
    """With the wire that the server takes, and how it counts."""
    options: dict[str, Any] = EACH
    while True:
        wire = replace(found.wire, body=_body(settings, found, options))
        client, log = Client(settings.address, wire, silent_s=CHECK_S), Log()
        request = Request("check", [1, 2, 3], 3, "One, two, three, four,")
        client.serve(Backlog(Stock([request]), log, limit=1), log)
        answer = log.responses["check"]
        if answer.status == "done":
            break
        if options is EACH and ("stream_options" in answer.text or "continuous" in answer.text):
            options = {"include_usage": True}
            continue
        if found.prompt_cache == "salted" and "cache_salt" in answer.text:
            found = replace(found, prompt_cache="unknown")
            continue
        raise RunFailed("bad_argument", f"the server refuses a request: {answer.text}")
    counts = "end" if "tokens_spread" in client.flags else "each chunk"
    counts = "not" if "tokens_assumed" in client.flags else counts
    return replace(found, wire=wire, counts=counts)


def _body(settings: Settings, found: Found, options: dict[str, Any]) -> Any:
    fixed: dict[str, Any] = {
        "model": found.model,
        "stream": True,
        "stream_options": options,
        **settings.sampling,
    }
    if "llama.cpp" in found.software:
        fixed = {"cache_prompt": False, **fixed, "timings_per_token": True}

    def body(request: Request) -> dict[str, Any]:
        if settings.api == "chat":
            asked: dict[str, Any] = {"messages": [{"role": "user", "content": request.text}]}
        else:
            asked = {"prompt": request.text if settings.prompt == "text" else request.input_ids}
        if found.prompt_cache == "salted":
            asked["cache_salt"] = f"{settings.salt}-{request.nth}"
        return {**fixed, **asked, "max_tokens": request.output_tokens}

    return body


def facts(settings: Settings, found: Found) -> dict[str, Scalar]:
    """What the server says of itself; much of it no such server tells."""
    model = settings.hidden(found.model)
    return {
        "engine_version": found.version,
        "server": found.software,
        # Some name a file of this machine: its folders are nobody's business.
        "served_model": Path(model).name if model.startswith("/") else model,
        "max_model_len": found.max_model_len,
        "token_counts": found.counts,
        "prompt_cache": found.prompt_cache,
        "api": settings.api,
        "prompt": settings.prompt,
        "dtype": "unknown",
        "device": "unknown",
        "attention": "unknown",
        "max_batch_size": "unknown",
    }


def _version(address: tuple[str, int], headers: dict[str, str]) -> str:
    """vLLM and SGLang have ``/version``, Ollama ``/api/version``, TGI ``/info``, llama.cpp
    ``/props``."""
    names = {
        "/version": "version",
        "/api/version": "version",
        "/info": "version",
        "/props": "build_info",
    }
    for path, name in names.items():
        try:
            status, _, said = ask(address, path, headers=headers, timeout_s=10.0)
        except OSError:
            continue
        value = said.get(name) if status == 200 and isinstance(said, dict) else None
        if isinstance(value, str) and value.strip():
            return " ".join(value.split())[:WORDS]
    return "unknown"


def _entry(listed: Any, wanted: str | None) -> dict[str, Any] | None:
    entries = [m for m in _models(listed) if wanted in (None, m["id"])]
    if not entries and wanted is not None and not _models(listed):
        return {"id": wanted}
    return entries[0] if len(entries) == 1 else None


def _models(listed: Any) -> list[dict[str, Any]]:
    data = listed.get("data") if isinstance(listed, dict) else None
    entries = data if isinstance(data, list) else []
    return [m for m in entries if isinstance(m, dict) and isinstance(m.get("id"), str)]


def _names(listed: Any) -> str:
    return error_text(", ".join(m["id"] for m in _models(listed)) or "none")


def _path(settings: Settings) -> str:
    return "chat/completions" if settings.api == "chat" else "completions"


def _port(value: object) -> int | None:
    if value is None or (
        isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536
    ):
        return value
    raise _bad("args.engine_port is the number of a port")


def _text(args: dict[str, Any], name: str) -> str | None:
    value = args.get(name)
    if value is not None and not isinstance(value, str):
        raise _bad(f"args.{name} is a text")
    return value


def _one_of(args: dict[str, Any], name: str, allowed: tuple[str, ...], default: str) -> str:
    value = args.get(name, default)
    if value not in allowed:
        raise _bad(f"args.{name} is one of {', '.join(allowed)}")
    return str(value)


def _as_api(value: str) -> Literal["completions", "chat"]:
    return "chat" if value == "chat" else "completions"


def _as_prompt(value: str) -> Literal["ids", "text"]:
    return "text" if value == "text" else "ids"


def _bad(message: str) -> RunFailed:
    return RunFailed("bad_argument", message)
