"""Whether the trace is one that a sampler wrote of these meters."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

from lem.contract.record import MeterInfo, Record
from lem.meters import readings
from lem.meters.energy import series
from lem.meters.protocol import Sample
from lem.trust.case import Case, Check, Found

REACH_NS = 1_600_000_000
"""CPU time is read once a second; readings carry on a little beyond the last one."""
LONGEST_GAP_S, SLOW_GAP_S = 2.0, 8.0
"""A sampler that is not scheduled for so long is no sampler; of what is read once a second or more
rarely."""
GAP_INTERVALS = 20
EVEN_SHARE, EVEN_LEAST = 0.3, 40
"""Of the gaps between readings so many may be the same to the nanosecond. Rounds are early or late
by up to 20 % on purpose, and calls take time."""
QUICKEST_TICK_S, SLOWEST_TICK_S = 0.005, 1.5
WHOLE = ("energy_mj", "energy_uj", "cpu_time_ns", "power_mw", "power_instant_mw")
"""Quantities that meters tell as whole numbers, but for AMD's accumulator (a count times its
resolution)."""
CLASSES = {
    "nvml": {"gpu", "module"},
    "amd": {"gpu"},
    "estimate": {"estimated"},
    "rapl": {"cpu", "dram", "node", "sensor"},
    "hwmon": {"cpu", "gpu", "node", "sensor"},
    "ipmi": {"node"},
    "pm_counters": {"cpu", "dram", "gpu", "node"},
    "external": {"node", "gpu", "cpu", "dram", "module", "sensor"},
}
"""Meter → device classes that it can have; the others' are their owner's to name."""
QUANTITIES = {
    "nvml": {"energy_mj", "power_mw", "none"},
    "amd": {"energy_uj", "power_mw", "power_w", "none"},
    "estimate": {"cpu_time_ns"},
    "rapl": {"energy_uj"},
}
FAR_GAIN = 0.15
"""Four and a half times what boards' gains scatter by."""


def energetic(record: Record) -> list[MeterInfo]:
    """The devices whose energy is read, not modelled."""
    return [m for m in record.meters if m.device_class != "estimated"]


def by_device(samples: Sequence[Sample]) -> dict[tuple[str, str], list[Sample]]:
    found: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for s in samples:
        found[s.meter, s.device].append(s)
    return found


def stretches(record: Record) -> list[tuple[int, int]]:
    """Everything that has energy in the record, by its start (monotonic ns)."""
    every = [*record.windows, *record.idle]
    every += [w for w in (record.prefill, record.answering) if w is not None]
    return sorted((s.start_ns, s.end_ns) for s in every)


def covers(case: Case) -> Found:
    if not case.samples:
        yield "trace_short", "it has no reading"
        return
    spans = stretches(case.record)
    first, last = case.samples[0].t_ns, case.samples[-1].t_ns
    if first > spans[0][0] or last < max(end for _, end in spans):
        yield "trace_short", "readings begin after the first stretch, or end before the last"


def gaps(case: Case) -> Found:
    record = case.record
    spans = stretches(record)
    interval_s = record.measurement.sample_interval_s
    found = by_device(case.samples)
    for m in record.meters:
        times = [s.t_ns for s in found[m.meter, m.device] if s.quantity == m.quantity]
        period_s = max(interval_s, m.update_period_s or 0.0)
        least_s = SLOW_GAP_S if m.device_class == "estimated" else LONGEST_GAP_S
        allowed_ns = max(least_s, GAP_INTERVALS * period_s) * 1e9
        for a, b in pairwise(times):
            if b - a > allowed_ns and any(a < end and b > start for start, end in spans):
                yield "trace_gap", f"{m.meter} {m.device}: {(b - a) / 1e9:.1f} s without a reading"
                break


def evenness(case: Case) -> Found:
    for (meter, device), own in by_device(case.samples).items():
        quantity = next((q for q in ("energy_mj", "energy_uj", "power_mw") if _has(own, q)), None)
        if meter in ("agent", "sampler") or quantity is None:
            continue
        times = [s.t_ns for s in own if s.quantity == quantity]
        gaps_ns = Counter(b - a for a, b in pairwise(times))
        total = sum(gaps_ns.values())
        if total < EVEN_LEAST:
            continue
        gap_ns, times_seen = gaps_ns.most_common(1)[0]
        if times_seen > EVEN_SHARE * total:
            detail = f"{times_seen} of {total} gaps are {gap_ns} ns"
            yield "samples_even", f"{meter} {device}: {detail}"


def _has(samples: Sequence[Sample], quantity: str) -> bool:
    return any(s.quantity == quantity for s in samples)


