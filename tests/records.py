"""Builds valid documents and campaign folders for tests, with figures the test chooses."""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from lem.contract.base import Scalar
from lem.contract.failure import Failure
from lem.contract.lock import Lock
from lem.contract.record import Record
from lem.workloads.datasets import NLL_SHA256

START = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
RUN_S = 30
GAP_S = 5
WATTS_PER_BUSY_CORE = 10.0


def arm_name(n: int) -> str:
    """A valid arm id for arm number ``n``: 64 hexadecimal digits, as real ones have."""
    return f"{n + 1:064x}"


def experiment(batch: int = 1, backend: str = "transformers", **changes: Any) -> dict[str, Any]:
    """The raw ``experiment`` of a record."""
    return {
        "model": {
            "id": "SmolLM2-135M-Instruct",
            "revision": None,
            "content": "sha256:" + "a" * 64,
            "weights": "trained",
        },
        "backend": backend,
        "engine_version": "5.23.0",
        "engine": {"max_batch_size": batch, "dtype": "float32"},
        "args": {},
        "generate": {"temperature": 0, "ignore_eos": True},
        "workload": {
            "requests": 32,
            "dataset": {"kind": "prompts", "output_tokens": 32, "max_input_tokens": None},
            "arrival": {"kind": "offline"},
            "slo": {"ttft_ms": None, "itl_ms": None},
        },
        "requests_sha256": "b" * 64,
        "device": {"power_limit_w": None, "sm_clock_mhz": None},
        **changes,
    }


def gpu(index: int = 0, name: str = "NVIDIA Test 80GB") -> dict[str, Any]:
    return {
        "index": index,
        "name": name,
        "uuid": f"GPU-{index}",
        "driver": "570.1",
        "memory_bytes": 80 * 2**30,
    }


def _began(arm_id: str, attempt: int) -> datetime:
    """One after the other in their block, where nothing else is said."""
    n = int(arm_id[-8:], 16) - 1 if re.fullmatch("[0-9a-f]{64}", arm_id) else 0
    return START + timedelta(seconds=(RUN_S + GAP_S) * (max(0, n) % 100 + 20 * attempt))


