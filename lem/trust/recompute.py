"""Every figure of a record, worked out anew from its trace and responses by ``lem``'s own code.

What a record says of how its run went (where windows and idle phases lie, which meters there were,
what an engine said of itself) is taken as it is; what follows from it, from the trace and from the
responses is not. :data:`REPORTED` names what no file shows.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from lem.agent import device_settings, quality
from lem.agent.assemble import Figures, assemble, window
from lem.contract.base import Part
from lem.contract.record import Metrics, Record, RequestCounts, Window
from lem.contract.workload import Arrival, Constant, Gamma, Poisson, Search
from lem.errors import BadInput
from lem.meters.protocol import Sample
from lem.workloads import latency, schedules
from lem.workloads.edges import EXACT
from lem.workloads.load import Response
from lem.workloads.rate_search import beyond_chance
from lem.workloads.steady import Counts, count

TOLERANCE = 1e-9
"""Relative: machines differ in the last digits of a logarithm."""

METERS = ("amd", "estimate", "external", "hwmon", "ipmi", "nvml", "pm_counters", "rapl")
"""Those that come with ``lem``. Others' code is not here."""

MOST_STRETCHES = 64
MOST_METERS = 64
MOST_WORK = 40_000_000
"""Stretches × devices × samples, each of which is looked at some ten times."""

REPORTED = (
    "quality.nll_per_token",
    "quality.agreement",
    "quality.accuracy",
    "peak_memory_bytes",
    "answering.counts",
    "environment",
    "client",
    "warm_up",
    "load_s",
    "rate_search",
)
"""What a record says and nothing that is submitted shows: likelihoods, answers and how many were
right; peak memory beyond the trace's note of it; how many questions were answered in the answering
window; machine, engine and libraries; the client's lateness; the warm-up's throughput; the time to
load; trials of a search for a rate."""

SEEN_LIVE = frozenset(
    {
        "client_late",
        "cool_down_missed",
        "input_tokens_differ",
        "no_meter",
        "objectives_missed",
        "overload_unknown",
        "overloaded",
        "prompts_maybe_known",
        "questions_failed",
        "answers_ended_early",
        "requests_exhausted",
        "sampler_died",
        "shared_node",
        "suspended",
        "synthetic",
        "target_not_held",
        "tokens_assumed",
        "tokens_spread",
    }
)
"""Flags that a run may have though the files don't show why: the agent saw it."""


class Recomputed(NamedTuple):
    figures: Figures
    answering: Window | None
    of_answers: Metrics
    requests: RequestCounts
    flags: frozenset[str]
    """Those that must be there; more may (:data:`SEEN_LIVE`)."""

    @property
    def metrics(self) -> Metrics:
        return self.figures.metrics | self.of_answers


class CannotRecompute(BadInput):
    """Why not, in words."""


def recompute(record: Record, samples: list[Sample], responses: Sequence[Response]) -> Recomputed:
    """Raises :class:`CannotRecompute` where files of this kind, size or age are not recomputed.

    ``samples``: of the run's trace, sorted by time.
    """
    _check_bounds(record, samples)
    if record.whole_batches is None:
        raise CannotRecompute("the record is from before it said whether windows are whole batches")
    slo = record.experiment.workload.slo
    arrival = arrival_of(record)
    counts = [count(responses, w.start_ns, w.end_ns) for w in record.windows]
    alone = record.prefill
    prefill = None if alone is None else count(responses, alone.start_ns, alone.end_ns)
    idle = [(i.start_ns, i.end_ns) for i in record.idle]
    search = record.rate_search
    figures = assemble(
        list(record.meters),
        samples,
        counts,
        idle,
        responses,
        _noted_memory(samples),
        slo,
        record.whole_batches,
        prefill,
        arrival,
        None if search is None else search.rate_per_s,
    )
    answering, of_answers, about_answers = _answering(record, samples)
    flags = figures.flags | about_answers | _of_record(record, samples, counts, responses)
    ends = [r.status for r in responses]
    done, failed, timed_out = (ends.count(s) for s in ("done", "failed", "timed_out"))
    requests = RequestCounts(sent=len(ends), done=done, failed=failed, timed_out=timed_out)
    return Recomputed(figures, answering, of_answers, requests, frozenset(flags))


def arrival_of(record: Record) -> Arrival:
    """The arrival process of the windows: with the rate that was found, where one was sought."""
    arrival = record.experiment.workload.arrival
    if record.rate_search is None or not isinstance(arrival, Constant | Poisson | Gamma):
        return arrival
    return arrival.model_copy(update={"rate": record.rate_search.rate_per_s})


def differences(record: Record, found: Recomputed, most: int = 20) -> list[str]:
    """Paths of the record's figures that are not what was recomputed, at most so many of them."""
    pairs = _pairs(record, found)
    paths = (path for name, a, b in pairs for path in _differ(_plain(a), _plain(b), name))
    return [path for path, _ in zip(paths, range(most), strict=False)]


def flags_differ(record: Record, found: Recomputed) -> tuple[list[str], list[str]]:
    """Flags that the record lacks, and those that it has against what its files show."""
    told = set(record.flags)
    may_be = found.flags | seen_live(record)
    return sorted(found.flags - told), sorted(told - may_be)


