"""Whether a board can have drawn what is said of it."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from lem.contract.record import EnergyReading, Gpu, MeterInfo
from lem.meters import nvml_power, readings
from lem.meters.energy import series
from lem.meters.protocol import Sample
from lem.trust import boards
from lem.trust.case import Case, Check, Found

TOLERANCE = 0.12
"""Three and a half times what boards' gains scatter by (3.4 % RMS, arXiv 2312.02741)."""
SLACK_W = 5.0
LEAST_S = 2.0
"""A board's controller holds its limit over some tenths of a second; shorter stretches may be
above it."""
LEAST_COMPARED_S = 10.0
HOT_C, COLD_C = 120.0, 0.0
FASTEST_MHZ = {"sm_clock_mhz": 4000.0, "memory_clock_mhz": 20_000.0}
IDLE_TOLERANCE = 0.10
LIMIT_SLACK = 1.05


class Draw(NamedTuple):
    """Mean power of one device over one stretch."""

    what: str
    device: str
    watts: float
    seconds: float


def draws(case: Case) -> Iterator[Draw]:
    """Of GPUs, from the recomputed readings."""
    figures = case.again.figures
    named = [(f"window {i}", w) for i, w in enumerate(figures.windows)]
    named += [(f"idle phase {i}", w) for i, w in enumerate(figures.idle)]  # type: ignore[misc]
    named += [("prefill window", figures.prefill)] if figures.prefill is not None else []
    for what, stretch in named:
        seconds = (stretch.end_ns - stretch.start_ns) / 1e9
        for r in stretch.energy:
            if r.device_class == "gpu" and r.energy_j is not None:
                yield Draw(what, r.device, r.energy_j / seconds, seconds)


def gpu_of(case: Case, device: str) -> Gpu | None:
    """``gpu3`` is the board of that index."""
    return next((g for g in case.record.environment.gpus if f"gpu{g.index}" == device), None)


def _values(case: Case, device: str, quantity: str) -> list[float]:
    return [s.value for s in case.samples if s.device == device and s.quantity == quantity]


def limits(case: Case) -> Found:
    """Power against the limit in force, and that against the board."""
    for gpu in case.record.environment.gpus:
        device = f"gpu{gpu.index}"
        board = boards.known().find(gpu.name)
        told = [v / 1e3 for v in _values(case, device, "power_limit_mw")]
        if board is not None and any(w > LIMIT_SLACK * board.most_w for w in told):
            yield "limit_impossible", f"{device}: {max(told):.0f} W of at most {board.most_w:g} W"
        # The limit in force is the one that was set or, where heat or supply ask for it, less.
        said_w = gpu.power_limit_w
        if said_w is not None and told:
            # Under another limit a board is another one, so what is said has to be what was read.
            if not min(told) - SLACK_W <= said_w <= max(told) + SLACK_W:
                seen = " to ".join(f"{w:g}" for w in sorted({min(told), max(told)}))
                yield "limit_impossible", f"{device}: {said_w:g} W said, {seen} W in the trace"
        elif said_w is not None and any(
            (m.meter, m.device) == ("nvml", device) for m in case.record.meters
        ):
            yield "limit_impossible", f"{device}: {said_w:g} W said, none in the trace"
        for draw in draws(case):
            if draw.device != device or draw.seconds < LEAST_S:
                continue
            said = f"{draw.what}, {device}: {draw.watts:.0f} W"
            if told and draw.watts > (1 + TOLERANCE) * max(told) + SLACK_W:
                yield "power_above_limit", f"{said} at a limit of {max(told):.0f} W"
            if board is not None and draw.watts > (1 + TOLERANCE) * board.most_w + SLACK_W:
                yield "power_above_board", f"{said} of at most {board.most_w:g} W"


def together(case: Case) -> Found:
    """All boards of a run, whoever measured them: a meter of their owner's names none of them, and
    one that measures but a part of them is none of the run's. It may well measure more."""
    every = [boards.known().find(g.name) for g in case.record.environment.gpus]
    known = [b for b in every if b is not None]
    if not known or len(known) < len(every):
        return
    least = sum(b.floor_w for b in known)
    watts: dict[str, list[float]] = defaultdict(list)
    for draw in draws(case):
        watts[draw.what].append(draw.watts)
    metered = max(map(len, watts.values()), default=0)
    for what, drawn in watts.items():
        if len(drawn) == metered and sum(drawn) < least:
            detail = f"{what}: {sum(drawn):.1f} W of at least {least:g}, all boards together"
            yield "power_below_floor", detail


def floor(case: Case) -> Found:
    for draw in draws(case):
        gpu = gpu_of(case, draw.device)
        board = boards.known().find(gpu.name) if gpu is not None else None
        if board is not None and draw.watts < board.floor_w:
            detail = f"{draw.what}, {draw.device}: {draw.watts:.1f} W of at least {board.floor_w:g}"
            yield "power_below_floor", detail


def idle(case: Case) -> Found:
    """Of each GPU, all windows together against all idle phases together."""
    figures = case.again.figures
    for m in _gpus(case):
        work = _mean(figures.windows, m)
        rest = _mean(figures.idle, m)
        if work is None or rest is None:
            continue
        (at_work, u_work), (at_rest, u_rest) = work, rest
        if at_work < (1 - IDLE_TOLERANCE) * at_rest - math.hypot(u_work, u_rest):
            detail = f"{m.device}: {at_work:.1f} W at work, {at_rest:.1f} W at rest"
            yield "work_below_idle", detail


