"""Builds the record from what was observed and from the trace: no clock, no engine, no meter.

Anyone with a run's folder can do the same and must get the same figures.
"""

from collections.abc import Sequence
from typing import NamedTuple

from lem.agent.metrics import compute, energy_by_class, idle_power_by_class
from lem.contract.flags import worst
from lem.contract.record import (
    Distribution,
    EnergyReading,
    Idle,
    MeterInfo,
    Metrics,
    Reconciliation,
    Value,
    Window,
)
from lem.contract.workload import Arrival, Concurrency, Offline, Slo
from lem.meters import readings
from lem.meters.energy import reconcile
from lem.meters.protocol import Sample
from lem.workloads import edges, latency, overload, schedules
from lem.workloads.edges import CountUncertainty
from lem.workloads.load import Response
from lem.workloads.steady import Counts

SHORT_WINDOW_NS = 10_000_000_000
TEMPERATURE_REACH_NS = 2_000_000_000
HELD = 0.95
"""Of the clients of a closed loop so many should be busy on average."""
IDLE_DRIFT = 0.10
IDLE_MATTERS = 0.01
"""A drift below this part of the power at work changes no figure that matters."""


class Figures(NamedTuple):
    windows: list[Window]
    idle: list[Idle]
    metrics: Metrics
    flags: set[str]
    prefill: Window | None = None
    reconciliation: Sequence[Reconciliation] = ()


def assemble(
    infos: list[MeterInfo],
    samples: list[Sample],
    counts: Sequence[Counts],
    idle: Sequence[tuple[int, int]],
    responses: Sequence[Response],
    peak_memory_bytes: dict[str, float],
    slo: Slo = Slo(),  # noqa: B008 - frozen
    whole_batches: bool = False,
    prefill: Counts | None = None,
    arrival: Arrival = Offline(),  # noqa: B008 - frozen
    rate_per_s: float | None = None,
) -> Figures:
    """Windows, idle phases and metrics of a run, and the flags that follow from them.

    ``rate_per_s``: what a search for the highest rate has found.
    """
    every = [*counts, *([] if prefill is None else [prefill])]
    uncertain = edges.uncertainties(responses, every, whole_batches)
    made = [
        window(infos, samples, c, u, _good(responses, c, slo))
        for c, u in zip(every, uncertain, strict=True)
    ]
    windows, alone = made[: len(counts)], (made[-1] if prefill is not None else None)
    idles = [
        Idle(start_ns=a, end_ns=b, energy=readings.readings(infos, samples, a, b))
        for a, b in idle
        if b > a
    ]
    peaks: dict[str, float] = {}
    for c in counts:
        for name, power in readings.peak_power_w(infos, samples, c.start_ns, c.end_ns).items():
            peaks[name] = max(power, peaks.get(name, 0.0))
    spans = [(c.start_ns, c.end_ns) for c in counts]
    latencies = distributions(responses, spans)
    metrics = compute(windows, idles, latencies, peaks, peak_memory_bytes, alone)
    if schedules.is_open(arrival):
        # What is left without prefill is the energy of the pauses, too.
        metrics.pop("energy_decode_per_output_token_j", None)
    if rate_per_s is not None:
        metrics["goodput_rate_per_s"] = Value(value=rate_per_s)
    seconds = sum(c.end_ns - c.start_ns for c in counts) / 1e9
    flags = _flags(windows, idles, alone) | _load_flags(responses, every, counts, arrival)
    if not whole_batches and any(edges.few_turns(responses, c) for c in counts):
        flags.add("few_turns")
    views = reconcile.reconciled(infos, [_every(infos, samples, w) for w in windows])
    flags |= reconcile.flags(views, seconds)
    return Figures(windows, idles, metrics, attributed(flags, metrics), alone, views)


def _every(infos: list[MeterInfo], samples: list[Sample], w: Window) -> list[EnergyReading]:
    """Of all devices, also those that enter no figure; where all of them do, they are there."""
    if len(readings.counted(infos)) == len(infos):
        return w.energy
    return readings.every(infos, samples, w.start_ns, w.end_ns)


def attributed(flags: set[str], metrics: Metrics) -> set[str]:
    """Where other programs' load took a device class out of the figures and others are left, the
    run still counts: what it says of those is not touched by it."""
    left = metrics.get("energy_per_output_token_j", {})
    if "foreign_load" not in flags or not left:
        return flags
    return (flags - {"foreign_load"}) | {"not_attributed"}


def _good(responses: Sequence[Response], c: Counts, slo: Slo) -> int | None:
    found = latency.judged(latency.within(responses, c.start_ns, c.end_ns), slo)
    return None if found is None else found.good


