"""Energy of an NVIDIA GPU between two moments, from the samples that ``nvml.py`` took. Pure.

Sources of the figures: "Part-time Power Measurements: nvidia-smi's Lack of Attention", arXiv
2312.02741 (over 70 boards); NVML API reference.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lem.meters import nvml_power
from lem.meters.energy import counter, isolated, series
from lem.meters.protocol import Sample

if TYPE_CHECKING:
    from lem.contract.record import EnergyReading, MeterInfo

GAIN = 0.034
"""Standard uncertainty of a board's gain: 3.4 % RMS over boards (arXiv 2312.02741)."""

LEAST_W = 1.5
"""The least standard uncertainty of a board's sensor, W: a judgement. No sensor's error goes to
nothing with the power; NVIDIA said ±5 W of its first ones (NVML reference, Fermi)."""

SAMPLED_POWER = 0.195
"""Standard uncertainty of energy integrated from polled power, so that U (k = 2) is 39 %, what
naive polling was off by on average (arXiv 2312.02741)."""

TICK_S = 0.1

MOST_POWER_W = 3000.0
"""More than any board may draw; used where no power limit can be read."""

THROTTLED = 0x08 | 0x20 | 0x40 | 0x80
"""Clock event reasons of heat or power delivery: HW slowdown, SW thermal, HW thermal, HW power
brake. Running at the configured power limit (SW power cap, 0x04) is normal work."""


def energy(info: MeterInfo, samples: list[Sample], start_ns: int, end_ns: int) -> EnergyReading:
    """From the counter's ticks, or from power where the board has no counter."""
    flags = _conditions(samples, start_ns, end_ns)
    if info.quantity == "none":
        return counter.untrusted(info, [*flags, "no_meter"])
    if series.within(samples, "nvml_error", start_ns, end_ns):
        return counter.untrusted(info, [*flags, "meter_lost"])
    if info.quantity == "power_mw":
        flags += nvml_power.gap_flags(samples, start_ns, end_ns)
        return _from_power(info, samples, start_ns, end_ns, flags)
    return _from_counter(info, samples, start_ns, end_ns, flags)


def _from_counter(
    info: MeterInfo, samples: list[Sample], start_ns: int, end_ns: int, flags: list[str]
) -> EnergyReading:
    points = series.tick_points(samples, "energy_mj", 1e-3)
    tick_ns = series.tick_period_ns(points) or int(TICK_S * 1e9)
    # Polls of several boards that take long to read look like regular rounds.
    flags = [*flags, *series.gap_flags(samples, "energy_mj", start_ns, end_ns, least_ns=tick_ns)]
    if counter.falls(points, start_ns, end_ns):
        return counter.untrusted(info, [*flags, "counter_backwards"])
    if series.stands_still(samples, "energy_mj", start_ns, end_ns, tick_ns):
        return counter.untrusted(info, [*flags, "counter_frozen"])
    limit_mw = series.last_value(samples, "power_limit_mw", end_ns)
    most_w = 3 * limit_mw / 1e3 if limit_mw else MOST_POWER_W
    if counter.steepest(points, start_ns, end_ns) > most_w:
        return counter.untrusted(info, [*flags, "counter_implausible"])
    around = (start_ns - isolated.FAR_NS, end_ns + isolated.FAR_NS)
    if counter.falls(points, *around):
        flags = [*flags, "counter_uneven"]
    work = _isolated(samples, points, start_ns, end_ns, most_w)
    if work is not None:
        unseen_j = nvml_power.unseen_j(samples, start_ns, end_ns, tick_ns, edges=1)
        moved: counter.Amount | None = counter.Amount(
            work.energy_j, work.tick_j, math.hypot(work.sampling_j, unseen_j), work.idle_j
        )
        flags = [*flags, *(["counter_uneven"] if work.uneven else [])]
    else:
        moved = _between(samples, points, start_ns, end_ns, tick_ns)
    if moved is None:
        return counter.untrusted(info, [*flags, "no_coverage"])
    beside = nvml_power.compare(samples, moved.amount, start_ns, end_ns)
    if beside is not None and beside.disagrees:
        return counter.untrusted(info, [*flags, "counter_disagrees"])
    if beside is not None and beside.differs:
        flags = [*flags, "power_differs"]
    gain, relative, least_w = 1.0, GAIN, LEAST_W
    if info.calibration is not None:
        gain, least_w = info.calibration.gain, 0.0
        relative = info.calibration.uncertainty / gain
    energy_j = moved.amount / gain
    gain_j = relative * energy_j
    least_j = least_w * (end_ns - start_ns) / 1e9
    budget = {
        "tick": moved.tick / gain,
        "idle": moved.idle / gain,
        "sampling": moved.sampling / gain,
        "gain": gain_j,
        # It matters at idle alone: both together are no less than the least.
        "offset": math.sqrt(max(0.0, least_j**2 - gain_j**2)),
    }
    reading = counter.reading(info, energy_j, budget, flags)
    return reading.model_copy(update={"power_ratio": beside.ratio}) if beside else reading