def record(
    *,
    arm_id: str = arm_name(0),
    block: int = 0,
    block_pass: int = 0,
    attempt: int = 0,
    energy: dict[str, float] | None = None,
    cpu_time_s: float | None = 0.02,
    relative_u: float = 0.02,
    throughput: float = 40.0,
    ttft_s: float = 0.1,
    itl_s: float = 0.025,
    nll: float | None = None,
    nll_tokens: int | None = None,
    output_tokens: int = 1000,
    flags: list[str] | None = None,
    campaign: str = "test",
    started: datetime | None = None,
    boot_id: str = "boot-1",
    device_set: list[str] | None = None,
    gpus: list[dict[str, Any]] | None = None,
    semantics: int = 1,
    experiment_id: str | None = None,
    raw_experiment: dict[str, Any] | None = None,
    meters: dict[str, str] | None = None,
    above_idle: dict[str, float] | None = None,
    tpot_s: float | None = None,
    request_throughput: float | None = None,
    goodput: tuple[float, float] | None = None,
) -> Record:
    """One valid record. ``energy`` is joules per output token by device class; by default the
    estimate from ``cpu_time_s`` (per output token) at 10 W per busy core, ± 50 %."""
    started = started or _began(arm_id, attempt)
    if energy is None:
        energy = {} if cpu_time_s is None else {"estimated": cpu_time_s * WATTS_PER_BUSY_CORE}
    meters = meters or {}
    meter_of = {
        c: meters.get(c, {"gpu": "nvml", "estimated": "estimate"}.get(c, "rapl")) for c in energy
    }
    window_s = output_tokens / throughput
    start_ns = 10**12
    relative = {c: 0.5 if c == "estimated" else relative_u for c in energy}
    by_class = {c: {"value": v, "uncertainty": v * relative[c]} for c, v in energy.items()}
    metrics: dict[str, Any] = {
        "energy_per_output_token_j": by_class,
        "mean_power_w": {c: {"value": v * throughput} for c, v in energy.items()},
        "output_throughput_tokens_per_s": {"value": throughput},
        "ttft_s": _distribution(ttft_s, 32),
        "itl_s": _distribution(itl_s, 900),
    }
    if cpu_time_s is not None:
        metrics["cpu_time_per_output_token_s"] = {"value": cpu_time_s}
    if above_idle is not None:
        metrics["energy_above_idle_per_output_token_j"] = {
            c: {"value": v, "uncertainty": abs(v) * 0.02} for c, v in above_idle.items()
        }
    if tpot_s is not None:
        metrics["tpot_s"] = _distribution(tpot_s, 32)
    if request_throughput is not None:
        metrics["request_throughput_per_s"] = {"value": request_throughput}
    if goodput is not None:
        per_s, share = goodput
        metrics["goodput_per_s"] = {"value": per_s}
        metrics["slo_attainment_share"] = {"value": share}
    raw = {
        "schema_version": 1,
        "metric_semantics_version": semantics,
        "run_id": f"{arm_id[-8:]}-{block}-{block_pass}-{attempt}",
        "experiment_id": experiment_id or arm_id,
        "arm_id": arm_id,
        "campaign": campaign,
        "block": block,
        "block_pass": block_pass,
        "attempt": attempt,
        "started_at": started.isoformat(),
        "ended_at": (started + timedelta(seconds=RUN_S)).isoformat(),
        "experiment": raw_experiment or experiment(),
        "environment": {
            "lem_version": "0.1.0",
            "contract_version": 1,
            "boot_id": boot_id,
            "os": "Debian GNU/Linux 12",
            "kernel": "6.1",
            "python": "3.11.2",
            "cpu_model": "Test CPU",
            "cpu_count": 2,
            "cpu_governor": None,
            "memory_bytes": 24 * 2**30,
            "container": True,
            "launcher": "docker",
            "image_digest": None,
            "gpus": gpus or [],
            "device_set": device_set or [g["uuid"] for g in gpus or []] or ["cpu"],
            "engine": "transformers",
            "engine_version": "5.23.0",
            "engine_resolved": {"dtype": "float32"},
            "libraries": {"torch": "2.13.0"},
        },
        "meters": [
            {
                "meter": meter_of[c],
                "device": f"{c}0",
                "device_class": c,
                "quantity": "energy",
                "unit": "J",
                "description": "a test meter",
            }
            for c in energy
        ],
        "measurement": {
            "windows": 1,
            "window_s": window_s,
            "idle_s": 1.0,
            "warm_up_cap_s": 4.0,
        },
        "warm_up_s": 4.0,
        "load_s": 2.0,
        "windows": [
            {
                "start_ns": start_ns,
                "end_ns": start_ns + round(window_s * 1e9),
                "requests": 32,
                "input_tokens": 2000,
                "output_tokens": output_tokens,
                "energy": [
                    {
                        "meter": meter_of[c],
                        "device": f"{c}0",
                        "device_class": c,
                        "energy_j": v * output_tokens,
                        "uncertainty_j": v * output_tokens * relative[c],
                    }
                    for c, v in energy.items()
                ],
                "cpu_time_s": None if cpu_time_s is None else cpu_time_s * output_tokens,
            }
        ],
        "idle": [],
        "metrics": metrics,
        "quality": {
            "nll_per_token": nll,
            "text_sha256": None if nll_tokens is None else NLL_SHA256,
            "tokens": nll_tokens,
        },
        "flags": flags if flags is not None else (["estimated"] if "estimated" in energy else []),
    }
    return Record.model_validate(raw)


def failure(
    *,
    arm_id: str = arm_name(0),
    block: int = 0,
    block_pass: int = 0,
    attempt: int = 0,
    kind: str = "out_of_memory",
    message: str = "the engine ran out of memory",
    started: datetime | None = None,
    boot_id: str = "boot-1",
    device_set: list[str] | None = None,
) -> Failure:
    started = started or _began(arm_id, attempt)
    return Failure.model_validate(
        {
            "run_id": f"{arm_id[-8:]}-{block}-{block_pass}-{attempt}",
            "arm_id": arm_id,
            "block": block,
            "block_pass": block_pass,
            "attempt": attempt,
            "kind": kind,
            "phase": "load",
            "message": message,
            "written_by": "agent",
            "started_at": started.isoformat(),
            "ended_at": (started + timedelta(seconds=RUN_S)).isoformat(),
            "boot_id": boot_id,
            "device_set": device_set or ["cpu"],
        }
    )


def lock(
    arms: list[dict[str, Any]],
    *,
    name: str = "test",
    blocks: int = 3,
    baseline: str | None = None,
) -> Lock:
    """``arms``: each ``{"arm_id", "label", "settings", "experiment"}``."""
    return Lock.model_validate(
        {
            "lem_version": "0.1.0",
            "name": name,
            "created_at": START.isoformat(),
            "owner": "test-owner",
            "campaign_digest": "c" * 64,
            "overrides": {},
            "arms": [
                {
                    "experiment_id": a["arm_id"],
                    "model": {"folder": "m", "path": "."},
                    "launcher": "docker",
                    **a,
                }
                for a in arms
            ],
            "baseline": baseline or arms[0]["arm_id"],
            "backends": {},
            "requests": {"b" * 64: 32},
            "seed": 1,
            "blocks": blocks,
            "preset": "quick",
            "measure": {"windows": 1, "window_s": 2.0, "idle_s": 1.0, "warm_up_cap_s": 4.0},
            "limits": {},
            "gpus": [],
            "device_set": ["cpu"],
            "trust_remote_code": False,
        }
    )


