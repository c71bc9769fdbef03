"""A run's power over time, with the stretches of its record: what a plot of its trace shows."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import sqlalchemy as sa

from lem.archive.queries.answer import Answer, Packs, RunId, Shape, head
from lem.archive.queries.members import Key, Members, run_row, series_of
from lem.contract.record import MeterInfo, Record
from lem.meters.energy.reconcile import counted
from lem.meters.protocol import Sample
from lem.meters.readings import power_samples
from lem.submit.pack import inflated

MOST_LINES = 32
LEAST_POINTS = 40
"""Of a line, however many there are."""


class PowerLine(Shape):
    """Power of one device, by the readings that its figures are of."""

    meter: str
    device: str
    device_class: str
    readings: int
    """As many as there are."""
    t_s: list[float]
    """Seconds after the trace's first reading."""
    power_w: list[float]


class Phase(Shape):
    """A stretch of the record: ``window 0``, ``idle 1``, ``prefill``, ``questions``."""

    name: str
    start_s: float
    end_s: float


class Power(Answer):
    run: RunId
    lines: list[PowerLine]
    phases: list[Phase]
    without: list[str]
    """Devices of which the trace tells no power."""


def power(connection: sa.Connection, packs: Packs, run: str, points: int = 600) -> Power:
    """Power as it was read, or where a meter counts energy its mean between two readings: the
    same that ``peak_power_w`` is the highest of. At most about ``points`` of all lines together:
    of so many short stretches the lowest and the highest. Raises :class:`Refused` (404 without a
    trace)."""
    files = Members(connection, packs, run_row(connection, run))
    trace = series_of(inflated(files.read("trace")))
    record = files.record()
    zero_ns = min((t[0] for t, _ in trace.values() if t), default=0)
    lines, without = [], []
    infos = counted(record.meters)[:MOST_LINES]
    points = max(LEAST_POINTS, points // max(1, len(infos)))
    for info in infos:
        samples = power_samples(_of(trace, info), info)
        if not samples:
            without.append(f"{info.device} ({info.meter})")
            continue
        kept = _extremes(samples, points)
        lines.append(
            PowerLine(
                meter=info.meter,
                device=info.device,
                device_class=info.device_class,
                readings=len(samples),
                t_s=[(s.t_ns - zero_ns) / 1e9 for s in kept],
                power_w=[s.value / 1e3 for s in kept],
            )
        )
    return Power(
        **head(connection).fields(),
        run=run,
        lines=lines,
        phases=_phases(record, zero_ns),
        without=without,
    )


def _of(
    trace: Mapping[Key, tuple[Sequence[int], Sequence[float]]], info: MeterInfo
) -> list[Sample]:
    return [
        Sample(at, meter, device, quantity, value)
        for (meter, device, quantity), (times, values) in trace.items()
        if (meter, device) == (info.meter, info.device)
        for at, value in zip(times, values, strict=True)
    ]


def _extremes(samples: Sequence[Sample], points: int) -> Sequence[Sample]:
    """Peaks stay to be seen, which evenly spread readings would lose."""
    if len(samples) <= points:
        return samples
    edges = [round(i * len(samples) / (points // 2)) for i in range(points // 2 + 1)]
    kept: list[Sample] = []
    for start, end in pairwise(edges):
        part = samples[start:end]
        low, high = min(part, key=_watts), max(part, key=_watts)
        kept += sorted({low, high}, key=lambda s: s.t_ns)
    return kept


def _watts(sample: Sample) -> float:
    return sample.value


def _phases(record: Record, zero_ns: int) -> list[Phase]:
    named = [
        *((f"window {n}", w) for n, w in enumerate(record.windows)),
        *((f"idle {n}", i) for n, i in enumerate(record.idle)),
        *([("prefill", record.prefill)] if record.prefill is not None else ()),
        *([("questions", record.answering)] if record.answering is not None else ()),
    ]
    phases = [
        Phase(name=n, start_s=(s.start_ns - zero_ns) / 1e9, end_s=(s.end_ns - zero_ns) / 1e9)
        for n, s in named
    ]
    return sorted(phases, key=lambda p: p.start_s)