def _gpus(case: Case) -> list[MeterInfo]:
    return [m for m in case.record.meters if m.device_class == "gpu"]


def _mean(stretches: Sequence[object], m: MeterInfo) -> tuple[float, float] | None:
    """Mean power of a device over stretches, and its uncertainty without gain: of one board's
    difference the gain is no part."""
    energy = seconds = square = 0.0
    for s in stretches:
        found = _reading(getattr(s, "energy", ()), m)
        if found is None or found.energy_j is None:
            return None
        energy += found.energy_j
        seconds += (getattr(s, "end_ns", 0) - getattr(s, "start_ns", 0)) / 1e9
        parts = (u for name, u in found.budget_j.items() if name not in ("gain", "offset"))
        square += sum((2 * u) ** 2 for u in parts)
    return (energy / seconds, math.sqrt(square) / seconds) if seconds > 0 else None


def _reading(energy: Sequence[EnergyReading], m: MeterInfo) -> EnergyReading | None:
    return next((r for r in energy if (r.meter, r.device) == (m.meter, m.device)), None)


def counter_against_power(case: Case) -> Found:
    """Over the whole trace, which is long enough where windows are not. A calibrated gain is no
    part of it: both are as the board tells them."""
    for m in _gpus(case):
        if m.meter != "nvml" or m.quantity != "energy_mj":
            continue
        own = readings.of_device(case.samples, m)
        for start_ns, end_ns in _spans(case, own):
            energy_j = _moved(own, start_ns, end_ns)
            found = (
                None if energy_j is None else nvml_power.compare(own, energy_j, start_ns, end_ns)
            )
            if found is None:
                continue
            detail = f"{m.device}: {found.ratio:.3f} of {found.quantity}"
            if found.disagrees:
                yield "counter_contradicts_power", detail
            elif abs(found.ratio - 1) > found.tolerance + _lag(own, start_ns, end_ns, energy_j):
                yield "counter_differs_from_power", detail


def _spans(case: Case, own: Sequence[Sample]) -> Iterator[tuple[int, int]]:
    """The whole of the trace in which both were read, where it is long enough."""
    counted = [s.t_ns for s in own if s.quantity == "energy_mj"]
    powered = [s.t_ns for s in own if s.quantity.startswith("power_") and "limit" not in s.quantity]
    if not counted or not powered:
        return
    start_ns, end_ns = max(counted[0], powered[0]), min(counted[-1], powered[-1])
    # The first second of an average tells of what was before it.
    start_ns += nvml_power.AVERAGED_NS
    if end_ns - start_ns >= LEAST_COMPARED_S * 1e9:
        yield start_ns, end_ns


def _lag(own: Sequence[Sample], start_ns: int, end_ns: int, energy_j: float | None) -> float:
    """How far an average over the last second may be off, relative, since it is half a second late:
    power at the beginning and the end of the trace may be as far apart as it ever was."""
    watts = [
        s.value / 1e3
        for s in own
        if s.quantity in nvml_power.QUANTITIES and start_ns <= s.t_ns <= end_ns
    ]
    late_s = nvml_power.AVERAGED_NS / 2e9
    return late_s * (max(watts) - min(watts)) / energy_j if watts and energy_j else 0.0


def _moved(own: Sequence[Sample], start_ns: int, end_ns: int) -> float | None:
    from lem.meters.energy import counter

    points = series.tick_points(own, "energy_mj", 1e-3)
    if counter.falls(points, start_ns, end_ns):
        return None
    found = counter.between(points, start_ns, end_ns, reach_ns=200_000_000)
    return None if found is None else found.amount


def told(case: Case) -> Found:
    for s in case.samples:
        if s.quantity == "temperature_c" and not COLD_C <= s.value <= HOT_C:
            yield "reading_impossible", f"{s.device}: {s.value:g} °C"
        elif s.quantity in FASTEST_MHZ and not 0 <= s.value <= FASTEST_MHZ[s.quantity]:
            yield "reading_impossible", f"{s.device}: {s.value:g} MHz"


def steepness(case: Case) -> Found:
    """Between any two ticks half a second apart, no more than a board may draw for that long."""
    for m in _gpus(case):
        gpu = gpu_of(case, m.device)
        board = boards.known().find(gpu.name) if gpu is not None else None
        if board is None or m.quantity != "energy_mj":
            continue
        own = readings.of_device(case.samples, m)
        points = [
            p for i, p in enumerate(series.tick_points(own, "energy_mj", 1e-3)) if i % 10 == 0
        ]
        for a, b in pairwise(points):
            seconds = (b.t_ns - a.t_ns) / 1e9
            if seconds > 0.5 and (b.value - a.value) / seconds > 2 * board.most_w:
                watts = (b.value - a.value) / seconds
                yield "power_above_board", f"{m.device}: {watts:.0f} W for {seconds:.1f} s"


CHECKS: tuple[Check, ...] = (
    limits,
    together,
    floor,
    idle,
    counter_against_power,
    told,
    steepness,
)