def seen_live(record: Record) -> frozenset[str]:
    """Those of :data:`SEEN_LIVE` that a run like this one may have at all. Some take a run out of
    every figure."""
    never = set()
    if not schedules.is_open(arrival_of(record)):
        never |= {"overloaded", "overload_unknown"}
    if any(m.device_class == "gpu" for m in record.meters):
        never.add("no_meter")
    if record.environment.allocation is None:
        never.add("shared_node")
    return SEEN_LIVE - never


def _pairs(record: Record, found: Recomputed) -> Iterator[tuple[str, Any, Any]]:
    figures = found.figures
    yield "windows", record.windows, figures.windows
    yield "idle", record.idle, figures.idle
    yield "prefill", record.prefill, figures.prefill
    yield "answering", record.answering, found.answering
    yield "metrics", record.metrics, found.metrics
    yield "reconciliation", record.reconciliation, list(figures.reconciliation)
    yield "requests", record.requests, found.requests


def _differ(told: Any, found: Any, path: str) -> Iterator[str]:
    if isinstance(told, dict) and isinstance(found, dict):
        for key in sorted(told.keys() | found.keys()):
            yield from _differ(told.get(key), found.get(key), f"{path}.{key}")
    elif isinstance(told, list) and isinstance(found, list) and len(told) == len(found):
        for i, (a, b) in enumerate(zip(told, found, strict=True)):
            yield from _differ(a, b, f"{path}.{i}")
    elif not _same(told, found):
        yield path


def _same(told: Any, found: Any) -> bool:
    numbers = isinstance(told, int | float) and isinstance(found, int | float)
    if not numbers or isinstance(told, bool) or isinstance(found, bool):
        return bool(told == found)
    if isinstance(told, int) and isinstance(found, int):
        return bool(told == found)
    return bool(abs(told - found) <= max(TOLERANCE * max(abs(told), abs(found)), 1e-12))


def _plain(value: Any) -> Any:
    """As dictionaries, lists and numbers. Parts of a budget that are nothing are no parts."""
    if isinstance(value, Part):
        return {k: _plain(v) for k, v in value.__dict__.items()}
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def _check_bounds(record: Record, samples: Sequence[Sample]) -> None:
    stretches = len(record.windows) + len(record.idle) + 2
    boards = len(record.environment.gpus)
    if stretches > MOST_STRETCHES or max(len(record.meters), boards) > MOST_METERS:
        raise CannotRecompute("it has more windows, meters or boards than are looked at here")
    if stretches * (max(len(record.meters), boards) + 2) * len(samples) > MOST_WORK:
        raise CannotRecompute("its trace is too long for so many windows and meters")
    if strange := sorted({m.meter for m in record.meters} - set(METERS)):
        raise CannotRecompute(f"its meter {strange[0][:40]} does not come with lem")
    if len({(m.meter, m.device) for m in record.meters}) < len(record.meters):
        raise CannotRecompute("it names a device twice")


def _noted_memory(samples: Sequence[Sample]) -> dict[str, float]:
    """As the agent noted it in the trace, by device class."""
    return {
        s.device: s.value
        for s in samples
        if s.meter == "agent" and s.quantity == "peak_memory_bytes"
    }


def _answering(record: Record, samples: list[Sample]) -> tuple[Window | None, Metrics, set[str]]:
    """The questions' stretch: its energy from the trace, its counts as told."""
    told, scored = record.answering, record.quality.accuracy
    if told is None or scored is None:
        return None, {}, set()
    counts = Counts(
        told.start_ns,
        told.end_ns,
        told.requests,
        told.input_tokens,
        told.output_tokens,
        told.failed or 0,
        told.timed_out or 0,
        told.sent or 0,
    )
    made = window(list(record.meters), samples, counts, EXACT)
    flags = quality.flags(made, [], scored.scored_by)
    return made, quality.energy_metrics(made, scored), flags


def _of_record(
    record: Record,
    samples: Sequence[Sample],
    counts: Sequence[Counts],
    responses: Sequence[Response],
) -> set[str]:
    """Flags that follow from what else the record says."""
    flags: set[str] = set()
    spans = [(c.start_ns, c.end_ns) for c in counts]
    gpus = record.environment.gpus
    flags |= device_settings.flags(record.experiment.device, samples, spans, gpus)
    if record.experiment.model.weights == "random":
        flags.add("weights_random")
    if record.warm_up is not None and not record.warm_up.settled:
        flags.add("warm_up_capped")
    search = record.rate_search
    if search is not None and search.bound_hit is not None:
        flags.add("rate_bound_hit")
    if search is not None and not search.complete:
        flags.add("rate_search_capped")
    if _objectives_missed(record, counts, responses):
        flags.add("objectives_missed")
    # The list begins anew: then ids have a number behind them.
    last_ns = max(w.end_ns for w in record.windows)
    if any("#" in r.request.id for r in responses if r.sent_ns < last_ns):
        flags.add("requests_exhausted")
    if gpus and not any(m.device_class == "gpu" for m in record.meters):
        flags.add("no_meter")
    return flags


def _objectives_missed(
    record: Record, counts: Sequence[Counts], responses: Sequence[Response]
) -> bool:
    arrival = record.experiment.workload.arrival
    wanted = arrival.rate if isinstance(arrival, Constant | Poisson | Gamma) else None
    if not isinstance(wanted, Search):
        return False
    inside = [r for c in counts for r in latency.within(responses, c.start_ns, c.end_ns)]
    found = latency.judged(inside, record.experiment.workload.slo)
    if found is None or found.good >= wanted.attainment * found.ended:
        return False
    return beyond_chance(found.good, found.ended, wanted.attainment)
