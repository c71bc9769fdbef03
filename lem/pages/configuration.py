"""One configuration: its figures, who measured them, how they agree, its settings and its runs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import sqlalchemy as sa

from lem.analysis.quantities import can_be_known
from lem.analysis.text import plain, scaled
from lem.archive.queries.answer import (
    TIER_NUMBERS,
    CampaignId,
    Configuration,
    Figure,
    Metric,
    unit_of,
)
from lem.archive.queries.arms import arms_in_short
from lem.archive.queries.assumed import of_configuration
from lem.archive.queries.configurations import ConfigurationAnswer, configuration
from lem.archive.queries.cursor import CursorText
from lem.archive.queries.filters import Question
from lem.archive.queries.neighbours import Neighbours, neighbours
from lem.archive.queries.results import ResultsQuestion, results
from lem.archive.schema import CONFIG
from lem.charts.model import AnyChart, Axis, Intervals, Mark, Row, Scatter, Series, Target
from lem.charts.table import Column, Table
from lem.pages.again import FILE, again
from lem.pages.assumed import sentence
from lem.pages.ids import configuration_id
from lem.pages.naming import device, full, model_name, way, workload
from lem.pages.one_figure import interval, metric_name, name_in_class, named
from lem.pages.page import Kind, Page, Params, Query, Reader
from lem.pages.settings import sections
from lem.web.strings import text
from lem.web.words import figure as in_words
from lem.web.words import said_unit

HEADLINE_METRIC: Metric = "energy_per_output_token_j"
SHOWN_RUNS = 10
MOST_SUBMITTERS = 40
"""Rows of one chart or table."""
MOST_PAIRS = 40
MOST_CAMPAIGNS = 8
ESTIMATED = "estimated"


class RunsOf(Question):
    """Which of its runs the table shows."""

    cursor: CursorText | None = None


class InCampaign(NamedTuple):
    id: CampaignId
    name: str
    submitter: str
    is_baseline: bool
    baseline: Configuration | None
    """What the campaign compares with; None where that is not known or has no run that counts."""
    others: int
    """Configurations that it has beside this one."""
    locked: bool


def page(reader: Reader, params: Params, query: Query) -> Page:
    question = RunsOf.from_query(query)
    connection = reader.connection
    wanted = configuration_id(params["id"])
    found = configuration(connection, wanted, (HEADLINE_METRIC,))
    own = found.configuration
    runs = results(
        connection,
        ResultsQuestion(configuration=own.id, limit=SHOWN_RUNS, cursor=question.cursor),
    )
    beside = neighbours(connection, own.id, HEADLINE_METRIC)
    figures = [f for f in found.figures if can_be_known(f.metric, f.energy_class)]
    best = _best(figures)
    headline = best.get(HEADLINE_METRIC)
    charts = _charts(found, beside, headline)
    return Page(
        template="configuration.html",
        title=text("configuration.title", name=full(own), id=own.id[:12]),
        description=_description(own, headline),
        context={
            "found": found,
            "configuration": own,
            "headline": headline,
            "estimate": _estimate(reader, own, headline),
            "best": list(best.values()),
            "others": [f for f in figures if best[f.metric] is not f],
            "wide": any(in_words(f).cut for f in best.values()),
            "beside": beside,
            "submitters": found.submitters[:MOST_SUBMITTERS],
            "replications": found.replications[:MOST_PAIRS],
            "ratio_replications": found.ratio_replications[:MOST_PAIRS],
            "runs": runs,
            "later": question.cursor is not None,
            "campaigns": _campaigns(connection, found),
            "every_campaign": len(_campaign_ids(found)),
            "sections": sections(found.experiment),
            "again": again(found.experiment),
            "again_file": FILE,
            "model_name": model_name,
            "way": way,
            "device": device,
            "workload": workload,
            "metric_name": metric_name,
            "named": named,
        },
        charts={c.id: c for c in charts},
        answer=lambda: configuration(connection, wanted),
        table=_table(figures),
        head=found,
    )


def _estimate(reader: Reader, own: Configuration, headline: Figure | None) -> str:
    """That its energy is estimated, and how; empty where it is measured."""
    if headline is None or headline.energy_class != ESTIMATED:
        return ""
    tier = TIER_NUMBERS[headline.tier]
    return sentence(of_configuration(reader.connection, reader.packs, own.id, tier))


def _best(figures: Iterable[Figure]) -> dict[str, Figure]:
    """Metric → its figure of the best tier, which comes first."""
    best: dict[str, Figure] = {}
    for figure in figures:
        best.setdefault(figure.metric, figure)
    return best


def _description(own: Configuration, headline: Figure | None) -> str:
    if headline is None:
        return text("configuration.description_without", name=full(own))
    said = in_words(headline)
    return text(
        "configuration.description",
        name=full(own),
        figure=f"{said.value} {said.unit}",
        energy_class=text(f"class.{headline.energy_class}"),
    )


def _charts(
    found: ConfigurationAnswer, beside: Neighbours, headline: Figure | None
) -> Iterator[AnyChart]:
    if headline is None:
        return
    if len(found.submitters) > 1:
        yield _submitters(found, headline)
    if len(beside.rows) > 1:
        yield _beside(found, beside)
    if len(found.history) > 1:
        yield _history(found)


def _axis(values: Iterable[float], energy_class: str) -> tuple[float, Axis]:
    factor, unit = scaled(unit_of(HEADLINE_METRIC), values)
    return factor, Axis(name_in_class(HEADLINE_METRIC, energy_class), said_unit(unit))


def _submitters(found: ConfigurationAnswer, headline: Figure) -> Intervals:
    """Each submitter's figure, also those that disagree."""
    own = [
        (s, f)
        for s in found.submitters[:MOST_SUBMITTERS]
        for f in s.figures
        if f.metric == HEADLINE_METRIC
    ]
    factor, axis = _axis([headline.value, *(f.value for _, f in own)], headline.energy_class)
    every = [headline, *(f for _, f in own)]
    mean = text("configuration.submitters.mean")
    of = text(
        "configuration.submitters.mean_of",
        runs=headline.runs,
        submitters=headline.submitters,
        tier=_tier(headline.tier),
    )
    rows = [_row(mean, of, headline, factor, emphasis=True, among=every)]
    rows += [
        _row(
            plain(s.submitter),
            text("configuration.submitters.sub", runs=s.runs, tier=_tier(s.best_tier)),
            f,
            factor,
            among=every,
        )
        for s, f in own
    ]
    disagrees = found.configuration.disagrees
    return Intervals(
        id="submitters",
        title=text(f"configuration.submitters.{'disagree' if disagrees else 'title'}"),
        subtitle=text(
            "configuration.submitters.subtitle",
            energy_class=text(f"class.{found.configuration.energy_class}"),
        ),
        source=found.citation,
        axis=axis,
        rows=tuple(rows),
    )


