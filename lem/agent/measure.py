"""The measured part of a run: warm-up, idle, windows, idle, while a sampler reads the meters.

Each phase is told to whoever watches (events) and stands in the trace.
"""

import hashlib
import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lem.agent import operating_point
from lem.agent.commentary import Commentary
from lem.agent.events import Events
from lem.agent.quality import Answered, answer_questions, probe
from lem.backends import prefix_cache
from lem.backends.protocol import Apart, Backend, Engine
from lem.contract.answers import Answers
from lem.contract.base import Scalar
from lem.contract.event import PHASE_CODES, Phase
from lem.contract.job import Job
from lem.contract.record import MeterInfo, Quality, RateSearch, WarmUp
from lem.contract.workload import Arrival, TraceArrival
from lem.errors import RunFailed
from lem.meters import machine
from lem.meters.protocol import MeterSettings
from lem.meters.sampler import TELL_S, Sampler
from lem.workloads import latency, requests, schedules
from lem.workloads.load import Log, Response, Source
from lem.workloads.requests import Request
from lem.workloads.sources import Backlog, OpenLoop, from_slots
from lem.workloads.steady import Counts, nobody, settled_by_chance, spread, warmed_up
from lem.workloads.steady import Phase as Windows
from lem.workloads.stock import FirstTokens, Requests, Stock, conversations

WARM_UP_PARTS = 8
"""The warm-up limit is cut into this many sub-windows to see whether throughput has settled."""
LATE_S = 0.005
LATE_PART = 0.05
"""A client is late where 1 % of its requests left later than both: 5 ms, and this part of the
median time to first token."""
CLOCK_JUMP_NS = 2_000_000_000
NO_TEMPERATURE_S = 5.0

Stretch = tuple[int, int]
"""Start and end on the monotonic clock, nanoseconds."""


@dataclass(frozen=True)
class Measured:
    """Everything that was observed; the record follows from it and from the trace alone."""

    infos: list[MeterInfo]
    unavailable: dict[str, str]
    """Meter → why it could not be read."""
    windows: list[Counts]
    idle: list[Stretch]
    responses: list[Response]
    warm_up_s: float
    warm_up: WarmUp
    whole_batches: bool
    arrival: Arrival
    """That of the windows: with the rate that was found, where one was searched for."""
    rate_search: RateSearch | None
    prefill: Counts | None
    facts: dict[str, Scalar]
    """What the engine said it used, before questions and the quality probe, which may take more
    memory; of its prefix cache, what the windows' requests found there."""
    quality: Quality
    answers: Answers
    answered: Answered | None
    """The questions with known answers, where there are any."""
    flags: set[str]


@dataclass(frozen=True)
class Run:
    """What every phase needs."""

    job: Job
    engine: Engine
    stock: Stock
    log: Log
    meter: Sampler
    commentary: Commentary
    flags: set[str]

    def phase(self, phase: Phase) -> None:
        self.commentary.events.phase(phase)
        self.meter.note("run", "phase", PHASE_CODES[phase])

    def serve(self, source: Source) -> None:
        """Have the engine answer what ``source`` has. Raises :class:`RunFailed` where it returned
        and left some unanswered: then it cannot be told what its energy was spent on."""
        before = len(self.log.responses)
        self.engine.serve(source, self.log)
        sent = list(self.log.responses.values())[before:]
        if lost := sum(r.end_ns is None for r in sent):
            raise RunFailed("engine_error", f"the engine lost {lost} of {len(sent)} requests")


