"""Turns windows into metrics: pure arithmetic, so that anyone can recompute a record.

Uncertainties are expanded (k = 2). Parts of a budget that come from one cause (gain, offset, the
model behind an estimate) are the same in every window and device, so they add linearly; the rest
(ticks, sampling) are independent and add in squares (JCGM 100:2008, 5.2).
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

from lem.contract.flags import worst
from lem.contract.record import (
    Distribution,
    EnergyReading,
    Idle,
    Metrics,
    Value,
    Window,
)

SYSTEMATIC = ("gain", "offset", "model")


def energy_by_class(stretches: Iterable[Sequence[EnergyReading]]) -> dict[str, Value]:
    """Energy in joules by device class, over all stretches together.

    A class with even one reading that cannot be trusted is left out: a sum with a hole in it is a
    wrong number.
    """
    readings: dict[str, list[EnergyReading]] = defaultdict(list)
    devices: list[set[tuple[str, str]]] = []
    for stretch in stretches:
        devices.append({(r.meter, r.device) for r in stretch})
        for r in stretch:
            readings[r.device_class].append(r)
    everywhere = set.intersection(*devices) if devices else set()
    return {
        name: Value(value=sum(r.energy_j or 0.0 for r in rs), uncertainty=_expanded(rs))
        for name, rs in sorted(readings.items())
        if all(r.energy_j is not None and (r.meter, r.device) in everywhere for r in rs)
    }


def _expanded(readings: Sequence[EnergyReading]) -> float | None:
    """None where a reading does not state its uncertainty: unknown is not zero."""
    linear: dict[str, float] = defaultdict(float)
    square = 0.0
    for r in readings:
        if r.uncertainty_j is None:
            return None
        parts = r.budget_j or {"gain": r.uncertainty_j / 2}
        for name, u in parts.items():
            if name in SYSTEMATIC:
                linear[f"{r.meter}/{name}"] += u
            else:
                square += u * u
    return 2 * math.sqrt(square + sum(u * u for u in linear.values()))


def compute(
    windows: Sequence[Window],
    idle: Sequence[Idle],
    distributions: dict[str, Distribution],
    peak_power_w: dict[str, float],
    peak_memory_bytes: dict[str, float],
) -> Metrics:
    """All metrics of a run (``lem/contract/metrics.py`` says what each means)."""
    seconds = sum(w.end_ns - w.start_ns for w in windows) / 1e9
    output = sum(w.output_tokens for w in windows)
    total = output + sum(w.input_tokens for w in windows)
    requests = sum(w.requests for w in windows)
    energy = energy_by_class([w.energy for w in windows])
    idle_power = idle_power_by_class(idle)
    metrics: Metrics = {
        "energy_per_output_token_j": _per(energy, output),
        "energy_per_total_token_j": _per(energy, total),
        "energy_per_request_j": _per(energy, requests),
        "energy_above_idle_per_output_token_j": _per(
            {
                c: Value(
                    value=e.value - idle_power[c].value * seconds,
                    uncertainty=_difference(e.uncertainty, idle_power[c].uncertainty, seconds),
                )
                for c, e in energy.items()
                if c in idle_power
            },
            output,
        ),
        "mean_power_w": _per(energy, seconds),
        "idle_power_w": idle_power,
        "peak_power_w": {c: Value(value=v) for c, v in peak_power_w.items()},
        "peak_memory_bytes": {c: Value(value=v) for c, v in peak_memory_bytes.items()},
    }
    if seconds > 0:
        metrics["output_throughput_tokens_per_s"] = Value(value=output / seconds)
        metrics["request_throughput_per_s"] = Value(value=requests / seconds)
    cpu = [w.cpu_time_s for w in windows]
    if output and all(c is not None for c in cpu):
        metrics["cpu_time_per_output_token_s"] = Value(value=sum(c or 0.0 for c in cpu) / output)
    metrics.update(distributions)
    return {name: value for name, value in metrics.items() if value != {}}


def idle_power_by_class(idle: Sequence[Idle]) -> dict[str, Value]:
    """Mean power in watts over the idle phases, by device class.

    Another process on the GPU, or whatever else would exclude a window, takes the class out: then
    the device was not idle.
    """
    seconds = sum(i.end_ns - i.start_ns for i in idle) / 1e9
    stretches = [
        [
            r if worst(r.flags) == "info" else r.model_copy(update={"energy_j": None})
            for r in i.energy
        ]
        for i in idle
    ]
    return _per(energy_by_class(stretches), seconds)


def _per(energy: dict[str, Value], divisor: float) -> dict[str, Value]:
    if divisor <= 0:
        return {}
    return {
        c: Value(
            value=e.value / divisor,
            uncertainty=None if e.uncertainty is None else e.uncertainty / divisor,
        )
        for c, e in energy.items()
    }


def _difference(energy: float | None, idle_power: float | None, seconds: float) -> float | None:
    """Of energy less idle power × time, as if they had no cause in common: an upper bound."""
    if energy is None or idle_power is None:
        return None
    return math.hypot(energy, idle_power * seconds)
