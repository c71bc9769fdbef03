"""Makes the runs that the plan asks for, one after another, and leaves the folder whole."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lem import boards, plugins
from lem.agent.environment import boot_id, device_set, gpus
from lem.campaign.attempt import (
    attempt_folder,
    close_open,
    host_failure,
    make_job,
    outcome_of,
    result_of,
)
from lem.campaign.claims import Claims, Lost
from lem.campaign.guard import alone, terminable, typed_disk_errors
from lem.campaign.keys import keys
from lem.campaign.plan import Here, Plan, Run, plan
from lem.campaign.watch import POLL_S, watching
from lem.contract.base import utc_now
from lem.contract.event import Event
from lem.contract.failure import Failure
from lem.contract.job import Job
from lem.contract.lock import Arm, Lock
from lem.contract.record import Allocation, Record
from lem.contract.spec import DeviceSettings
from lem.errors import EnvironmentFault, LemError, SettingRefused
from lem.launchers import compiled
from lem.launchers.cache import cache_root
from lem.launchers.protocol import Exit, Folders, Launcher, Prepared, Say, Task
from lem.stores.outcomes import Outcome

GRACE_S = 8.0
"""How long an agent may take to write its failure and end after it was asked to."""
HOST_MARGIN_S = 20.0
"""The host's limit is this much longer than the agent's own, which names the phase."""


@dataclass(frozen=True)
class Moment:
    """What happens while a campaign runs, for whoever shows it."""

    kind: Literal["plan", "begin", "event", "end", "over"]
    """``over``: nothing is left to run, nor to choose."""
    plan: Plan
    run: Run | None = None
    arm: Arm | None = None
    event: Event | None = None
    result: Record | Failure | None = None


OnMoment = Callable[[Moment], None]


def present(lock_gpus: Sequence[int]) -> Here:
    """This machine, now."""
    return Here(utc_now(), boot_id(), tuple(device_set(gpus(list(lock_gpus)))))


Ready = dict[tuple[str, str], Prepared]
"""Launcher and backend → the image or interpreter that staging found."""


Grow = Callable[[Lock], Lock]
"""A lock of which every run is made → the same with the arms that come next, already written; the
very same where there are none."""


def execute(
    folder: Path,
    lock: Lock,
    ready: Ready,
    retry_failed: bool,
    on_moment: OnMoment,
    say: Say,
    grow: Grow = lambda lock: lock,
    commentary_s: float = 1.0,
    refused_settings_end_it: bool = False,
) -> list[Outcome]:
    """Run what is missing until the plan is empty; returns every outcome in the folder.
    ``commentary_s``: how often an agent tells ``on_moment`` what it does.
    ``refused_settings_end_it``: where this machine does not take a power limit or clock of any
    experiment, nothing is run and nothing is written; another machine may take it.

    Raises :class:`lem.errors.Interrupted` on Ctrl-C or SIGTERM, :class:`EnvironmentFault` where
    the machine lets it down. Whatever happens, no container is left and every begun attempt has
    its end.
    """
    with alone(folder), terminable():
        launchers = _launchers(lock)
        for launcher in launchers.values():
            if left := launcher.reclaim(lock.owner):
                say(f"removed {left} left over from a run that was killed")
        outcomes = _take_stock(folder, lock)
        forgive = frozenset(o.path for o in outcomes if o.kind == "failure" and retry_failed)

        claims = Claims(folder)

        def made(lock: Lock) -> Execution:
            all_or_none = refused_settings_end_it
            return Execution(
                folder,
                lock,
                launchers,
                ready,
                on_moment,
                commentary_s,
                all_or_none,
                claims.check,
                begin=claims.begin,
            )

        execution = made(lock)
        try:
            while True:
                todo = plan(lock, outcomes, present(lock.gpus), forgive)
                outcomes += execution.skip_refused(todo, say)
                todo = _make(lock, outcomes, forgive, execution, on_moment)
                if (grown := grow(lock)) is lock:
                    on_moment(Moment("over", todo))
                    break
                lock = grown
                execution = made(lock)
        except (Lost, FileExistsError) as e:
            raise EnvironmentFault(
                f"something else makes runs of this campaign too: {e}",
                hint="wait for its jobs, or cancel them; then run the same command again",
            ) from e
        finally:
            # A second Ctrl-C may have come before what a run changes was put back.
            boards.put_back(say)
        # An engine may have finished creating a killed host's container only now.
        for launcher in launchers.values():
            launcher.reclaim(lock.owner)
        return outcomes


def _make(
    lock: Lock,
    outcomes: list[Outcome],
    forgive: frozenset[str],
    execution: "Execution",
    on_moment: OnMoment,
) -> Plan:
    """Run what is missing until nothing is, which is what is returned; ``outcomes`` grows by what
    came out."""
    while True:
        todo = plan(lock, outcomes, present(lock.gpus), forgive)
        on_moment(Moment("plan", todo))
        if not todo.runs:
            return todo
        for outcome in execution.block(todo):
            outcomes.append(outcome)
            if outcome.kind != "record" or outcome.consequence == "void":
                break  # the plan may be another one now


def tidy(folder: Path, lock: Lock) -> None:
    """Remove what a host left that was killed after the last run was done. Where that cannot be
    done here and now (the folder may be on another machine), nothing is."""
    with suppress(LemError), alone(folder):
        for launcher in _launchers(lock).values():
            launcher.reclaim(lock.owner)


def _launchers(lock: Lock) -> dict[str, Launcher]:
    return {name: plugins.load("launchers", name)() for name in {a.launcher for a in lock.arms}}


def _take_stock(folder: Path, lock: Lock) -> list[Outcome]:
    """Every outcome in the folder, after what a killed host left open was closed."""
    # The index needs SQLAlchemy, which a node that makes runs need not have.
    from lem.stores.index import Index

    with Index(folder) as index:
        index.refresh()
        close_open(folder, index.outcomes(), present(lock.gpus))
        index.refresh()
        return list(index.outcomes())


class Execution:
    """The runs of one campaign folder."""

    def __init__(
        self,
        folder: Path,
        lock: Lock,
        launchers: dict[str, Launcher],
        ready: Ready,
        on_moment: OnMoment,
        commentary_s: float = 1.0,
        refused_settings_end_it: bool = False,
        check: Callable[[], None] = lambda: None,
        allocation: Allocation | None = None,
        begin: Callable[[int], None] = lambda block: None,
    ) -> None:
        """``check``: raises where the block is no longer this process's to run; asked before and
        after each run, and once its folder is there. What was begun by then does not count.
        ``begin``: told of the block before its runs are made."""
        self._check = check
        self._begin_block = begin
        self._allocation = allocation
        self.folder = folder
        self.lock = lock
        self._launchers = launchers
        self._ready = ready
        self._on_moment = on_moment
        self._commentary_s = commentary_s
        self._all_or_none = refused_settings_end_it
        self._arms = {a.arm_id: a for a in lock.arms}

    def block(self, todo: Plan) -> Iterator[Outcome]:
        """The planned runs of the first unfinished block, one by one."""
        self._begin_block(todo.runs[0].block)
        for run in todo.runs:
            if run.block != todo.runs[0].block:
                return
            arm = self._arms[run.arm_id]
            self._on_moment(Moment("begin", todo, run, arm))

            def tell(event: Event, run: Run = run, arm: Arm = arm) -> None:
                self._on_moment(Moment("event", todo, run, arm, event))

            result = self.run(arm, run, tell)
            self._on_moment(Moment("end", todo, run, arm, result=result))
            place = attempt_folder(self.folder, run).relative_to(self.folder)
            yield outcome_of(result, str(place))

    def skip_refused(self, todo: Plan, say: Say) -> list[Outcome]:
        """Set every power limit and clock that is asked for once, before anything is measured, and
        put it back. The arms whose settings this machine does not take get a failure that says so.

        Raises :class:`EnvironmentFault` where none of the arms that are awaited could run, or with
        ``refused_settings_end_it`` any: nothing is written, so that the same command goes on once
        the reason is gone.
        """
        tried: dict[tuple[str, tuple[int, ...]], SettingRefused | None] = {}
        refused: dict[str, SettingRefused] = {}
        awaited = {r.arm_id: r for r in reversed(todo.runs)}
        for arm_id in awaited:
            wanted, used = self._arms[arm_id].experiment.device, self._gpus(arm_id)
            key = (wanted.model_dump_json(), used)
            if key not in tried:
                tried[key] = _refusal(wanted, used)
            if (why := tried[key]) is not None:
                refused[arm_id] = why
        if refused and (self._all_or_none or len(refused) == len(awaited)):
            first = next(iter(refused.values()))
            which = "no" if len(refused) == len(awaited) else "not every"
            raise EnvironmentFault(
                f"{which} experiment can be run here: {first.message}", first.hint, "device_setting"
            )
        outcomes = []
        for arm_id, why in refused.items():
            arm, run = self._arms[arm_id], awaited[arm_id]
            say(f"skipped: {arm.label}: {why.message}")
            here = present(self.lock.gpus)
            place, _, job = self._begin(arm, run)
            failure = _refused(job, why, here)
            with typed_disk_errors(self.folder):
                failure.write(place / "failure.json")
            self._on_moment(Moment("end", todo, run, arm, result=failure))
            outcomes.append(outcome_of(failure, str(place.relative_to(self.folder))))
        return outcomes

    def _gpus(self, arm_id: str) -> tuple[int, ...]:
        return tuple(self.lock.gpus_of(self._arms[arm_id]))

    def _begin(self, arm: Arm, run: Run) -> tuple[Path, Folders, Job]:
        """Make the attempt's folder, with its job."""
        folder, lock = self.folder, self.lock
        place = attempt_folder(folder, run)
        launcher = self._launchers[arm.launcher]
        prepared = self._ready[arm.launcher, arm.experiment.backend]
        folders = Folders(
            run=place,
            requests=folder / "requests",
            models=cache_root() / "models" / arm.model.folder,
            compiled=compiled.place(cache_root(), prepared, arm.model.folder),
        )
        boards_here = gpus(lock.gpus)
        job = make_job(
            *(lock, arm, run, launcher, folders, prepared.digest, boards_here),
            *(self._commentary_s, self._allocation),
        )
        with typed_disk_errors(folder):
            place.mkdir(parents=True)
            job.write(place / "job.json")
        return place, folders, job

    def run(self, arm: Arm, run: Run, on_event: Callable[[Event], None]) -> Record | Failure:
        """Make one run; its folder then holds a record or a failure."""
        folder, lock = self.folder, self.lock
        launcher = self._launchers[arm.launcher]
        prepared = self._ready[arm.launcher, arm.experiment.backend]
        here = present(lock.gpus)
        used = self._gpus(arm.arm_id)
        self._check()
        place, folders, job = self._begin(arm, run)
        task = Task(
            verb="run",
            prepared=prepared,
            folders=folders,
            document="job.json",
            gpus=used,
            memory_bytes=lock.limits.memory_bytes,
            pids=lock.limits.pids,
            owner=lock.owner,
            secrets=keys([arm.experiment], os.environ),
        )
        limit_s = lock.limits.load_s + lock.limits.run_s + HOST_MARGIN_S
        end: Exit | None = None
        timed_out = False
        try:
            self._check()
            with (
                boards.applied(arm.experiment.device, used),
                watching(place / "events.ndjson", on_event, min(POLL_S, self._commentary_s / 2)),
                launcher.start(task) as agent,
            ):
                end = agent.wait(limit_s)
                if end is None:
                    timed_out = True
                    end = agent.stop(GRACE_S)
            self._check()
        except Lost as e:
            with typed_disk_errors(folder):
                _cut_short(place, job, here, str(e))
            raise
        except KeyboardInterrupt:
            _cut_short(place, job, here, "stopped by the user")
            raise
        except SettingRefused as e:
            # It could be set before: somebody has taken the right away since.
            if self._all_or_none:
                with typed_disk_errors(folder):
                    _cut_short(place, job, here, e.message)
                raise EnvironmentFault(e.message, e.hint, "device_setting") from e
            failure = _refused(job, e, here)
            with typed_disk_errors(folder):
                failure.write(place / "failure.json")
            return failure
        except EnvironmentFault as e:
            # Not the experiment's fault: the campaign stops, and this run is made again later.
            with typed_disk_errors(folder):
                _cut_short(place, job, here, e.message)
            raise
        with typed_disk_errors(folder):
            result = result_of(place, job, end, timed_out, here, here.now)
        if isinstance(result, Failure) and result.kind == "disk":
            raise EnvironmentFault(result.message, result.hint, kind="disk")
        return result


def _refusal(wanted: DeviceSettings, used: tuple[int, ...]) -> SettingRefused | None:
    try:
        with boards.applied(wanted, used):
            return None
    except SettingRefused as e:
        return e


def _refused(job: Job, why: SettingRefused, here: Here) -> Failure:
    return host_failure(job, "device_setting", why.message, here, here.now, hint=why.hint)


def _cut_short(place: Path, job: Job, here: Here, message: str) -> None:
    """An attempt that was not let to its end never counts, whatever it managed to write."""
    if not (place / "failure.json").exists():
        host_failure(job, "interrupted", message, here, here.now).write(place / "failure.json")
