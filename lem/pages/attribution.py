"""Which choice mattered in one campaign; and where that can't be said, why not, and its arms."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from lem.analysis import attribute as analysis
from lem.analysis.naming import words
from lem.analysis.quantities import NO_POWER_AT_REST
from lem.analysis.text import about, plain, scaled
from lem.archive.queries.answer import CampaignId
from lem.archive.queries.arms import CampaignArms, arms_of_campaign
from lem.archive.queries.attribute import (
    Answered,
    ArmFigure,
    AttributeQuestion,
    Factor,
    Share,
    attribute,
)
from lem.archive.queries.submitted import CampaignAnswer, campaign
from lem.archive.refused import Refused
from lem.archive.schema import CAMPAIGN
from lem.charts.model import AnyChart, Axis, Bars, Intervals, Row, Slope, SlopeLine, Target
from lem.charts.table import Column, Table
from lem.contract.base import Scalar
from lem.contract.submission import Finding
from lem.pages import comparison as made
from lem.pages.compare import compared_with_baseline, first_arms, offered
from lem.pages.doubts import of_campaign
from lem.pages.ids import campaign_id
from lem.pages.kept import kept
from lem.pages.naming import device, model_name, way, workload
from lem.pages.one_figure import by_class, interval, is_energy, name_in_class, named
from lem.pages.page import Kind, Page, Params, Query, Reader
from lem.pages.ranges import ranges
from lem.web.strings import text
from lem.web.words import said_unit

MOST_SLOPES = 6
MOST_LINES = 12
"""Of one chart of slopes."""
MOST_ARMS = 40
ESTIMATED = "estimated"
WIDE = 5
NEWEST = 4
"""Campaigns that are tried for one with shares."""


def page(reader: Reader, params: Params, query: Query) -> Page:
    question = AttributeQuestion.from_query(query)
    connection, packs = reader
    about = campaign(connection, campaign_id(params["campaign"]))
    arms = arms_of_campaign(connection, about.campaign.id)
    try:
        found = attribute(connection, packs, about.campaign.id, question)
    except Refused as e:
        if e.reason != "not_attributable":
            raise
        return _instead(reader, about, arms, question, e)
    charts = list(_charts(found))
    name = plain(about.campaign.name) or text("configuration.campaigns.unnamed")
    return Page(
        template="attribution.html",
        title=text("attribution.title", name=name, id=about.campaign.id[:8]),
        description=plain(" ".join(found.sentences), limit=300),
        context={
            **_context(reader, about, arms, question, name),
            "found": found,
            "ranges": ranges(found.factors),
            "slopes": [c for c in charts if isinstance(c, Slope)],
            "slope_factors": len(found.factors),
            "percent": _percent,
            "told_intervals": any(s.low is not None for s in found.shares),
            "is_estimated": _estimated(found),
        },
        charts={c.id: c for c in charts},
        answer=found,
        table=_table(found),
        head=found,
    )


def shares(reader: Reader, campaign: str, query: Query) -> Bars | None:
    """The chart alone; None where nothing can be told apart. Raises :class:`Refused` where there
    are no shares."""
    question = AttributeQuestion.from_query(query)
    found = attribute(reader.connection, reader.packs, campaign_id(campaign), question)
    return _shares(found) if found.shares else None


class WithShares(NamedTuple):
    campaign: CampaignId
    name: str


def with_shares(reader: Reader, first: Sequence[CampaignId]) -> WithShares | None:
    """A campaign of which shares can be shown: the first of these, else the newest of some."""
    return kept(reader, ("with shares", *first), lambda: _with_shares(reader, first))


def _with_shares(reader: Reader, first: Sequence[CampaignId]) -> WithShares | None:
    for one in dict.fromkeys([*first, *newest(reader.connection)]):
        try:
            found = attribute(reader.connection, reader.packs, one, AttributeQuestion())
        except Refused:
            continue
        if found.shares:
            return WithShares(one, found.name)
    return None


def newest(connection: sa.Connection) -> list[CampaignId]:
    """A few complete campaigns, the newest first."""
    c = CAMPAIGN.c
    query = sa.select(c.owner, c.identity_id).where(c.state == "complete").order_by(c.id.desc())
    return [f"{row.owner}-{row.identity_id}" for row in connection.execute(query.limit(NEWEST))]


def _context(
    reader: Reader,
    about: CampaignAnswer,
    arms: CampaignArms,
    question: AttributeQuestion,
    name: str,
) -> dict[str, Any]:
    return {
        "about": about,
        "arms": arms,
        "question": question,
        "name": name,
        "metrics": offered(arms),
        "compare_query": first_arms(arms),
        "model_name": model_name,
        "way": way,
        "device": device,
        "workload": workload,
        "named": named,
        "counted": _counted,
        "doubts": of_campaign(reader, about.campaign.id),
    }


def _instead(
    reader: Reader,
    about: CampaignAnswer,
    arms: CampaignArms,
    question: AttributeQuestion,
    refusal: Refused,
) -> Page:
    """Without shares: the arms beside the campaign's baseline."""
    name = plain(about.campaign.name) or text("configuration.campaigns.unnamed")
    compared, why = compared_with_baseline(reader, arms, question.metric)
    charts: list[AnyChart] = []
    names: list[str] = []
    if compared is not None:
        names = made.labels(
            [r.configuration for r in compared.rows],
            made.settings_of(reader.connection, compared),
        )
        charts = [made.ratio_chart(compared, names)]
    return Page(
        template="attribution_instead.html",
        title=text("attribution.title", name=name, id=about.campaign.id[:8]),
        description=text("attribution.instead.description", name=name),
        context={
            **_context(reader, about, arms, question, name),
            "why": refusal.message,
            "of_figure": refusal.message == NO_POWER_AT_REST,
            # The hint is the command line's.
            "part": (refusal.hint or "").partition("--where ")[2],
            "compared": compared,
            "why_not_compared": why,
        },
        charts={c.id: c for c in charts},
        answer=arms if compared is None else compared,
        table=None if compared is None else made.table(compared, names),
        head=arms,
    )


