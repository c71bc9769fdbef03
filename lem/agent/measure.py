"""The measured part of a run: warm-up, idle, windows, idle, while a sampler reads the meters."""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lem.agent.events import Events
from lem.backends.protocol import Backend, Engine
from lem.contract.base import Scalar, whole_text
from lem.contract.job import Job
from lem.contract.record import MeterInfo, Quality
from lem.errors import RunFailed
from lem.meters.protocol import MeterSettings
from lem.meters.sampler import Sampler
from lem.workloads import datasets, requests
from lem.workloads.load import Log, Response
from lem.workloads.requests import Request
from lem.workloads.sources import Stock, arriving
from lem.workloads.steady import Counts, Phase, warmed_up

WARM_UP_PARTS = 8
"""The warm-up limit is cut into this many sub-windows to see whether throughput has settled."""
ANSWER_CHARACTERS = 2000
CLOCK_JUMP_NS = 2_000_000_000

Stretch = tuple[int, int]
"""Start and end on the monotonic clock, nanoseconds."""


@dataclass(frozen=True)
class Measured:
    """Everything that was observed; the record follows from it and from the trace alone."""

    infos: list[MeterInfo]
    windows: list[Counts]
    idle: list[Stretch]
    responses: list[Response]
    warm_up_s: float
    facts: dict[str, Scalar]
    """What the engine said it used, before the quality probe: that may take more memory."""
    quality: Quality
    flags: set[str]


def measure(job: Job, backend: Backend, engine: Engine, folder: Path, events: Events) -> Measured:
    """Take the loaded engine through all phases."""
    stock = Stock(shuffled(job, requests.read(Path(job.requests), job.requests_sha256)))
    log = Log(watch=lambda r: _tell_answer(events, r))
    flags: set[str] = set()
    jump = _clock_jump()
    with _sampler(job, folder) as meter:
        if job.measure.meters is not None and (lost := meter.unavailable):
            raise RunFailed("meter", "; ".join(f"{m}: {why}" for m, why in lost.items()))
        with _commentary(events, meter, log):
            events.phase("warm_up")
            warm_up_s = _warm_up(job, engine, stock, log, flags)
            idle = _idle(job, meter, events)
            events.phase("window")
            before = len(log.responses)
            windows = _windows(job, engine, stock, log, meter.mark)
            idle += _idle(job, meter, events)
        if not meter.alive():
            flags.add("sampler_died")
    measured = list(log.responses.values())[before:]
    if jump() > CLOCK_JUMP_NS:
        flags.add("suspended")
    if stock.exhausted:
        flags.add("requests_exhausted")
    if any(w.failed for w in windows):
        flags.add("requests_failed")
    return Measured(
        infos=_telling(meter.infos, job),
        windows=windows,
        idle=idle,
        responses=measured,
        warm_up_s=warm_up_s,
        facts=dict(engine.facts()),
        quality=_quality(job, backend, engine, events, measured),
        flags=flags,
    )


def shuffled(job: Job, listed: list[Request]) -> list[Request]:
    """The request list in this block's own order, the same for all of the block's runs.

    A slow arm gets through fewer requests than a fast one. In a fixed order it would always meet
    the same few, and how long they happen to be would be a bias of its figures; drawn anew in each
    block it is noise, which the interval over blocks covers.
    """

    def rank(request: Request) -> bytes:
        return hashlib.sha256(f"{job.seed}/{job.block}/{request.id}".encode()).digest()

    return sorted(listed, key=rank)


def _sampler(job: Job, folder: Path) -> Sampler:
    settings = MeterSettings(
        gpus=tuple(job.gpus),
        powercap_root=Path(job.powercap_root),
        process=os.getpid(),
        watts_per_busy_core=job.measure.watts_per_busy_core,
    )
    return Sampler(
        job.measure.meters, settings, folder / "trace.csv.gz", job.measure.sample_interval_s
    )


def _telling(infos: list[MeterInfo], job: Job) -> list[MeterInfo]:
    """The devices whose energy says something of this run. CPU time says nothing of what a GPU
    drew, so where a run uses GPUs and nothing is measured there is no figure (``no_meter``)."""
    only_estimated = all(i.device_class == "estimated" for i in infos)
    return [] if job.gpus and only_estimated else infos