def _load_flags(
    responses: Sequence[Response],
    every: Sequence[Counts],
    counts: Sequence[Counts],
    arrival: Arrival,
) -> set[str]:
    """Whether the load was what was asked for, and the engine equal to it."""
    flags = set()
    if any(c.failed for c in every):
        flags.add("requests_failed")
    if any(c.timed_out for c in every):
        flags.add("requests_timed_out")
    start_ns, end_ns = counts[0].start_ns, counts[-1].end_ns
    if schedules.is_open(arrival) and overload.growth(responses, start_ns, end_ns).overloaded:
        flags.add("overloaded")
    # Where clients wait inside of lem for an engine that is full, the log never has all of them.
    if isinstance(arrival, Concurrency) and edges.most_open(responses) >= arrival.concurrency:
        busy = [edges.mean_open(responses, c.start_ns, c.end_ns) for c in counts]
        if any(b is not None and b < HELD * arrival.concurrency for b in busy):
            flags.add("target_not_held")
    return flags


def window(
    infos: list[MeterInfo],
    samples: list[Sample],
    c: Counts,
    u: CountUncertainty,
    good: int | None = None,
) -> Window:
    """A window as the record has it, with the energy that the trace shows in it."""
    cpu = readings.cpu_time(samples, c.start_ns, c.end_ns)
    load = readings.host_load(samples, c.start_ns, c.end_ns)
    return Window(
        start_ns=c.start_ns,
        end_ns=c.end_ns,
        requests=c.requests,
        input_tokens=c.input_tokens,
        output_tokens=c.output_tokens,
        energy=readings.readings(infos, samples, c.start_ns, c.end_ns),
        cpu_time_s=None if cpu is None else cpu.amount,
        cpu_time_uncertainty_s=None if cpu is None else 2 * cpu.uncertainty,
        input_tokens_uncertainty=u.input_tokens,
        output_tokens_uncertainty=u.output_tokens,
        requests_uncertainty=u.requests,
        temperature_c=temperatures_c(samples, c.start_ns),
        foreign_cpu_time_s=None if load is None else load.foreign_s,
        sent=c.sent,
        failed=c.failed,
        timed_out=c.timed_out,
        good=good,
    )


def temperatures_c(samples: Sequence[Sample], t_ns: int) -> dict[str, float]:
    """Device → the temperature that was read nearest to this moment, at most 2 s away."""
    nearest: dict[str, Sample] = {}
    for s in samples:
        if s.quantity != "temperature_c" or abs(s.t_ns - t_ns) > TEMPERATURE_REACH_NS:
            continue
        known = nearest.get(s.device)
        if known is None or abs(s.t_ns - t_ns) < abs(known.t_ns - t_ns):
            nearest[s.device] = s
    return {device: s.value for device, s in sorted(nearest.items())}


def distributions(
    responses: Sequence[Response], windows: Sequence[tuple[int, int]]
) -> dict[str, Distribution]:
    """Latency metrics of what happened in these windows (start and end, monotonic ns); those
    without a value are left out.

    Each value belongs to the window in which it was complete: a time to first token with the first
    token, a gap with the token that ended it, the rest with the answer. So what those who were sent
    together during ramp-up waited for their first token is no part of it.
    """
    ended = [r for w in windows for r in latency.within(responses, *w)]
    found = {
        "ttft_s": latency.summary([t for w in windows for t in latency.ttft_s(responses, w)]),
        "itl_s": latency.summary([t for w in windows for t in latency.itl_s(responses, w)]),
        "tpot_s": latency.summary(latency.tpot_s(ended)),
        "e2e_latency_s": latency.summary(latency.e2e_s(ended)),
    }
    return {k: Distribution(**s._asdict()) for k, s in found.items() if s is not None}


def _flags(windows: Sequence[Window], idles: Sequence[Idle], prefill: Window | None) -> set[str]:
    main: list[EnergyReading] = [r for w in windows for r in w.energy]
    energy = [*main, *(prefill.energy if prefill is not None else ())]
    flags = {f for r in energy for f in r.flags}
    if not any(r.energy_j is not None for r in main):
        flags.add("no_meter")
    if any(r.energy_j is None or worst(r.flags) != "info" for i in idles for r in i.energy):
        flags.add("idle_untrusted")
    if any(w.end_ns - w.start_ns < SHORT_WINDOW_NS for w in windows):
        flags.add("short_window")
    powers = [idle_power_by_class([i]) for i in idles]
    seconds = sum(w.end_ns - w.start_ns for w in windows) / 1e9
    at_work = energy_by_class([w.energy for w in windows])
    for name in set.intersection(*(set(p) for p in powers)) if powers else set():
        values = [p[name] for p in powers]
        spread = max(v.value for v in values) - min(v.value for v in values)
        stated = sum(v.uncertainty or 0.0 for v in values)
        mean = sum(v.value for v in values) / len(values)
        working = at_work[name].value / seconds if name in at_work and seconds > 0 else 0.0
        if spread > max(IDLE_DRIFT * mean, IDLE_MATTERS * working, stated):
            flags.add("idle_drift")
    return flags
