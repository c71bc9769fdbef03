"""Turns windows into metrics: pure arithmetic, so that anyone can recompute a record.

Uncertainties are expanded (k = 2) and propagated to first order (JCGM 100:2008, GUM, 5.1 and 5.2):

- Of a sum of readings: ``lem/meters/energy/combine.py``.
- Idle power during the windows was somewhere between what it was in the idle phases: a rectangular
  distribution (GUM 4.3.7), for the figures above idle alone.
- What was under way at a window's edges makes its counts uncertain (``workloads/edges.py``).
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from lem.contract.flags import worst
from lem.contract.record import (
    Distribution,
    EnergyReading,
    Idle,
    Metrics,
    Value,
    Window,
)
from lem.meters.energy.combine import Term, expanded_j

Terms = dict[str, list[Term]]
"""By device class."""


def energy_by_class(stretches: Iterable[Sequence[EnergyReading]]) -> dict[str, Value]:
    """Energy in joules by device class, over all stretches together."""
    return {name: _sum(terms) for name, terms in terms_by_class(stretches).items()}


def terms_by_class(stretches: Iterable[Sequence[EnergyReading]]) -> Terms:
    """The readings of each device class.

    A class with even one reading that cannot be trusted is left out: a sum with a hole in it is a
    wrong number. So is one of which other programs may have drawn a good part.
    """
    readings: dict[str, list[EnergyReading]] = defaultdict(list)
    devices: list[set[tuple[str, str]]] = []
    for stretch in stretches:
        devices.append({(r.meter, r.device) for r in stretch})
        for r in stretch:
            readings[r.device_class].append(r)
    everywhere = set.intersection(*devices) if devices else set()
    return {
        name: [Term(1.0, r) for r in rs]
        for name, rs in sorted(readings.items())
        if all(r.energy_j is not None and (r.meter, r.device) in everywhere for r in rs)
        and not any("foreign_load" in r.flags for r in rs)
    }


def _sum(terms: Sequence[Term]) -> Value:
    value = math.fsum(t.factor * (t.reading.energy_j or 0.0) for t in terms)
    return Value(value=value, uncertainty=expanded_j(terms))


class Counted(NamedTuple):
    """A count over all windows with its expanded uncertainty; None where none is stated."""

    n: int
    uncertainty: float | None

    def __bool__(self) -> bool:
        return self.n > 0


def counted(values: Iterable[int], uncertainties: Iterable[float | None]) -> Counted:
    """Of several windows. Those that share an edge are taken as if they did not: a little more
    than there is."""
    stated = list(uncertainties)
    known = [u for u in stated if u is not None]
    return Counted(sum(values), math.hypot(*known) if len(known) == len(stated) else None)


def compute(
    windows: Sequence[Window],
    idle: Sequence[Idle],
    distributions: Mapping[str, Distribution],
    peak_power_w: Mapping[str, float],
    peak_memory_bytes: Mapping[str, float],
    prefill: Window | None = None,
    idle_drifts: bool = True,
) -> Metrics:
    """All metrics of a run (``lem/contract/metrics.py`` says what each means). With ``idle_drifts``
    false idle power is taken to be the same at all times: what a budget needs, part by part."""
    seconds = sum(w.end_ns - w.start_ns for w in windows) / 1e9
    output = output_of(windows)
    inputs = input_of(windows)
    total = Counted(output.n + inputs.n, _hypot(output.uncertainty, inputs.uncertainty))
    requests = requests_of(windows)
    good = good_of(windows)
    terms = terms_by_class([w.energy for w in windows])
    energy = {name: _sum(t) for name, t in terms.items()}
    idle_terms, idle_s = terms_by_class(_trusted(idle)), _seconds(idle)
    drift = _idle_drift_w(idle) if idle_drifts else {}
    metrics: Metrics = {
        "energy_per_output_token_j": _per(energy, output),
        "energy_per_total_token_j": _per(energy, total),
        "energy_per_request_j": _per(energy, requests),
        "energy_per_good_request_j": {} if good is None else _per(energy, good),
        "energy_above_idle_per_output_token_j": _per(
            {
                name: _drifted(
                    _sum([*t, *_times(-seconds / idle_s, idle_terms[name])]),
                    drift.get(name, 0.0) * seconds,
                )
                for name, t in terms.items()
                if name in idle_terms and idle_s > 0
            },
            output,
        ),
        **(_split(terms, inputs, output, prefill) if prefill is not None else {}),
        "mean_power_w": _over(energy, seconds),
        "idle_power_w": idle_power_by_class(idle),
        "peak_power_w": {c: Value(value=v) for c, v in peak_power_w.items()},
        "peak_memory_bytes": {c: Value(value=v) for c, v in peak_memory_bytes.items()},
    }
    if seconds > 0:
        metrics["output_throughput_tokens_per_s"] = rate(output, seconds)
        metrics["total_throughput_tokens_per_s"] = rate(total, seconds)
        metrics["request_throughput_per_s"] = rate(requests, seconds)
        if good is not None:
            metrics["goodput_per_s"] = rate(good, seconds)
    ended = requests.n + sum((w.failed or 0) + (w.timed_out or 0) for w in windows)
    if good is not None and ended > 0:
        metrics["slo_attainment_share"] = Value(value=good.n / ended)
    if (cpu := _cpu_time(windows)) is not None:
        metrics |= {"cpu_time_per_output_token_s": _per({"": cpu}, output).get("", {})}
    metrics.update(distributions)
    return {name: value for name, value in metrics.items() if value != {}}


def input_of(windows: Sequence[Window]) -> Counted:
    return counted((w.input_tokens for w in windows), (w.input_tokens_uncertainty for w in windows))


def output_of(windows: Sequence[Window]) -> Counted:
    return counted(
        (w.output_tokens for w in windows), (w.output_tokens_uncertainty for w in windows)
    )


def requests_of(windows: Sequence[Window]) -> Counted:
    return counted((w.requests for w in windows), (w.requests_uncertainty for w in windows))


def good_of(windows: Sequence[Window]) -> Counted | None:
    """Requests that met every objective; None where none is set. At an edge any of the requests
    under way may be one of them."""
    known = [w.good for w in windows if w.good is not None]
    if not known or len(known) < len(windows):
        return None
    return counted(known, (w.requests_uncertainty for w in windows))


def rate(count: Counted, seconds: float) -> Value:
    """A count per second. A window's length is known to microseconds."""
    u = count.uncertainty
    return Value(value=count.n / seconds, uncertainty=None if u is None else u / seconds)


