"""One run, from job to record: load, warm up, idle, windows, idle, quality.

The phases and their reasons are in docs/method.md. Whatever happens, a record or a failure is
written at the end, unless the process is killed outright; then the host writes the failure.
"""

import errno
import time
import traceback
from pathlib import Path

from lem import plugins
from lem.agent import device_settings, quality
from lem.agent.assemble import assemble, window
from lem.agent.environment import (
    boot_id,
    capture,
    device_set,
    engine_version,
    gpus,
    versions_around,
)
from lem.agent.events import Events
from lem.agent.measure import Measured, measure
from lem.agent.stop import Stop, deadline, stoppable
from lem.backends.protocol import Backend
from lem.contract.base import CONTRACT_VERSION, utc_now, whole_text
from lem.contract.failure import Failure
from lem.contract.job import Job
from lem.contract.metrics import METRIC_SEMANTICS_VERSION
from lem.contract.record import Metrics, Record, RequestCounts, Window
from lem.contract.workload import Offline
from lem.errors import (
    BadInput,
    EnvironmentFault,
    FailureKind,
    LemError,
    MeterUnavailable,
    RunFailed,
)
from lem.meters.protocol import Sample
from lem.meters.sampling import trace
from lem.workloads import responses
from lem.workloads.edges import EXACT

LAST_LINES = 40
REASON_CHARACTERS = 300


def run(path: Path) -> int:
    """Run the job in ``path``; its folder receives the documents. Returns the exit status."""
    job = Job.read(path)
    folder = path.parent
    started_at = utc_now()
    with stoppable(), Events(folder / "events.ndjson") as events:
        try:
            _run(job, folder, events, started_at).write(folder / "record.json")
        except BaseException as error:  # noqa: BLE001 - every end is typed and written down
            if isinstance(error, Stop):
                error = error.reason.with_traceback(error.__traceback__)
            failure = as_failure(job, error, events.phase_now, started_at)
            failure.write(folder / "failure.json")
            return 1
        events.phase("done")
        return 0


def _run(job: Job, folder: Path, events: Events, started_at: str) -> Record:
    if job.contract_version != CONTRACT_VERSION:
        raise RunFailed(
            "contract",
            f"the job is of contract {job.contract_version}, this agent of {CONTRACT_VERSION}",
            hint=f"lem images build {job.backend}",
        )
    _check_boards(job)
    backend: Backend = plugins.load("backends", job.backend)()
    _check_load(job, backend)
    events.phase("load")
    start = time.monotonic()
    with deadline(job.limits.load_s, "loading the model"):
        engine = backend.load(job)
    try:
        load_s = time.monotonic() - start
        with deadline(job.limits.run_s, "the run"):
            quality.check(job, engine)
            measured = measure(job, backend, engine, folder, events)
            return _record(job, backend, folder, measured, started_at, load_s)
    finally:
        engine.close()


def _check_boards(job: Job) -> None:
    """The boards that are seen here under the job's indices must be the ones that the host meant:
    figures of others would stand under their name."""
    found = [g.uuid for g in gpus(job.gpus)]
    if job.gpu_uuids and found and sorted(found) != sorted(job.gpu_uuids):
        raise RunFailed(
            "meter",
            f"the run was given the boards {', '.join(found)}, not {', '.join(job.gpu_uuids)}",
            hint="see whether Docker and `nvidia-smi -L` count the GPUs in the same order",
        )


def _check_load(job: Job, backend: Backend) -> None:
    """Raises :class:`RunFailed` where the backend cannot be driven by the job's arrivals."""
    if not hasattr(backend, "loads"):
        raise RunFailed(
            "contract",
            f"the backend {job.backend} does not say what it can be driven with",
            hint="its class needs `loads` (docs/adding-a-backend.md)",
        )
    kind = job.workload.arrival.kind
    wanted = "offline" if isinstance(job.workload.arrival, Offline) else "served"
    if wanted not in backend.loads:
        raise RunFailed(
            "unsupported",
            f"{job.backend} cannot be driven by the arrival '{kind}'",
            hint=f"{job.backend} takes: {', '.join(backend.loads)}; see docs/backends.md",
        )


def _request_counts(measured: Measured) -> RequestCounts:
    ends = [r.status for r in measured.responses]
    done, failed, timed_out = (ends.count(s) for s in ("done", "failed", "timed_out"))
    return RequestCounts(sent=len(ends), done=done, failed=failed, timed_out=timed_out)


