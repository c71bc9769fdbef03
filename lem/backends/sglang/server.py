"""SGLang's own server on the loopback, driven by lem's client."""

import sys
from pathlib import Path
from typing import Any

from lem.backends import checkpoints, serving
from lem.backends.served import LOOPBACK, ServedEngine, ServerCommand, ask, free_port
from lem.backends.sglang import arguments as sglang_arguments
from lem.contract.base import Scalar
from lem.contract.job import Job
from lem.errors import RunFailed
from lem.workloads.datasets import NLL_CHUNK_TOKENS, chunks

MODULE = "sglang.launch_server"
ANSWER_S = 600.0


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
    """By SGLang's own interface beside OpenAI's (``/generate``), which scores prompts."""
    if not isinstance(longest, int) or longest <= NLL_CHUNK_TOKENS:
        return None
    total, scored = 0.0, 0
    for piece in chunks(token_ids):
        what = {
            "input_ids": piece,
            "sampling_params": {"max_new_tokens": 1, "temperature": 0},
            "return_logprob": True,
            "logprob_start_len": 0,
        }
        status, _, answer = ask(address, "/generate", what, timeout_s=ANSWER_S)
        try:
            if status != 200:
                raise ValueError(f"HTTP {status}: {str(answer)[:300]}")
            found = [(e[0], e[1]) for e in answer["meta_info"]["input_token_logprobs"]]
        except (KeyError, TypeError, ValueError, IndexError) as e:
            raise RunFailed("engine_error", f"SGLang's server scores no prompt: {e!r}") from e
        total -= sglang_arguments.prompt_logprob(found, piece)
        scored += len(piece) - 1
    return total / scored if scored else None
