"""Lets each engine accept or reject every distinct argument set, in its own image, beforehand."""

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lem import plugins
from lem.campaign.attempt import make_job
from lem.campaign.execute import Ready
from lem.campaign.keys import keys
from lem.campaign.plan import Run
from lem.campaign.sources import cache_root
from lem.campaign.stage import last_words
from lem.contract.base import canonical_json, write_atomic
from lem.contract.job import Rejection, Rejections
from lem.contract.lock import Arm, Lock
from lem.errors import BadInput, EnvironmentFault, Problem
from lem.launchers.protocol import Folders, Launcher, Prepared, Say, Task

if TYPE_CHECKING:
    from lem.campaign import Campaign

LIMIT_S = 1800.0


def rejections(campaign: "Campaign", say: Say) -> list[Problem]:
    """What the engines will not take, each with its place in the campaign file."""
    staging = campaign.stage(say)
    return rejected(campaign, campaign.lock_of(staging), staging.prepared, say)


def check(campaign: "Campaign", lock: Lock, ready: Ready, say: Say) -> None:
    """Raise :class:`BadInput` with all of :func:`rejected`: nothing has been measured yet."""
    if found := rejected(campaign, lock, ready, say):
        raise BadInput(found, hint="correct these lines, or leave the experiments out (exclude:)")


def rejected(campaign: "Campaign", lock: Lock, ready: Ready, say: Say) -> list[Problem]:
    """As :func:`rejections`, of what is staged already."""
    groups: dict[tuple[str, str, str], list[Arm]] = {}
    for arm in _distinct(lock.arms):
        key = (arm.launcher, arm.experiment.backend, arm.model.folder)
        groups.setdefault(key, []).append(arm)
    problems: list[Problem] = []
    for (launcher_name, backend, model), arms in groups.items():
        prepared = ready[launcher_name, backend]
        say(f"asking {backend} {prepared.described.engine_version} about its arguments")
        launcher = plugins.load("launchers", launcher_name)()
        models = cache_root() / "models" / model
        said: dict[tuple[str, str], list[str]] = {}
        for one in _ask(lock, launcher, prepared, arms, models, campaign.folder):
            said.setdefault((one.argument or "", one.message), []).append(one.arm_id)
        for (argument, message), ids in said.items():
            place = campaign.file.where(argument) if argument else None
            line, column = place or (None, None)
            more = ", among others" if len(ids) > 1 else ""
            problems.append(
                Problem(
                    f"{backend} rejects this ({_label(lock, ids[0])}{more}): {message}",
                    file=str(campaign.file.path),
                    line=line,
                    column=column,
                    path=argument,
                )
            )
    return problems


def _ask(
    lock: Lock,
    launcher: Launcher,
    prepared: Prepared,
    arms: list[Arm],
    models: Path,
    folder: Path,
) -> list[Rejection]:
    with tempfile.TemporaryDirectory(prefix="lem-validate-") as name:
        folders = Folders(run=Path(name), requests=folder / "requests", models=models)
        jobs = [make_job(lock, a, Run(a.arm_id, 0, 0, 0), launcher, folders, None) for a in arms]
        lines = "".join(json.dumps(j.model_dump(mode="json")) + "\n" for j in jobs)
        write_atomic(Path(name) / "jobs.ndjson", lines.encode())
        task = Task(
            "validate",
            prepared,
            folders,
            "jobs.ndjson",
            gpus=tuple(lock.gpus),
            secrets=keys([a.experiment for a in arms], os.environ),
        )
        with launcher.start(task) as agent:
            end = agent.wait(LIMIT_S) or agent.stop(5.0)
        if end.status != 0:
            said = "\n  ".join(last_words(end.last_lines))
            raise EnvironmentFault(
                f"{prepared.setup.name} could not check its arguments:\n  {said}"
            )
        return Rejections.read(Path(name) / "rejections.json").rejections


def _distinct(arms: list[Arm]) -> list[Arm]:
    """One arm for each different set of engine, args and generate settings and model."""
    seen: dict[bytes, Arm] = {}
    for a in arms:
        e = a.experiment
        what = [e.backend, e.model.content, e.engine, e.args, e.generate]
        seen.setdefault(canonical_json(what), a)
    return list(seen.values())


def _label(lock: Lock, arm_id: str) -> str:
    return next((a.label for a in lock.arms if a.arm_id == arm_id), "unknown experiment")