def _record(
    job: Job,
    backend: Backend,
    folder: Path,
    measured: Measured,
    started_at: str,
    load_s: float,
) -> Record:
    responses.write(folder / "responses.csv.gz", measured.responses)
    facts = dict(measured.facts)
    memory = {
        name.partition(".")[2]: float(facts.pop(name) or 0.0)
        for name in list(facts)
        if name.startswith("peak_memory_bytes.")
    }
    client = {name: facts.pop(name) for name in list(facts) if name.startswith("client_")}
    samples = _trace(folder / "trace.csv.gz")
    figures = assemble(
        measured.infos,
        samples,
        measured.windows,
        measured.idle,
        measured.responses,
        memory,
        job.workload.slo,
        measured.whole_batches,
        measured.prefill,
        measured.arrival,
        None if measured.rate_search is None else measured.rate_search.rate_per_s,
    )
    answering, of_answers, about_answers = _answering(measured, samples)
    if measured.answers.agreement or measured.answers.accuracy:
        measured.answers.write(folder / "answers.json")
    boards = gpus(job.gpus)
    spans = [(w.start_ns, w.end_ns) for w in measured.windows]
    settings = device_settings.flags(job.device, samples, spans, boards)
    weights = {"weights_random"} if job.experiment.model.weights == "random" else set()
    return Record(
        metric_semantics_version=METRIC_SEMANTICS_VERSION,
        run_id=job.run_id,
        experiment_id=job.experiment_id,
        arm_id=job.arm_id,
        campaign=job.campaign,
        block=job.block,
        block_pass=job.block_pass,
        attempt=job.attempt,
        started_at=started_at,
        ended_at=utc_now(),
        experiment=job.experiment,
        environment=capture(
            launcher=job.launcher,
            image_digest=job.image_digest,
            engine=job.backend,
            engine_version=engine_version(backend) or "unknown",
            engine_resolved=facts,
            libraries=versions_around(backend),
            gpus=boards,
            block=(job.device_set, job.device_set_names),
            commentary_s=job.commentary_s,
            allocation=job.allocation,
        ),
        meters=measured.infos,
        meters_unavailable={
            name: whole_text(why[:REASON_CHARACTERS]) for name, why in measured.unavailable.items()
        },
        measurement=job.measure,
        warm_up_s=measured.warm_up_s,
        load_s=load_s,
        windows=figures.windows,
        idle=figures.idle,
        metrics=figures.metrics | of_answers,
        quality=measured.quality,
        flags=sorted(
            measured.flags | figures.flags | about_answers | settings | weights | shared(job)
        ),
        whole_batches=measured.whole_batches,
        warm_up=measured.warm_up,
        prefill=figures.prefill,
        answering=answering,
        reconciliation=list(figures.reconciliation),
        client=client,
        requests=_request_counts(measured),
        rate_search=measured.rate_search,
    )


def shared(job: Job) -> set[str]:
    """Whether others may have used the same machine at the same time."""
    given = job.allocation
    return {"shared_node"} if given is not None and given.cpus < given.node_cpus else set()


def _answering(
    measured: Measured, samples: list[Sample]
) -> tuple[Window | None, Metrics, set[str]]:
    """The questions' stretch, its metrics and flags."""
    met, scored = measured.answered, measured.quality.accuracy
    if met is None or scored is None:
        return None, {}, set()
    # All of it begins and ends inside, so nothing is counted in part.
    made = window(measured.infos, samples, met.counts, EXACT)
    return (
        made,
        quality.energy_metrics(made, scored),
        quality.flags(made, met.answers, met.scored_by),
    )


def _trace(path: Path) -> list[Sample]:
    try:
        return trace.read(path, max_text_bytes=None)
    except BadInput as e:
        raise RunFailed("meter", f"the trace cannot be used: {e.message}") from e


def as_failure(job: Job, error: BaseException, phase: str, started_at: str) -> Failure:
    """The failure document that says what this exception means."""
    kind, hint = classify(error)
    lines = "".join(traceback.format_exception(error)).splitlines()
    return Failure(
        run_id=job.run_id,
        arm_id=job.arm_id,
        block=job.block,
        block_pass=job.block_pass,
        attempt=job.attempt,
        kind=kind,
        phase=phase,
        message=_message(error),
        last_lines=[whole_text(line[:1000]) for line in lines[-LAST_LINES:]],
        hint=hint,
        written_by="agent",
        started_at=started_at,
        ended_at=utc_now(),
        boot_id=boot_id(),
        device_set=job.device_set or device_set(gpus(job.gpus)),
    )


def classify(error: BaseException) -> tuple[FailureKind, str | None]:
    """The kind of a failure and how to mend it."""
    if isinstance(error, RunFailed | EnvironmentFault):
        return error.kind, error.hint
    if isinstance(error, MeterUnavailable):
        return "meter", error.hint
    if isinstance(error, BadInput):
        return "bad_argument", error.hint
    if isinstance(error, MemoryError):
        return "out_of_memory", "use a smaller batch, a shorter context or a smaller dtype"
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", None
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return "disk", "make room on the disk, or choose another folder with --out"
    if isinstance(error, ImportError):
        return "image", "the engine cannot be imported: rebuild its image or environment"
    return "engine_error", None


def _message(error: BaseException) -> str:
    text = error.message if isinstance(error, LemError) else str(error)
    first = next((line for line in text.splitlines() if line.strip()), "")
    name = "" if isinstance(error, LemError) else type(error).__name__
    return whole_text(": ".join(part for part in (name, first.strip()) if part)[:2000])