def whole_numbers(case: Case) -> Found:
    for (meter, device), own in by_device(case.samples).items():
        for quantity in WHOLE:
            values = [s.value for s in own if s.quantity == quantity]
            if meter == "amd" and quantity == "energy_uj":
                if off_grid(values):
                    yield "values_off_grid", f"amd {device}: no multiples of one resolution"
            elif meter in ("nvml", "rapl", "estimate") and any(v % 1 for v in values):
                yield "values_not_whole", f"{meter} {device}: {quantity} has fractions"


LEAST_STEP_UJ, MOST_STEP_UJ = 10.0, 20.0


def off_grid(values_uj: Sequence[float]) -> bool:
    """Whether AMD's accumulator shows what is no multiple of about 15.3 µJ. The driver tells the
    resolution in single precision, so it is found from the values: some resolution between 10 and
    20 µJ has to divide the smallest change, and with it all others."""
    changes = sorted({round(abs(b - a), 6) for a, b in pairwise(values_uj) if a != b})
    if len(changes) < 3:
        return False
    smallest, largest = changes[0], changes[-1]
    counts = range(max(1, math.ceil(smallest / MOST_STEP_UJ)), int(smallest / LEAST_STEP_UJ) + 1)
    # More multiples than this cannot be told from none: rounding is as large as the step.
    if not counts or largest / LEAST_STEP_UJ > 1e7 or len(counts) > 10_000:
        return not counts
    probe = changes[:30]
    return not any(
        all(abs(c / step - round(c / step)) < 0.02 for c in probe)
        for n in counts
        if (step := smallest / n)
    )


def ticks(case: Case) -> Found:
    for m in energetic(case.record):
        if m.quantity != "energy_mj":
            continue
        own = readings.of_device(case.samples, m)
        points = series.tick_points(own, m.quantity, 1e-3)
        period_ns = series.tick_period_ns(points)
        if period_ns is None or len(points) < 20:
            continue
        if not QUICKEST_TICK_S < period_ns / 1e9 < SLOWEST_TICK_S:
            yield "tick_impossible", f"{m.meter} {m.device}: every {period_ns / 1e6:.1f} ms"


def consistent(case: Case) -> Found:
    """Each meter's class and quantity are its own, and its readings are there."""
    found = by_device(case.samples)
    watts = case.record.measurement.watts_per_busy_core
    for m in case.record.meters:
        name = f"{m.meter} {m.device}"
        if m.device_class not in CLASSES.get(m.meter, {m.device_class}):
            yield "meter_inconsistent", f"{name} is no {m.device_class}"
        elif m.quantity not in QUANTITIES.get(m.meter, {m.quantity}):
            yield "meter_inconsistent", f"{name} does not read {m.quantity}"
        elif m.quantity == "cpu_time_ns":
            told = {s.value for s in found[m.meter, m.device] if s.quantity == "watts_per_core"}
            if told - {watts}:
                yield "meter_inconsistent", f"{name} is not at {watts:g} W per busy core"
        elif _unread(found[m.meter, m.device], m) and _has_energy(case, m):
            yield "meter_inconsistent", f"{name} was never read"
    named = {(m.meter, m.device) for m in case.record.meters}
    for meter, device in found:
        if meter == "nvml" and device.startswith("gpu") and (meter, device) not in named:
            yield "meter_inconsistent", f"{meter} {device} was read and is not named"


def _unread(own: Sequence[Sample], m: MeterInfo) -> bool:
    return not any(s.quantity.startswith(("energy_", "power_", "cpu_time")) for s in own)


def _has_energy(case: Case, m: MeterInfo) -> bool:
    return any(
        (r.meter, r.device) == (m.meter, m.device) and r.energy_j is not None
        for w in case.record.windows
        for r in w.energy
    )


def calibration(case: Case) -> Found:
    for m in case.record.meters:
        if m.calibration is None:
            continue
        detail = f"{m.meter} {m.device}: gain {m.calibration.gain:g}"
        if not _is_asked_for(m, case.record):
            yield "meter_inconsistent", f"{detail}, of no calibration that was asked for"
        yield "calibrated", detail
        if abs(m.calibration.gain - 1) > FAR_GAIN:
            yield "calibration_far", detail


def _is_asked_for(m: MeterInfo, record: Record) -> bool:
    """Whether the measurement has this gain of one of the run's boards: so it is the same in all of
    a campaign. Boards' hashes stand there in the form that UUIDs have."""
    asked, gain = record.measurement.calibration, m.calibration
    if asked is None or gain is None or asked.sha256 != gain.sha256:
        return False
    told = (gain.gain, gain.uncertainty)
    uuids = {f"GPU-{g.uuid.partition('-')[2]}" for g in record.environment.gpus}
    return any((b.gain, b.uncertainty) == told for u, b in asked.boards.items() if u in uuids)


def estimated(case: Case) -> Found:
    if not energetic(case.record):
        yield "estimated", "from CPU time"


CHECKS: tuple[Check, ...] = (
    covers,
    gaps,
    evenness,
    whole_numbers,
    ticks,
    consistent,
    calibration,
    estimated,
)
