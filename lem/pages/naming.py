"""Configurations in a few words."""

from lem.analysis.text import plain
from lem.archive.queries.answer import Configuration


def model_name(configuration: Configuration) -> str:
    """Without the account that it is published under: ``Qwen3-0.6B``."""
    return plain(configuration.model.rsplit("/", 1)[-1]) or "unnamed model"


def device(configuration: Configuration) -> str:
    """``2 × NVIDIA H100``."""
    name = plain(configuration.device_model)
    return name if configuration.device_count == 1 else f"{configuration.device_count} × {name}"


def way(configuration: Configuration) -> str:
    """How it was run: ``vllm, bfloat16, batch 8``."""
    c = configuration
    parts = [plain(c.backend)]
    if c.quantization:
        parts.append(plain(c.quantization))
    elif c.dtype:
        parts.append(plain(c.dtype))
    if c.max_batch_size is not None:
        parts.append(f"batch {c.max_batch_size}")
    if c.tensor_parallel_size not in (None, 1):
        parts.append(f"over {c.tensor_parallel_size} GPUs")
    return ", ".join(parts)


def workload(configuration: Configuration) -> str:
    """What it was asked: ``random 128 → 64 tokens, 8 at a time``."""
    c = configuration
    parts = [plain(c.dataset)]
    if c.input_tokens is not None and c.output_tokens is not None:
        parts[0] += f" {c.input_tokens} → {c.output_tokens} tokens"
    parts.append(_arrival(c.arrival, c.load))
    return ", ".join(p for p in parts if p)


def _arrival(kind: str, load: float | None) -> str:
    if load is None:
        return plain(kind)
    if kind == "concurrency":
        return f"{load:g} at a time"
    return f"{plain(kind)} {load:g} per second"


def full(configuration: Configuration) -> str:
    return f"{model_name(configuration)}, {way(configuration)}, {device(configuration)}"
