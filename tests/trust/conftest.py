"""A few runs by a real agent on played boards, made once and shared."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from lem.contract.base import CONTRACT_VERSION, canonical_json
from lem.contract.job import Job
from lem.contract.lock import Lock
from lem.contract.spec import ModelSpec, Synthetic
from lem.contract.stage import Staged, StageTask
from lem.contract.workload import Workload
from tests.agent.conftest import agent
from tests.meters import played

from .runs import Run

SEED = 7
MEASURE = {
    "windows": 2,
    "window_s": 0.6,
    "idle_s": 0.4,
    "settle_s": 0.1,
    "warm_up_cap_s": 0.2,
    "sample_interval_s": 0.05,
    "meters": ["estimate"],
}
DATA = {"kind": "random", "input_tokens": 8, "output_tokens": 6}
SLO = {"ttft_ms": 60.0, "tpot_ms": 30.0, "e2e_ms": 400.0}
CLOSED = {"kind": "concurrency", "concurrency": 4}
KINDS: dict[str, dict[str, Any]] = {
    "gpu": {
        "gpus": [0],
        "measure": {
            "meters": ["nvml"],
            "window_s": 3.0,
            "idle_s": 1.5,
            "settle_s": 0.5,
            "prefill_window": True,
        },
    },
    "static_gpu": {"args": {"static": True}, "gpus": [0], "measure": {"meters": ["nvml"]}},
    "closed": {"measure": {"prefill_window": True}},
    "static": {"args": {"static": True}, "arrival": {"kind": "offline"}},
    "offline": {"arrival": {"kind": "offline"}},
    "open": {
        "arrival": {"kind": "poisson", "rate": 60.0},
        "engine": {"max_batch_size": 8},
        "measure": {"window_s": 1.0, "prefill_window": True},
    },
    "search": {
        "arrival": {
            "kind": "poisson",
            "rate": {"search": "goodput", "low": 20.0, "high": 80.0, "trial_s": 0.5},
        },
        "engine": {"max_batch_size": 8},
        "measure": {"window_s": 1.0},
    },
    "turns": {"data": {**DATA, "turns": 3}},
}
"""Name of a run → what is special about it."""


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's."""
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """Run by its name; each is made when it is first asked for."""
    folder = tmp_path_factory.mktemp("runs")
    library = played.build_library(folder / "nvml")
    known: dict[str, Run] = {}

    def get(name: str) -> Run:
        if name not in known:
            known[name] = _make(folder, library, name, KINDS[name])
        return known[name]

    # The two that most tests use, at once.
    with ThreadPoolExecutor(2) as pool:
        for run in pool.map(get, ("gpu", "static_gpu")):
            assert run.record.windows
    return get


def _make(folder: Path, library: Path, name: str, kind: dict[str, Any]) -> Run:
    here = folder / name
    workload = {
        "requests": 30,
        "dataset": kind.get("data", DATA),
        "arrival": kind.get("arrival", CLOSED),
        "slo": SLO,
    }
    task = StageTask(
        contract_version=CONTRACT_VERSION,
        backend="tick",
        model=ModelSpec(id="nothing", synthetic=Synthetic()),
        source=None,
        target=str(here),
        requests_folder=str(here / "requests"),
        workloads=[Workload.model_validate(workload)],
        seed=SEED,
    )
    task.write(here / "stage" / "stage.json")
    done = agent("stage", here / "stage" / "stage.json")
    assert done.returncode == 0, done.stderr
    staged = Staged.read(here / "stage" / "staged.json")
    (requests,) = staged.requests
    job = Job.model_validate(
        {
            "schema_version": 1,
            "contract_version": CONTRACT_VERSION,
            "run_id": hashlib.sha256(name.encode()).hexdigest()[:24],
            "arm_id": hashlib.sha256(name.encode()).hexdigest(),
            "experiment_id": hashlib.sha256(canonical_json(kind)).hexdigest(),
            "campaign": "test",
            "block": 1,
            "block_pass": 0,
            "attempt": 0,
            "backend": "tick",
            "engine_version": metadata.version("lem-tick"),
            "model": str(here / staged.path),
            "model_identity": {
                "id": "nothing",
                "revision": None,
                "content": staged.content,
                "weights": "random",
            },
            "engine": kind.get("engine", {"max_batch_size": 4}),
            "args": kind.get("args", {}),
            "generate": {"temperature": 0, "ignore_eos": True},
            "workload": Workload.model_validate(workload).model_dump(),
            "requests": str(here / "requests" / f"{requests.sha256}.jsonl.gz"),
            "requests_sha256": requests.sha256,
            "device": {},
            "measure": MEASURE | kind.get("measure", {}),
            "limits": {"load_s": 30.0, "run_s": 90.0},
            "seed": SEED,
            "gpus": kind.get("gpus", []),
            "launcher": "process",
            "image_digest": None,
            "device_set": [],
        }
    )
    job.write(here / "run" / "job.json")
    level = [(played.NEVER, 250.0, 250.0)]
    bursts = played.bursts(150.0, 350.0, period_s=0.73, duty=0.6, length_s=120)
    options = {"phase_ms": 37, "fields": 1, "limit_w": 500, "most_limit_w": 600}
    play = played.Play(level if name == "static_gpu" else bursts, options)
    config = play.write(here / "played.txt")
    environment = played.environment(library, config) if kind.get("gpus") else {}
    done = agent("run", here / "run" / "job.json", **environment)
    assert done.returncode == 0, done.stderr + done.stdout
    return Run.read(here / "run")


@pytest.fixture(scope="session")
def lock_of() -> Callable[[Run], Lock]:
    """The lock of a campaign with this run's arm alone."""
    from records import lock

    def make(run: Run) -> Lock:
        record = run.record
        arm = {
            "arm_id": record.arm_id,
            "label": "x",
            "experiment_id": record.experiment_id,
            "settings": {},
            "experiment": record.experiment.model_dump(),
        }
        made = lock([arm], blocks=3)
        return Lock.model_validate(
            made.model_dump()
            | {
                "seed": SEED,
                "measure": record.measurement.model_dump(),
                "requests": {record.experiment.requests_sha256: 30},
            }
        )

    return make