def _tier(name: str) -> str:
    return text(f"tier.{name}.name")


def _row(
    label: str,
    sublabel: str,
    figure: Figure,
    factor: float,
    target: Target | None = None,
    emphasis: bool = False,
    among: Sequence[Figure] = (),
) -> Row:
    """``among``: the figures of all rows, which share the unit."""
    said = in_words(figure, among)
    return Row(
        label=label,
        sublabel=sublabel,
        value=figure.value * factor,
        interval=interval(figure.metric, figure.value, figure.uncertainty, factor),
        text=f"{said.value} {said.unit}",
        target=target,
        emphasis=emphasis,
        estimated=figure.energy_class == ESTIMATED,
    )


def _beside(found: ConfigurationAnswer, beside: Neighbours) -> Intervals:
    factor, axis = _axis([n.figure.value for n in beside.rows], found.configuration.energy_class)
    own = found.configuration
    return Intervals(
        id="neighbours",
        title=text("configuration.neighbours.title", n=beside.configurations),
        subtitle=text(
            "configuration.neighbours.subtitle",
            shown=len(beside.rows),
            model=model_name(own),
            device=device(own),
            energy_class=text(f"class.{own.energy_class}"),
        ),
        source=found.citation,
        notes=(text("configuration.neighbours.note"),),
        axis=axis,
        rows=tuple(
            _row(
                way(n.configuration),
                workload(n.configuration),
                n.figure,
                factor,
                target=None
                if n.configuration.id == own.id
                else Target("configuration", {"id": n.configuration.id[:16]}),
                emphasis=n.configuration.id == own.id,
                among=[n.figure for n in beside.rows],
            )
            for n in beside.rows
        ),
    )


