"""One attempt's folder: begun with a job, closed with a record or a failure."""

import re
import secrets
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from lem.agent.environment import device_set
from lem.campaign.plan import Here, Run
from lem.contract.base import CONTRACT_VERSION, utc_now
from lem.contract.failure import Failure
from lem.contract.flags import worst
from lem.contract.job import Job
from lem.contract.lock import Arm, Lock
from lem.contract.record import Allocation, Gpu, Record
from lem.errors import BadInput, FailureKind
from lem.launchers.protocol import Exit, Folders, Launcher
from lem.stores.costs import costs_of
from lem.stores.folder import MAX_RECORD_BYTES
from lem.stores.outcomes import Outcome

ASIDE = re.compile(
    r"\.(campaign\.lock\.json|campaign\.yaml|index-[0-9a-f]{8}\.sqlite|[0-9a-f]{64}\.jsonl\.gz)\..+"
)
"""Names under which documents are written aside."""
LAST_LINES = 40
PLACE = ("run_id", "arm_id", "block", "block_pass", "attempt")
"""What a document must have in common with its job."""


def attempt_folder(campaign: Path, run: Run) -> Path:
    """``DIR/blocks/0000/<arm id>/<attempt>``."""
    return campaign / "blocks" / f"{run.block:04d}" / run.arm_id / str(run.attempt)


def make_job(
    lock: Lock,
    arm: Arm,
    run: Run,
    launcher: Launcher,
    folders: Folders,
    digest: str | None,
    boards: Sequence[Gpu] = (),
    commentary_s: float = 1.0,
    allocation: Allocation | None = None,
) -> Job:
    """The job document of one run, with paths as the agent sees them. ``boards``: the lock's GPUs
    as they are here."""
    e = arm.experiment
    used = lock.gpus_of(arm)
    inside = launcher.inside(folders)
    return Job(
        contract_version=CONTRACT_VERSION,
        run_id=secrets.token_hex(12),
        arm_id=arm.arm_id,
        experiment_id=arm.experiment_id,
        campaign=lock.name,
        block=run.block,
        block_pass=run.block_pass,
        attempt=run.attempt,
        backend=e.backend,
        engine_version=e.engine_version,
        model=str(Path(f"{inside.models}/{arm.model.path}")),
        model_identity=e.model,
        engine=e.engine,
        args=e.args,
        generate=e.generate,
        workload=e.workload,
        requests=f"{inside.requests}/{e.requests_sha256}.jsonl.gz",
        requests_sha256=e.requests_sha256,
        device=e.device,
        measure=lock.measure,
        limits=lock.limits,
        seed=lock.seed,
        gpus=launcher.gpus_inside(used),
        gpu_uuids=[b.uuid for b in boards if b.index in used],
        device_set=device_set(boards),
        device_set_names=[b.name for b in boards],
        launcher=arm.launcher,
        image_digest=digest,
        powercap_root=launcher.powercap_root,
        trust_remote_code=lock.trust_remote_code,
        agreement_list=arm.agreement_list,
        questions_list=arm.questions_list,
        commentary_s=commentary_s,
        allocation=allocation,
    )


def result_of(
    folder: Path, job: Job, end: Exit | None, timed_out: bool, here: Here, started_at: str
) -> Record | Failure:
    """What an ended attempt left behind; where it left nothing usable, the host's own failure,
    written there.

    What a container wrote is believed only if it is well formed and about this very run. Where it
    wrote both, the failure counts, as it does for :mod:`lem.stores.folder`.
    """
    record_path, failure_path = folder / "record.json", folder / "failure.json"
    kind: FailureKind = "agent_lost"
    hint = None
    if end is None:
        message = "the agent ended without a result"
    else:
        message = f"the agent ended without a result (exit status {end.status})"
    try:
        if _is_plain(failure_path):
            failure = Failure.read(failure_path)
            if not _is_about(failure, job, PLACE):
                raise BadInput("it is about another run")
            if not (timed_out and failure.kind == "interrupted"):
                return failure
        elif _is_plain(record_path):
            record = Record.read(record_path)
            if not _is_about(record, job, (*PLACE, "experiment_id", "campaign", "experiment")):
                raise BadInput("it is about another run")
            return record
    except BadInput as e:
        kind, message = "contract", f"the agent's document is not valid: {e.message}"
    if timed_out:
        limit = job.limits.load_s + job.limits.run_s
        kind, message = "timeout", f"the agent did not end within {limit:g} s"
        hint = "raise limits.load_s or limits.run_s in the campaign file if this is normal"
    elif end is not None and end.out_of_memory:
        kind, message = "out_of_memory", "the kernel killed the agent for want of memory"
        hint = "use a smaller batch, a shorter context or a smaller dtype"
    failure = host_failure(job, kind, message, here, started_at, end, hint)
    _write(failure, folder)
    return failure


