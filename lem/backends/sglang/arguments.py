"""From a job to SGLang's own arguments, as its 0.5.23 has them: of the engine
(``sglang.srt.server_args.ServerArgs``), of a request, and of its server's command line.

``args.*`` are fields of ``ServerArgs``; what SGLang refuses, it refuses in its own words.
"""

import argparse
import json
from collections.abc import Mapping
from typing import Any, NoReturn

from lem.backends import doors, settings
from lem.backends.prefix_cache import salt
from lem.contract.base import Scalar
from lem.contract.job import Job
from lem.contract.spec import Settings
from lem.errors import RunFailed
from lem.workloads.likelihood import Passage, Scored
from lem.workloads.requests import Request

NAMES = {
    "dtype": ("dtype",),
    "max_batch_size": ("max_running_requests",),
    "max_model_len": ("context_length",),
    "tensor_parallel_size": ("tp_size",),
    "quantization": ("quantization",),
}
NOT_ARGUMENTS = frozenset(
    {
        "host",
        "model_path",
        "tokenizer_path",
        "served_model_name",
        "trust_remote_code",
        "revision",
        "is_embedding",
        "skip_tokenizer_init",
        "custom_sigquit_handler",
        "stat_loggers",
        "config",
        "nnodes",
        "node_rank",
        "tokenizer_worker_num",
        "chat_template",
        "tool_server",
        "use_ray",
        "model_loader_extra_config",
        "json_model_override_args",
        "file_storage_path",
        "enable_multimodal",
        "allow_auto_truncate",
        "custom_weight_loader",
        "debug_tensor_dump_inject",
        "enable_custom_logit_processor",
        "grpc_mode",
        "hicache_storage_backend",
        "hicache_storage_backend_extra_config",
        "kv_events_config",
        "log_requests_target",
        "lora_paths",
        "modelexpress_config",
        "quantize_and_serve",
        "smg_grpc_mode",
    }
)
"""Fields that would load something else, serve somebody else, or start what lem does not see."""
NOT_WORDS = frozenset(
    {
        "host",
        "port",
        "url",
        "addr",
        "uri",
        "key",
        "dir",
        "ssl",
        "endpoint",
        "warmups",
        "disaggregation",
        "dump",
        "endpoints",
        "export",
        "file",
        "folder",
        "hook",
        "hooks",
        "plugin",
        "remote",
        "reuseport",
        "save",
        "sidecar",
        "urls",
    }
)
"""No field with one of these words in its name is a campaign's to set."""
OWN_GENERATE = ("temperature", "ignore_eos", "n", "beam_width")
NEUTRAL = {
    "top_p": 1.0,
    "top_k": -1,
    "min_p": 0.0,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "repetition_penalty": 1.0,
}
"""What SGLang does unless told otherwise; said, so that no model's own file says something else."""


def gpus_needed(engine: Settings, args: Settings) -> int:
    """How many GPUs SGLang spreads over: each replica has a tensor and pipeline parallel group of
    its own. Attention data parallelism divides the tensor parallel group, also where its size is
    still called ``dp_size``; a ``dwdp_size`` leaves one replica."""
    tensor = settings.size(engine, "tensor_parallel_size") * settings.size(
        args, "tp_size", "tensor_parallel_size"
    )
    pipeline = settings.size(args, "pp_size", "pipeline_parallel_size")
    divided = bool(args.get("enable_dp_attention")) and settings.size(args, "attn_dp_size") == 1
    if divided or settings.size(args, "dwdp_size") > 1:
        return tensor * pipeline
    return tensor * pipeline * settings.size(args, "dp_size", "data_parallel_size")


def server_arguments(job: Job) -> dict[str, Any]:
    """Keyword arguments of ``ServerArgs``. Raises :class:`RunFailed`."""
    own = settings.mapped(job, NAMES, NOT_ARGUMENTS, NOT_WORDS)
    if job.args.get("enable_prefill_cp") and settings.size(job.args, "dp_size") > 1:
        # Some models then have one replica, and how many GPUs that is was settled without them.
        raise RunFailed(
            "bad_argument",
            "args.dp_size beside enable_prefill_cp means replicas or attention groups, by model",
            hint="say args.attn_dp_size, which is always attention groups",
        )
    ours = {
        "model_path": job.model,
        "trust_remote_code": job.trust_remote_code,
        "random_seed": job.seed,
        "log_level": "error",
        # Of the model's generation_config.json only the special tokens are used.
        "sampling_defaults": "openai",
        "enable_cache_report": True,
    }
    return ours | own


def sampling(job: Job) -> dict[str, Any]:
    """Every request's sampling parameters but its length; SGLang checks them.

    Raises :class:`RunFailed` (``bad_argument``, ``unsupported``).
    """
    settings.one_answer(job, ("n", "beam_width"))
    generate = {k: v for k, v in job.generate.items() if k not in OWN_GENERATE}
    for name in ("max_new_tokens", "stream_interval", "custom_logit_processor"):
        if name in generate:
            raise RunFailed("bad_argument", f"generate.{name} is not for campaigns to set")
    return {
        **NEUTRAL,
        **generate,
        "temperature": settings.temperature(job),
        "ignore_eos": bool(job.generate.get("ignore_eos", False)),
    }


def check_sampling(params: Mapping[str, Any], vocabulary: int) -> None:
    """Let SGLang's own class accept or refuse them."""
    from sglang.srt.sampling.sampling_params import SamplingParams

    checked = SamplingParams(**params, max_new_tokens=1)
    checked.verify(vocabulary)


SERVED_NAMES = {"min_new_tokens": "min_tokens", "sampling_seed": "seed"}
"""Settings that the server's OpenAI interface calls otherwise."""


