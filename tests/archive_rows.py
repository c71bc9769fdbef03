"""Rows of runs with figures that a test chooses."""

import hashlib
from typing import Any

from lem.archive.bulk import Origin, placeholder
from lem.archive.rows import FIGURES, ConfigRow, RunRow, config_hash
from lem.archive.schema import HEADLINE
from tests.records import experiment

START = 1_780_000_000.0


def origin(c, n: int) -> Origin:
    """Submitter number ``n`` with a campaign and a submission."""
    return placeholder(
        c,
        f"someone {n}",
        public_key=hashlib.sha256(b"key %d" % n).digest(),
        content_sha256=hashlib.sha256(b"content %d" % n).hexdigest(),
    )


def config(n: int = 0, **changes: Any) -> ConfigRow:
    """Configuration number ``n``."""
    key = {
        "experiment_id": hashlib.sha256(b"experiment %d" % n).hexdigest(),
        "device_model": "NVIDIA H100 80GB HBM3",
        "device_count": 1,
        "meter_class": "nvml",
        "semantics_version": 4,
        "energy_class": "gpu",
        **{k: v for k, v in changes.items() if k in ("energy_class", "meter_class")},
    }
    rest: dict[str, Any] = {
        "model": "SmolLM2-135M-Instruct",
        "model_content": "sha256:" + "a" * 64,
        "weights": "trained",
        "backend": "vllm",
        "engine_version": "0.19.0",
        "dtype": "bfloat16",
        "quantization": "",
        "max_batch_size": 2 ** (n % 6),
        "tensor_parallel_size": None,
        "arrival": "concurrency",
        "load": 8.0,
        "dataset": "random",
        "input_tokens": 512,
        "output_tokens": 128,
        "experiment": experiment(n),
    }
    return ConfigRow(config_hash(key), **{**key, **rest, **changes})


def run(
    of: Origin, what: ConfigRow, block: int, value: float | None, u: float | None = 0.01, **changes
) -> RunRow:
    """A run whose figures are all ``value`` and whose uncertainties are ``u``."""
    n = len(HEADLINE)
    figures = (value,) * n + (None if value is None else u,) * (len(FIGURES) - n)
    return RunRow(
        config=what,
        boards="0" * 32 + ":board-" + f"{of.identity_id:032x}",
        identity_id=of.identity_id,
        campaign_id=of.campaign_id,
        submission_id=of.submission_id,
        number=block,
        block=block,
        arm=0,
        attempt=0,
        started_at=START + 100 * block,
        tier=1,
        counted=True,
        flags="",
        figures=figures,
    )._replace(**changes)