def _is_about(result: Record | Failure, job: Job, names: Iterable[str]) -> bool:
    return all(getattr(result, n) == getattr(job, n) for n in names)


def _is_plain(path: Path) -> bool:
    """Whether this is a file of its own that the store will read, too."""
    if not path.is_file() or path.is_symlink():
        return False
    if path.stat().st_size > MAX_RECORD_BYTES:
        raise BadInput(f"{path.name} is larger than {MAX_RECORD_BYTES >> 20} MiB")
    return True


def _write(failure: Failure, folder: Path) -> None:
    path = folder / "failure.json"
    _remove(path)
    failure.write(path)


def _remove(path: Path) -> None:
    """Whatever lies there: an agent may have left anything in its folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def host_failure(
    job: Job,
    kind: FailureKind,
    message: str,
    here: Here,
    started_at: str,
    end: Exit | None = None,
    hint: str | None = None,
) -> Failure:
    """A failure that the agent could not write itself."""
    return Failure(
        run_id=job.run_id,
        arm_id=job.arm_id,
        block=job.block,
        block_pass=job.block_pass,
        attempt=job.attempt,
        kind=kind,
        phase="unknown",
        message=message,
        last_lines=[] if end is None else end.last_lines[-LAST_LINES:],
        hint=hint,
        written_by="host",
        started_at=started_at,
        ended_at=utc_now(),
        boot_id=here.boot_id,
        device_set=list(here.device_set),
    )


def remove_asides(campaign: Path) -> None:
    """Remove what was being written at the campaign's top when something died: never read by
    anyone, because only the finished document is renamed into place."""
    for folder in (campaign, campaign / "requests"):
        if folder.is_symlink() or not folder.is_dir():
            continue
        for leftover in folder.iterdir():
            if ASIDE.fullmatch(leftover.name) and _is_plain(leftover):
                leftover.unlink(missing_ok=True)


def close_open(campaign: Path, outcomes: Iterable[Outcome], here: Here) -> int:
    """Give every attempt that a killed host left open its failure; how many there were."""
    closed = 0
    for o in outcomes:
        if o.kind != "open":
            continue
        folder = campaign / o.path
        # Things are removed here: only where an attempt's folder is, and through no link.
        place = attempt_folder(campaign.resolve(), Run(o.arm_id, o.block, o.block_pass, o.attempt))
        if folder.resolve() != place:
            continue
        for leftover in folder.glob(".*"):
            _remove(leftover)
        try:
            job = Job.read(folder / "job.json")
            if (job.arm_id, job.block, job.attempt) != (o.arm_id, o.block, o.attempt):
                raise BadInput("it is about another run")
        except BadInput:
            shutil.rmtree(folder)
            continue
        message = "lem was stopped during this run"
        _write(host_failure(job, "interrupted", message, here, utc_now()), folder)
        closed += 1
    return closed


def outcome_of(result: Record | Failure, path: str) -> Outcome:
    """The same, as the plan sees it."""
    record = isinstance(result, Record)
    environment = result.environment if isinstance(result, Record) else result
    return Outcome(
        arm_id=result.arm_id,
        block=result.block,
        block_pass=result.block_pass,
        attempt=result.attempt,
        kind="record" if record else "failure",
        failure_kind=None if isinstance(result, Record) else result.kind,
        consequence=worst(result.flags) if isinstance(result, Record) else "info",
        started_at=result.started_at,
        ended_at=result.ended_at,
        boot_id=environment.boot_id,
        device_set=tuple(environment.device_set),
        path=path,
        costs=costs_of(result) if isinstance(result, Record) else (),
    )
