"""The uncertainty budget of a record (JCGM 100:2008, GUM, 7.2.7): of each reading and each metric.

A record states the parts of every reading and the total of every metric. The parts of a metric come
from computing it again with one part at a time: parts are independent of each other, so that their
squares add up to the square of the total, and that they do is checked.
"""

import math
from collections.abc import Iterator
from typing import Any

from lem.agent.metrics import compute
from lem.contract.metrics import METRICS
from lem.contract.record import EnergyReading, Metrics, Record, Value, Window
from lem.meters.energy.combine import UNSTATED
from lem.report.budget import Budget

COUNTS = "counts"
"""Tokens and requests that were under way at a window's edges."""
CPU_TIME = "cpu time"
IDLE_DRIFT = "idle drift"
"""What idle power changed by between the idle phases, in figures above idle."""
AGREES = 1e-6
"""Relative difference below which the parts make up the total."""


def readings(record: Record) -> Iterator[Budget]:
    """Of every energy reading of windows and idle phases."""
    stretches = [
        *((f"window {n}", w.energy) for n, w in enumerate(record.windows)),
        *([("prefill", record.prefill.energy)] if record.prefill is not None else ()),
        *((f"idle {n}", i.energy) for n, i in enumerate(record.idle)),
    ]
    for name, energy in stretches:
        for r in energy:
            what = f"{r.device} ({r.meter})"
            parts = _parts(r)
            total = None if r.uncertainty_j is None else r.uncertainty_j
            problem = "" if total is None else _problem(parts, total)
            yield Budget(name, what, "J", r.energy_j, total, {} if problem else parts, problem)


def metrics(record: Record) -> Iterator[Budget]:
    """Of every metric for which the record states an uncertainty."""
    names = dict.fromkeys(n for b in _readings(record) for n in _parts(b))
    by_part = {part: _computed(record, part) for part in [*names, COUNTS, CPU_TIME, IDLE_DRIFT]}
    for name, part_of, value in _values(record.metrics):
        unit = METRICS[name].unit if name in METRICS else ""
        if value.uncertainty is None:
            continue
        parts = {}
        for part, computed in by_part.items():
            alone = next((v for n, c, v in _values(computed) if (n, c) == (name, part_of)), None)
            if alone is not None and alone.uncertainty:
                parts[part] = alone.uncertainty / 2
        if name == "goodput_per_s":  # not computed from windows alone, but uncertain by them alone
            parts = {COUNTS: value.uncertainty / 2}
        problem = _problem(parts, value.uncertainty)
        parts = {} if problem else parts
        yield Budget(name, part_of, unit, value.value, value.uncertainty, parts, problem)


def _problem(parts: dict[str, float], uncertainty: float) -> str:
    total = 2 * math.hypot(*parts.values())
    if math.isclose(total, uncertainty, rel_tol=AGREES, abs_tol=1e-15):
        return ""
    if not any(parts.values()):
        return "its parts are not in the record"
    return f"the parts make U = {total:.3g}: another version of lem combined them otherwise"


def _values(found: Metrics) -> Iterator[tuple[str, str, Value]]:
    for name, value in found.items():
        if isinstance(value, Value):
            yield name, "", value
        elif isinstance(value, dict):
            for part, inner in value.items():
                yield name, part, inner


def _readings(record: Record) -> Iterator[EnergyReading]:
    for window in [*record.windows, *([record.prefill] if record.prefill is not None else ())]:
        yield from window.energy
    for idle in record.idle:
        yield from idle.energy


def _parts(reading: EnergyReading) -> dict[str, float]:
    if reading.uncertainty_j is None:
        return {}
    return dict(reading.budget_j) or {UNSTATED: reading.uncertainty_j / 2}


def _computed(record: Record, part: str) -> Metrics:
    """The metrics as if this were the only part that is not zero."""
    prefill = None if record.prefill is None else _window(record.prefill, part)
    idle = [i.model_copy(update={"energy": _alone(i.energy, part)}) for i in record.idle]
    windows = [_window(w, part) for w in record.windows]
    return compute(windows, idle, {}, {}, {}, prefill, idle_drifts=part == IDLE_DRIFT)


def _window(window: Window, part: str) -> Window:
    update: dict[str, Any] = {"energy": _alone(window.energy, part)}
    if part != COUNTS:
        update |= dict.fromkeys(
            ("input_tokens_uncertainty", "output_tokens_uncertainty", "requests_uncertainty"), 0.0
        )
    if part != CPU_TIME:
        update["cpu_time_uncertainty_s"] = 0.0
    return window.model_copy(update=update)


def _alone(energy: list[EnergyReading], part: str) -> list[EnergyReading]:
    alone = []
    for r in energy:
        u = _parts(r).get(part, 0.0)
        update = {"budget_j": {part: u} if u else {}, "uncertainty_j": 2 * u}
        alone.append(r if r.uncertainty_j is None else r.model_copy(update=update))
    return alone
