"""llama.cpp's server in this process: starting it without its chatter, and its HTTP side."""

import gc
import json
import os
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lem.backends.llama_cpp import parameters as llama_parameters
from lem.errors import RunFailed

LOG_BYTES = 20_000
MEMORY_WORDS = ("bad_alloc", "out of memory", "failed to allocate", "unable to allocate")


def light_server(path: Path) -> Any:
    """A server for tokenizing: weights stay on disk, no memory for a context to speak of."""
    import xllamacpp

    p = xllamacpp.CommonParams()
    llama_parameters.quiet(p)
    p.model.path = str(path)
    p.n_ctx = 64
    p.n_gpu_layers = 0
    p.warmup = False
    p.fit_params = False
    p.no_extra_bufts = True
    p.cache_ram_mib = 0
    p.cpuparams.n_threads = 1
    p.cpuparams_batch.n_threads = 1
    with speaking_only_on_failure():
        return xllamacpp.Server(p)


@contextmanager
def light(path: Path) -> Iterator[Any]:
    """:func:`light_server`, gone at the end."""
    server = light_server(path)
    try:
        yield server
    finally:
        del server
        gc.collect()


@contextmanager
def speaking_only_on_failure() -> Iterator[None]:
    """Keep what llama.cpp prints while it loads; if it fails, its words are the reason."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except Exception as e:
            said.seek(0)
            words = said.read(LOG_BYTES).decode(errors="replace")
            raise _load_failure(words, e) from e
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _load_failure(words: str, error: Exception) -> RunFailed:
    lines = [line.split(" E ", 1)[-1].strip() for line in words.splitlines() if line.strip()]
    message = "; ".join(lines[:3]) or str(error)
    if any(w in words.lower() for w in MEMORY_WORDS):
        return RunFailed(
            "out_of_memory",
            message,
            hint="lower engine.max_batch_size or engine.max_model_len, or use a smaller file",
        )
    return RunFailed("engine_error", message)


def get(server: Any, path: str) -> Any:
    """The JSON that the server gives for ``path``."""
    return _call(urllib.request.Request(server.listening_address + path))


def post(server: Any, path: str, what: dict[str, Any]) -> Any:
    """The server's JSON answer to ``what``."""
    return _call(
        urllib.request.Request(
            server.listening_address + path,
            data=json.dumps(what).encode(),
            headers={"Content-Type": "application/json"},
        )
    )


def _call(request: urllib.request.Request) -> Any:
    # The engine is in this process, on the loopback: a proxy of the environment must not see it.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=60) as answer:
            return json.loads(answer.read())
    except (OSError, ValueError) as e:
        raise RunFailed("engine_error", f"llama.cpp does not answer: {e}") from e
