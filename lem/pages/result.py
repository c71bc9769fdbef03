"""One run: its figures with their uncertainty, how it was measured, by whom, what that proves."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import sqlalchemy as sa

from lem.analysis.quantities import ESTIMATED, can_be_known
from lem.analysis.text import plain
from lem.archive.queries.assumed import of_run
from lem.archive.queries.filters import Question
from lem.archive.queries.power import Power, power
from lem.archive.queries.results import Result, file_of, result
from lem.archive.refused import Refused
from lem.archive.schema import RUN, SUBMISSION
from lem.charts.model import AnyChart, Axis, Bars, Phase, Row, TimeLine, Traces
from lem.charts.table import Column, Table
from lem.contract.flags import FLAGS
from lem.contract.metrics import METRICS
from lem.contract.record import EnergyReading, Idle, Record, Window
from lem.pages.assumed import sentence
from lem.pages.doubts import is_doubt
from lem.pages.ids import run_id as checked_id
from lem.pages.naming import device, full, model_name, way, workload
from lem.pages.one_figure import (
    OneFigure,
    is_energy,
    metric_name,
    named,
    part_name,
    tier_of,
)
from lem.pages.page import Kind, Page, Params, Query, Reader
from lem.pages.settings import sections
from lem.report.budget import Budget
from lem.stores.hardware import hardware
from lem.stores.index import metric_values
from lem.trust import budget
from lem.trust.tiers import TIERS
from lem.web.strings import catalogue, text
from lem.web.words import figure as in_words

HEADLINE_METRIC = "energy_per_output_token_j"
DRAWN = 600
"""Points of all lines together, about."""
MOST_FINDINGS = 100
MOST_ROWS = 200
MOST_PARTS = 12
PERCENTILES = ("mean", "p50", "p90", "p95", "p99")
UNKNOWN = "exclude"
"""What a flag that this version doesn't know is taken for."""


class RunQuestion(Question):
    """The page has no parameters but its address."""


class FlagSaid(NamedTuple):
    name: str
    meaning: str
    consequence: str


class Measured(NamedTuple):
    """One device in one stretch of a run."""

    stretch: str
    seconds: float
    requests: int | None
    input_tokens: int | None
    output_tokens: int | None
    energy: OneFigure | None
    device: str
    flags: list[str]
    first: bool
    """Of its stretch."""


def page(reader: Reader, params: Params, query: Query) -> Page:
    RunQuestion.from_query(query)
    run_id = checked_id(params["id"])
    connection, packs = reader
    found = result(connection, packs, run_id)
    record = Record.model_validate(found.record)
    headline = _of_run(record, found, HEADLINE_METRIC)
    budgets = list(budget.metrics(record))
    drawn, why_no_trace = _power(reader, run_id)
    charts: dict[str, AnyChart] = {}
    if drawn is not None and drawn.lines:
        charts["power"] = _trace_chart(record, found, drawn)
    if (chart := _budget_chart(found, budgets)) is not None:
        charts["budget"] = chart
    figures = list(_figures(record, found))
    flags = _flags(record)
    name = full(found.configuration)
    is_estimated = found.run.energy_class == ESTIMATED
    return Page(
        template="result.html",
        title=text("result.title", name=name, run=short(run_id)),
        description=text(
            "result.description_estimated" if is_estimated else "result.description",
            name=name,
            submitter=plain(found.run.submitter),
        ),
        context={
            "found": found,
            "run": found.run,
            "configuration": found.configuration,
            "record": record,
            "headline": headline,
            "estimate": sentence(of_run(connection, packs, run_id)) if is_estimated else "",
            "figures": [f for f in figures if not _spread(f)],
            "times": _times(figures),
            "percentiles": PERCENTILES,
            "budgets": budgets[:MOST_ROWS],
            "measured": list(_stretches(record, found))[:MOST_ROWS],
            "flags": flags,
            "doubts": [f for f in flags if is_doubt(f.name, record, found.run.energy_class)],
            "environment": _environment(record),
            "software": _software(record),
            "sections": sections(found.record["experiment"]),
            "findings": found.provenance.findings[:MOST_FINDINGS],
            "tier": next(t for t in TIERS.values() if t.name == found.run.tier),
            "why_no_trace": why_no_trace,
            "hardware": hardware(record),
            "short": short(run_id),
            "model_name": model_name,
            "way": way,
            "device": device,
            "workload": workload,
            "metric_name": metric_name,
            "part_name": part_name,
            "named": named,
        },
        charts=charts,
        answer=found,
        table=_table(figures),
        head=found,
        files=_files(reader, run_id, found),
    )


def short(run_id: str) -> str:
    """``3f2a91c07b64-12``: enough to tell runs apart on a page."""
    submission, _, number = run_id.partition("-")
    return f"{submission[:12]}-{number}"


