"""One staged model and small jobs for it, to be started by any launcher."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lem.contract.base import CONTRACT_VERSION
from lem.contract.job import Job
from lem.contract.spec import (
    DeviceSettings,
    ExperimentModel,
    Limits,
    Measurement,
    ModelSpec,
    Synthetic,
)
from lem.contract.stage import Staged, StageTask
from lem.contract.workload import RandomDataset, Workload
from lem.launchers.protocol import Exit, Folders, Launcher, Prepared, Task

WORKLOAD = Workload(requests=4, dataset=RandomDataset(input_tokens=4, output_tokens=3))


@dataclass(frozen=True)
class Rig:
    launcher: Launcher
    prepared: Prepared
    models: Path
    requests: Path
    staged: Staged

    def task(self, folder: Path, args: dict[str, Any], **changes: Any) -> Task:
        """A run of a few milliseconds with these arguments of the test backend."""
        folders = Folders(run=folder, requests=self.requests, models=self.models)
        inside = self.launcher.inside(folders)
        (made,) = self.staged.requests
        job = Job(
            contract_version=CONTRACT_VERSION,
            run_id="0" * 24,
            arm_id="a" * 16,
            experiment_id="a" * 16,
            campaign="conformance",
            block=0,
            block_pass=0,
            attempt=0,
            backend="tick",
            engine_version="1.0",
            model=f"{inside.models}/{self.staged.path}",
            model_identity=ExperimentModel(
                id="nothing", revision=None, content=self.staged.content, weights="random"
            ),
            engine={},
            args=args,
            generate={},
            workload=WORKLOAD,
            requests=f"{inside.requests}/{made.sha256}.jsonl.gz",
            requests_sha256=made.sha256,
            device=DeviceSettings(),
            measure=Measurement(windows=1, window_s=0.05, idle_s=0.01, warm_up_cap_s=0.05),
            limits=Limits(),
            seed=1,
            gpus=[],
            launcher=self.launcher.name,
            image_digest=self.prepared.digest,
        )
        job.write(folder / "job.json")
        task = Task("run", self.prepared, folders, "job.json", owner=owner_of(folder))
        return replace(task, **changes)

    def run(self, folder: Path, args: dict[str, Any], **changes: Any) -> Exit:
        """Start such a run and wait for its end."""
        with self.launcher.start(self.task(folder, args, **changes)) as agent:
            end = agent.wait(120)
            assert end is not None, "the agent did not end within two minutes"
            return end


def owner_of(folder: Path) -> str:
    """The owner of what is started for ``folder``; not that of the same test in another session,
    whose processes would be taken for this one's."""
    return f"test-{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}"


def stage(launcher: Launcher, prepared: Prepared, place: Path) -> Rig:
    """Have the launcher's agent stage the test model, and give the rig that uses it."""
    run, models = place / "stage", place / "models"
    for folder in (run, models, run / "requests"):
        folder.mkdir()
    folders = Folders(run=run, models=models)
    inside = launcher.inside(folders)
    StageTask(
        contract_version=CONTRACT_VERSION,
        backend="tick",
        model=ModelSpec(id="nothing", synthetic=Synthetic()),
        source=None,
        target=str(inside.models),
        requests_folder=f"{inside.run}/requests",
        workloads=[WORKLOAD],
        seed=1,
    ).write(run / "stage.json")
    with launcher.start(Task("stage", prepared, folders, "stage.json")) as agent:
        end = agent.wait(120)
    assert end is not None and end.status == 0, end
    staged = Staged.read(run / "staged.json")
    return Rig(launcher, prepared, models, run / "requests", staged)


def probe_of(folder: Path) -> dict[str, Any]:
    """What the test backend printed about itself."""
    lines = (folder / "agent.log").read_text().splitlines()
    found: dict[str, Any] = json.loads(next(line for line in lines if line.startswith("{")))
    return found
