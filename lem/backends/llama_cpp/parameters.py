"""From a job to llama.cpp's own parameters, and back to what they were in the end.

``args.*`` are fields of llama.cpp's ``common_params`` under their own names (see
``xllamacpp.CommonParams``); those of its CPU settings (``n_threads``, ``poll``, …) are set for
prompt processing and generation alike. What the binding refuses, it refuses in its own words.
"""

import difflib
import os
from typing import Any

from lem.backends import doors, gguf_metadata
from lem.backends.settings import whole
from lem.contract.base import Scalar
from lem.contract.job import Job
from lem.errors import RunFailed
from lem.workloads import questions
from lem.workloads.datasets import NLL_CHUNK_TOKENS

CONTEXT_STEP = 256
"""llama.cpp rounds contexts up to a multiple of this."""

NOT_ARGUMENTS = frozenset(
    {
        "model",
        "hostnames",
        "port",
        "server_base",
        "hf_token",
        "api_keys",
        "mcp_servers_config",
        "mcp_servers_json",
        "server_tools",
        "public_path",
        "slot_save_path",
        "logits_file",
        "logits_output_dir",
        "out_file",
        "path_prompt_cache",
        "path_prompts_log_dir",
        "prompt_file",
        "in_files",
        "context_files",
        "system_prompt",
        "media_path",
        "models_dir",
        "models_preset",
        "models_preset_hf",
        "server_tools_runtime",
        "ssl_file_cert",
        "ssl_file_key",
        "tts_speaker_file",
        "ui_config_json",
        "video_ffmpeg_bin_dir",
        "sleep_idle_seconds",
        "embedding",
        "no_alloc",
        "mmproj",
        "ui",
        "lora_adapters",
        "models_autoload",
        "api_prefix",
        "cors_credentials",
        "cors_methods",
        "cors_headers",
        "cors_origins_explicit",
        "cors_origins",
        "reuse_port",
        "endpoint_slots",
        "endpoint_props",
        "ui_mcp_proxy",
        "offline",
    }
)
"""Fields that would load something else, open a door, write files, or stop the engine."""

SAID_TWICE = {"n_threads": "threads", "n_parallel": "max_batch_size", "n_ctx": "max_model_len"}
CPU_FIELDS = ("n_threads", "poll", "priority", "strict_cpu")


def parameters(job: Job, longest: int) -> Any:
    """The binding's parameters for this job; ``longest`` is the context of one slot, in tokens.

    Raises :class:`RunFailed` (``bad_argument``, ``unsupported``).
    """
    import xllamacpp

    engine, args = job.engine, job.args
    _check_engine(job)
    p = xllamacpp.CommonParams()
    quiet(p)
    p.model.path = job.model
    # One answer must not make the next one cheaper: no prompt is kept between requests.
    p.cache_prompt = False
    p.cache_ram_mib = 0
    p.cache_idle_slots = False
    p.n_ctx_checkpoints = 0
    # Never change what was asked for to make it fit: out of memory is a result.
    p.fit_params = False
    p.n_gpu_layers = -1 if job.gpus else 0
    p.n_parallel = whole(engine, "max_batch_size") or 1
    _set_threads(p, whole(engine, "threads") or cpus())
    doors.check(args, NOT_ARGUMENTS)
    for name, value in args.items():
        _set(p, name, value, engine)
    if "n_ctx" not in args:
        p.n_ctx = longest * p.n_parallel
    return p


def quiet(p: Any) -> None:
    """Errors only in the log, and nothing that is not needed."""
    p.verbosity = 1
    p.ui = False
    p.endpoint_slots = False
    p.offline = True


def cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def slot_context(job: Job, metadata: dict[str, Any]) -> int:
    """Tokens of context for each slot.

    ``engine.max_model_len``; without it, what the longest request of the run's list (and the
    quality text) needs: llama.cpp sets the memory for all of it aside at the start.
    """
    asked = whole(job.engine, "max_model_len")
    trained = gguf_metadata.context_length(metadata)
    if asked is not None:
        if trained is not None and asked > trained:
            raise RunFailed(
                "bad_argument", f"engine.max_model_len is {asked}, but the model has {trained}"
            )
        return asked
    asked_for = questions.every_request(job)
    needed = max((len(r.input_ids) + r.output_tokens for r in asked_for), default=0)
    # One more: llama.cpp wants room for a token after the prompt.
    needed = max(needed, NLL_CHUNK_TOKENS) + 1
    needed = -(-needed // CONTEXT_STEP) * CONTEXT_STEP
    return needed if trained is None else min(needed, trained)


def sampling(job: Job) -> dict[str, Any]:
    """What every completion request says besides its prompt.

    llama.cpp's own sampling defaults (top_k 40, top_p 0.95, min_p 0.05) are switched off unless
    asked for, so that all engines sample alike.
    """
    generate = dict(job.generate)
    temperature = generate.pop("temperature", None) or 0
    if isinstance(temperature, bool) or not isinstance(temperature, int | float):
        raise RunFailed("bad_argument", f"generate.temperature is {temperature!r}, not a number")
    ignore_eos = bool(generate.pop("ignore_eos", False))
    neutral: dict[str, Any] = {"top_k": 0, "top_p": 1.0, "min_p": 0.0, "seed": job.seed}
    return {
        **(neutral if temperature > 0 else {}),
        **generate,
        "temperature": temperature,
        "ignore_eos": ignore_eos,
    }


def facts(p: Any) -> dict[str, Scalar]:
    """The parameters as the engine has them."""
    return {
        "n_threads": p.cpuparams.n_threads,
        "n_threads_batch": p.cpuparams_batch.n_threads,
        "poll": p.cpuparams.poll,
        "n_batch": p.n_batch,
        "n_ubatch": p.n_ubatch,
        "n_gpu_layers": p.n_gpu_layers,
        "flash_attn": _plain(p.flash_attn_type),
        "kv_cache": f"{_plain(p.cache_type_k)}/{_plain(p.cache_type_v)}",
        "kv_unified": p.kv_unified,
        "cache_prompt": p.cache_prompt,
        "batching": "continuous" if p.cont_batching else "static",
        "max_batch_size": p.n_parallel,
        "max_model_len": p.n_ctx // max(p.n_parallel, 1),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
    }


def _check_engine(job: Job) -> None:
    engine = job.engine
    if engine.get("dtype") not in (None, "auto"):
        raise RunFailed(
            "unsupported",
            f"engine.dtype {engine['dtype']}: the weights of a GGUF file keep the type they have",
            hint="set it for the other backends only (such as transformers.engine.dtype), or auto",
        )
    if (whole(engine, "tensor_parallel_size") or 1) > 1:
        raise RunFailed(
            "unsupported",
            "engine.tensor_parallel_size has no name in llama.cpp",
            hint="say it in llama.cpp's own words with args.split_mode and args.tensor_split",
        )


def _set(p: Any, name: str, value: Any, engine: Any) -> None:
    if engine.get(SAID_TWICE.get(name, "")) is not None:
        twice = SAID_TWICE[name]
        raise RunFailed("bad_argument", f"engine.{twice} and args.{name} say the same thing twice")
    if name == "n_threads_batch":
        _assign(p.cpuparams_batch, "n_threads", value, name)
    elif name in CPU_FIELDS:
        _assign(p.cpuparams, name, value, name)
        _assign(p.cpuparams_batch, name, value, name)
    else:
        _assign(p, name, value, name)


def _assign(holder: Any, field: str, value: Any, name: str) -> None:
    try:
        now = getattr(holder, field)
        if isinstance(now, bool) and not isinstance(value, bool):
            # The binding would take any value's truth.
            raise TypeError(f"expected bool, got {type(value).__name__}")
        setattr(holder, field, _member(type(now), value) if hasattr(now, "name") else value)
    except (AttributeError, TypeError, ValueError, OverflowError) as e:
        near = "" if hasattr(holder, field) else _near(holder, name)
        raise RunFailed("bad_argument", f"args.{name}: {e}{near}") from e


def _near(holder: Any, name: str) -> str:
    """A parameter that was perhaps meant, of those there are."""
    known = {n for n in dir(holder) if not n.startswith("_")} - NOT_ARGUMENTS
    near = difflib.get_close_matches(name, sorted({*known, *CPU_FIELDS, "n_threads_batch"}), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _member(kind: Any, value: Any) -> Any:
    """An enumeration's member by number or by the end of its name: q8_0 → GGML_TYPE_Q8_0."""
    if not isinstance(value, str):
        return kind(value)
    ends = [m for m in kind if m.name.lower().endswith("_" + value.lower())]
    if len(ends) != 1:
        raise ValueError(f"{value!r} is none of {', '.join(m.name for m in kind)}")
    return ends[0]


def _set_threads(p: Any, n: int) -> None:
    p.cpuparams.n_threads = n
    p.cpuparams_batch.n_threads = n


def _plain(member: Any) -> str:
    name = str(getattr(member, "name", member))
    for start in ("GGML_TYPE_", "LLAMA_FLASH_ATTN_TYPE_"):
        name = name.removeprefix(start)
    return name.lower()