def _history(found: ConfigurationAnswer) -> Scatter:
    factor, axis = _axis([d.mean for d in found.history], found.configuration.energy_class)
    first = date.fromisoformat(found.history[0].date)
    marks = [
        Mark(
            label=day.date if day in (found.history[0], found.history[-1]) else "",
            x=float((date.fromisoformat(day.date) - first).days),
            y=day.mean * factor,
            y_interval=(day.least * factor, day.most * factor),
            title=text("configuration.history.mark", day=day.date, runs=day.runs),
            estimated=found.configuration.energy_class == ESTIMATED,
        )
        for day in found.history
    ]
    return Scatter(
        id="history",
        title=text(
            "configuration.history.title",
            first=found.history[0].date,
            last=found.history[-1].date,
        ),
        subtitle=text(
            "configuration.history.subtitle",
            energy_class=text(f"class.{found.configuration.energy_class}"),
        ),
        source=found.citation,
        x=Axis(text("configuration.history.days", first=found.history[0].date), "d"),
        y=axis,
        series=(Series(text("configuration.history.series"), tuple(marks), joined=True),),
    )


def _campaign_ids(found: ConfigurationAnswer) -> dict[CampaignId, str]:
    """Campaign → its submitters."""
    campaigns: dict[CampaignId, list[str]] = {}
    for s in found.submitters:
        for c in s.campaigns:
            campaigns.setdefault(c, []).append(s.submitter)
    return {c: ", ".join(names) for c, names in campaigns.items()}


def _campaigns(connection: sa.Connection, found: ConfigurationAnswer) -> list[InCampaign]:
    own = found.configuration
    shown = dict(list(_campaign_ids(found).items())[:MOST_CAMPAIGNS])
    listed = []
    for campaign, arms in arms_in_short(connection, list(shown)).items():
        submitter = shown[campaign]
        mine = any(b.id == own.id for b in arms.baselines)
        same_class = [b for b in arms.baselines if b.energy_class == own.energy_class]
        listed.append(
            InCampaign(
                id=campaign,
                name=plain(arms.name),
                submitter=plain(submitter),
                is_baseline=mine,
                baseline=same_class[0] if same_class and not mine else None,
                others=max(0, arms.every - 1),
                locked=arms.locked,
            )
        )
    return listed


def _table(figures: Sequence[Figure]) -> Table:
    names = (
        "metric", "unit", "value", "U (k = 2)", "why no U", "runs", "submitters", "tier",
        "energy class", "best run", "newest run",
    )  # fmt: skip
    return Table(
        columns=tuple(Column(name, "") for name in names),
        rows=tuple(
            (
                f.metric,
                f.unit,
                f.value,
                f.uncertainty,
                f.why_no_uncertainty,
                f.runs,
                f.submitters,
                f.tier,
                f.energy_class,
                f.best_run,
                f.newest_run,
            )
            for f in figures
        ),
    )


def instances(reader: Reader) -> Iterator[Mapping[str, Any]]:
    """Every configuration, by the first 16 digits of its id, as pages link to it."""
    for found in reader.connection.scalars(sa.select(CONFIG.c.hash).order_by(CONFIG.c.hash)).all():
        yield {"id": found[:16]}


KIND = Kind("configuration", page, instances)
