"""From a job to vLLM's own arguments, flags and environment.

``args.*`` are vLLM's engine arguments under their own names (offline, those of ``LLM``; served,
those of its server as well) and go through untouched.
"""

import json
import math
import os
import shutil
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lem.backends import doors, settings
from lem.contract.base import Scalar
from lem.contract.job import Job
from lem.contract.spec import Settings
from lem.errors import RunFailed
from lem.workloads import requests
from lem.workloads.datasets import NLL_CHUNK_TOKENS

SHARED = {
    "dtype": "dtype",
    "max_batch_size": "max_num_seqs",
    "max_model_len": "max_model_len",
    "tensor_parallel_size": "tensor_parallel_size",
    "quantization": "quantization",
}
"""``engine.*`` → vLLM's name for it."""

NOT_ARGUMENTS = frozenset(
    {
        "allowed_local_media_path",
        "allowed_media_domains",
        "api_key",
        "code_revision",
        "config",
        "data_parallel_address",
        "data_parallel_backend",
        "data_parallel_external_lb",
        "data_parallel_hybrid_lb",
        "data_parallel_multi_port_external_lb",
        "data_parallel_rank",
        "data_parallel_rpc_port",
        "data_parallel_start_rank",
        "data_parallel_supervisor_port",
        "default_mm_loras",
        "device_ids",
        "download_dir",
        "ec_transfer_config",
        "enable_elastic_ep",
        "enable_prompt_tokens_details",
        "enable_scale_out",
        "grpc",
        "grpc_port",
        "headless",
        "hf_config_path",
        "hf_token",
        "host",
        "io_processor_plugin",
        "kv_events_config",
        "log_config_file",
        "logging_config",
        "logits_processors",
        "lora_modules",
        "master_addr",
        "master_port",
        "middleware",
        "mm_encoder_fp8_scale_path",
        "mm_encoder_fp8_scale_save_path",
        "model",
        "model_class_overrides",
        "model_loader_extra_config",
        "model_tag",
        "model_weights",
        "nnodes",
        "node_rank",
        "otlp_traces_endpoint",
        "port",
        "profiler_config",
        "reasoning_parser_plugin",
        "revision",
        "root_path",
        "scheduler_cls",
        "served_model_name",
        "ssl_ca_certs",
        "ssl_certfile",
        "ssl_keyfile",
        "stream_interval",
        "tokenizer",
        "tokenizer_revision",
        "tokens_only",
        "tool_parser_plugin",
        "tool_server",
        "trust_remote_code",
        "uds",
        "weight_transfer_config",
        "worker_cls",
        "worker_extension_cls",
    }
)
"""Arguments that would load something else, open a door, write files, hide the times of tokens, or
that lem itself needs."""

WHOLE_OPTIONS = ("reasoning_parser",)
"""Options of vLLM's that are the beginning of one that is refused."""

NOT_GENERATE = {
    "n": "a request has one answer to count",
    "best_of": "a request has one answer to count",
    "use_beam_search": "a beam search's tokens have no times",
    "max_tokens": "the request list says how many tokens each answer has",
    "output_kind": "lem needs each token when it comes out",
    "stream_interval": "lem needs each token when it comes out",
    "detokenize": "an answer's text is part of what is measured",
    "echo": "an answer is not its prompt",
    "stream": "lem needs each token when it comes out",
    "stream_options": "lem needs each token when it comes out",
    "kv_transfer_params": "it names another machine to take a prompt's keys and values from",
    "prompt_embeds": "a request is its list's token ids",
}

PARALLEL = (
    "tensor_parallel_size",
    "pipeline_parallel_size",
    "prefill_context_parallel_size",
    "data_parallel_size",
)
"""Their product is the number of GPUs (``ParallelConfig.world_size_across_dp``). The decode context
parallel size is none of them: it divides the tensor parallel group."""

WORKER_FACTS = "lem.backends.vllm.worker.WorkerFacts"
IN_PROCESS = "VLLM_ENABLE_V1_MULTIPROCESSING"
KV_SPACE = "VLLM_CPU_KVCACHE_SPACE"
KV_BLOCK_TOKENS = 128
"""vLLM's block on a CPU."""
DEFAULT_SLOTS = {"offline": 256, "served": 128}
"""vLLM's own ``max_num_seqs`` on a CPU."""
CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")


def offline(job: Job) -> bool:
    return job.workload.arrival.kind == "offline"


