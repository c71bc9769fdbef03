"""A made-up archive, the same for the same seed. Nobody measured any of it.

Its cardinalities are what a busy archive may come to: 60 models, 5 engines with 4 versions each, 8
kinds of boards, batch sizes, loads and lengths; campaigns of 20 configurations × 10 blocks, each
configuration measured by several submitters on boards of their own.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

ARMS, BLOCKS = 20, 10
"""Of one campaign."""
SUBMITTERS = 40
START_S = 1_767_225_600.0
"""2026-01-01."""

MODELS = [
    (f"{family}/{family.lower()}-{size:g}b{suffix}", size)
    for family in ("Ash", "Birch", "Cedar", "Elm", "Fir")
    for size in (0.5, 1.5, 4, 8, 32, 70)
    for suffix in ("", "-chat")
]
ENGINES = {
    "transformers": ("5.5.0", "5.9.1", "5.14.0", "5.23.0"),
    "vllm": ("0.19.0", "0.21.2", "0.25.0", "0.32.0"),
    "sglang": ("0.5.23", "0.5.27", "0.5.30", "0.5.33"),
    "tensorrt_llm": ("1.2.0", "1.3.1", "1.4.0", "1.5.2"),
    "llama_cpp": ("2026.9", "2026.11", "2027.1", "2027.3"),
}
BOARDS = {
    "Synthetic A 40GB": 1.6,
    "Synthetic A 80GB": 1.5,
    "Synthetic H 80GB": 1.0,
    "Synthetic H 141GB": 0.95,
    "Synthetic B 192GB": 0.7,
    "Synthetic L 24GB": 1.3,
    "Synthetic W 48GB": 1.4,
    "Synthetic M 192GB": 1.1,
}
"""Kind of board → energy per token beside that of the third."""
PROCESSOR = "Synthetic CPU 64 cores"
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
LENGTHS = ((128, 128), (512, 128), (512, 512), (2048, 256), (8192, 256))
DATASETS = ("random", "prompts", "sharegpt", "jsonl")
DTYPES = ("bfloat16", "float16", "float32")
QUANTIZATIONS = ("", "", "fp8", "awq", "Q4_K_M")
CLASSES = (("gpu", "nvml"), ("cpu", "rapl"), ("estimated", "estimate"))
TIERS = (1, 2, 3)


class Campaign(NamedTuple):
    """``arms``: places of its configurations. ``values``: metric → array of blocks × arms."""

    number: int
    submitter: int
    tier: int
    board: int
    started_at: float
    arms: np.ndarray[Any, np.dtype[np.int64]]
    values: dict[str, np.ndarray[Any, np.dtype[np.float64]]]


def configurations(count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Rows of the table ``config`` (without ``id``), and under ``joules`` a true J/token."""
    draw = np.random.default_rng(seed)
    found: dict[str, dict[str, Any]] = {}
    while len(found) < count:
        row = _configuration(draw)
        found.setdefault(row["hash"], row)
    return list(found.values())


