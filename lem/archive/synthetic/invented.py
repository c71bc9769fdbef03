"""A made-up archive, the same for the same seed. Nobody measured any of it.

Its cardinalities are what a busy archive may come to: 60 models, 5 engines with 4 versions each, 8
kinds of boards, batch sizes, loads and lengths; campaigns of 20 configurations × 10 blocks, each
configuration measured by several submitters on boards of their own. The configurations of a
campaign do the same work for one model, on one kind of device; its first one is as its engine
comes.
"""

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from lem.archive.rows import ConfigRow, config_hash
from lem.config.identity import experiment_id
from lem.contract.metrics import METRIC_SEMANTICS_VERSION
from lem.contract.spec import Experiment

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
QUANTIZATIONS = {"": 1.0, "fp8": 1.007, "awq": 1.03, "Q4_K_M": 1.015}
"""What they do to the likelihood."""
NLL = 2.1
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


class Invented(NamedTuple):
    """A configuration, and what is true of it."""

    row: ConfigRow
    joules: float
    """Per output token."""
    nll: float
    """NaN where nobody asked."""


def configurations(count: int, seed: int = 1) -> list[Invented]:
    """So many different ones; each ``ARMS`` of them do the same work for one model."""
    draw = np.random.default_rng(seed)
    found: dict[str, Invented] = {}
    while len(found) < count:
        family = _Family(draw)
        most = min(count, len(found) + ARMS)
        for _ in range(20 * ARMS):
            if len(found) == most:
                break
            made = family.member(draw)
            found.setdefault(made.row.hash, made)
    return list(found.values())


def campaigns(
    runs: int, configs: list[Invented], seed: int = 1, first: int = 0
) -> Iterator[Campaign]:
    """Campaigns until there are ``runs`` runs (rounded up to whole campaigns)."""
    draw = np.random.default_rng((seed, 2, first))
    joules = np.array([c.joules for c in configs])
    nll = np.array([c.nll for c in configs])
    tokens = np.array([(c.row.output_tokens or 128) for c in configs], dtype=float)
    inputs = np.array([(c.row.input_tokens or 512) for c in configs], dtype=float)
    batch = np.array([(c.row.max_batch_size or 1) for c in configs], dtype=float)
    gains = np.random.default_rng(seed).normal(1, 0.034, size=(SUBMITTERS, 4))
    arms_each = min(ARMS, len(configs))
    families = -(-len(configs) // ARMS)
    for number in range(first, first + -(-runs // (arms_each * BLOCKS))):
        submitter, board = int(draw.integers(SUBMITTERS)), int(draw.integers(4))
        start = ARMS * int(draw.integers(families))
        arms = np.arange(start, start + arms_each) % len(configs)
        drift = draw.normal(1, 0.01, size=(BLOCKS, 1)) * gains[submitter, board]
        noise = draw.normal(1, 0.01, size=(BLOCKS, arms_each)) * drift
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
                "nll_per_token": np.broadcast_to(nll[arms], noise.shape),
            },
        )


class _Family:
    """What the configurations of a campaign have in common."""

    def __init__(self, draw: np.random.Generator) -> None:
        self.model, self.size = MODELS[draw.integers(len(MODELS))]
        names = draw.choice(list(ENGINES), size=2, replace=False)
        self.engines = [(str(name), ENGINES[str(name)][draw.integers(4)]) for name in names]
        self.energy_class, self.meter = CLASSES[draw.choice(3, p=(0.85, 0.05, 0.1))]
        self.board = list(BOARDS)[draw.integers(len(BOARDS))]
        self.lengths = LENGTHS[draw.integers(len(LENGTHS))]
        self.dataset = str(draw.choice(DATASETS))
        self.arrival = str(draw.choice(("offline", "concurrency", "poisson")))
        self.load = int(draw.choice(BATCHES))
        self.natural = bool(self.dataset != "random" and draw.integers(2))
        self.nll = NLL * float(draw.normal(1, 0.1)) if draw.integers(2) else np.nan
        self.members = 0

    def member(self, draw: np.random.Generator) -> Invented:
        """The first one as the engine comes; the others with what may be chosen."""
        self.members += 1
        backend, version = self.engines[draw.integers(2)]
        count = int(draw.choice((1, 2, 4, 8), p=(0.6, 0.2, 0.1, 0.1)))
        engine: dict[str, Any] = {
            "dtype": str(draw.choice(DTYPES)) if draw.integers(2) else None,
            "max_batch_size": int(draw.choice(BATCHES)),
            "quantization": str(draw.choice(list(QUANTIZATIONS), p=(0.4, 0.2, 0.2, 0.2))) or None,
            "tensor_parallel_size": count if count > 1 and self.energy_class == "gpu" else None,
        }
        engine = {k: v for k, v in engine.items() if v is not None} if self.members > 1 else {}
        experiment = self._experiment(backend, version, engine)
        batch, quantization = engine.get("max_batch_size"), engine.get("quantization", "")
        on_gpus = self.energy_class == "gpu"
        device = self.board if on_gpus else PROCESSOR
        key: dict[str, Any] = {
            "experiment_id": experiment_id(experiment),
            "device_model": device,
            "device_count": engine.get("tensor_parallel_size", 1),
            "meter_class": self.meter,
            "semantics_version": METRIC_SEMANTICS_VERSION,
            "energy_class": self.energy_class,
        }
        row = ConfigRow(
            hash=config_hash(key),
            **key,
            model=self.model,
            model_content=experiment.model.content,
            weights="trained",
            backend=backend,
            engine_version=version,
            dtype=engine.get("dtype", ""),
            quantization=quantization,
            max_batch_size=batch,
            tensor_parallel_size=engine.get("tensor_parallel_size"),
            arrival=self.arrival,
            load=None if self.arrival == "offline" else float(self.load),
            dataset=self.dataset,
            input_tokens=self.lengths[0] if self.dataset == "random" else None,
            output_tokens=self.lengths[1],
            experiment=experiment.model_dump(mode="json"),
        )
        relative = BOARDS.get(device, 3.0) * (0.7 if quantization else 1.0)
        joules = 0.4 * self.size / np.sqrt(batch or 1) * relative * float(draw.normal(1, 0.05))
        return Invented(row, joules, self.nll * QUANTIZATIONS[quantization])

    def _experiment(self, backend: str, version: str, engine: dict[str, Any]) -> Experiment:
        dataset: dict[str, Any] = {"kind": self.dataset, "output_tokens": self.lengths[1]}
        if self.dataset == "random":
            dataset["input_tokens"] = self.lengths[0]
        elif self.dataset in ("sharegpt", "jsonl"):
            dataset |= {"path": "made-up.json", "sha256": _sha(self.dataset)}
        arrivals: dict[str, dict[str, Any]] = {
            "offline": {},
            "concurrency": {"concurrency": self.load},
            "poisson": {"rate": float(self.load)},
        }
        return Experiment.model_validate(
            {
                "model": {
                    "id": self.model,
                    "revision": None,
                    "content": f"sha256:{_sha(self.model)}",
                    "weights": "trained",
                },
                "backend": backend,
                "engine_version": version,
                "engine": engine,
                "args": {},
                "generate": {"temperature": 0.0, "ignore_eos": not self.natural},
                "workload": {
                    "requests": 200,
                    "dataset": dataset,
                    "arrival": {"kind": self.arrival, **arrivals[self.arrival]},
                },
                "requests_sha256": _sha(f"{self.model} {self.dataset} {self.lengths}"),
                "device": {},
            }
        )


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
