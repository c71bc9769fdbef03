"""What vLLM says it uses, from its own resolved configuration and from its workers.

Offline the configuration is an object, from a server it is JSON; both are read alike.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from lem.backends.vllm.arguments import IN_PROCESS, settings_of
from lem.contract.base import Scalar

COMPILATION_MODES = ("none", "stock_torch_compile", "dynamo_trace_once", "vllm_compile")
"""vLLM's ``CompilationMode`` by number."""


def resolved(config: Any, environ: Mapping[str, str]) -> dict[str, Scalar]:
    """Of a ``VllmConfig``, or of its JSON."""
    model, cache = _part(config, "model_config"), _part(config, "cache_config")
    scheduler, parallel = _part(config, "scheduler_config"), _part(config, "parallel_config")
    compilation = _part(config, "compilation_config")
    speculative = _part(config, "speculative_config")
    mode = _mode(_part(compilation, "mode"))
    return {
        "device": _plain(_part(_part(config, "device_config"), "device_type")),
        "dtype": _plain(_part(model, "dtype")),
        "quantization": _plain(_part(model, "quantization")),
        "max_batch_size": _plain(_part(scheduler, "max_num_seqs")),
        "max_model_len": _plain(_part(model, "max_model_len")),
        "max_num_batched_tokens": _plain(_part(scheduler, "max_num_batched_tokens")),
        "batching": "continuous",
        "tensor_parallel_size": _plain(_part(parallel, "tensor_parallel_size")),
        "pipeline_parallel_size": _plain(_part(parallel, "pipeline_parallel_size")),
        "data_parallel_size": _plain(_part(parallel, "data_parallel_size")),
        "executor": _plain(_part(parallel, "distributed_executor_backend")),
        "prefix_caching": _plain(_part(cache, "enable_prefix_caching")),
        "chunked_prefill": _plain(_part(scheduler, "enable_chunked_prefill")),
        "async_scheduling": _plain(_part(scheduler, "async_scheduling")),
        "kv_cache_dtype": _plain(_part(cache, "cache_dtype")),
        "kv_cache_memory_bytes": _plain(_part(cache, "kv_cache_memory_bytes")),
        "kv_cache_blocks": _plain(_part(cache, "num_gpu_blocks")),
        "kv_cache_block_tokens": _plain(_part(cache, "block_size")),
        "gpu_memory_utilization": _plain(_part(cache, "gpu_memory_utilization")),
        "enforce_eager": _plain(_part(model, "enforce_eager")),
        "compile": mode != "none",
        "compilation_mode": mode,
        "compilation_backend": _plain(_part(compilation, "backend")) if mode != "none" else None,
        "cudagraph_mode": _plain(_part(compilation, "cudagraph_mode")),
        "speculative_method": _plain(_part(speculative, "method")),
        "speculative_tokens": _plain(_part(speculative, "num_speculative_tokens")),
        "seed": _plain(_part(model, "seed")),
        "v1_multiprocessing": environ.get(IN_PROCESS, "1") != "0",
        **settings_of(environ),
    }


def of_workers(found: Sequence[Any]) -> dict[str, Scalar]:
    """What the workers told (:mod:`lem.backends.vllm.worker`), put together.

    Peak memory of GPUs is the sum over workers: each has its own.
    """
    told = [w for w in found if isinstance(w, dict)]
    facts: dict[str, Scalar] = {"workers": len(told)}
    for name in ("attention", "torch_threads", "model_runner", "kernels", "preloaded", "cuda"):
        values = {str(w[name]) for w in told if w.get(name) is not None}
        if values:
            one = next(w[name] for w in told if w.get(name) is not None)
            facts[name] = one if len(values) == 1 else " ".join(sorted(values))
    facts.setdefault("attention", "unknown")
    peaks = [w["gpu_peak_bytes"] for w in told if isinstance(w.get("gpu_peak_bytes"), int)]
    if peaks:
        facts["peak_memory_bytes.gpu"] = sum(peaks)
    return facts


def workers_peak_bytes(found: Sequence[Any], besides: int) -> int:
    """Largest resident sets of the workers' processes, added up, without process ``besides``."""
    peaks = {
        w["pid"]: w["cpu_peak_bytes"] for w in found if isinstance(w, dict) and w["pid"] != besides
    }
    return sum(peaks.values())


def _part(holder: Any, name: str) -> Any:
    if isinstance(holder, Mapping):
        return holder.get(name)
    return getattr(holder, name, None)


def _plain(value: Any) -> Scalar:
    """A value that can stand in a record: enumerations by name, types without their module."""
    if value is None or isinstance(value, bool | int | float):
        # An IntEnum is an int, too, but its name says more.
        name = getattr(value, "name", None)
        return name.lower() if isinstance(name, str) else value
    name = getattr(value, "name", None)
    if isinstance(name, str):
        return name.lower()
    return str(value).removeprefix("torch.")[:200]


def _mode(value: Any) -> str:
    if isinstance(value, int) and 0 <= value < len(COMPILATION_MODES):
        return COMPILATION_MODES[value]
    return "none" if value is None else str(_plain(value))
