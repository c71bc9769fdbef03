"""Makes the runs that the plan asks for, one after another, and leaves the folder whole."""

import errno
import fcntl
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal

from lem import plugins
from lem.agent.environment import boot_id, device_set, gpus
from lem.campaign.attempt import (
    attempt_folder,
    close_open,
    host_failure,
    make_job,
    outcome_of,
    result_of,
)
from lem.campaign.plan import Here, Plan, Run, plan
from lem.campaign.sources import cache_root
from lem.campaign.watch import watching
from lem.contract.base import utc_now
from lem.contract.event import Event
from lem.contract.failure import Failure
from lem.contract.job import Job
from lem.contract.lock import Arm, Lock
from lem.contract.record import Record
from lem.errors import EnvironmentFault, Interrupted
from lem.launchers.protocol import BackendSetup, Exit, Folders, Launcher, Prepared, Say, Task
from lem.stores.index import Index
from lem.stores.outcomes import Outcome

GRACE_S = 8.0
"""How long an agent may take to write its failure and end after it was asked to."""
HOST_MARGIN_S = 20.0
"""The host's limit is this much longer than the agent's own, which names the phase."""


@dataclass(frozen=True)
class Moment:
    """What happens while a campaign runs, for whoever shows it."""

    kind: Literal["plan", "begin", "event", "end"]
    plan: Plan
    run: Run | None = None
    arm: Arm | None = None
    event: Event | None = None
    result: Record | Failure | None = None


OnMoment = Callable[[Moment], None]


def present(lock_gpus: Sequence[int]) -> Here:
    """This machine, now."""
    return Here(utc_now(), boot_id(), tuple(device_set(gpus(list(lock_gpus)))))


def execute(
    folder: Path, lock: Lock, retry_failed: bool, on_moment: OnMoment, say: Say
) -> list[Outcome]:
    """Run what is missing until the plan is empty; returns every outcome in the folder.

    Raises :class:`Interrupted` on Ctrl-C or SIGTERM, :class:`EnvironmentFault` where the machine
    lets it down. Whatever happens, no container is left and every begun attempt has its end.
    """
    with _alone(folder), _terminable():
        launchers: dict[str, Launcher] = {
            name: plugins.load("launchers", name)() for name in {a.launcher for a in lock.arms}
        }
        for launcher in launchers.values():
            if left := launcher.reclaim(lock.owner):
                say(f"removed {left} left over from a run that was killed")
        with Index(folder) as index:
            index.refresh()
            close_open(folder, index.outcomes(), present(lock.gpus))
            index.refresh()
            outcomes = list(index.outcomes())
        forgive = frozenset(o.path for o in outcomes if o.kind == "failure" and retry_failed)
        arms = {a.arm_id: a for a in lock.arms}
        ready = _prepare(lock, launchers, say)
        while True:
            todo = plan(lock, outcomes, present(lock.gpus), forgive)
            on_moment(Moment("plan", todo))
            if not todo.runs:
                return outcomes
            for outcome in _batch(folder, lock, todo, arms, launchers, ready, on_moment):
                outcomes.append(outcome)
                if _plan_changes(todo, outcome):
                    break


def _plan_changes(todo: Plan, outcome: Outcome) -> bool:
    """Whether this outcome may change what has to run next; most don't."""
    return outcome.kind != "record" or outcome.consequence == "void"


def _batch(
    folder: Path,
    lock: Lock,
    todo: Plan,
    arms: dict[str, Arm],
    launchers: dict[str, Launcher],
    ready: dict[tuple[str, str], Prepared],
    on_moment: OnMoment,
) -> Iterator[Outcome]:
    """The planned runs of the first unfinished block, one by one."""
    for run in todo.runs:
        if run.block != todo.runs[0].block:
            return
        arm = arms[run.arm_id]
        on_moment(Moment("begin", todo, run, arm))
        result = _one(
            folder,
            lock,
            arm,
            run,
            launchers[arm.launcher],
            ready[arm.launcher, arm.experiment.backend],
            lambda e, run=run, arm=arm: on_moment(Moment("event", todo, run, arm, e)),  # type: ignore[misc]
        )
        on_moment(Moment("end", todo, run, arm, result=result))
        yield outcome_of(result, str(attempt_folder(folder, run).relative_to(folder)))