def _cpu_time(windows: Sequence[Window]) -> Value | None:
    """None where a window's is unknown."""
    times = [w.cpu_time_s for w in windows]
    known = [t for t in times if t is not None]
    if len(known) < len(times):
        return None
    stated = [w.cpu_time_uncertainty_s for w in windows]
    us = [u for u in stated if u is not None]
    return Value(
        value=math.fsum(known), uncertainty=math.hypot(*us) if len(us) == len(stated) else None
    )


def _split(terms: Terms, inputs: Counted, output: Counted, prefill: Window) -> Metrics:
    """Prefill's energy per input token, from the window that did nothing else, and what is left of
    the other windows for decoding.

    Counts of the two kinds of window have no cause in common; gain and offset of a board do.
    """
    pure = terms_by_class([prefill.energy])
    alone = input_of([prefill])
    if not alone or not output:
        return {}
    share = inputs.n / alone.n
    left: dict[str, Value] = {}
    for name in terms.keys() & pure.keys():
        rest = _sum([*terms[name], *_times(-share, pure[name])])
        spent = share * _sum(pure[name]).value
        # The share's own uncertainty moves energy between the two.
        relative = _hypot(_relative(inputs) if inputs else 0.0, _relative(alone))
        u = _hypot(rest.uncertainty, None if relative is None else relative * spent)
        left[name] = Value(value=rest.value, uncertainty=u)
    return {
        "energy_prefill_per_input_token_j": _per({c: _sum(t) for c, t in pure.items()}, alone),
        "energy_decode_per_output_token_j": _per(left, output),
    }


def idle_power_by_class(idle: Sequence[Idle]) -> dict[str, Value]:
    """Mean power in watts over the idle phases, by device class.

    Another process on the GPU, or whatever else would exclude a window, takes the class out: then
    the device was not idle.
    """
    return _over(energy_by_class(_trusted(idle)), _seconds(idle))


def _idle_drift_w(idle: Sequence[Idle]) -> dict[str, float]:
    """Standard uncertainty in watts of a class's idle power at another time than that of the idle
    phases: half of what they differ by ÷ √3."""
    powers = [idle_power_by_class([i]) for i in idle]
    found = {}
    for name in set.intersection(*(set(p) for p in powers)) if powers else set():
        values = [p[name].value for p in powers]
        found[name] = (max(values) - min(values)) / 2 / math.sqrt(3)
    return found


def _drifted(value: Value, u_j: float) -> Value:
    return Value(value=value.value, uncertainty=_hypot(value.uncertainty, 2 * u_j))


def _trusted(idle: Sequence[Idle]) -> list[list[EnergyReading]]:
    return [
        [
            r if worst(r.flags) == "info" else r.model_copy(update={"energy_j": None})
            for r in i.energy
        ]
        for i in idle
    ]


def _seconds(idle: Sequence[Idle]) -> float:
    return sum(i.end_ns - i.start_ns for i in idle) / 1e9


def _times(factor: float, terms: Sequence[Term]) -> list[Term]:
    return [Term(factor * t.factor, t.reading) for t in terms]


def _over(values: Mapping[str, Value], divisor: float) -> dict[str, Value]:
    """Divided by what is known exactly."""
    if divisor <= 0:
        return {}
    return {
        c: Value(
            value=v.value / divisor,
            uncertainty=None if v.uncertainty is None else v.uncertainty / divisor,
        )
        for c, v in values.items()
    }


def _per(values: Mapping[str, Value], count: Counted) -> dict[str, Value]:
    """Divided by a count, whose uncertainty has no cause in common with theirs."""
    if not count:
        return {}
    relative = _relative(count)
    found = {}
    for name, v in values.items():
        u = _hypot(v.uncertainty, None if relative is None else v.value * relative)
        found[name] = Value(value=v.value / count.n, uncertainty=None if u is None else u / count.n)
    return found


def _relative(count: Counted) -> float | None:
    return None if count.uncertainty is None else count.uncertainty / count.n


def _hypot(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else math.hypot(a, b)