def campaigns(
    runs: int, configs: list[dict[str, Any]], seed: int = 1, first: int = 0
) -> Iterator[Campaign]:
    """Campaigns until there are ``runs`` runs (rounded up to whole campaigns)."""
    draw = np.random.default_rng((seed, 2, first))
    joules = np.array([c["joules"] for c in configs])
    tokens = np.array([(c["output_tokens"] or 128) for c in configs], dtype=float)
    inputs = np.array([(c["input_tokens"] or 512) for c in configs], dtype=float)
    batch = np.array([(c["max_batch_size"] or 1) for c in configs], dtype=float)
    gains = np.random.default_rng(seed).normal(1, 0.034, size=(SUBMITTERS, 4))
    arms_each = min(ARMS, len(configs))
    for number in range(first, first + -(-runs // (arms_each * BLOCKS))):
        submitter, board = int(draw.integers(SUBMITTERS)), int(draw.integers(4))
        # Neighbours are alike, as the arms of one campaign are.
        start = int(draw.integers(len(configs)))
        arms = np.arange(start, start + arms_each) % len(configs)
        noise = draw.normal(1, 0.01, size=(BLOCKS, arms_each)) * gains[submitter, board]
        per_token = joules[arms] * noise
        throughput = 30 * np.sqrt(batch[arms]) * draw.normal(1, 0.01, size=noise.shape)
        first_token = 0.02 + inputs[arms] * 2e-5 * draw.normal(1, 0.03, size=noise.shape)
        gap = np.sqrt(batch[arms]) / 30 * draw.normal(1, 0.01, size=noise.shape)
        yield Campaign(
            number,
            submitter,
            int(draw.choice(TIERS, p=(0.2, 0.6, 0.2))),
            board,
            START_S + 3600.0 * number,
            arms,
            {
                "energy_per_output_token_j": per_token,
                "energy_per_total_token_j": per_token * tokens[arms] / (tokens + inputs)[arms],
                "energy_per_request_j": per_token * tokens[arms],
                "energy_above_idle_per_output_token_j": per_token * 0.8,
                "mean_power_w": per_token * throughput,
                "output_throughput_tokens_per_s": throughput,
                "ttft_p50_s": first_token,
                "ttft_p99_s": first_token * 2,
                "itl_p50_s": gap,
                "itl_p99_s": gap * 2,
                "e2e_latency_p50_s": first_token + gap * tokens[arms],
                "nll_per_token": np.full(noise.shape, 2.1),
            },
        )


def _configuration(draw: np.random.Generator) -> dict[str, Any]:
    model, size = MODELS[draw.integers(len(MODELS))]
    backend = list(ENGINES)[draw.integers(len(ENGINES))]
    version = ENGINES[backend][draw.integers(4)]
    energy_class, meter = CLASSES[draw.choice(3, p=(0.85, 0.05, 0.1))]
    board = list(BOARDS)[draw.integers(len(BOARDS))]
    count = int(draw.choice((1, 2, 4, 8), p=(0.6, 0.2, 0.1, 0.1)))
    device, count = (board, count) if energy_class == "gpu" else (PROCESSOR, 0)
    batch = int(draw.choice(BATCHES))
    input_tokens, output_tokens = LENGTHS[draw.integers(len(LENGTHS))]
    arrival = str(draw.choice(("offline", "concurrency", "poisson")))
    load = {"offline": None, "concurrency": float(batch), "poisson": float(batch) / 4}[arrival]
    dtype = str(draw.choice(DTYPES))
    quantization = str(draw.choice(QUANTIZATIONS))
    dataset = str(draw.choice(DATASETS))
    experiment = {
        "model": {"id": model, "revision": None, "content": f"sha256:{_sha(model)}"},
        "backend": backend,
        "engine_version": version,
        "engine": {
            "dtype": dtype,
            "max_batch_size": batch,
            "tensor_parallel_size": max(count, 1),
            "quantization": quantization or None,
        },
        "workload": {
            "dataset": {
                "kind": dataset,
                "input_tokens": input_tokens,
                "output_tokens": output_tokens,
            },
            "arrival": {"kind": arrival, "load": load},
        },
    }
    experiment_id = _sha(json.dumps(experiment, sort_keys=True))
    natural = [experiment_id, device, count, meter, 4]
    relative = BOARDS.get(device, 3.0) * {"": 1.0}.get(quantization, 0.7)
    return {
        "hash": _sha(json.dumps(natural)),
        "experiment_id": experiment_id,
        "device_model": device,
        "device_count": count,
        "meter_class": meter,
        "semantics_version": 4,
        "energy_class": energy_class,
        "model": model,
        "model_content": f"sha256:{_sha(model)}",
        "weights": "trained",
        "backend": backend,
        "engine_version": version,
        "dtype": dtype,
        "quantization": quantization,
        "max_batch_size": batch,
        "tensor_parallel_size": max(count, 1),
        "arrival": arrival,
        "load": load,
        "dataset": dataset,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "experiment": experiment,
        "joules": 0.4 * size / np.sqrt(batch) * relative * float(draw.normal(1, 0.05)),
    }


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
