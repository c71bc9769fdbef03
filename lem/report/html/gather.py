"""Everything that the report of a campaign folder says, from the code that the commands of ``lem
results`` are made of: no figure is computed here."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from lem.analysis.comparison import Comparison
from lem.analysis.naming import readable_names
from lem.analysis.results import Campaign
from lem.analysis.text import capital, plain
from lem.charts.model import AnyChart
from lem.contract.record import Record
from lem.errors import BadInput
from lem.meters.sampling import trace
from lem.report import comparison_charts, front, load_curve, power_traces, shares, slopes
from lem.report.footnotes import footnotes
from lem.report.html.arms import arms_table
from lem.report.html.budgets import BudgetsOf, between_runs, within_a_run
from lem.report.html.cells import Grid
from lem.report.html.environment import Surroundings, surroundings
from lem.report.html.finding import Finding, finding
from lem.report.html.origin import Origin, origin
from lem.report.html.quality import quality_table
from lem.report.html.runs import Runs, representatives, runs_of
from lem.report.quality_notes import about_quality
from lem.web.strings import text

TRACE = "trace.csv.gz"
MOST_TRACES = 12
"""Arms of which a trace is drawn: each is some ten kilobytes."""
T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """A section that may be missing, with what it says in words, or why it is missing."""

    charts: tuple[AnyChart, ...] = ()
    sentences: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    missing: str = ""

    def __bool__(self) -> bool:
        return bool(self.charts or self.sentences or self.missing)


@dataclass(frozen=True)
class Report:
    name: str
    finding: Finding
    comparison: Comparison | None
    estimated: bool
    """Whether energy here is modelled, not measured."""
    provisional: str
    """How many blocks of how many are there, in words; empty where all are."""
    models: tuple[str, ...]
    hardware: str
    ratios: Part
    """One chart for each quantity; ``sentences``: what is known of each arm."""
    arms: Grid
    arms_notes: tuple[str, ...]
    fronts: Part
    shares: Part
    load: Part
    quality: Grid
    quality_notes: tuple[str, ...]
    traces: Part
    budget: Grid
    budget_parts: Grid
    runs: Runs
    surroundings: Surroundings
    origin: Origin


def gather(
    campaign: Campaign,
    budgets_of: BudgetsOf,
    baseline: str | None = None,
    hardware: str | None = None,
    progress: Callable[[str], None] = lambda what: None,
) -> Report:
    """``baseline``, ``hardware``: as :meth:`Campaign.compare` has them; ``progress``: told what is
    being done. Raises :class:`BadInput` where the folder has no arm, or the baseline is none; where
    nothing can be compared, the report says why."""
    names = readable_names(campaign.arms())
    progress("comparing the arms")
    comparison, problem = _compared(campaign, baseline, hardware)
    found = representatives(campaign, comparison)
    records = {arm_id: record for arm_id, (_, record) in found.items()}
    c = comparison
    progress("drawing")
    return Report(
        name=plain(campaign.name),
        finding=Finding(problem) if c is None else _shown(finding(c)),
        comparison=c,
        estimated=c is not None and c.estimated,
        provisional="" if c is None else _provisional(c),
        models=tuple(dict.fromkeys(plain(r.experiment.model.id) for r in records.values())),
        hardware=plain(c.hardware) if c is not None else "",
        ratios=Part() if c is None else _ratios(c),
        arms=Grid((), ()) if c is None else arms_table(c),
        arms_notes=() if c is None else _plain(footnotes(c)),
        fronts=_fronts(campaign, hardware),
        shares=_shares(campaign, hardware),
        load=_load(campaign, hardware),
        quality=Grid((), ()) if c is None else quality_table(c),
        quality_notes=() if c is None else _plain(about_quality(c)),
        traces=_traces(campaign, found, names, progress),
        budget=Grid((), ()) if c is None else between_runs(c),
        budget_parts=within_a_run(records, names, budgets_of),
        runs=runs_of(campaign, names),
        surroundings=surroundings(list(records.values())),
        origin=origin(campaign.folder, campaign.lock),
    )


def _compared(
    campaign: Campaign, baseline: str | None, hardware: str | None
) -> tuple[Comparison | None, str]:
    """The comparison, or why there is none. A baseline that is asked for has to be one."""
    try:
        return campaign.compare(baseline, hardware=hardware), ""
    except BadInput as e:
        if baseline is not None or hardware is not None or not campaign.rows([]):
            raise
        hint = f" ({e.hint})" if e.hint else ""
        return None, text("report.finding.not_compared", reason=plain(f"{e.message}{hint}", 1000))


def _shown(found: Finding) -> Finding:
    return replace(found, sentence=plain(found.sentence, 1000))


def _plain(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(plain(line, 2000) for line in lines)


def _provisional(c: Comparison) -> str:
    if not c.provisional:
        return ""
    planned = c.blocks_planned
    if planned and planned > 1:
        return text("report.provisional.of", done=c.blocks_done, planned=planned)
    return text("report.provisional.only", done=c.blocks_done)


def _or_none(make: Callable[[], T]) -> tuple[T | None, str]:
    """What it makes, or why it cannot be made of this campaign."""
    try:
        return make(), ""
    except BadInput as e:
        return None, plain(e.message, 1000)


def _ratios(c: Comparison) -> Part:
    """What the charts show, the page says above them: their titles are what is drawn."""
    charts = (
        replace(
            comparison_charts.ratios(c, q),
            title=text("report.ratios.title", noun=capital(q.noun), baseline=c.baseline_name),
        )
        for q in c.quantities
        if any(q.key in a.ratios for a in c.arms)
    )
    return Part(tuple(charts), _plain(c.sentences))


def _fronts(campaign: Campaign, hardware: str | None) -> Part:
    """Energy against throughput, and against latency where runs have one."""
    charts: list[AnyChart] = []
    sentences: list[str] = []
    for x in ("throughput", "latency"):
        found, _ = _or_none(partial(campaign.pareto, x, "energy", None, hardware))
        if found is not None:
            charts.append(replace(front.chart(found), id=f"front-{x}"))
            # The first is the chart's title.
            sentences += found.sentences[1:]
    return Part(tuple(charts), _plain(sentences))


def _shares(campaign: Campaign, hardware: str | None) -> Part:
    swept = {p for a in campaign.arms() for p in a.settings}
    found, why = _or_none(lambda: campaign.attribute(None, None, hardware))
    if found is None:
        # Of one parameter there is nothing to share out.
        return Part(missing=why) if len(swept) > 1 else Part()
    if len(found.factors) < 2:
        return Part()
    metrics = list(dict.fromkeys(one.quantity.metric for one in found.found))
    gathered = campaign.gathered(metrics, None, hardware)
    charts: list[AnyChart] = []
    for one in found.found:
        if one.shares:
            charts += [shares.chart(found, one), *slopes.charts(gathered, found, one)]
    return Part(tuple(charts), _plain(found.sentences), _plain(shares.footnotes(found)))


def _load(campaign: Campaign, hardware: str | None) -> Part:
    found, _ = _or_none(lambda: campaign.curves(None, None, hardware))
    if not found:
        return Part()
    charts = []
    for curve in found:
        title = text("report.load.title", load=curve.noun)
        charts.append(replace(load_curve.chart(curve), title=title))
    return Part(tuple(charts), _plain(s for curve in found for s in curve.sentences))


def _traces(
    campaign: Campaign,
    found: dict[str, tuple[str, Record]],
    names: dict[str, str],
    progress: Callable[[str], None],
) -> Part:
    charts: list[AnyChart] = []
    notes: list[str] = []
    for arm_id, (path, record) in list(found.items())[:MOST_TRACES]:
        progress(f"reading the trace of {names[arm_id]}")
        samples, why = _or_none(partial(trace.read, campaign.folder / path / TRACE))
        chart = power_traces.chart(record, samples or [], names[arm_id])
        if chart is None:
            reason = why or text("report.traces.no_power")
            notes.append(text("report.traces.none", arm=plain(names[arm_id]), reason=reason))
        else:
            charts.append(chart)
    if (more := len(found) - MOST_TRACES) > 0:
        notes.append(text("report.traces.more", n=more))
    return Part(tuple(charts), notes=tuple(notes))