def _one(
    folder: Path,
    lock: Lock,
    arm: Arm,
    run: Run,
    launcher: Launcher,
    prepared: Prepared,
    on_event: Callable[[Event], None],
) -> Record | Failure:
    """Make one run; its folder then holds a record or a failure."""
    here = present(lock.gpus)
    place = attempt_folder(folder, run)
    folders = Folders(
        run=place, requests=folder / "requests", models=cache_root() / "models" / arm.model.folder
    )
    job = make_job(lock, arm, run, launcher, folders, prepared.digest)
    with _typed_disk_errors(folder):
        place.mkdir(parents=True)
        job.write(place / "job.json")
    task = Task(
        verb="run",
        prepared=prepared,
        folders=folders,
        document="job.json",
        gpus=tuple(lock.gpus),
        memory_bytes=lock.limits.memory_bytes,
        pids=lock.limits.pids,
        owner=lock.owner,
    )
    limit_s = lock.limits.load_s + lock.limits.run_s + HOST_MARGIN_S
    end: Exit | None = None
    timed_out = False
    try:
        with watching(place / "events.ndjson", on_event), launcher.start(task) as agent:
            end = agent.wait(limit_s)
            if end is None:
                timed_out = True
                end = agent.stop(GRACE_S)
    except KeyboardInterrupt:
        _note_interruption(place, job, here)
        raise
    except EnvironmentFault as e:
        failure = host_failure(job, e.kind, e.message, here, here.now, hint=e.hint)
        failure.write(place / "failure.json")
        if e.kind in ("image", "contract", "disk"):
            raise
        return failure
    with _typed_disk_errors(folder):
        return result_of(place, job, end, timed_out, here, here.now)


def _note_interruption(place: Path, job: Job, here: Here) -> None:
    """An attempt cut short by the user never counts, whatever it managed to write."""
    if not (place / "failure.json").exists():
        message = "stopped by the user"
        host_failure(job, "interrupted", message, here, here.now).write(place / "failure.json")


def _prepare(
    lock: Lock, launchers: dict[str, Launcher], say: Say
) -> dict[tuple[str, str], Prepared]:
    """The images or interpreters of the lock, checked to be the ones it was made with."""
    ready: dict[tuple[str, str], Prepared] = {}
    for arm in lock.arms:
        backend = arm.experiment.backend
        key = (arm.launcher, backend)
        if key in ready:
            continue
        locked = lock.backends[backend]
        setup = BackendSetup(
            backend, locked.image, locked.base_image, locked.python, gpu=bool(lock.gpus)
        )
        ready[key] = launchers[arm.launcher].prepare(setup, say)
        found = ready[key].described.engine_version
        if found != arm.experiment.engine_version:
            raise EnvironmentFault(
                f"{backend} is version {found} here; this campaign was begun with"
                f" {arm.experiment.engine_version}",
                hint="use --out with another folder to start anew with the new version",
                kind="image",
            )
    return ready


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one lem at a time may run a campaign folder; the kernel frees it when we end."""
    with _typed_disk_errors(folder):
        handle = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise EnvironmentFault(
                f"another lem is running this campaign in {folder}",
                hint="wait for it, or watch it: lem campaign status --follow",
            ) from e
        yield
    finally:
        os.close(handle)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends a campaign as cleanly as Ctrl-C does."""

    def stop(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread: the caller handles signals
        yield
        return
    try:
        yield
    except KeyboardInterrupt as e:
        raise Interrupted("interrupted") from e
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _typed_disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EnvironmentFault(
                f"no room left on the disk of {folder}",
                hint="make room, then run again: it goes on where it stopped",
                kind="disk",
            ) from e
        if e.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise EnvironmentFault(
                f"{folder} cannot be written to ({e.strerror})",
                hint="choose another folder with --out",
                kind="disk",
            ) from e
        raise