def _estimated(found: Answered) -> bool:
    return found.energy_class == ESTIMATED and is_energy(found.metric)


def _kind(found: Answered) -> str:
    """The ending of strings on what ± is: of measured energy and power, of estimates, and of what
    no meter tells."""
    if not is_energy(found.metric):
        return "_scatter"
    return "_estimated" if _estimated(found) else ""


def _metric(found: Answered) -> str:
    return name_in_class(found.metric, found.energy_class)


def _by_class(found: Answered) -> str:
    said = by_class(found.metric, found.energy_class)
    return f" {said}" if said else ""


def _charts(found: Answered) -> Iterator[AnyChart]:
    if found.shares:
        yield _shares(found)
    if found.arms:
        yield _arms(found)
    for number, factor in enumerate(found.factors[:MOST_SLOPES]):
        if (chart := _slope(found, number, factor)) is not None:
            yield chart


def _source(found: Answered, intervals: str) -> str:
    """``intervals``: what they are, a key of ``attribution`` in the catalogue."""
    return text(
        "attribution.source",
        intervals=text(f"attribution.{intervals}"),
        name=plain(found.name),
        blocks=found.blocks,
        hardware=plain(found.hardware),
        citation=found.citation,
    )


def _shares(found: Answered) -> Bars:
    first = found.shares[0]
    return Bars(
        id="shares",
        title=text(
            "attribution.shares.title",
            name=_capital(plain(first.name)),
            share=_percent(first),
            metric=_metric(found),
        ),
        subtitle=text("attribution.shares.subtitle", ranges="; ".join(ranges(found.factors)))
        + _by_class(found),
        source=_source(found, "intervals"),
        notes=tuple(_share_notes(found)),
        axis=Axis(text("attribution.shares.axis"), "", share=True),
        rows=tuple(
            Row(
                label=plain(s.name),
                value=s.share,
                interval=None if s.low is None or s.high is None else (s.low, s.high),
                text=_percent(s),
                estimated=_estimated(found),
            )
            for s in found.shares
        ),
    )


def _share_notes(found: Answered) -> Iterator[str]:
    if any(s.low is None for s in found.shares):
        yield text("attribution.shares.no_interval")
    if names := [plain(s.name) for s in found.shares if s.boards_may_explain]:
        yield text("attribution.shares.boards", names=", ".join(names))
    if found.left_out_blocks:
        yield text("attribution.shares.left_out", n=found.left_out_blocks)


def _capital(text_: str) -> str:
    return text_[:1].upper() + text_[1:]


def _percent(share: Share) -> str:
    fields = share.model_dump() | {"paths": tuple(share.paths)}
    return analysis.percent(analysis.Share(**fields))


def _scale(found: Answered) -> tuple[float, str]:
    factor, unit = scaled(found.unit, [a.value for a in found.arms])
    return factor, said_unit(unit)


def _axis(found: Answered, unit: str) -> Axis:
    """Logarithmic where the arms lie far apart: what a choice does is a factor."""
    return Axis(_metric(found), unit, log=found.spread > WIDE)