def _of_run(record: Record, found: Result, metric: str) -> OneFigure | None:
    """An energy or power of the run; None where it has none."""
    own = found.run.figures.get(metric)
    if own is None:
        return None
    return OneFigure(
        metric=metric,
        value=own.value,
        uncertainty=own.uncertainty,
        unit=own.unit,
        energy_class=found.run.energy_class,
        tier=found.run.tier,
        part=found.run.energy_class,
        why_no_uncertainty=None
        if own.uncertainty is not None
        else why_none(record, metric, found.run.energy_class),
    )


def _figures(record: Record, found: Result) -> Iterator[OneFigure]:
    """All of the record's, but what an estimate can't know."""
    for metric, part, value in metric_values(record):
        if not can_be_known(metric, part):
            continue
        about = METRICS.get(metric)
        unit = about.unit if about is not None else {"nll_per_token": "nat/token"}.get(metric, "")
        yield OneFigure(
            metric=metric,
            value=value.value,
            uncertainty=value.uncertainty,
            unit=unit,
            energy_class=part if about is not None and about.shape == "by_class" else "",
            tier=tier_of(metric, found.run.tier),
            part=part,
            why_no_uncertainty=None
            if value.uncertainty is not None
            else why_none(record, metric, part),
        )


def why_none(record: Record, metric: str, part: str) -> str:
    """Why a figure has no uncertainty."""
    if (key := f"result.no_interval.{metric}") in catalogue():
        return text(key)
    readings = [r for w in record.windows for r in w.energy if r.device_class == part]
    if is_energy(metric) and any("uncertainty_unstated" in r.flags for r in readings):
        return text("result.no_interval.meter")
    return text("result.none_stated")


def _spread(f: OneFigure) -> bool:
    """Whether it is one of several figures of a distribution."""
    return f.metric in METRICS and METRICS[f.metric].shape == "distribution"


def _times(figures: Iterable[OneFigure]) -> dict[str, dict[str, OneFigure]]:
    """Metric → statistic → figure, of distributions over requests."""
    found: dict[str, dict[str, OneFigure]] = {}
    for f in filter(_spread, figures):
        found.setdefault(f.metric, {})[f.part] = f
    return found


def _stretches(record: Record, found: Result) -> Iterator[Measured]:
    alone = (("prefill", record.prefill), ("questions", record.answering))
    stretches: list[tuple[str, Window | Idle]] = [
        *((text("result.stretch.window", n=n), w) for n, w in enumerate(record.windows, 1)),
        *((text(f"result.stretch.{name}"), w) for name, w in alone if w is not None),
        *((text("result.stretch.idle", n=n), i) for n, i in enumerate(record.idle, 1)),
    ]
    for name, stretch in stretches:
        window = stretch if isinstance(stretch, Window) else None
        readings: Sequence[EnergyReading | None] = stretch.energy or [None]
        for i, reading in enumerate(readings):
            yield Measured(
                stretch=name,
                seconds=(stretch.end_ns - stretch.start_ns) / 1e9,
                requests=None if window is None else window.requests,
                input_tokens=None if window is None else window.input_tokens,
                output_tokens=None if window is None else window.output_tokens,
                energy=None if reading is None else _energy(reading, found),
                device="" if reading is None else f"{reading.device} ({reading.meter})",
                flags=[] if reading is None else reading.flags,
                first=i == 0,
            )


def _energy(reading: EnergyReading, found: Result) -> OneFigure | None:
    if reading.energy_j is None:
        return None
    return OneFigure(
        metric="energy",
        value=reading.energy_j,
        uncertainty=reading.uncertainty_j,
        unit="J",
        energy_class=reading.device_class,
        tier=found.run.tier,
        why_no_uncertainty=None
        if reading.uncertainty_j is not None
        else text("result.no_interval.meter")
        if "uncertainty_unstated" in reading.flags
        else text("result.none_stated"),
    )


def _flags(record: Record) -> list[FlagSaid]:
    said = []
    for name in record.flags:
        flag = FLAGS.get(name)
        meaning = text("result.unknown_flag") if flag is None else flag.meaning
        said.append(FlagSaid(name, meaning, UNKNOWN if flag is None else flag.consequence))
    return said


def _environment(record: Record) -> list[tuple[str, str]]:
    e = record.environment
    pairs = [
        ("hardware", hardware(record)),
        ("memory", f"{e.memory_bytes / 2**30:.1f} GiB"),
        ("system", f"{e.os}, kernel {e.kernel}, Python {e.python}"),
        ("engine", f"{e.engine} {e.engine_version}"),
        ("launcher", e.launcher),
        ("container", text("result.yes" if e.container else "result.no")),
        ("image", e.image_digest or text("result.not_known")),
        ("governor", e.cpu_governor or text("result.not_known")),
        ("lem", e.lem_version),
    ]
    shown = [(text(f"result.environment.{name}"), value) for name, value in pairs]
    for gpu in e.gpus:
        limit = f", limit {gpu.power_limit_w:.0f} W" if gpu.power_limit_w else ""
        shown.append((f"gpu{gpu.index}", f"{gpu.name}, driver {gpu.driver}{limit}"))
    return shown[:MOST_ROWS]


