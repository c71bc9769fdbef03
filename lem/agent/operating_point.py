"""The arrival process of a run, the search for its rate where one is asked for, and whether it was
held."""

import time
from collections.abc import Callable, Sequence

from lem.contract.job import Job
from lem.contract.record import RateSearch
from lem.contract.workload import (
    Arrival,
    Concurrency,
    Constant,
    Gamma,
    Poisson,
    Search,
    TraceArrival,
)
from lem.errors import RunFailed
from lem.workloads import latency, overload, schedules
from lem.workloads.load import Log, Response, Source
from lem.workloads.rate_search import beyond_chance, search
from lem.workloads.sources import OpenLoop, arriving
from lem.workloads.steady import Counts
from lem.workloads.stock import Requests
from lem.workloads.trials import Trial, Verdict

CLIENTS = 8
"""Before a rate is found there is none to warm up with, and no schedule keeps an engine busy: so
many clients in a closed loop do it."""
LATE_SHARE = 0.01
"""Of the requests of a schedule so many may be sent late."""
SENT_SHARE = 0.95
"""Of the requests that a schedule has in the windows so many should be sent in them."""

Serve = Callable[[Source], None]


def sought(arrival: Arrival) -> Search | None:
    """What to search for; None where the load is given."""
    if not isinstance(arrival, Constant | Poisson | Gamma):
        return None
    return arrival.rate if isinstance(arrival.rate, Search) else None


def warming(arrival: Arrival) -> Arrival:
    """What to warm up with."""
    return Concurrency(concurrency=CLIENTS) if sought(arrival) is not None else arrival


def kept_busy(arrival: Arrival) -> Arrival:
    """Where the work itself is to be measured, without the time between requests."""
    return Concurrency(concurrency=CLIENTS) if schedules.is_open(arrival) else arrival


def source(job: Job, arrival: Arrival, phase: str, stock: Requests, log: Log) -> Source:
    """The requests of a phase; an open loop's schedule is that of this block and phase."""
    if isinstance(arrival, TraceArrival) and all(r.at_s is None for r in stock.listed):
        raise RunFailed("contract", "the request list has no times to replay")
    seed = schedules.seed_of(job.seed, job.block, phase)
    return arriving(arrival, stock, log, seed=seed)


def find_rate(
    job: Job,
    stock: Requests,
    log: Log,
    serve: Serve,
    clock: Callable[[], int] = time.monotonic_ns,
) -> tuple[Arrival, RateSearch | None]:
    """The arrival process of the windows, with the rate that was found where one is asked for."""
    arrival = job.workload.arrival
    if not isinstance(arrival, Constant | Poisson | Gamma):
        return arrival, None
    wanted = arrival.rate
    if not isinstance(wanted, Search):
        return arrival, None
    if not job.workload.slo.any:
        raise RunFailed("bad_argument", "a search for goodput needs workload.slo")

    def at(rate: float) -> Arrival:
        return arrival.model_copy(update={"rate": rate})

    def attempt(rate: float, number: int) -> Verdict:
        inner = source(job, at(rate), f"search/{number}", stock, log)
        assert isinstance(inner, OpenLoop)
        trial = Trial(inner, job.workload.slo, wanted.attainment, wanted.trial_s, clock)
        serve(trial)
        if trial.verdict is None:
            raise RunFailed("engine_error", "the engine stopped before a rate had been tried")
        return trial.verdict

    found = search(wanted, attempt, lambda: clock() / 1e9)
    return at(found.rate_per_s), found


def load_held(source: OpenLoop, windows: list[Counts]) -> set[str]:
    """Whether an open loop's load was the one that was asked for. Turns of conversations that had
    to wait for the one before are in no response, so it can only be told here."""
    flags = set()
    if source.late > LATE_SHARE * source.handed:
        flags.add("target_not_held")
    start_ns, end_ns = windows[0].start_ns, windows[-1].end_ns
    due = sum(start_ns <= t < end_ns for t in source.due)
    if sum(w.sent for w in windows) < SENT_SHARE * due:
        flags.add("target_not_held")
    return flags | overload.growth(source.sent, start_ns, end_ns, source.due).flags


def rate_held(job: Job, responses: Sequence[Response], windows: Sequence[Counts]) -> set[str]:
    """Whether the requests of the windows met the objectives as often as the rate was searched for:
    the windows are no trial of the search, which may have taken a lucky one."""
    wanted = sought(job.workload.arrival)
    inside = [r for w in windows for r in latency.within(responses, w.start_ns, w.end_ns)]
    found = latency.judged(inside, job.workload.slo)
    if wanted is None or found is None:
        return set()
    missed = found.good < wanted.attainment * found.ended
    beyond = beyond_chance(found.good, found.ended, wanted.attainment)
    return {"objectives_missed"} if missed and beyond else set()


def answers_whole(job: Job, responses: Sequence[Response]) -> set[str]:
    """Whether answers that were to go on to their full length did: many servers pass over a setting
    that they do not know, and then answer with less than other engines."""
    if not job.generate.get("ignore_eos", False):
        return set()
    answered = [r for r in responses if r.status == "done"]
    early = any(len(r.token_ns) < r.request.output_tokens for r in answered)
    return {"answers_ended_early"} if early else set()
