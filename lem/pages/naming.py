"""Configurations in a few words."""

from collections.abc import Sequence

from lem.analysis.text import plain
from lem.archive.queries.answer import Configuration
from lem.web.strings import text


def model_name(configuration: Configuration) -> str:
    """Without the account that it is published under: ``Qwen3-0.6B``."""
    return plain(configuration.model.rsplit("/", 1)[-1]) or "unnamed model"


def device(configuration: Configuration) -> str:
    """``2 × NVIDIA H100``."""
    name = plain(configuration.device_model)
    return name if configuration.device_count == 1 else f"{configuration.device_count} × {name}"


def way(configuration: Configuration) -> str:
    """How it was run: ``vllm, bfloat16, batch 8``."""
    return ", ".join(p for p in (plain(configuration.backend), *_settings(configuration)) if p)


def _settings(configuration: Configuration) -> list[str]:
    """Number format, batch and devices; empty where the engine's default holds."""
    c = configuration
    return [
        plain(c.quantization or c.dtype or ""),
        "" if c.max_batch_size is None else f"batch {c.max_batch_size}",
        "" if c.tensor_parallel_size in (None, 1) else f"over {c.tensor_parallel_size} GPUs",
    ]


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


def apart(configurations: Sequence[Configuration]) -> list[str]:
    """A name for each that begins with what they differ in, since a list shows beginnings alone;
    where names are the same still, with the beginning of the id."""
    parts = [
        [model_name(c), plain(c.backend), *_settings(c), device(c), workload(c)]
        for c in configurations
    ]
    differs = [len(set(column)) > 1 for column in zip(*parts, strict=True)]
    names = [_differing_first(one, differs) for one in parts]
    return [
        f"{name} [{c.id[:8]}]" if names.count(name) > 1 else name
        for name, c in zip(names, configurations, strict=True)
    ]


_SETTINGS = slice(2, 5)
"""Where the settings are among the parts of a name."""


def _differing_first(parts: Sequence[str], differs: Sequence[bool]) -> str:
    first = [p for p, d in zip(parts, differs, strict=True) if d and p]
    if any(differs) and not first and not any(parts[_SETTINGS]):
        first = [text("everyday.defaults")]
    # What all were asked alike names nothing here.
    rest = [p for p, d in zip(parts[:-1], differs[:-1], strict=True) if not d and p]
    return ", ".join(first + rest)
