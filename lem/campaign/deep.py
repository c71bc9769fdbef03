"""Lets each engine accept or reject every distinct argument set, in its own image, beforehand."""

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from lem import plugins
from lem.campaign.attempt import make_job
from lem.campaign.execute import Ready
from lem.campaign.generations import Generations
from lem.campaign.keys import keys
from lem.campaign.plan import Run
from lem.campaign.stage import last_words
from lem.config.drawn import ARGUMENTS
from lem.contract.base import Scalar, canonical_json, write_atomic
from lem.contract.job import Rejection, Rejections
from lem.contract.lock import Arm, Lock
from lem.contract.workload import Offline
from lem.errors import BadInput, EnvironmentFault, Problem
from lem.launchers.cache import cache_root
from lem.launchers.protocol import Folders, Launcher, Prepared, Say, Task

if TYPE_CHECKING:
    from lem.campaign import Campaign

LIMIT_S = 1800.0
MOST = 64
"""Of each model and backend so many sets of arguments are asked about, beside those of the first
experiments."""


def rejections(campaign: "Campaign", say: Say) -> list[Problem]:
    """What the engines will not take, each with its place in the campaign file."""
    staging = campaign.stage(say)
    lock = campaign.lock_of(staging)
    return rejected(campaign, lock, staging.prepared, campaign.generations(staging), say)


def check(
    campaign: "Campaign", lock: Lock, ready: Ready, later: Generations | None, say: Say
) -> None:
    """Raise :class:`BadInput` with all of :func:`rejected`: nothing has been measured yet."""
    if found := rejected(campaign, lock, ready, later, say):
        raise BadInput(found, hint="correct these lines, or leave the experiments out (exclude:)")


def rejected(
    campaign: "Campaign", lock: Lock, ready: Ready, later: Generations | None, say: Say
) -> list[Problem]:
    """As :func:`rejections`, of what is staged already.

    Where experiments are chosen later (``later``) the engines are asked about the outermost ones,
    too. A value that an engine takes in none of them is a problem. Where it takes each value, but
    not all together, that is only told: such a range cannot be written otherwise.
    """
    outer, complete = ([], True) if later is None else later.outermost(MOST)
    arms = _distinct([*lock.arms, *outer])
    first = {a.arm_id for a in lock.arms}
    groups: dict[tuple[str, str, str], list[Arm]] = {}
    for arm in arms:
        key = (arm.launcher, arm.experiment.backend, arm.model.folder)
        groups.setdefault(key, []).append(arm)
    problems: list[Problem] = []
    for (launcher_name, backend, model), own in groups.items():
        prepared = ready[launcher_name, backend]
        say(f"asking {backend} {prepared.described.engine_version} about its arguments")
        launcher = plugins.load("launchers", launcher_name)()
        models = cache_root() / "models" / model
        said = _ask(lock, launcher, prepared, own, models, campaign.folder)
        sure = [r for r in said if r.arm_id in first]
        for one in (r for r in said if r.arm_id not in first):
            arm = next(a for a in own if a.arm_id == one.arm_id)
            wrong = _never_taken(arm, own, said)
            if wrong:
                named = one.argument or wrong[0]
                sure.append(one.model_copy(update={"argument": named}))
            else:
                say(
                    f"{backend} takes each of these, but not together ({arm.label}: {one.message}):"
                    " such experiments would fail, and none like them be chosen again"
                )
        problems += _problems(campaign, backend, sure, {a.arm_id: a.label for a in own})
    if later is not None:
        say(_coverage(len([a for a in arms if a.arm_id not in first]), complete))
    return problems


def _problems(
    campaign: "Campaign", backend: str, said: list[Rejection], labels: dict[str, str]
) -> list[Problem]:
    """Each thing that was said once."""
    by_words: dict[tuple[str, str], list[str]] = {}
    for one in said:
        by_words.setdefault((one.argument or "", one.message), []).append(one.arm_id)
    problems = []
    for (argument, message), ids in by_words.items():
        place = campaign.file.where(argument) if argument else None
        line, column = place or (None, None)
        more = ", among others" if len(ids) > 1 else ""
        label = labels.get(ids[0], "unknown experiment")
        which = "" if label == backend and not more else f" ({label}{more})"
        problems.append(
            Problem(
                f"{backend} rejects this{which}: {message}",
                file=str(campaign.file.path),
                line=line,
                column=column,
                path=argument,
            )
        )
    return problems


def _never_taken(arm: Arm, asked: list[Arm], said: list[Rejection]) -> list[str]:
    """Paths of the arm's values that the engine took in none of the experiments it was asked
    about."""
    refused = {r.arm_id for r in said}
    taken = [a.settings for a in asked if a.arm_id not in refused]
    return [
        path
        for path, value in arm.settings.items()
        if path.split(".")[0] in ARGUMENTS
        and not any(_same(other.get(path), value) for other in taken)
    ]


def _same(a: Scalar, b: Scalar) -> bool:
    return a == b and isinstance(a, bool) is isinstance(b, bool)


def _coverage(asked: int, complete: bool) -> str:
    """What the engines were asked about of experiments that are chosen later, and what not."""
    if asked == 0:
        return "what is chosen later differs from the first generation in nothing that engines take"
    of = "" if complete else f" (the first {MOST} of each model and backend)"
    return (
        f"asked about {asked} more sets of arguments, which the sweep allows later: each value of "
        f"a list, the ends of bounds, and combinations of ends{of}. Not asked about: values "
        "between bounds, and other combinations; of those, one that its engine rejects is a failed "
        "run"
    )


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
            memory_bytes=lock.limits.memory_bytes,
            pids=lock.limits.pids,
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
    """One arm for each different set of engine, args and generate settings, model, and way of
    driving the engine: its batch interface and its server take different arguments."""
    seen: dict[bytes, Arm] = {}
    for a in arms:
        e = a.experiment
        offline = isinstance(e.workload.arrival, Offline)
        what = [e.backend, e.model.content, e.engine, e.args, e.generate, offline]
        seen.setdefault(canonical_json(what), a)
    return list(seen.values())