def arguments(job: Job) -> dict[str, Any]:
    """Keyword arguments of ``LLM`` and, as flags, of the server.

    Raises :class:`RunFailed` (``bad_argument``) for what lem has to refuse before vLLM sees it.
    """
    args = dict(job.args)
    doors.check(args, NOT_ARGUMENTS)
    doors.check_abbreviations(args, NOT_ARGUMENTS, WHOLE_OPTIONS)
    # Under half a name a size would be the server's, and not counted (gpus_needed).
    doors.check_abbreviations(args, PARALLEL, PARALLEL)
    for name, own in SHARED.items():
        value = job.engine.get(name)
        if value is None:
            continue
        if own in args:
            raise RunFailed(
                "bad_argument", f"engine.{name} and args.{own} say the same thing twice"
            )
        args[own] = value
    args["model"] = job.model
    args["trust_remote_code"] = job.trust_remote_code
    args["worker_extension_cls"] = WORKER_FACTS
    args.setdefault("seed", job.seed)
    # "auto" would take sampling settings from the model's folder.
    args.setdefault("generation_config", "vllm")
    return args


def gpus_needed(engine: Settings, args: Settings) -> int:
    """How many GPUs vLLM spreads over."""
    return settings.size(engine, PARALLEL[0]) * math.prod(
        settings.size(args, name) for name in PARALLEL
    )