def place(folder: Path, document: Record | Failure) -> Path:
    """Write a document where the campaign would; returns the attempt's folder."""
    at = folder / "blocks" / f"{document.block:04d}" / document.arm_id / str(document.attempt)
    name = "record.json" if isinstance(document, Record) else "failure.json"
    document.write(at / name)
    return at


def campaign(
    folder: Path,
    values: dict[int, list[float | None]],
    *,
    blocks: int | None = None,
    name: str = "test",
    measured: tuple[str, ...] = (),
    **common: Any,
) -> Lock:
    """A whole campaign folder: ``values`` is batch size → figure of each block (None: the run
    failed for lack of memory). The figure is CPU time per output token in seconds, or, with
    ``measured`` device classes, joules per output token of each of them. The first batch size is
    the baseline. Blocks follow each other; the runs in them too."""
    batches = list(values)
    arms = [
        {
            "arm_id": arm_name(i),
            "label": f"engine.max_batch_size={batch}",
            "settings": {"engine.max_batch_size": batch},
            "experiment": experiment(batch),
        }
        for i, batch in enumerate(batches)
    ]
    made = lock(arms, name=name, blocks=blocks or max(len(v) for v in values.values()))
    made.write(folder / "campaign.lock.json")
    clock = START
    for block in range(max(len(v) for v in values.values())):
        for i, batch in enumerate(batches):
            if block >= len(values[batch]):
                continue
            value = values[batch][block]
            where: dict[str, Any] = {"arm_id": arm_name(i), "block": block, "started": clock}
            clock += timedelta(seconds=RUN_S + GAP_S)
            if value is None:
                place(folder, failure(**where))
                continue
            figure: dict[str, Any] = (
                {"energy": dict.fromkeys(measured, value)} if measured else {"cpu_time_s": value}
            )
            place(
                folder,
                record(
                    **where,
                    **figure,
                    **{"campaign": name, "raw_experiment": experiment(batch), **common},
                ),
            )
    return made


def grid(
    folder: Path,
    axes: Mapping[str, Sequence[Scalar]],
    figures: Callable[[dict[str, Any], int], dict[str, Any] | None],
    *,
    blocks: int = 3,
    name: str = "test",
    leave_out: Callable[[dict[str, Any]], bool] = lambda settings: False,
) -> Lock:
    """A whole campaign folder over a grid of experiment paths. ``figures``: settings and block →
    arguments of :func:`record`, or None where the run failed. The first cell is the baseline."""
    cells = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    cells = [c for c in cells if not leave_out(c)]
    arms = [
        {
            "arm_id": arm_name(i),
            "label": ", ".join(f"{p}={v}" for p, v in cell.items()),
            "settings": cell,
            "experiment": at_paths(experiment(), cell),
        }
        for i, cell in enumerate(cells)
    ]
    made = lock(arms, name=name, blocks=blocks)
    made.write(folder / "campaign.lock.json")
    clock = START
    devices: list[str] | None = None
    for block in range(blocks):
        for i, cell in enumerate(cells):
            where: dict[str, Any] = {"arm_id": arm_name(i), "block": block, "started": clock}
            clock += timedelta(seconds=RUN_S + GAP_S)
            own = figures(cell, block)
            if own is None:
                place(folder, failure(**where, device_set=devices))
                continue
            devices = [g["uuid"] for g in own.get("gpus", [])] or None
            place(
                folder, record(**where, campaign=name, raw_experiment=arms[i]["experiment"], **own)
            )
    return made


def at_paths(raw: dict[str, Any], settings: Mapping[str, Scalar]) -> dict[str, Any]:
    """The raw experiment with these experiment paths set."""
    for path, value in settings.items():
        at = raw
        *keys, last = path.split(".")
        for key in keys:
            at = at.setdefault(key, {})
        at[last] = value
    if "concurrency" in raw["workload"]["arrival"]:
        raw["workload"]["arrival"]["kind"] = "concurrency"
    return raw


def _distribution(mean: float, n: int) -> dict[str, Any]:
    return {"n": n, "mean": mean, "p50": mean, "p90": mean * 1.2, "p99": mean * 1.5}