def measure(job: Job, backend: Backend, engine: Engine, folder: Path, events: Events) -> Measured:
    """Take the loaded engine through all phases."""
    stock = Stock(shuffled(job, requests.read(Path(job.requests), job.requests_sha256)))
    commentary = Commentary(events, job.commentary_s)
    log = Log(watch=commentary.answered, follow=commentary.answering)
    flags: set[str] = set()
    jump = _clock_jump()
    with _sampler(job, folder, engine) as meter:
        if job.measure.meters is not None and (lost := meter.unavailable):
            raise RunFailed("meter", "; ".join(f"{m}: {why}" for m, why in lost.items()))
        if machine.settings().get("external") and (why := meter.unavailable.get("external")):
            # The machine's owner named it: its figures must not be missing in silence.
            raise RunFailed("meter", f"external: {why}")
        run = Run(job, engine, stock, log, meter, commentary, flags)
        infos = _telling(meter.infos, job)
        with commentary.on(meter, log, [] if _is_unread(infos, job) else infos):
            _cool_down(run)
            warm_up_s, warm_up = _warm_up(run)
            arrival, found = _find_rate(run)
            idle = _idle(run)
            known = engine.facts()
            run.phase("window")
            before = len(log.responses)
            windows = _windows(run, stock, job.measure.windows, arrival, "window")
            cached = prefix_cache.since(known, engine.facts())
            if stock.exhausted:
                flags.add("requests_exhausted")
            prefill = _prefill(run, arrival)
            idle += _idle(run)
            facts = {**engine.facts(), **cached}
            answered = _questions(run)
        if isinstance(engine, Apart):
            flags |= engine.flags()
        _note_memory(meter, facts)
        if not meter.alive():
            flags.add("sampler_died")
    measured = list(log.responses.values())[before:]
    facts |= _lateness(measured, facts.get("client_read_p99_s"), flags)
    flags |= operating_point.rate_held(job, measured, windows)
    flags |= operating_point.answers_whole(job, measured)
    if job.measure.quality:
        events.phase("quality")
    quality, answers = probe(job, backend, engine, measured, answered)
    if jump() > CLOCK_JUMP_NS:
        flags.add("suspended")
    if _is_unread(infos, job):
        # What the rest of the machine drew is not what the run cost.
        flags.add("no_meter")
    return Measured(
        infos=infos,
        unavailable=dict(meter.unavailable),
        windows=windows,
        idle=idle,
        responses=measured,
        warm_up_s=warm_up_s,
        warm_up=warm_up,
        whole_batches=engine.atomic_batches,
        arrival=arrival,
        rate_search=found,
        prefill=prefill,
        facts=facts,
        quality=quality,
        answers=answers,
        answered=answered,
        flags=flags,
    )


def shuffled(job: Job, listed: list[Request]) -> list[Request]:
    """The request list in this block's own order, the same for all of the block's runs.

    A slow arm gets through fewer requests than a fast one. In a fixed order it would always meet
    the same few, and how long they happen to be would be a bias of its figures; drawn anew in each
    block it is noise, which the interval over blocks covers. Conversations stay whole and in their
    order. A trace is replayed as it is: its requests belong to its times.
    """
    if isinstance(job.workload.arrival, TraceArrival):
        return listed

    def rank(conversation: list[Request]) -> bytes:
        first = conversation[0].id
        return hashlib.sha256(f"{job.seed}/{job.block}/{first}".encode()).digest()

    return [r for c in sorted(conversations(listed), key=rank) for r in c]


def _sampler(job: Job, folder: Path, engine: Engine) -> Sampler:
    gains = job.measure.calibration
    process, driver = os.getpid(), None
    if isinstance(engine, Apart):
        process, driver = engine.process, process
    settings = MeterSettings(
        gpus=tuple(job.gpus),
        powercap_root=Path(job.powercap_root),
        process=process,
        driver=driver,
        watts_per_busy_core=job.measure.watts_per_busy_core,
        calibration=None if gains is None else gains.model_dump(),
        **machine.settings(),
    )
    return Sampler(
        job.measure.meters,
        settings,
        folder / "trace.csv.gz",
        job.measure.sample_interval_s,
        min(TELL_S, job.commentary_s),
    )


