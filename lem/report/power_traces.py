"""A run's power over time with its phases, from its trace: what the meters read, not an average."""

from collections.abc import Sequence

from lem.charts.model import Axis, Phase, TimeLine, Traces
from lem.contract.event import PHASE_CODES
from lem.contract.record import Record
from lem.meters import readings
from lem.meters.protocol import Sample

SHORT_S = 0.2
"""Phases shorter than this are not shown: their names would have no room."""
_NAMES = {code: name.replace("_", " ") for name, code in PHASE_CODES.items()}


def chart(record: Record, samples: Sequence[Sample], name: str) -> Traces | None:
    """One line for each device that enters the run's energy; None where the trace has no power.
    ``name``: the arm's. Time is from the trace's first sample; ``samples`` are in order of time."""
    infos = readings.counted(record.meters)
    power = [(i, readings.power_samples(readings.of_device(samples, i), i)) for i in infos]
    known = [(i, own) for i, own in power if own]
    if not known or not samples:
        return None
    start_ns = samples[0].t_ns
    end_ns = max(samples[-1].t_ns, record.windows[-1].end_ns)
    estimated = any(i.device_class == "estimated" for i, _ in known)
    meters = ", ".join(dict.fromkeys(i.meter for i, _ in known))
    modelled = " (estimated from CPU time, not measured)" if estimated else ""
    return Traces(
        id=f"traces-{record.arm_id[:8]}-{record.block}",
        title=f"Power of one run of {name}",
        subtitle=f"Power in W over time{modelled}; shaded: the windows whose energy is reported",
        source=f"campaign {record.campaign}, block {record.block}, run {record.run_id}; "
        f"meters: {meters}",
        axis=Axis("power", "W"),
        lines=tuple(
            TimeLine(
                "CPU time × assumed power" if i.device_class == "estimated" else i.device,
                [(s.t_ns - start_ns) / 1e9 for s in own],
                [s.value / 1e3 for s in own],
                i.device_class,
            )
            for i, own in known
        ),
        phases=tuple(phases(record, samples, start_ns, end_ns)),
    )


def phases(record: Record, samples: Sequence[Sample], start_ns: int, end_ns: int) -> list[Phase]:
    """The windows as the record has them, the other phases as the agent wrote them into the trace;
    in seconds since ``start_ns``."""

    def seconds(t_ns: int) -> float:
        return (t_ns - start_ns) / 1e9

    said = [s for s in samples if (s.meter, s.device, s.quantity) == ("agent", "run", "phase")]
    ends = [s.t_ns for s in said[1:]] + [end_ns]
    found = [
        Phase(f"window {n}" if len(record.windows) > 1 else "window", seconds(w.start_ns),
              seconds(w.end_ns), measured=True)
        for n, w in enumerate(record.windows)
    ]  # fmt: skip
    for sample, end in zip(said, ends, strict=True):
        name = _NAMES.get(int(sample.value), "")
        if name not in ("", "window", "done") and end - sample.t_ns > SHORT_S * 1e9:
            found.append(Phase(name, seconds(sample.t_ns), seconds(end)))
    return sorted(found, key=lambda p: p.start_s)