def _warm_up(job: Job, engine: Engine, stock: Stock, log: Log, flags: set[str]) -> float:
    """Work until throughput has settled or the limit is reached; returns the seconds it took."""
    cap = job.measure.warm_up_cap_s
    start = time.monotonic()
    settled = False

    def enough(done: list[Counts]) -> bool:
        nonlocal settled
        settled = warmed_up([c.tokens_per_s for c in done])
        return settled or time.monotonic() - start >= cap

    part_s = max(cap / WARM_UP_PARTS, 0.01)
    _serve(job, engine, stock, log, part_s, time.monotonic_ns, enough, whole_turns=False)
    if not settled:
        flags.add("warm_up_capped")
    return time.monotonic() - start


def _windows(
    job: Job, engine: Engine, stock: Stock, log: Log, mark: Callable[[], int]
) -> list[Counts]:
    """The measured windows. Raises :class:`RunFailed` if the engine stopped before them."""
    phase = _serve(
        job,
        engine,
        stock,
        log,
        job.measure.window_s,
        mark,
        lambda done: len(done) >= job.measure.windows,
    )
    if len(phase.windows) < job.measure.windows:
        raise RunFailed("engine_error", "the engine stopped before the windows were complete")
    if any(w.output_tokens == 0 for w in phase.windows):
        raise RunFailed("engine_error", "the engine produced no token in a window")
    return phase.windows


def _serve(
    job: Job,
    engine: Engine,
    stock: Stock,
    log: Log,
    window_s: float,
    on_edge: Callable[[], int],
    enough: Callable[[list[Counts]], bool],
    whole_turns: bool = True,
) -> Phase:
    phase = Phase(
        arriving(job.experiment.workload.arrival, stock, log),
        log,
        atomic=engine.atomic_batches,
        window_s=window_s,
        on_edge=on_edge,
        enough=enough,
        whole_turns=whole_turns,
    )
    engine.serve(phase, log)
    return phase


def _idle(job: Job, meter: Sampler, events: Events) -> list[Stretch]:
    """Stand still with the model loaded, so that idle power is that of the same state; not at all
    where no idle phase is asked for."""
    if job.measure.idle_s == 0:
        return []
    events.phase("idle")
    start = meter.mark()
    time.sleep(job.measure.idle_s)
    return [(start, meter.mark())]


def _quality(
    job: Job, backend: Backend, engine: Engine, events: Events, responses: list[Response]
) -> Quality:
    sample = next((r.text for r in responses if r.status == "done" and r.text.strip()), None)
    sample = None if sample is None else whole_text(sample[:ANSWER_CHARACTERS])
    if "nll" not in job.measure.quality:
        return Quality(sample=sample)
    events.phase("quality")
    ids = backend.tokenizer(Path(job.model)).encode(datasets.nll_text(), chat=False)
    nll = engine.nll(ids)
    return Quality(
        nll_per_token=nll,
        text_sha256=datasets.NLL_SHA256 if nll is not None else None,
        tokens=len(ids) if nll is not None else None,
        sample=sample,
    )


def _clock_jump() -> Callable[[], int]:
    """How far the wall clock and the monotonic clock have drifted apart since, in ns."""
    start = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
    return lambda: abs(time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns() - start)


def _tell_answer(events: Events, response: Response) -> None:
    events.emit("text", request=response.request.id, text=response.text[:ANSWER_CHARACTERS])


@contextmanager
def _commentary(events: Events, meter: Sampler, log: Log) -> Iterator[None]:
    """Once a second: power now, tokens and answers so far, for whoever watches."""
    over = threading.Event()

    def speak() -> None:
        tokens, then = log.tokens, time.monotonic()
        while not over.wait(1.0):
            total, moment = log.tokens, time.monotonic()
            events.emit(
                "progress",
                output_tokens=total,
                tokens_per_s=round((total - tokens) / (moment - then), 3),
            )
            for device, power_w in meter.power_now().items():
                events.emit("sample", device=device, power_w=round(power_w, 3))
            tokens, then = total, moment

    thread = threading.Thread(target=speak, name="commentary", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=5)