def _telling(infos: list[MeterInfo], job: Job) -> list[MeterInfo]:
    """The devices whose energy says something of this run. CPU time says nothing of what a GPU
    drew, so where a run uses GPUs and nothing is measured there is no figure (``no_meter``)."""
    only_estimated = all(i.device_class in ("estimated", "sensor") for i in infos)
    return [] if job.gpus and only_estimated else infos


def _is_unread(infos: list[MeterInfo], job: Job) -> bool:
    """Whether a run uses GPUs and none is read: then nothing that is read is what it cost."""
    return bool(job.gpus) and not any(i.device_class == "gpu" for i in infos)


def _cool_down(run: Run) -> None:
    """Wait until no GPU is warmer than asked for, so that every run begins alike."""
    wanted = run.job.measure.cool_down
    if wanted is None:
        return
    run.phase("cool_down")
    start = time.monotonic()
    while True:
        found = [t for d, t in run.meter.temperatures_now().items() if d.startswith("gpu")]
        if found and max(found) <= wanted.below_c:
            return
        # Temperatures are read once a second: a board that has told none by now has none to tell.
        limit_s = wanted.cap_s if found else min(wanted.cap_s, NO_TEMPERATURE_S)
        if time.monotonic() - start >= limit_s:
            run.flags.add("cool_down_missed")
            return
        time.sleep(0.2)


def _warm_up(run: Run) -> tuple[float, WarmUp]:
    """Work until throughput has settled or the limit is reached; the seconds it took, and how
    settled it was."""
    run.phase("warm_up")
    cap = run.job.measure.warm_up_cap_s
    start = time.monotonic()
    arrival = operating_point.warming(run.job.workload.arrival)
    is_open = schedules.is_open(arrival)

    def rates(done: list[Counts]) -> list[float]:
        return [c.tokens_per_s for c in done]

    def has_settled(done: list[Counts]) -> bool:
        return settled_by_chance(done) if is_open else warmed_up(rates(done))

    def enough(done: list[Counts]) -> bool:
        return has_settled(done) or time.monotonic() - start >= cap

    windows = Windows(
        operating_point.source(run.job, arrival, "warm_up", run.stock, run.log),
        run.log,
        atomic=run.engine.atomic_batches,
        window_s=max(cap / WARM_UP_PARTS, 0.01),
        enough=enough,
        whole_turns=False,
        open_load=is_open,
    )
    run.serve(windows)
    found = rates(windows.windows)
    settled = has_settled(windows.windows)
    if not settled:
        run.flags.add("warm_up_capped")
    told = WarmUp(windows=len(found), spread=spread(found), settled=settled)
    return time.monotonic() - start, told


def _find_rate(run: Run) -> tuple[Arrival, RateSearch | None]:
    """The load of the windows. The warm-up of an open loop may have used more or fewer requests;
    the windows begin with the same one for every backend of the block."""
    arrival = run.job.workload.arrival
    if operating_point.sought(arrival) is not None:
        run.phase("search")
    arrival, found = operating_point.find_rate(run.job, run.stock, run.log, run.serve)
    if found is not None:
        if found.bound_hit is not None:
            run.flags.add("rate_bound_hit")
        if not found.complete:
            run.flags.add("rate_search_capped")
    elif rate := schedules.mean_rate(arrival, run.stock.listed):
        used = math.ceil(rate * run.job.measure.warm_up_cap_s * (1 + 2 / WARM_UP_PARTS))
        if used < len(run.stock.listed):
            run.stock.skip_to(used)
    return arrival, found


