"""From a job to TensorRT-LLM's own arguments, as its 1.2 has them: of the engine
(``tensorrt_llm.llmapi.TorchLlmArgs``) and of a request (``tensorrt_llm.SamplingParams``).

``args.*`` are fields of ``TorchLlmArgs``; what TensorRT-LLM refuses, it refuses in its own words.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lem.backends import checkpoints, settings
from lem.contract.base import Scalar
from lem.contract.job import Job
from lem.contract.spec import Settings
from lem.errors import RunFailed
from lem.workloads.requests import Request

NAMES = {
    "dtype": ("dtype",),
    "max_batch_size": ("max_batch_size",),
    "max_model_len": ("max_seq_len",),
    "tensor_parallel_size": ("tensor_parallel_size",),
}
NOT_ARGUMENTS = frozenset(
    {
        "model",
        "tokenizer",
        "tokenizer_revision",
        "custom_tokenizer",
        "skip_tokenizer_init",
        "trust_remote_code",
        "revision",
        "backend",
        "mpi_session",
        "workspace",
        "orchestrator_type",
        "checkpoint_loader",
        "env_overrides",
        "kv_connector_config",
        "cache_transceiver_config",
        "batched_logits_processor",
        "gpus_per_node",
    }
)
"""Fields that would load something else, start what lem does not see, or leave the machine."""
NOT_WORDS = frozenset({"hook", "endpoint", "dir", "ray", "postprocess", "parser", "url"})
"""No field with one of these words in its name is a campaign's to set."""
PARALLEL = ("tensor_parallel_size", "pipeline_parallel_size", "context_parallel_size")
OWN_GENERATE = ("temperature", "ignore_eos", "n", "best_of", "use_beam_search")
OWN_SAMPLING = (
    "max_tokens",
    "detokenize",
    "return_context_logits",
    "include_stop_str_in_output",
    "truncate_prompt_tokens",
    "add_special_tokens",
)


def gpus_needed(engine: Settings, args: Settings) -> int:
    """How many GPUs TensorRT-LLM spreads over (its ``Mapping.world_size``). Sizes of experts and
    attention data parallelism divide these."""
    return settings.size(engine, PARALLEL[0]) * math.prod(
        settings.size(args, name) for name in PARALLEL
    )


def engine_arguments(job: Job) -> dict[str, Any]:
    """Keyword arguments of ``tensorrt_llm.LLM``. Raises :class:`RunFailed`."""
    own = settings.mapped(job, NAMES, NOT_ARGUMENTS, NOT_WORDS)
    check_quantization(job)
    return {"model": job.model, "trust_remote_code": job.trust_remote_code, **own}


def check_quantization(job: Job) -> None:
    """The PyTorch backend quantises nothing: it loads checkpoints that are. So ``quantization``
    says what the checkpoint has to be."""
    wanted = job.engine.get("quantization")
    if wanted is None:
        return
    found = checkpoint_quantization(Path(job.model))
    if str(wanted).lower() != str(found).lower():
        raise RunFailed(
            "bad_argument",
            f"engine.quantization is {wanted}, but the checkpoint is "
            + (f"{found}" if found is not None else "not quantised"),
            hint="TensorRT-LLM loads checkpoints quantised by NVIDIA's Model Optimizer; name one",
        )


def checkpoint_quantization(model: Path) -> str | None:
    """What a checkpoint says of itself: ``hf_quant_config.json`` of NVIDIA's Model Optimizer, or
    ``quantization_config`` in ``config.json``."""
    told = checkpoints.said(model, "hf_quant_config.json").get("quantization")
    if isinstance(told, dict) and told.get("quant_algo"):
        return str(told["quant_algo"])
    own = checkpoints.said(model).get("quantization_config")
    if isinstance(own, dict):
        return str(own.get("quant_algo") or own.get("quant_method") or "unknown")
    return None


def sampling(job: Job) -> dict[str, Any]:
    """Every request's sampling parameters but its length. Raises :class:`RunFailed`."""
    settings.one_answer(job, ("n", "best_of", "use_beam_search"))
    generate = {k: v for k, v in job.generate.items() if k not in OWN_GENERATE}
    for name in OWN_SAMPLING:
        if name in generate:
            raise RunFailed("bad_argument", f"generate.{name} is not for campaigns to set")
    temperature = settings.temperature(job)
    if temperature > 0:
        drawn = {"top_k": 0, "top_p": 1.0, "seed": job.seed} | generate
        drawn["temperature"] = temperature
    else:
        # Greedy in every version: the one most likely token is all there is to choose from.
        drawn = generate | {"top_k": 1}
    return {**drawn, "ignore_eos": bool(job.generate.get("ignore_eos", False))}