def _between(
    samples: list[Sample], points: list[counter.Point], start_ns: int, end_ns: int, tick_ns: int
) -> counter.Amount | None:
    """Even rise between ticks. Load that comes in bursts gives even ticks and is not even: an edge
    between two ticks (of another board's time) is as uncertain as power was seen to vary, and what
    is counted within a tick as well, where the board may not have looked all the time."""
    reach_ns = 3 * tick_ns // 2
    moved = counter.between(points, start_ns, end_ns, reach_ns)
    if moved is None:
        return None
    usual_w = moved.amount / max(1e-3, (end_ns - start_ns) / 1e9)
    start_w, end_w = (nvml_power.unrest_w(samples, t, usual_w) for t in (start_ns, end_ns))
    moved = counter.between(points, start_ns, end_ns, reach_ns, (start_w, end_w))
    if moved is None:
        return None
    unseen_j = nvml_power.unseen_j(samples, start_ns, end_ns, tick_ns)
    return moved._replace(sampling=math.hypot(moved.sampling, unseen_j))


def _isolated(
    samples: list[Sample], points: list[counter.Point], start_ns: int, end_ns: int, most_w: float
) -> isolated.Work | None:
    """Where the device idled before and after, and the ticks there were polled for. None where it
    did not, or the counter is unsound in that time."""
    around = (start_ns - isolated.FAR_NS, end_ns + isolated.FAR_NS)
    if counter.falls(points, *around) or counter.steepest(points, *around) > most_w:
        return None
    return isolated.work(samples, "energy_mj", 1e-3, start_ns, end_ns)


def _from_power(
    info: MeterInfo, samples: list[Sample], start_ns: int, end_ns: int, flags: list[str]
) -> EnergyReading:
    found = nvml_power.integrate(samples, start_ns, end_ns)
    if found is None:
        short = nvml_power.too_short(samples, start_ns, end_ns)
        return counter.untrusted(info, [*flags, "too_few_updates" if short else "no_coverage"])
    energy_j = found.energy_j
    budget = {
        "tick": 0.0,
        "sampling": found.sampling_j,
        "gain": GAIN * energy_j,
        # What polling misses, it misses in every window alike: not a matter of chance.
        "model": SAMPLED_POWER * energy_j,
        "offset": 0.0,
    }
    flags = [*flags, "power_integrated", *(["never_changed"] if found.stopped else [])]
    return counter.reading(info, energy_j, budget, flags)


def _conditions(samples: list[Sample], start_ns: int, end_ns: int) -> list[str]:
    """Flags of what was going on around the counter."""
    flags = []
    reasons = series.during(samples, "throttle_reasons", start_ns, end_ns)
    if any(int(r) & THROTTLED for r in reasons):
        flags.append("throttled")
    if any(series.during(samples, "foreign_processes", start_ns, end_ns)):
        flags.append("foreign_gpu_process")
    if any(series.during(samples, "foreign_unknown", start_ns, end_ns)):
        flags.append("neighbours_unknown")
    if any(
        any(series.during(samples, quantity, start_ns, end_ns))
        for quantity in ("mig", "graphics_processes")
    ):
        flags.append("shared_device")
    if series.changes(samples, "power_limit_mw"):
        flags.append("power_limit_changed")
    if series.changes(samples, "application_clock_mhz"):
        flags.append("clocks_changed")
    return flags