def _arms(found: Answered) -> Intervals:
    factor, unit = _scale(found)
    ordered = sorted(found.arms, key=lambda a: a.value)
    notes = [text("attribution.arms.note" + _kind(found)), text("attribution.arms.outermost")]
    if len(ordered) > MOST_ARMS:
        ordered = [*ordered[: MOST_ARMS // 2], *ordered[-MOST_ARMS // 2 :]]
        notes.append(text("attribution.arms.some", shown=MOST_ARMS, all=len(found.arms)))
    return Intervals(
        id="arms",
        title=text(
            "attribution.arms.title",
            spread=about(found.spread),
            most=plain(found.most),
            least=plain(found.least),
        ),
        subtitle=text("attribution.arms.subtitle", metric=_metric(found)) + _by_class(found),
        source=_source(found, "expanded"),
        notes=tuple(notes),
        axis=_axis(found, unit),
        rows=tuple(
            Row(
                label=plain(a.name),
                value=a.value * factor,
                interval=interval(found.metric, a.value, a.uncertainty, factor),
                target=None
                if a.configuration is None
                else Target("configuration", {"id": a.configuration[:16]}),
                estimated=_estimated(found),
            )
            for a in ordered
        ),
    )


def _slope(found: Answered, number: int, factor: Factor) -> Slope | None:
    """From the first to the last value of one choice; a line for each way to make the others."""
    scale, unit = _scale(found)
    first, last = factor.values[0], factor.values[-1]
    by_values = {tuple(map(_key, a.values)): a for a in found.arms}
    lines = []
    for values, arm in by_values.items():
        if values[number] != _key(first):
            continue
        other = by_values.get((*values[:number], _key(last), *values[number + 1 :]))
        if other is not None:
            lines.append(_line(found, number, arm, other, scale))
    if not lines:
        return None
    notes = [text("attribution.slope.note" + _kind(found))]
    if len(factor.values) > 2:
        notes.append(text("attribution.slope.ends", ranges=ranges([factor])[0]))
    if len(lines) > MOST_LINES:
        step = (len(lines) - 1) / (MOST_LINES - 1)
        notes.append(text("attribution.slope.some", shown=MOST_LINES, all=len(lines)))
        lines = [lines[round(i * step)] for i in range(MOST_LINES)]
    return Slope(
        id=f"slope-{number + 1}",
        title=text("attribution.slope.title", noun=plain(factor.noun)),
        subtitle=text("attribution.slope.subtitle", metric=_metric(found)) + _by_class(found),
        source=_source(found, "expanded"),
        notes=tuple(notes),
        axis=_axis(found, unit),
        left=plain(words(factor.path, first)),
        right=plain(words(factor.path, last)),
        lines=tuple(lines),
    )


def _key(value: Scalar) -> str:
    """In Python True equals 1; in a campaign it does not."""
    return f"{type(value).__name__} {value}"


def _line(
    found: Answered, number: int, left: ArmFigure, right: ArmFigure, scale: float
) -> SlopeLine:
    others: Sequence[str] = [
        words(f.path, v)
        for i, (f, v) in enumerate(zip(found.factors, left.values, strict=True))
        if i != number
    ]
    return SlopeLine(
        label=plain(", ".join(others)) or text("attribution.slope.all"),
        left=left.value * scale,
        right=right.value * scale,
        left_interval=interval(found.metric, left.value, left.uncertainty, scale),
        right_interval=interval(found.metric, right.value, right.uncertainty, scale),
        estimated=_estimated(found),
    )


def _table(found: Answered) -> Table:
    names = (
        "choice", "share of log-variance", "low", "high", "boards may explain", "paths",
        "metric", "energy class", "blocks",
    )  # fmt: skip
    return Table(
        columns=tuple(Column(name) for name in names),
        rows=tuple(
            (
                s.name,
                s.share,
                s.low,
                s.high,
                text("result.yes") if s.boards_may_explain else text("result.no"),
                " ".join(s.paths),
                found.metric,
                found.energy_class,
                float(found.blocks),
            )
            for s in found.shares
        ),
    )


def _counted(findings: Sequence[Finding]) -> list[tuple[Finding, int]]:
    """Each once, with how many runs have it; the most frequent first."""
    counts = Counter((f.rule, f.consequence, f.detail) for f in findings)
    one = {(f.rule, f.consequence, f.detail): f for f in findings}
    return [(one[key], n) for key, n in counts.most_common()]


def instances(reader: Reader) -> Iterator[Params]:
    """Every campaign whose lock is here."""
    c = CAMPAIGN.c
    query = sa.select(c.owner, c.identity_id).where(
        sa.func.length(c.lock) > 0, c.state == "complete"
    )
    for row in reader.connection.execute(query.order_by(c.id)).all():
        yield {"campaign": f"{row.owner}-{row.identity_id}"}


KIND = Kind("attribution", page, instances)
