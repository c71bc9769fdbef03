"""A prepared test model and jobs for it, to be run by a real agent process."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from lem.contract.base import CONTRACT_VERSION, canonical_json
from lem.contract.job import Job
from lem.contract.spec import ModelSpec, Synthetic
from lem.contract.stage import Staged, StageTask
from lem.contract.workload import Workload

WORKLOAD = {
    "requests": 30,
    "dataset": {"kind": "random", "input_tokens": 8, "output_tokens": 6},
    "arrival": {"kind": "concurrency", "concurrency": 4},
}


def agent(
    *arguments: str | Path, timeout_s: float = 120, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """``python -m lem.agent …`` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "lem.agent", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        stdin=subprocess.DEVNULL,
        env=os.environ | environment,
    )


@dataclass(frozen=True)
class Place:
    """Where staging has put the model and the request list."""

    folder: Path
    staged: Staged


@pytest.fixture(scope="session")
def tick_version() -> str:
    try:
        return metadata.version("lem-tick")
    except metadata.PackageNotFoundError:
        pytest.fail(
            "the test backend is missing: pip install --no-deps --no-build-isolation"
            " -e tests/plugins/lem_tick"
        )


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory, tick_version: str) -> Place:
    folder = tmp_path_factory.mktemp("staged")
    task = StageTask(
        contract_version=CONTRACT_VERSION,
        backend="tick",
        model=ModelSpec(id="nothing", synthetic=Synthetic()),
        source=None,
        target=str(folder),
        requests_folder=str(folder / "requests"),
        workloads=[Workload.model_validate(WORKLOAD)],
        seed=1,
    )
    task.write(folder / "run" / "stage.json")
    done = agent("stage", folder / "run" / "stage.json")
    assert done.returncode == 0, done.stderr
    return Place(folder, Staged.read(folder / "run" / "staged.json"))


MakeJob = Callable[..., Path]


@pytest.fixture
def make_job(place: Place, tmp_path: Path, tick_version: str) -> MakeJob:
    """Writes a job, with changes, and returns its path: ``make_job(args={"raise": "no"})``."""

    def make(folder: str = "run", **changes: Any) -> Path:
        (requests,) = place.staged.requests
        raw: dict[str, Any] = {
            "schema_version": 1,
            "contract_version": CONTRACT_VERSION,
            "run_id": "0123456789abcdef01234567",
            "arm_id": "a" * 64,
            "experiment_id": hashlib.sha256(canonical_json(changes)).hexdigest(),
            "campaign": "test",
            "block": 1,
            "block_pass": 2,
            "attempt": 3,
            "backend": "tick",
            "engine_version": tick_version,
            "model": str(place.folder / place.staged.path),
            "model_identity": {
                "id": "nothing",
                "revision": None,
                "content": place.staged.content,
                "weights": "random",
            },
            "engine": {"max_batch_size": 4},
            "args": {},
            "generate": {"temperature": 0},
            "workload": Workload.model_validate(WORKLOAD).model_dump(),
            "requests": str(place.folder / "requests" / f"{requests.sha256}.jsonl.gz"),
            "requests_sha256": requests.sha256,
            "device": {},
            "measure": {
                "windows": 2,
                "window_s": 0.4,
                "idle_s": 0.2,
                "warm_up_cap_s": 0.1,
                "meters": ["estimate"],
            },
            "limits": {"load_s": 30.0, "run_s": 60.0},
            "seed": 1,
            "gpus": [],
            "launcher": "process",
            "image_digest": None,
        }
        job = Job.model_validate(raw | changes)
        path = tmp_path / folder / "job.json"
        job.write(path)
        return path

    return make
