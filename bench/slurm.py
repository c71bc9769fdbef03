"""What a block costs on a node beside the bare agent, and how fast a large campaign's status comes
from a network file system."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import yaml

from bench.measure import Line, in_turn, median_ms
from tests.records import arm_name, record

ROUNDS = 8
ARMS, BLOCKS = 20, 500
WHAT = "a block of one run in a Slurm job"
STATUS = f"lem campaign status of {ARMS * BLOCKS:,} runs on a network file system"
LEM = [sys.executable, "-m", "lem.cli.main"]
TESTBED = "scripts/slurm-testbed.sh"


def lines(folder: Path) -> Iterator[Line]:
    yield from _block(folder)
    yield from _status()


def _block(folder: Path) -> Iterator[Line]:
    if shutil.which("slurmctld") is None or os.getuid() != 0:
        yield Line(WHAT, "not measured: it needs slurm-wlm, munge and root")
        return
    place = Path(tempfile.mkdtemp(prefix="lem-bench-slurm-", dir="/var/tmp"))
    cluster = os.environ | {
        "LEM_SLURM_DIR": str(place / "s"),
        "SLURM_CONF": str(place / "s" / "slurm.conf"),
        "LEM_CACHE": str(folder / "cache"),
    }
    try:
        _run([TESTBED, "start", "1"], cluster)
        out = folder / "out"
        file = folder / "campaign.yaml"
        file.write_text(yaml.safe_dump(CAMPAIGN))
        script = folder / "job.sh"
        script.write_text(_run([*LEM, "campaign", "render", file, "--out", out], cluster))
        blocks = count()

        def by_lem() -> None:
            one = cluster | {"SLURM_ARRAY_TASK_ID": str(next(blocks))}
            _run(["srun", "--export=ALL", "bash", script], one)

        by_lem()
        (job,) = out.glob("blocks/0000/*/0/job.json")
        bare_folders = count()

        def bare() -> None:
            run = folder / f"bare-{next(bare_folders)}"
            run.mkdir()
            shutil.copy(job, run)
            agent = [sys.executable, "-P", "-m", "lem.agent", "run", run / "job.json"]
            _run(["srun", "--export=ALL", *agent], cluster | {"OMP_NUM_THREADS": "1"})
            assert (run / "record.json").exists(), list(run.iterdir())

        taken = in_turn({"lem": by_lem, "bare": bare}, ROUNDS)
        assert len([*out.glob("blocks/*/*/0/record.json")]) == ROUNDS + 1
    finally:
        subprocess.run([TESTBED, "stop"], env=cluster, check=False)
        shutil.rmtree(place, ignore_errors=True)
    more = sorted(a - b for a, b in zip(taken["lem"], taken["bare"], strict=True))
    yield Line(
        WHAT,
        median_ms(taken["lem"]),
        f"the bare agent in a job: {median_ms(taken['bare'])}; "
        f"{1000 * more[len(more) // 2]:+.0f} ms",
        "≤ 1 s more",
    )


def _status() -> Iterator[Line]:
    shared = os.environ.get("LEM_BENCH_SHARED")
    if not shared:
        yield Line(STATUS, "not measured: LEM_BENCH_SHARED names a folder on one")
        return
    with tempfile.TemporaryDirectory(dir=shared, prefix="lem-bench-") as name:
        out = Path(name) / "out"
        file = Path(name) / "campaign.yaml"
        spec = CAMPAIGN | {
            "sweep": {"engine.max_batch_size": list(range(1, ARMS + 1))},
            "measure": {"preset": "quick", "blocks": BLOCKS},
        }
        file.write_text(yaml.safe_dump(spec))
        _run([*LEM, "campaign", "render", file, "--out", out], dict(os.environ))
        lock = json.loads((out / "campaign.lock.json").read_text())
        _fill(out, [a["arm_id"] for a in lock["arms"]])
        status = [*LEM, "campaign", "status", out]
        taken: dict[str, list[float]] = in_turn(
            {"first": lambda: _run(status, dict(os.environ))}, 1
        )
        taken |= in_turn({"again": lambda: _run(status, dict(os.environ))}, 5)
    yield Line(STATUS, median_ms(taken["again"]), f"first: {median_ms(taken['first'])}", "≤ 2 s")


def _fill(out: Path, arms: list[str]) -> None:
    raw = json.loads(record().model_dump_json())
    for block in range(BLOCKS):
        for n, arm in enumerate(arms):
            raw |= {"block": block, "arm_id": arm, "experiment_id": arm_name(n)}
            at = out / "blocks" / f"{block:04d}" / arm / "0"
            at.mkdir(parents=True)
            (at / "record.json").write_text(json.dumps(raw))
            # As if a minute had gone by for each block.
            when = 1_780_000_000 + 60 * block
            os.utime(at / "record.json", (when, when))


def _run(words: list[str | Path], environment: dict[str, str]) -> str:
    done = subprocess.run(
        [*map(str, words)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"{words}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


CAMPAIGN = {
    "version": 1,
    "name": "bench",
    "models": [{"id": "nothing", "synthetic": {}}],
    "backends": {"tick": {}},
    "sweep": {"engine.max_batch_size": [4]},
    "workload": {
        "requests": 20,
        "dataset": {"kind": "random", "input_tokens": 8, "output_tokens": 4},
    },
    "measure": {
        "preset": "quick", "blocks": 30, "window_s": 0.1, "idle_s": 0.02, "settle_s": 0,
        "warm_up_cap_s": 0.05,
    },
    "launcher": {"kind": "slurm", "container": "process"},
}  # fmt: skip