def _software(record: Record) -> list[tuple[str, str]]:
    """What the engine says of itself, and libraries."""
    e = record.environment
    uses = text("result.environment.uses")
    shown = [(f"{uses} {k}", str(v)) for k, v in e.engine_resolved.items()]
    shown += e.libraries.items()
    return shown[:MOST_ROWS]


def _power(reader: Reader, run_id: str) -> tuple[Power | None, str]:
    """Power over time, or why there is none."""
    try:
        found = power(reader.connection, reader.packs, run_id, DRAWN)
    except Refused as e:
        return None, e.message
    return found, "" if found.lines else text("result.trace.no_power")


class Marked(NamedTuple):
    """A stretch of the run, named as in the table of windows; seconds after the first reading."""

    name: str
    start_s: float
    end_s: float


def _phases(drawn: Power) -> list[Marked]:
    found = []
    for phase in drawn.phases:
        kind, _, n = phase.name.partition(" ")
        name = text(f"result.stretch.{kind}", n=int(n) + 1) if n else text(f"result.stretch.{kind}")
        found.append(Marked(name, phase.start_s, phase.end_s))
    return found


def _trace_chart(record: Record, found: Result, drawn: Power) -> Traces:
    mean = _of_run(record, found, "mean_power_w")
    title = text("result.trace.title_plain")
    if mean is not None:
        said = in_words(mean)
        title = text(
            "result.trace.title",
            power=f"{said.value} {said.unit}",
            whose=text(f"power_of.{found.run.energy_class}"),
        )
    estimated = [line for line in drawn.lines if line.device_class == ESTIMATED]
    notes = [text("result.trace.estimated")] if estimated else []
    if drawn.without:
        notes.append(text("result.trace.without", devices=plain(", ".join(drawn.without))))
    return Traces(
        id="power",
        title=title,
        subtitle=text("result.trace.subtitle"),
        source=text("result.source", run=short(found.run.id), citation=found.citation),
        notes=tuple(notes),
        axis=Axis(text("result.trace.axis"), "W"),
        lines=tuple(
            TimeLine(
                name=plain(f"{line.device} ({line.meter})"),
                t_s=line.t_s,
                values=line.power_w,
                device_class=line.device_class,
            )
            for line in drawn.lines
        ),
        phases=tuple(Phase(*p) for p in _phases(drawn)),
    )


def _budget_chart(found: Result, budgets: Iterable[Budget]) -> Bars | None:
    """The parts of the headline figure's uncertainty, as shares of the figure."""
    own = next(
        (b for b in budgets if (b.of, b.what) == (HEADLINE_METRIC, found.run.energy_class)), None
    )
    if own is None or not own.parts or not own.value:
        return None
    parts = sorted(own.parts.items(), key=lambda item: -item[1])[:MOST_PARTS]
    largest = named("budget", parts[0][0])
    return Bars(
        id="budget",
        title=text("result.budget.chart", part=plain(largest)),
        subtitle=text("result.budget.subtitle"),
        source=text("result.source", run=short(found.run.id), citation=found.citation),
        axis=Axis(text("result.budget.axis"), "", share=True),
        rows=tuple(
            Row(
                label=plain(named("budget", name)),
                value=u / abs(own.value),
                text=f"{100 * u / abs(own.value):.2g} %",
                estimated=found.run.energy_class == ESTIMATED,
            )
            for name, u in parts
        ),
    )


def _table(figures: Sequence[OneFigure]) -> Table:
    columns = ("metric", "of", "value", "U (k = 2)", "unit", "tier", "energy class")
    return Table(
        columns=tuple(Column(name, "") for name in columns),
        rows=tuple(
            (f.metric, f.part, f.value, f.uncertainty, f.unit, f.tier, f.energy_class)
            for f in figures
        ),
    )


def _files(reader: Reader, run_id: str, found: Result) -> dict[str, partial[bytes]]:
    connection, packs = reader
    names = {}
    if found.files.trace:
        names["trace.csv.gz"] = partial(file_of, connection, packs, run_id, "trace")
    if found.files.responses:
        names["responses.csv.gz"] = partial(file_of, connection, packs, run_id, "responses")
    return names


def instances(reader: Reader) -> Iterator[Params]:
    """Every run that counts."""
    query = (
        sa.select(SUBMISSION.c.content_sha256, RUN.c.number)
        .join(SUBMISSION, SUBMISSION.c.id == RUN.c.submission_id)
        .where(RUN.c.counted, SUBMISSION.c.manifest.is_not(None))
        .order_by(RUN.c.id)
    )
    for row in reader.connection.execute(query).all():
        yield {"id": f"{row.content_sha256}-{row.number}"}


KIND = Kind("result", page, instances)
