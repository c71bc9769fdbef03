"""llama.cpp behind its own server: what a job becomes on the command line and on the wire."""

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lem.backends import gguf_metadata, served
from lem.backends.llama_cpp.process import FACTS, JOB, REFUSED
from lem.backends.llama_cpp.scores import Scorer, letter
from lem.contract.base import Scalar
from lem.contract.job import Job
from lem.errors import RunFailed
from lem.workloads.client import Client
from lem.workloads.datasets import NLL_CHUNK_TOKENS
from lem.workloads.requests import Request
from lem.workloads.wire import Wire

COMPLETIONS = "/v1/completions"
FACTS_S = 30.0
"""How long what is known of the server may come after its first answer, on a busy machine."""


def start(job: Job, sampling: dict[str, Any], facts: dict[str, Scalar]) -> served.ServedEngine:
    """Load the model in a server of its own.

    ``sampling`` is what every request says besides its prompt; ``facts`` what is known without the
    server. Raises :class:`RunFailed` in llama.cpp's own words.
    """
    folder = Path(tempfile.mkdtemp(prefix="lem-llama-"))
    try:
        job.write(folder / JOB)
        port = served.free_port()
        command = served.ServerCommand(
            argv=[sys.executable, "-m", "lem.backends.llama_cpp.process", str(folder), str(port)],
            port=port,
        )
        return served.start(command, lambda server: _engine(job, server, folder, sampling, facts))
    except RunFailed as e:
        raise _typed(e) from e
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _told(
    file: Path, died: Callable[[], str | None], within_s: float = FACTS_S
) -> dict[str, Scalar]:
    """What the server's process says of itself. It says so right after its server, which has
    threads of its own, has begun to answer. ``died``: how the process ended, if it did. Raises
    :class:`RunFailed`."""
    end_s = time.monotonic() + within_s
    while not file.exists():
        if (how := died()) is not None:
            raise RunFailed("engine_error", how)
        if time.monotonic() > end_s:
            raise RunFailed(
                "engine_error", "llama.cpp's server answers, and its process says nothing"
            )
        time.sleep(0.01)
    found: dict[str, Scalar] = json.loads(file.read_bytes())
    return found


def _engine(
    job: Job,
    server: served.Server,
    folder: Path,
    sampling: dict[str, Any],
    facts: dict[str, Scalar],
) -> served.ServedEngine:
    resolved: dict[str, Scalar] = facts | _told(folder / FACTS, server.died)
    tokens = gguf_metadata.read(Path(job.model)).get("tokenizer.ggml.tokens", [])
    caches = bool(resolved["cache_prompt"])
    slots = int(resolved["max_batch_size"] or 1)

    def complete(what: dict[str, Any]) -> dict[str, Any]:
        try:
            _, _, answer = served.ask(server.address, COMPLETIONS, what)
        except OSError as e:
            raise RunFailed("engine_error", f"llama.cpp does not answer: {e}") from e
        return answer if isinstance(answer, dict) else {"error": {"message": str(answer)[:500]}}

    scorer = Scorer(complete, letter(tokens), len(tokens))

    def nll(token_ids: list[int]) -> float | None:
        if int(resolved["max_model_len"] or 0) <= NLL_CHUNK_TOKENS:
            return None
        return scorer.nll(token_ids, slots)

    answer = complete({**sampling, "prompt": [0, 0], "n_predict": 1})
    if "error" in answer:
        raise RunFailed("bad_argument", str(answer["error"].get("message", answer["error"])))
    client = Client(server.address, wire(sampling, caches), died=server.died)
    return served.ServedEngine(
        client,
        server=server,
        facts=lambda: dict(resolved),
        nll=nll,
        likelihoods=lambda pieces: scorer.likelihoods(pieces, slots),
        scored_by="forced tokens",
    )


def wire(sampling: dict[str, Any], caches: bool) -> Wire:
    """How a request looks; ``caches``: whether prompts are kept between requests."""

    def body(request: Request) -> dict[str, Any]:
        return {
            **sampling,
            "prompt": request.input_ids,
            "n_predict": request.output_tokens,
            "stream": True,
            "timings_per_token": True,
            "cache_prompt": caches,
        }

    return Wire(COMPLETIONS, body)


def _typed(error: RunFailed) -> RunFailed:
    """What the server's process said of its own failure, where it could."""
    if f"exit status {REFUSED}" not in error.message:
        return error
    for line in reversed(error.message.splitlines()):
        try:
            said = json.loads(line)
            return RunFailed(said["kind"], said["message"], hint=said["hint"])
        except (ValueError, TypeError, KeyError):
            continue
    return error
