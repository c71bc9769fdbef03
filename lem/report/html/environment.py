"""What a campaign ran on and was read by, from one run of each arm."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from lem.analysis.text import NOTHING, plain
from lem.contract.record import MeterInfo, Record
from lem.report.html.cells import Cell, Column, Grid
from lem.report.meters import verdict as agreement
from lem.report.meters import what as compared
from lem.stores.hardware import hardware
from lem.web.strings import text

MOST = 600
"""Characters of one fact."""
COUNTERS = ("prefix_cache_",)
"""What an engine counted while it ran, not what it is set to."""


@dataclass(frozen=True)
class Fact:
    name: str
    value: str


@dataclass(frozen=True)
class Engine:
    name: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Surroundings:
    machine: tuple[Fact, ...]
    engines: tuple[Engine, ...]
    meters: Grid
    absent: tuple[Fact, ...]
    """Meters that could not be read, and why."""
    side_by_side: tuple[Fact, ...]
    """Where two meters see the same energy: whether they agree."""


def surroundings(records: Sequence[Record]) -> Surroundings:
    """Where records differ, both values are given."""
    backends = dict.fromkeys(r.experiment.backend for r in records)
    return Surroundings(
        machine=_facts(records, _MACHINE),
        engines=tuple(
            _engine(b, [r for r in records if r.experiment.backend == b]) for b in backends
        ),
        meters=_meters(records),
        absent=tuple(
            Fact(plain(name), plain(" ".join(why.split()), MOST))
            for name, why in dict(
                item for r in records for item in r.meters_unavailable.items()
            ).items()
        ),
        side_by_side=_agreement(records),
    )


def _gpus(record: Record) -> str:
    found = dict.fromkeys(
        f"{g.name}, driver {g.driver}"
        + (f", {g.memory_bytes / 2**30:.0f} GiB" if g.memory_bytes else "")
        + (f", power limit {g.power_limit_w:.0f} W" if g.power_limit_w else "")
        for g in record.environment.gpus
    )
    return "; ".join(found)


_MACHINE: dict[str, Callable[[Record], str]] = {
    "hardware": hardware,
    "gpus": _gpus,
    "memory": lambda r: f"{r.environment.memory_bytes / 2**30:.1f} GiB",
    "system": lambda r: f"{r.environment.os}, kernel {r.environment.kernel}",
    "governor": lambda r: r.environment.cpu_governor or "",
    "launcher": lambda r: (
        r.environment.launcher
        + (f" ({text('report.environment.container')})" if r.environment.container else "")
    ),
    "lem": lambda r: f"{r.environment.lem_version}, Python {r.environment.python}",
}


def _facts(records: Iterable[Record], of: dict[str, Callable[[Record], str]]) -> tuple[Fact, ...]:
    read = list(records)
    facts = []
    for name, value in of.items():
        found = dict.fromkeys(v for r in read if (v := value(r)))
        if found:
            facts.append(Fact(text(f"report.environment.{name}"), plain(_either(found), MOST)))
    return tuple(facts)


def _either(values: Iterable[str]) -> str:
    return f" {text('report.environment.or')} ".join(values)


def _engine(backend: str, records: Sequence[Record]) -> Engine:
    facts = list(
        _facts(
            records,
            {
                "version": lambda r: f"{r.environment.engine} {r.environment.engine_version}",
                "image": lambda r: r.environment.image_digest or "",
            },
        )
    )
    settings: dict[str, dict[str, None]] = {}
    for r in records:
        for name, value in r.environment.engine_resolved.items():
            if not name.startswith(COUNTERS):
                settings.setdefault(name, {})[_setting(value)] = None
    facts += [Fact(plain(n), plain(_either(v), MOST)) for n, v in settings.items()]
    libraries = dict.fromkeys(
        f"{n} {v}" for r in records for n, v in r.environment.libraries.items()
    )
    if libraries:
        said = plain(", ".join(libraries), 2 * MOST)
        facts.append(Fact(text("report.environment.libraries"), said))
    return Engine(plain(backend), tuple(facts))


def _setting(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _meters(records: Sequence[Record]) -> Grid:
    found: dict[tuple[str, str], MeterInfo] = {}
    for record in records:
        for meter in record.meters:
            found.setdefault((meter.meter, meter.device), meter)
    columns = tuple(
        Column(text(f"report.meters.{name}"), number=name in ("period", "u"))
        for name in ("meter", "device", "class", "reads", "period", "u")
    )
    return Grid(columns, tuple(_meter(m) for m in found.values()))


def _meter(m: MeterInfo) -> tuple[Cell, ...]:
    notes = []
    if m.part_of:
        notes.append(text("report.meters.part_of", whole=plain(m.part_of)))
    if m.calibration is not None:
        notes.append(text("report.meters.calibrated"))
    period = NOTHING if m.update_period_s is None else f"{1000 * m.update_period_s:.3g} ms"
    u = m.relative_uncertainty
    return (
        Cell(plain(m.meter), mark="name"),
        Cell(plain(m.device)),
        Cell(plain(m.device_class)),
        Cell(plain(f"{m.quantity}: {m.description}", MOST), "; ".join(notes)),
        Cell(period, value=m.update_period_s),
        Cell(NOTHING if u is None else f"±{100 * u:.2g} %", value=u),
    )


def _agreement(records: Sequence[Record]) -> tuple[Fact, ...]:
    """Of each pair of views that is not fine in every run, what is wrong; of the others, that it
    is."""
    verdicts: dict[str, dict[str, None]] = {}
    for record in records:
        for r in record.reconciliation:
            pair = f"{compared(r)}: {r.first.meter}, {r.second.meter}"
            verdicts.setdefault(pair, {})[agreement(r)] = None
    return tuple(Fact(plain(pair), plain(_either(v))) for pair, v in verdicts.items())
