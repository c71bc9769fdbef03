"""Campaign folders for the report: every section has something to show, some of it hostile."""

import math
from pathlib import Path
from typing import Any

import records

from lem.contract.record import Record
from lem.meters.protocol import Sample
from lem.meters.sampling.trace import TraceWriter
from lem.stores.folder import attempts, read

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u202e\x1b[31m&amp;"
"""What a model, an engine's log or a campaign file may hold."""

GRID: dict[str, Any] = {
    "backend": ["transformers", "vllm"],
    "engine.max_batch_size": [1, 4, 16],
    "engine.dtype": ["bfloat16", "int4"],
}


def measured(folder: Path, model: str = "SmolLM2-135M-Instruct") -> Path:
    """GPU, CPU and memory energy of a complete grid of twelve arms in three blocks; int4 answers
    worse; one run was interrupted, with hostile last words, and made again; traces.
    ``model``: what the model is called."""
    grid = {**GRID, "model.id": [model]}
    lock = records.grid(folder, grid, _figures, blocks=3, name="engines and batches")
    measure = lock.measure.model_copy(update={"quality": ["nll"]})
    lock.model_copy(update={"measure": measure}).write(folder / "campaign.lock.json")
    first = records.arm_name(11)
    records.place(
        folder,
        records.failure(
            arm_id=first, block=2, message=HOSTILE, kind="interrupted", device_set=["GPU-0"]
        ).model_copy(update={"last_lines": ["loading weights", HOSTILE], "hint": HOSTILE}),
    )
    again = folder / "blocks" / "0002" / first
    (again / "0" / "record.json").rename(again / "kept")
    (again / "1").mkdir()
    record = Record.parse((again / "kept").read_bytes(), "kept")
    record.model_copy(update={"attempt": 1, "run_id": f"{record.run_id}-1"}).write(
        again / "1" / "record.json"
    )
    (again / "kept").unlink()
    (folder / "campaign.yaml").write_text(
        f"version: 1\nname: engines and batches\n# {HOSTILE}\nsweep:\n"
        + "".join(f"  {path}: {values}\n" for path, values in GRID.items()),
        "utf-8",
    )
    add_traces(folder)
    return folder


def _figures(cell: dict[str, Any], block: int) -> dict[str, Any]:
    batch, backend = cell["engine.max_batch_size"], cell["backend"]
    joules = (2.0 if backend == "transformers" else 1.1) / batch**0.8
    joules *= 0.62 if cell["engine.dtype"] == "int4" else 1.0
    wiggle = 1 + 0.004 * math.sin(7 * block + batch + 5 * joules)
    nll = 2.91 if cell["engine.dtype"] == "int4" else 2.75
    return {
        "energy": {
            "gpu": joules * wiggle,
            "cpu": 0.2 * joules * wiggle,
            "dram": 0.03 * joules / wiggle,
        },
        "above_idle": {"gpu": 0.7 * joules * wiggle},
        "cpu_time_s": None,
        "tpot_s": 0.012 * (1 + batch / 6) * wiggle,
        "itl_s": 0.012 * (1 + batch / 6) * wiggle,
        "throughput": 70.0 * batch**0.75 / wiggle,
        "nll": nll,
        "nll_tokens": 3000,
        "gpus": [records.gpu(name="NVIDIA H100 80GB HBM3")],
        "flags": ["sampler_gap"] if block == 1 and batch == 16 else [],
    }


def add_traces(folder: Path) -> None:
    """Gives every record a trace whose power is that of its energy."""
    for attempt in list(attempts(folder)):
        record = read(folder, attempt).record
        if record is None:
            continue
        window = record.windows[0]
        writer = TraceWriter(folder / attempt.path / "trace.csv.gz")
        start = window.start_ns - 8 * 10**9
        span = window.end_ns + 3 * 10**9 - start
        for phase, at in ((0, 0), (2, 2 * 10**9), (4, 6 * 10**9), (5, 8 * 10**9)):
            writer.add([Sample(start + at, "agent", "run", "phase", float(phase))])
        writer.add([Sample(window.end_ns, "agent", "run", "phase", 4.0)])
        for step in range(400):
            t = start + span * step // 400
            busy = window.start_ns <= t < window.end_ns or 2e9 < t - start < 6e9
            for reading in window.energy:
                mean = (reading.energy_j or 0.0) / (window.end_ns - window.start_ns) * 1e9
                watts = mean * (1 + 0.06 * math.sin(step)) if busy else 0.35 * mean
                writer.add([Sample(t, reading.meter, reading.device, "power_mw", 1000 * watts)])
        writer.close()