def with_kv_space(job: Job, args: Mapping[str, Any], available_bytes: int) -> dict[str, Any]:
    """The arguments with the size of the KV cache where nothing says it.

    On a CPU vLLM would take 92 % of the machine's memory, or stop where that isn't free. Instead:
    what all slots need for the longest request of the run's list, twice, so that shared prefixes
    can stay; at least one request of the model's full length, which vLLM insists on; at most half
    of the memory that is available.
    """
    args = dict(args)
    said = ("kv_cache_memory_bytes", "gpu_memory_utilization", "num_gpu_blocks_override")
    if job.gpus or os.environ.get(KV_SPACE) or any(args.get(name) is not None for name in said):
        return args
    config = model_config(Path(job.model))
    per_token = kv_bytes_per_token(config, str(args.get("dtype") or "auto"))
    full = number(args, "max_model_len") or context_length(config)
    if per_token is None or full is None:
        return args
    listed = requests.read(Path(job.requests), job.requests_sha256)
    longest = max((len(r.input_ids) + r.output_tokens for r in listed), default=0)
    needed = _in_blocks(min(max(longest, NLL_CHUNK_TOKENS + 1), full))
    slots = number(args, "max_num_seqs") or DEFAULT_SLOTS["offline" if offline(job) else "served"]
    # vLLM keeps one block for itself.
    tokens = max(2 * slots * needed, _in_blocks(full)) + KV_BLOCK_TOKENS
    args["kv_cache_memory_bytes"] = min(tokens * per_token, available_bytes // 2)
    return args


def _in_blocks(tokens: int) -> int:
    return -(-tokens // KV_BLOCK_TOKENS) * KV_BLOCK_TOKENS


def model_config(model: Path) -> dict[str, Any]:
    """The part of the model's ``config.json`` that describes its text model; empty if unreadable:
    vLLM then says what is wrong with it."""
    try:
        config = json.loads((model / "config.json").read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(config, dict):
        return {}
    inner = config.get("text_config")
    return inner if isinstance(inner, dict) else config


def kv_bytes_per_token(config: Mapping[str, Any], dtype: str) -> int | None:
    """Keys and values of all layers for one token; None where the config doesn't tell."""
    layers, heads = number(config, "num_hidden_layers"), number(config, "num_attention_heads")
    hidden = number(config, "hidden_size")
    if layers is None or heads is None or hidden is None:
        return None
    kept = number(config, "num_key_value_heads") or heads
    size = number(config, "head_dim") or hidden // heads
    if dtype == "auto":
        dtype = str(config.get("dtype") or config.get("torch_dtype") or "bfloat16")
    return 2 * layers * kept * size * (4 if dtype in ("float32", "float") else 2)


def context_length(config: Mapping[str, Any]) -> int | None:
    """The model's own longest context."""
    return next((n for name in CONTEXT_NAMES if (n := number(config, name))), None)


def number(settings: Mapping[str, Any], name: str) -> int | None:
    """A whole number of at least 1; None where it is missing or something else (which vLLM then
    refuses itself)."""
    value = settings.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def sampling(job: Job) -> dict[str, Any]:
    """``generate.*`` as keyword arguments of ``SamplingParams``, greedy unless it says otherwise.

    Raises :class:`RunFailed` for settings whose tokens could not be counted.
    """
    generate = dict(job.generate)
    for name, why in NOT_GENERATE.items():
        if name in generate:
            raise RunFailed("unsupported", f"generate.{name}: {why}")
    if generate.get("temperature") is None:
        generate["temperature"] = 0
    return generate


def environment(job: Job, environ: Mapping[str, str]) -> dict[str, str]:
    """What vLLM must find in its environment, beyond what is there.

    - Nothing is fetched, nothing is reported to anyone.
    - On a CPU the engine's core runs in the process that asks for it: ten times faster to start,
      and with ``OMP_NUM_THREADS`` in force. Not where ranks share the model: each needs a process.
    - On a CPU, vLLM's ahead-of-time cache of compiled functions is off: what this version puts
      there it cannot read again, so every start would compile. Inductor's own cache works.
    """
    found = {
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_DO_NOT_TRACK": "1",
        "DO_NOT_TRACK": "1",
        "NO_COLOR": "1",
    }
    threads = job.engine.get("threads")
    if threads is not None:
        count = number(job.engine, "threads")
        if count is None:
            raise RunFailed("bad_argument", f"engine.threads is {threads!r}, not a whole number")
        found["OMP_NUM_THREADS"] = str(count)
    if not job.gpus:
        if ranks(job) == 1:
            found.setdefault(IN_PROCESS, environ.get(IN_PROCESS, "0"))
        elif threads is not None:
            raise RunFailed(
                "unsupported",
                "engine.threads: vLLM binds the threads of several CPU ranks itself",
                hint="set VLLM_CPU_OMP_THREADS_BIND in the environment instead",
            )
        found["VLLM_USE_AOT_COMPILE"] = environ.get("VLLM_USE_AOT_COMPILE", "0")
        if eager(job) and not has_compiler():
            # Small functions of the sampler are compiled in eager mode, too.
            found["TORCHDYNAMO_DISABLE"] = "1"
    return found


def check_compiler(job: Job) -> None:
    """On a CPU vLLM compiles its model with the machine's C++ compiler."""
    if not job.gpus and not eager(job) and not has_compiler():
        raise RunFailed(
            "unsupported",
            "vLLM compiles the model for this CPU: a C++ compiler (g++) or Python.h is missing",
            hint="install g++ and python3-dev, or set args.enforce_eager: true (slower)",
        )


def has_compiler() -> bool:
    """A C++ compiler, and Python's headers, which what is compiled includes."""
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    found = any(shutil.which(name) for name in (os.environ.get("CXX") or "g++", "clang++"))
    return found and headers.is_file()


def eager(job: Job) -> bool:
    return job.args.get("enforce_eager") is True


def ranks(job: Job) -> int:
    """Processes that share one copy of the model."""
    tensor = number(job.engine, "tensor_parallel_size") or number(job.args, "tensor_parallel_size")
    return (tensor or 1) * (number(job.args, "pipeline_parallel_size") or 1)


def flags(args: Mapping[str, Any]) -> list[str]:
    """Arguments as the server's command line has them.

    ``max_num_seqs: 4`` is ``--max-num-seqs 4``; true and false are ``--x`` and ``--no-x``, a list
    is several words, a mapping is JSON.
    """
    doors.check_words(args)
    found: list[str] = []
    for name, value in args.items():
        dashed = name.replace("_", "-")
        if isinstance(value, bool):
            found.append(f"--{dashed}" if value else f"--no-{dashed}")
        elif value is None:
            continue
        elif isinstance(value, list):
            found += [f"--{dashed}", *(_word(v) for v in value)]
        else:
            found.append(f"--{dashed}={_word(value)}")
    return found


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def settings_of(environ: Mapping[str, str]) -> dict[str, Scalar]:
    """vLLM's own environment settings for CPUs that are in force, for the record."""
    names = ("OMP_NUM_THREADS", "TORCHDYNAMO_DISABLE")
    return {k: v for k, v in sorted(environ.items()) if k.startswith("VLLM_CPU_") or k in names}


def preloaded(began: Path = Path("/proc/self/environ")) -> str | None:
    """Names of the libraries that were loaded before all others when this process began: an
    allocator and OpenMP's threads change speed. What is in ``os.environ`` now holds for processes
    still to be started."""
    try:
        lines = began.read_bytes().split(b"\0")
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(b"=")
        if name == b"LD_PRELOAD":
            paths = value.decode("utf-8", "replace").replace(":", " ").split()
            return " ".join(p.rpartition("/")[2] for p in paths) or None
    return None
