"""Campaign folders to submit: made-up ones of any number, with files of a usual size, and one that
is really run."""

import gzip
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from lem.config.identity import experiment_id
from lem.contract.spec import Experiment
from tests import records, tick

SAMPLES = 1200
"""Rows of a made-up trace: a minute at 20 Hz."""
REQUESTS = 32


def made_up(
    folder: Path,
    number: int,
    blocks: int,
    batches: Sequence[int] = (1, 4),
    dtypes: Sequence[str] = ("float32",),
) -> str:
    """An arm for each batch size and number format × ``blocks`` runs on a GPU that nobody measured.
    Returns the model's name."""
    model = f"bench/model-{number}"
    arms = []
    for batch, dtype in product(batches, dtypes):
        raw = records.experiment(batch)
        raw["engine"]["dtype"] = dtype
        raw["model"]["id"] = model
        raw["model"]["content"] = f"sha256:{number:064x}"
        identity = experiment_id(Experiment.model_validate(raw))
        arms.append(
            {
                "arm_id": identity,
                "label": f"engine.max_batch_size={batch}, engine.dtype={dtype}",
                "settings": {"engine.max_batch_size": batch, "engine.dtype": dtype},
                "experiment": raw,
            }
        )
    lock = records.lock(arms, name=f"bench-{number}", blocks=blocks)
    lock = lock.model_copy(update={"owner": f"bench-owner-{number}"})
    lock.write(folder / "campaign.lock.json")
    draw = np.random.default_rng(number)
    board = [{**records.gpu(), "uuid": f"GPU-{number:08x}-0000-4000-8000-000000000000"}]
    for block in range(blocks):
        for place_in_block, arm in enumerate(arms):
            place = records.place(
                folder,
                records.record(
                    arm_id=arm["arm_id"],
                    experiment_id=arm["arm_id"],
                    raw_experiment=arm["experiment"],
                    block=block,
                    campaign=lock.name,
                    energy={"gpu": _joules(arm["settings"], draw)},
                    gpus=board,
                    semantics=4,
                    started=records.START
                    + timedelta(seconds=40 * (len(arms) * block + place_in_block)),
                ),
            )
            (place / "trace.csv.gz").write_bytes(gzip.compress(_trace(draw), 6, mtime=0))
            (place / "responses.csv.gz").write_bytes(gzip.compress(_responses(draw), 6, mtime=0))
    return model


def _joules(settings: Mapping[str, Any], draw: np.random.Generator) -> float:
    """Per output token: less in larger batches and shorter numbers."""
    short = settings["engine.dtype"] != "float32"
    true = 0.5 * settings["engine.max_batch_size"] ** -0.4 * (0.7 if short else 1.0)
    return float(true * draw.normal(1, 0.01))


def run(folder: Path, blocks: int, window_s: float) -> str:
    """Two arms × ``blocks`` runs by a real agent. Empty, or why not."""
    file = tick.write_campaign(
        folder / "campaign.yaml",
        sweep={"engine.max_batch_size": [1, 4]},
        workload={
            "requests": 200,
            "dataset": {"kind": "random", "input_tokens": 64, "output_tokens": 32},
        },
        measure={"preset": "quick", "window_s": window_s, "idle_s": 0.5, "warm_up_cap_s": 1},
        submit="never",
    )
    arguments = ["campaign", "run", str(file), "--out", str(folder / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "lem.cli.main", *arguments, "--blocks", str(blocks)],
        env=os.environ | {"LEM_CACHE": str(folder / "cache"), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["?"])[-1]


def rows_of(folder: Path) -> int:
    """Lines of all traces below a folder."""
    found = folder.rglob("trace.csv.gz")
    return sum(gzip.decompress(path.read_bytes()).count(b"\n") for path in found)


def _trace(draw: np.random.Generator) -> bytes:
    power = 250_000 + 5_000 * draw.normal(size=SAMPLES)
    energy = 10**9 + np.cumsum(power) * 0.05
    lines = ["t_ns,meter,device,quantity,value"]
    for i in range(SAMPLES):
        t = 10**12 + i * 50_000_000 + int(draw.integers(10**6))
        lines += [
            f"{t},nvml,gpu0,energy_mj,{energy[i]:.0f}",
            f"{t},nvml,gpu0,power_mw,{power[i]:.0f}",
        ]
    return ("\n".join(lines) + "\n").encode()


def _responses(draw: np.random.Generator) -> bytes:
    lines = ["id,status,sent_ns,first_ns,last_ns,input_tokens,output_tokens,itl_ns,end_ns"]
    for i in range(REQUESTS):
        sent = 10**12 + i * 10**9
        gaps = (25e6 * (1 + 0.05 * draw.normal(size=31))).astype(int)
        first = sent + 100_000_000
        last = first + int(gaps.sum())
        joined = " ".join(map(str, gaps))
        lines.append(f"{i},done,{sent},{first},{last},64,32,{joined},{last}")
    return ("\n".join(lines) + "\n").encode()