def check_served(params: Mapping[str, Any]) -> None:
    """The server passes over names that it does not know: compare with its own list."""
    from sglang.srt.entrypoints.openai.protocol import CompletionRequest

    for name in params:
        if SERVED_NAMES.get(name, name) not in CompletionRequest.model_fields:
            raise RunFailed("bad_argument", f"generate.{name}: SGLang's server has no such setting")


def command_line(arguments: Mapping[str, Any]) -> list[str]:
    """``arguments`` as ``python -m sglang.launch_server`` takes them, checked by SGLang's own
    parser: names, types and choices. Raises :class:`RunFailed` (``bad_argument``)."""
    from sglang.srt.server_args import ServerArgs

    doors.check_words(arguments)
    parser = _Parser(prog="sglang", allow_abbrev=False)
    ServerArgs.add_cli_args(parser)
    known = {a.dest: a for a in parser._actions if a.option_strings}
    words: list[str] = []
    for name, value in arguments.items():
        action = known.get(name)
        if action is None:
            raise RunFailed(
                "bad_argument",
                f"args.{name}: SGLang's server has no such option on its command line",
            )
        words += _words(action, value)
    parser.parse_args(words)
    return words


def _words(action: argparse.Action, value: Any) -> list[str]:
    options = [o for o in action.option_strings if o.startswith("--")]
    if value is None:
        return []
    if isinstance(value, bool) and action.nargs == 0:
        negative = [o for o in options if o.startswith("--no-")]
        if value:
            return [next(o for o in options if o not in negative)]
        return negative[:1]
    if isinstance(value, list):
        return [options[0], *map(_word, value)]
    # In one word, so that no value can be taken for an option.
    return [f"{options[0]}={_word(value)}"]


def _word(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


class _Parser(argparse.ArgumentParser):
    """Raises what it would print before it ends the process."""

    def error(self, message: str) -> NoReturn:
        raise RunFailed("bad_argument", message)


def body(model: str, params: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """What the server is asked for this request (``/v1/completions``)."""
    return {
        "model": model,
        "prompt": request.input_ids,
        "max_tokens": request.output_tokens,
        "stream": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        "cache_salt": salt(request),
        **{SERVED_NAMES.get(name, name): value for name, value in params.items()},
    }


def facts(info: Mapping[str, Any]) -> dict[str, Scalar]:
    """From what SGLang tells of itself (``Engine.get_server_info``, ``/server_info``): the
    configuration as it was resolved, and what its scheduler made of it."""
    state = _first(info.get("internal_states"))
    used = state.get("memory_usage")
    memory = used if isinstance(used, dict) else {}
    prefill, decode = info.get("prefill_attention_backend"), info.get("decode_attention_backend")
    attention = info.get("attention_backend")
    batch = state.get("effective_max_running_requests_per_dp") or info.get("max_running_requests")
    replicas = info.get("dp_size") or 1
    found: dict[str, Any] = {
        "device": info.get("device"),
        "dtype": info.get("dtype"),
        "attention": attention
        if prefill in (None, attention) and decode in (None, attention)
        else f"prefill {prefill or attention}, decode {decode or attention}",
        "batching": "continuous",
        "max_batch_size": batch * replicas if isinstance(batch, int) else None,
        "max_model_len": info.get("context_length"),
        "kv_cache": info.get("kv_cache_dtype"),
        "kv_cache_tokens": memory.get("token_capacity") or info.get("max_total_num_tokens"),
        "prefix_cache": not info.get("disable_radix_cache", False),
        "quantization": info.get("quantization"),
        "cuda_graph": _graphs(info),
        "compile": bool(info.get("enable_torch_compile", False)),
    }
    for name in PLAIN:
        found[name] = info.get(name)
    return {k: v for k, v in found.items() if v is None or isinstance(v, str | int | float)}


PLAIN = (
    "tp_size",
    "pp_size",
    "dp_size",
    "ep_size",
    "page_size",
    "sampling_backend",
    "schedule_policy",
    "schedule_conservativeness",
    "chunked_prefill_size",
    "max_prefill_tokens",
    "mem_fraction_static",
    "disable_overlap_schedule",
    "speculative_algorithm",
    "stream_interval",
    "load_format",
    "model_impl",
    "random_seed",
    "version",
)


def _first(states: Any) -> dict[str, Any]:
    found = states[0] if isinstance(states, list) and states else {}
    return found if isinstance(found, dict) else {}


def _graphs(info: Mapping[str, Any]) -> str | bool | None:
    config = info.get("cuda_graph_config")
    if config is not None:
        return json.dumps(config, sort_keys=True, default=str)[:500]
    disabled = info.get("disable_cuda_graph")
    return None if disabled is None else not disabled


def scored(meta: Mapping[str, Any], piece: Passage) -> Scored:
    """What SGLang told of a prompt's tokens (``input_token_logprobs`` and ``input_top_logprobs``),
    each as log-probability, id and text; None for what stands before the first.

    Raises :class:`RunFailed` where what is told is not of these tokens.
    """
    try:
        told = meta["input_token_logprobs"]
        if [entry[1] for entry in told] != piece.ids:
            raise ValueError("of other tokens")
        own = [float(entry[0]) for entry in told[piece.start :]]
        tops = meta["input_top_logprobs"][piece.start :]
        best = [max(float(entry[0]) for entry in top) for top in tops]
        greedy = all(o >= b for o, b in zip(own, best, strict=True))
    except (KeyError, IndexError, TypeError, ValueError) as e:
        raise RunFailed(
            "engine_error", f"SGLang's log-probabilities are not those of the prompt's tokens: {e}"
        ) from e
    return Scored(sum(own), greedy)