def _windows(run: Run, stock: Requests, n: int, arrival: Arrival, phase: str) -> list[Counts]:
    """Measured windows. Raises :class:`RunFailed` if the engine stopped before them."""
    source = operating_point.source(run.job, arrival, phase, stock, run.log)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="edge") as edges:
        windows = Windows(
            source,
            run.log,
            atomic=run.engine.atomic_batches,
            window_s=run.job.measure.window_s,
            on_rest=lambda: run.meter.rest(settle_s=run.job.measure.settle_s),
            enough=lambda done: len(done) >= n,
            open_load=schedules.is_open(arrival),
            begin_edge=lambda: edges.submit(run.meter.mark),
            on_window=run.commentary.window if phase == "window" else nobody,
        )
        before = len(run.log.responses)
        run.serve(windows)
    if isinstance(source, Backlog) and not run.engine.atomic_batches:
        slots = run.engine.facts().get("max_batch_size")
        if isinstance(slots, int):
            from_slots(list(run.log.responses.values())[before:], slots)
    if len(windows.windows) < n:
        raise RunFailed("engine_error", "the engine stopped before the windows were complete")
    found = windows.recounted()
    if any(w.output_tokens == 0 for w in found):
        raise RunFailed("engine_error", "the engine produced no token in a window")
    if isinstance(source, OpenLoop):
        run.flags.update(operating_point.load_held(source, found))
    return found


def _prefill(run: Run, arrival: Arrival) -> Counts | None:
    """A window of the requests that come next, each of which ends with its first token. Under a
    schedule the engine would wait for most of it, so a closed loop sends them."""
    if not run.job.measure.prefill_window:
        return None
    run.phase("prefill")
    busy = operating_point.kept_busy(arrival)
    return _windows(run, FirstTokens(run.stock), 1, busy, "prefill")[0]


def _idle(run: Run) -> list[Stretch]:
    """Stand still with the model loaded, so that idle power is that of the same state; not at all
    where no idle phase is asked for. Right after work a device draws more than at rest: what it
    draws until it has settled is no part of the phase."""
    if run.job.measure.idle_s == 0:
        return []
    if run.job.measure.settle_s > 0:
        run.phase("settle")
        time.sleep(run.job.measure.settle_s)
    run.phase("idle")
    start = run.meter.mark()
    time.sleep(run.job.measure.idle_s)
    return [(start, run.meter.mark())]


def _lateness(responses: list[Response], read_s: Scalar, flags: set[str]) -> dict[str, Scalar]:
    """How late the client was in sending, where one sends over a network: facts, and the flag
    ``client_late``. A time to first token counts from when a request was due, so it holds this.

    ``read_s``: how long its chunks lay unread. Those of one stream that lie there together have
    one time stamp, so a client that reads later than the next chunk comes is late too."""
    late = sorted((r.written_ns - r.sent_ns) / 1e9 for r in responses if r.written_ns is not None)
    if not late:
        return {}
    worst = latency.quantile(late, 0.99)
    first = sorted(latency.ttft_s(responses))
    if worst > max(LATE_S, LATE_PART * (latency.quantile(first, 0.5) if first else 0.0)):
        flags.add("client_late")
    gaps = sorted(g for g in latency.itl_s(responses) if g > 0)
    if isinstance(read_s, float) and gaps and read_s > latency.quantile(gaps, 0.5):
        flags.add("client_late")
    return {
        "client_late_p50_s": round(latency.quantile(late, 0.5), 6),
        "client_late_p99_s": round(worst, 6),
    }


def _questions(run: Run) -> Answered | None:
    """Questions with known answers, metered by themselves."""
    if run.job.questions_list is None:
        return None
    run.phase("accuracy")
    log = Log(watch=run.commentary.answered, follow=run.commentary.answering)
    return answer_questions(run.job, run.engine, run.meter, log)


def _note_memory(meter: Sampler, facts: dict[str, Scalar]) -> None:
    """So that the trace has what the record's metric says."""
    for name, value in facts.items():
        quantity, _, device_class = name.partition(".")
        if quantity == "peak_memory_bytes" and isinstance(value, int | float):
            meter.note(device_class, quantity, value)


def _clock_jump() -> Callable[[], int]:
    """How far the wall clock and the monotonic clock have drifted apart since, in ns."""
    start = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
    return lambda: abs(time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns() - start)
