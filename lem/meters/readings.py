"""From a run's trace to its figures. Pure, so that anyone can recompute a record from its trace."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lem import plugins
from lem.contract.record import EnergyReading, MeterInfo
from lem.contract.spec import AppliedGain
from lem.errors import MeterUnavailable
from lem.meters import estimate, nvml_energy
from lem.meters.energy import counter, foreign, reconcile, series
from lem.meters.protocol import Device, Meter, MeterSettings, Sample

ENERGY_SCALE_J = {"energy_mj": 1e-3, "energy_uj": 1e-6, "energy_j": 1.0}
"""Counter quantity → joules in one unit of it."""

POWER_QUANTITIES = ("power_instant_mw", "power_mw", "power_average_mw")
"""Power as it was read; where there are several, the first shows peaks best."""

POWER_SCALE_MW = {"power_w": 1e3, "power_uw": 1e-3}
"""Other quantities of power → mW in one unit of it."""

SLOW_S = 0.05
"""A counter that moves less often than this is slow: its changes count, not its readings."""

CLOCK = ("sampler", "clock", "suspended_ns")
"""Meter, device and quantity of how long the machine has slept so far."""

SUSPENDED_NS = 100_000_000


def readings(
    infos: Sequence[MeterInfo], samples: Sequence[Sample], start_ns: int, end_ns: int
) -> list[EnergyReading]:
    """One reading for each energy device between the two moments.

    ``estimate`` only where no real meter has a device here: a measured figure that is lost is not
    replaced by a modelled one.
    """
    return every(counted(infos), samples, start_ns, end_ns)


def every(
    infos: Sequence[MeterInfo], samples: Sequence[Sample], start_ns: int, end_ns: int
) -> list[EnergyReading]:
    """As :func:`readings`, of all these devices, also those that enter no figure."""
    found = []
    slept = series.within(_of(samples, *CLOCK[:2]), CLOCK[2], start_ns - 1_500_000_000, end_ns)
    suspended = bool(slept) and max(slept) - min(slept) > SUSPENDED_NS
    for info in infos:
        own = of_device(samples, info)
        reading = meter(info.meter).energy(info, own, start_ns, end_ns)
        if suspended:
            reading = reading.model_copy(
                update={"flags": sorted({*reading.flags, "suspended"})},
            )
        found.append(reading)
    return _with_load(found, samples, start_ns, end_ns)


def _with_load(
    found: list[EnergyReading], samples: Sequence[Sample], start_ns: int, end_ns: int
) -> list[EnergyReading]:
    """Flags the readings that other programs' CPU work may be a good part of. The devices of a
    class are taken together: which of two packages others used is not known."""
    if not any(r.device_class in foreign.CLASSES for r in found):
        return found
    load = host_load(samples, start_ns, end_ns)
    if load is None:
        return found
    totals: dict[tuple[str, str], float] = {}
    for r in found:
        key = (r.meter, r.device_class)
        totals[key] = totals.get(key, 0.0) + (r.energy_j or 0.0)
    return [
        r.model_copy(update={"flags": sorted({*r.flags, *extra})})
        if r.device_class in foreign.CLASSES
        and (extra := foreign.flags(foreign.share(load, totals[r.meter, r.device_class])))
        else r
        for r in found
    ]


def host_load(samples: Sequence[Sample], start_ns: int, end_ns: int) -> foreign.Load | None:
    """How busy the machine's processors were, and with what of it not the run's."""
    return foreign.load(
        _of(samples, "estimate", estimate.DEVICE),
        _of(samples, "sampler", "self"),
        start_ns,
        end_ns,
        estimate.REACH_NS,
    )


def counted(infos: Sequence[MeterInfo]) -> list[MeterInfo]:
    """The devices whose energy enters figures (:func:`lem.meters.energy.reconcile.counted`)."""
    return reconcile.counted(infos)


def of_device(samples: Sequence[Sample], info: MeterInfo) -> list[Sample]:
    return _of(samples, info.meter, info.device)


def _of(samples: Sequence[Sample], meter: str, device: str) -> list[Sample]:
    """Where the samples remember, so do these."""

    def make() -> list[Sample]:
        own = [s for s in samples if s.meter == meter and s.device == device]
        return series.Remembered(own) if isinstance(samples, series.Remembered) else own

    return series.remembered(samples, ("device", meter, device), make)


def cpu_time_s(samples: Sequence[Sample], start_ns: int, end_ns: int) -> float | None:
    """CPU time of the run's processes between the two moments, in seconds; None where the trace
    does not reach, or the sum fell."""
    used = cpu_time(samples, start_ns, end_ns)
    return None if used is None else used.amount


def cpu_time(samples: Sequence[Sample], start_ns: int, end_ns: int) -> counter.Amount | None:
    """As :func:`cpu_time_s`, with its uncertainty."""
    own = _of(samples, "estimate", estimate.DEVICE)
    points = series.steady_points(own, "cpu_time_ns", 1e-9)
    if counter.falls(points, start_ns, end_ns):
        return None
    return counter.between(points, start_ns, end_ns, reach_ns=estimate.REACH_NS)


def peak_power_w(
    infos: Sequence[MeterInfo], samples: Sequence[Sample], start_ns: int, end_ns: int
) -> dict[str, float]:
    """Device class → highest power in W seen between the two moments, its devices added up.

    Read power where the meter has it, else the counter's mean between two readings.
    """
    series_of: dict[str, list[list[Sample]]] = {}
    for info in counted(infos):
        power = power_samples(of_device(samples, info), info)
        inside = [s for s in power if start_ns <= s.t_ns <= end_ns]
        series_of.setdefault(info.device_class, []).append(inside)
    return {
        device_class: highest / 1e3
        for device_class, devices in series_of.items()
        if all(devices) and (highest := _highest_sum(devices)) is not None
    }


def power_samples(samples: Sequence[Sample], info: MeterInfo) -> list[Sample]:
    """Power (``power_mw``) of one device over time."""
    for quantity in POWER_QUANTITIES:
        read = series.of(samples, quantity)
        if read:
            return [s._replace(quantity="power_mw") for s in read]
    if info.quantity == "cpu_time_ns":
        watts = series.last_value(samples, "watts_per_core", 2**62)
        points = series.steady_points(samples, info.quantity, 1e-9)
        return [
            s._replace(value=s.value * (watts or 0.0)) for s in series.power_from_counter(points)
        ]
    for quantity, in_mw in POWER_SCALE_MW.items():
        if read := series.of(samples, quantity):
            return [s._replace(quantity="power_mw", value=s.value * in_mw) for s in read]
    scale = ENERGY_SCALE_J.get(info.quantity)
    if scale is None:
        return []
    if (info.update_period_s or 0.0) >= SLOW_S:
        # Between two readings such a counter moves not at all or twice as far.
        least_ns = int(10 * (info.update_period_s or 0.0) * 1e9)
        ticks = series.tick_points(samples, info.quantity, scale)
        return series.power_from_counter(ticks, least_ns)
    points = series.steady_points(samples, info.quantity, scale)
    span = series.last_value(samples, "max_energy_range_uj", 2**62)
    if span is not None:
        points = counter.unwrap(points, span * 1e-6)
    return series.power_from_counter(points)


def _highest_sum(devices: list[list[Sample]]) -> float | None:
    events = sorted((s.t_ns, i, s.value) for i, d in enumerate(devices) for s in d)
    latest: dict[int, float] = {}
    highest: float | None = None
    for _, i, value in events:
        latest[i] = value
        if len(latest) == len(devices):
            total = sum(latest.values())
            highest = total if highest is None else max(highest, total)
    return highest


def discover(settings: MeterSettings) -> tuple[list[MeterInfo], dict[str, str]]:
    """Every device that some meter can read here; for the other meters why not, with the fix."""
    infos, unavailable = probe(settings)
    return infos, {name: str(e) for name, e in unavailable.items()}


def probe(settings: MeterSettings) -> tuple[list[MeterInfo], dict[str, MeterUnavailable]]:
    """As :func:`discover`, with reason and fix apart (``message``, ``hint``)."""
    infos: list[MeterInfo] = []
    unavailable: dict[str, MeterUnavailable] = {}
    for name in plugins.names("meters"):
        one = meter(name)
        try:
            infos += [info_of(d) for d in one.open(settings)]
        except MeterUnavailable as e:
            unavailable[name] = e
        finally:
            one.close()
    return infos, unavailable


def stated_uncertainty(info: MeterInfo) -> str | None:
    """What a reading of this device is good to over a long window, expanded (k = 2), in words;
    None for a meter that states nothing (one from outside)."""
    relative = {
        ("nvml", "energy_mj"): 2 * nvml_energy.GAIN,
        ("nvml", "power_mw"): 2 * math.hypot(nvml_energy.GAIN, nvml_energy.SAMPLED_POWER),
    }.get((info.meter, info.quantity), info.relative_uncertainty)
    if info.calibration is not None:
        relative = 2 * info.calibration.uncertainty / info.calibration.gain
    return None if relative is None else f"±{100 * relative:.2g} %"


def info_of(device: Device) -> MeterInfo:
    gain = device.calibration
    fields = {
        **device._asdict(),
        "calibration": None if gain is None else AppliedGain.model_validate(gain),
    }
    return MeterInfo(**fields)


def meter(name: str) -> Meter:
    """A new meter of that name. Raises :class:`lem.errors.BadInput` where there is none."""
    found: Meter = plugins.load("meters", name)()
    return found