def check(arguments: Mapping[str, Any], sampled: Mapping[str, Any]) -> None:
    """Let TensorRT-LLM's own classes accept or refuse them; no weights, no GPU."""
    from tensorrt_llm import SamplingParams
    from tensorrt_llm.llmapi import TorchLlmArgs

    for name in arguments:
        # As LLM() itself does before it hands them on.
        if name not in TorchLlmArgs.model_fields:
            raise ValueError(f"LLM got invalid argument: {name}")
    TorchLlmArgs(**arguments)
    SamplingParams(**sampled, max_tokens=1)


def check_served(sampled: Mapping[str, Any]) -> None:
    """Let the server's own class of requests accept or refuse them."""
    from tensorrt_llm.serve.openai_protocol import CompletionRequest

    CompletionRequest(model="m", prompt=[0, 0], max_tokens=1, **sampled)


def served(own: Mapping[str, Any]) -> dict[str, Any]:
    """What the server is told in its options file: all but the model. The requests of its
    completions take no salt, so prompts are not kept from one to the next unless ``args`` say
    so."""
    cache = own.get("kv_cache_config") or {}
    told = {k: v for k, v in own.items() if k not in ("model", "trust_remote_code")}
    return told | {"kv_cache_config": {"enable_block_reuse": False, **cache}}


def body(model: str, sampled: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """What the server is asked for this request (``/v1/completions``)."""
    return {
        "model": model,
        "prompt": request.input_ids,
        "max_tokens": request.output_tokens,
        "stream": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        "include_stop_str_in_output": True,
        **sampled,
    }


def facts(args: Any, model: Path) -> dict[str, Scalar]:
    """From the engine's own configuration (``LLM.args``) after loading."""
    told = checkpoints.said(model)
    cache, graphs = _of(args, "kv_cache_config"), _of(args, "cuda_graph_config")
    dtype = _of(args, "dtype")
    found: dict[str, Any] = {
        "device": "cuda",
        "dtype": (told.get("dtype") or told.get("torch_dtype")) if dtype == "auto" else dtype,
        "attention": _of(args, "attn_backend"),
        "batching": "continuous",
        "max_batch_size": _of(args, "max_batch_size"),
        "max_model_len": _of(args, "max_seq_len") or told.get("max_position_embeddings"),
        "kv_cache": _of(cache, "dtype"),
        "prefix_cache": _of(cache, "enable_block_reuse"),
        "kv_cache_gpu_fraction": _of(cache, "free_gpu_memory_fraction"),
        "kv_cache_max_tokens": _of(cache, "max_tokens"),
        "tokens_per_block": _of(cache, "tokens_per_block"),
        "quantization": checkpoint_quantization(model),
        "cuda_graph": graphs is not None,
        "cuda_graph_max_batch_size": _of(graphs, "max_batch_size"),
        "cuda_graph_padding": _of(graphs, "enable_padding"),
        "compile": _of(args, "torch_compile_config") is not None,
        "moe_backend": _of(_of(args, "moe_config"), "backend"),
        "scheduler_policy": _of(_of(args, "scheduler_config"), "capacity_scheduler_policy"),
        "speculative": _of(_of(args, "speculative_config"), "decoding_type"),
    }
    for name in PLAIN:
        found[name] = _of(args, name)
    return {k: _scalar(v) for k, v in found.items()}


PLAIN = (
    "backend",
    "tensor_parallel_size",
    "pipeline_parallel_size",
    "context_parallel_size",
    "moe_expert_parallel_size",
    "enable_attention_dp",
    "max_num_tokens",
    "max_input_len",
    "enable_chunked_prefill",
    "disable_overlap_scheduler",
    "sampler_type",
    "stream_interval",
    "load_format",
)


def _of(holder: Any, name: str) -> Any:
    return getattr(holder, name, None)


def _scalar(value: Any) -> Scalar:
    """An enumeration's value, a nested setting's words."""
    value = getattr(value, "value", value)
    return value if value is None or isinstance(value, str | int | float) else str(value)[:200]
