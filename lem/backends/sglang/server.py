"""SGLang's own server on the loopback, driven by lem's client."""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lem.backends import checkpoints, serving
from lem.backends.served import LOOPBACK, ServedEngine, ServerCommand, ask, free_port
from lem.backends.sglang import arguments as sglang_arguments
from lem.contract.base import Scalar
from lem.contract.job import Job
from lem.errors import RunFailed
from lem.workloads.datasets import NLL_CHUNK_TOKENS
from lem.workloads.likelihood import Passage, Scored, mean_nll

MODULE = "sglang.launch_server"
ANSWER_S = 600.0
AT_A_TIME = 64
"""Texts that are scored at once: each has a connection and a thread of its own."""


def command(arguments: dict[str, Any], port: int) -> ServerCommand:
    """How the server is started."""
    words = sglang_arguments.command_line({**arguments, "host": LOOPBACK, "port": port})
    return ServerCommand(argv=[sys.executable, "-m", MODULE, *words], port=port)


def start(job: Job, arguments: dict[str, Any], sampling: dict[str, Any]) -> ServedEngine:
    """The running server as an engine. Raises :class:`RunFailed`."""

    def facts(address: tuple[str, int]) -> dict[str, Scalar]:
        return told(address, job)

    return serving.start(
        job,
        command(arguments, free_port()),
        lambda request: sglang_arguments.body(job.model, sampling, request),
        facts,
        lambda address, ids: nll(address, ids, facts(address)["max_model_len"]),
        lambda address, pieces: likelihoods(
            address, pieces, int(str(facts(address)["max_batch_size"] or 1))
        ),
    )


def told(address: tuple[str, int], job: Job) -> dict[str, Scalar]:
    """What the server says of itself."""
    status, _, info = ask(address, "/server_info")
    if status != 200 or not isinstance(info, dict):
        raise RunFailed("engine_error", f"SGLang's server tells nothing of itself (HTTP {status})")
    found = sglang_arguments.facts(info)
    return found | checkpoint(found, checkpoints.said(Path(job.model)))


def checkpoint(found: dict[str, Scalar], said: dict[str, Any]) -> dict[str, Scalar]:
    """What ``auto`` means: SGLang runs bfloat16 checkpoints as they are and all others in
    float16."""
    more: dict[str, Scalar] = {}
    if found.get("dtype") == "auto":
        own = said.get("dtype") or said.get("torch_dtype")
        more["dtype"] = "bfloat16" if own == "bfloat16" else "float16"
    if found.get("max_model_len") is None:
        longest = said.get("max_position_embeddings")
        more["max_model_len"] = longest if isinstance(longest, int) else None
    return more


def nll(address: tuple[str, int], token_ids: list[int], longest: Scalar) -> float | None:
    """As :meth:`lem.backends.protocol.Engine.nll`."""
    if not isinstance(longest, int) or longest <= NLL_CHUNK_TOKENS:
        return None
    return mean_nll(lambda pieces: likelihoods(address, pieces, 1), token_ids)


def likelihoods(address: tuple[str, int], pieces: Sequence[Passage], slots: int) -> list[Scored]:
    """By SGLang's own interface beside OpenAI's (``/generate``), which scores prompts."""
    with ThreadPoolExecutor(max(1, min(slots, len(pieces), AT_A_TIME))) as pool:
        return list(pool.map(lambda piece: _piece(address, piece), pieces))


def _piece(address: tuple[str, int], piece: Passage) -> Scored:
    what = {
        "input_ids": piece.ids,
        "sampling_params": {"max_new_tokens": 1, "temperature": 0},
        "return_logprob": True,
        "logprob_start_len": 0,
        "top_logprobs_num": 1,
    }
    try:
        status, _, answer = ask(address, "/generate", what, timeout_s=ANSWER_S)
    except OSError as e:
        raise RunFailed("engine_error", f"SGLang's server does not answer: {e}") from e
    meta = answer.get("meta_info") if status == 200 and isinstance(answer, dict) else None
    if not isinstance(meta, dict):
        said = f"HTTP {status}: {str(answer)[:300]}"
        raise RunFailed("engine_error", f"SGLang's server scores no prompt: {said}")
    return sglang_arguments.scored(meta, piece)
