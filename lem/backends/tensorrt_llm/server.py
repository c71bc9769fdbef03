"""TensorRT-LLM's own server (``trtllm-serve``) on the loopback, driven by lem's client."""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from lem.backends import serving
from lem.backends.served import LOOPBACK, ServedEngine, ServerCommand, free_port
from lem.backends.tensorrt_llm import arguments
from lem.contract.base import Scalar
from lem.contract.job import Job

PROGRAM = "trtllm-serve"
FLAGS = {
    "max_batch_size": "--max_batch_size",
    "max_seq_len": "--max_seq_len",
    "max_num_tokens": "--max_num_tokens",
    "tensor_parallel_size": "--tp_size",
}
"""Said on the command line too: in some versions its defaults there win over the file."""


def command(job: Job, told: dict[str, Any], port: int, options: Path) -> ServerCommand:
    """How the server is started. ``options``: a file that holds what it is ``told``."""
    beside = Path(sys.executable).with_name(PROGRAM)
    program = str(beside) if beside.is_file() else PROGRAM
    words = [program, "serve", job.model, "--host", LOOPBACK, "--port", str(port)]
    words += ["--backend", "pytorch", "--log_level", "error"]
    if job.trust_remote_code:
        words.append("--trust_remote_code")
    for name, flag in FLAGS.items():
        if name in told:
            words += [flag, str(told[name])]
    return ServerCommand([*words, "--extra_llm_api_options", str(options)], port)


def start(job: Job, own: dict[str, Any], sampling: dict[str, Any]) -> ServedEngine:
    """The running server as an engine. Raises :class:`lem.errors.RunFailed`."""
    told = arguments.served(own)
    folder = Path(tempfile.mkdtemp(prefix="lem-trtllm-"))
    try:
        options = folder / "options.yaml"
        # JSON is YAML.
        options.write_text(json.dumps(told))
        return serving.start(
            job,
            command(job, told, free_port(), options),
            lambda request: arguments.body(job.model, sampling, request),
            lambda address: configured(job, told),
            _no_nll,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def configured(job: Job, told: dict[str, Any]) -> dict[str, Scalar]:
    """The server tells nothing of its configuration, so this is what TensorRT-LLM's own class makes
    of what it was told."""
    from tensorrt_llm.llmapi import TorchLlmArgs

    found = arguments.facts(TorchLlmArgs(model=job.model, **told), Path(job.model))
    return {**found, "facts_from": "configuration"}


def _no_nll(address: tuple[str, int], token_ids: list[int]) -> float | None:
    print(
        "TensorRT-LLM's server gives no log-probabilities of a prompt: no likelihood",
        file=sys.stderr,
    )
    return None
