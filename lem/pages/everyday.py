"""Energy in everyday terms: what a million answers, or tokens, of a configuration come to."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, model_validator

from lem.analysis.text import plain
from lem.archive.queries.answer import Answer, Configuration, ConfigurationId, Shape, head
from lem.archive.queries.compare import CompareQuestion, compare
from lem.archive.queries.figures import ids_of
from lem.archive.queries.filters import Question
from lem.archive.queries.leaderboard import LeaderboardQuestion, leaderboard
from lem.archive.queries.ratios import Ratio
from lem.archive.refused import Refused
from lem.charts.model import Axis, Intervals, Row, Target
from lem.charts.table import Column, Table
from lem.everyday import factors
from lem.everyday.factors import Factor, Source
from lem.everyday.measured import Per
from lem.everyday.ranges import Range
from lem.everyday.terms import MOST_OVERHEAD, Scenario, Terms, in_terms
from lem.pages import headline
from lem.pages.naming import apart, full
from lem.pages.page import Kind, Page, Params, Query, Reader
from lem.pages.per_million import PER_REQUEST, PER_TOKEN, Known, known
from lem.web.strings import text
from lem.web.words import count, number

OFFERED = 20
"""Configurations that the form offers beside the chosen ones: the first of the board."""
LEAST_SHOWN = 0.1
"""Equivalents of which there are fewer say nothing to anybody."""


class EverydayQuestion(Question):
    id: Annotated[list[ConfigurationId], Field(max_length=4)] = []
    per: Literal["answer", "output_token"] | None = None
    country: Annotated[str, Field(max_length=8)] = "WORLD"
    price: Annotated[str, Field(max_length=40)] = "eu-business"
    own_price: Annotated[float, Field(ge=0, le=100)] | None = None
    """Per kWh in ``currency``; it takes the place of ``price``."""
    currency: Literal["EUR", "USD", "GBP"] = "EUR"
    pue_low: Annotated[float, Field(ge=1, le=MOST_OVERHEAD)] = factors.overhead().low
    pue_high: Annotated[float, Field(ge=1, le=MOST_OVERHEAD)] = factors.overhead().high

    @model_validator(mode="after")
    def _known(self) -> "EverydayQuestion":
        if self.country not in factors.grids():
            raise ValueError(f"country: {self.country!r} is not among those that are known here")
        if self.price not in factors.prices():
            raise ValueError(f"price: {self.price!r} is not among those that are known here")
        if self.pue_low > self.pue_high:
            raise ValueError("pue_low is above pue_high")
        return self

    def scenario(self) -> Scenario:
        price = factors.prices()[self.price]
        own = self.own_price
        return Scenario(
            overhead=Range(self.pue_low, self.pue_high),
            g_per_kwh=factors.grids()[self.country].g_per_kwh,
            price=price.range if own is None else Range(own, own),
            currency=price.currency if own is None else self.currency,
        )


class Ends(Shape):
    low: float
    high: float
    unit: str


class InTerms(Shape):
    """Of a million of what ``per`` says. ``energy`` is what the meter saw, value ± U (k = 2); all
    else holds the data centre's overhead and the range of its own factor, too."""

    configuration: ConfigurationId
    per: Per
    energy_class: str
    energy: Ends
    energy_with_overhead: Ends
    co2e: Ends
    cost: Ends
    equivalents: dict[str, Ends]


class EverydayAnswer(Answer):
    country: str
    overhead: Ends
    rows: list[InTerms]
    ratio: Ratio | None
    """Energy of the second ÷ of the first, where both can be compared."""


class Shown(NamedTuple):
    """One configuration in one group."""

    configuration: Configuration
    known: Known
    terms: Terms


class Line(NamedTuple):
    """One row of the table: a quantity, its cells, and where its factors are from."""

    name: str
    unit: str
    cells: Sequence[Range]
    assumption: str
    sources: Sequence[Source]


class Group(NamedTuple):
    """A million of one thing."""

    per: Per
    shown: Sequence[Shown]
    lines: Sequence[Line]


class Option(NamedTuple):
    value: str
    shown: str
    chosen: bool


def everyday(reader: Reader, params: Params, query: Query) -> Page:
    """Raises :class:`BadInput` and :class:`Refused` (404)."""
    question = EverydayQuestion.from_query(query)
    offered = _offered(reader)
    ids = question.id or [one.id for one in offered[:2]]
    keys = list(dict.fromkeys(ids_of(reader.connection, ids)))
    every = known(reader, keys)
    # Figures of other device classes are other quantities: side by side they would mislead.
    classes = [one.configuration.energy_class for one in every]
    alike = [one for one, c in zip(every, classes, strict=True) if c == classes[0]]
    per = _per(question, alike)
    groups = [g for p in _unique(per, "correct_answer") if (g := _group(p, alike, question))]
    ratio = _ratio(reader, groups[0].shown, per) if groups and groups[0].per == per else None
    top = head(reader.connection)
    charts = [_chart(groups[0], top.citation)] if groups and groups[0].per == per else []
    return Page(
        template="everyday.html",
        title=text("everyday.title"),
        description=text("everyday.description"),
        context={
            "question": question,
            "per": per,
            "groups": groups,
            "ratio": ratio,
            "missing": [(k, k.reasons[per]) for k in alike if per in k.reasons],
            "no_answers": [(k, k.reasons["answer"]) for k in alike if "answer" in k.reasons]
            if per != "answer"
            else [],
            "left_out": [one for one in every if one not in alike],
            "models": len({one.configuration.model_content for one in alike}),
            "fields": _fields(question, [k.configuration for k in every], offered),
            "countries": [
                Option(g.code, g.name, g.code == question.country) for g in factors.grids().values()
            ],
            "prices": [
                Option(p.id, p.name, p.id == question.price and question.own_price is None)
                for p in factors.prices().values()
            ],
            "grids": list(factors.grids().values()),
            "full": full,
            "ends": ends,
            "kind": _kind,
            "scaled": scaled,
        },
        charts={chart.id: chart for chart in charts},
        answer=EverydayAnswer(
            **top.fields(),
            country=question.country,
            overhead=Ends(low=question.pue_low, high=question.pue_high, unit="1"),
            rows=[_answer(one, group.per) for group in groups for one in group.shown],
            ratio=ratio,
        ),
        table=_table(groups),
        head=top,
    )


def _offered(reader: Reader) -> list[Configuration]:
    """What the form offers: the headline's two first, then the first of the board."""
    found: dict[str, Configuration] = {}
    top = headline.headline(reader)
    if top is not None:
        found = {one.configuration.id: one.configuration for one in (top.more, top.less)}
    board = leaderboard(reader.connection, LeaderboardQuestion(limit=OFFERED))
    return list((found | {p.configuration.id: p.configuration for p in board.rows}).values())


def _per(question: EverydayQuestion, alike: Sequence[Known]) -> Per:
    """What was asked for; else answers, where there is an answer's energy of all of them."""
    if question.per is not None:
        return question.per
    return "answer" if alike and all("answer" in k.measured for k in alike) else "output_token"


def _unique(*pers: Per) -> Iterator[Per]:
    yield from dict.fromkeys(pers)


def _group(per: Per, alike: Sequence[Known], question: EverydayQuestion) -> Group | None:
    scenario = question.scenario()
    shown = [
        Shown(k.configuration, k, in_terms(k.measured[per], scenario))
        for k in alike
        if per in k.measured
    ]
    return Group(per, shown, list(_lines(shown, question))) if shown else None


def _lines(shown: Sequence[Shown], question: EverydayQuestion) -> Iterator[Line]:
    def line(
        name: str, unit: str, of: Callable[[Terms], Range], told: str, *sources: Source
    ) -> Line:
        return Line(name, unit, [of(one.terms) for one in shown], told, sources)

    kind = _kind(shown)
    grid = factors.grids()[question.country]
    price = factors.prices()[question.price]
    own = question.own_price is not None
    yield line(
        text(f"everyday.energy{kind}"),
        "kWh",
        lambda t: t.device_kwh,
        text(f"everyday.energy_is{kind}"),
    )
    yield line(
        text("everyday.place"),
        "kWh",
        lambda t: t.place_kwh,
        text("everyday.place_is", low=number(question.pue_low), high=number(question.pue_high)),
        *(one.source for one in factors.overheads()),
    )
    yield line(
        text("everyday.co2e", country=grid.name),
        "kg",
        lambda t: t.co2e_kg,
        text(
            "everyday.co2e_is",
            figures="; ".join(
                f"{number(one.value)} g/kWh ({one.assumption}, {one.source.year})"
                for one in grid.published
            ),
        ),
        *(one.source for one in grid.published),
    )
    yield line(
        text("everyday.cost"),
        shown[0].terms.currency,
        lambda t: t.cost,
        text("everyday.own_price") if own else f"{price.name}: {price.assumption}.",
        *(() if own else (price.source,)),
    )
    for i, factor in enumerate(factors.equivalents()):
        cells = [one.terms.equivalents[i].number for one in shown]
        if max(cell.high for cell in cells) >= LEAST_SHOWN:
            yield Line(factor.name, "", cells, _each(factor), (factor.source,))


def _kind(shown: Sequence[Shown]) -> str:
    """How the catalogue's keys end that speak of where these figures are from."""
    return "_estimated" if shown[0].terms.measured.estimated else ""


def _each(factor: Factor) -> str:
    low, high = number(factor.range.low), number(factor.range.high)
    return text(
        "everyday.each",
        kwh=low if low == high else f"{low} to {high}",
        unit=factor.unit,
        assumption=factor.assumption,
    )


def _ratio(reader: Reader, shown: Sequence[Shown], per: Per) -> Ratio | None:
    """Of the second to the first: the archive's own, not that of the ranges, in which assumptions
    that both share would count twice."""
    if len(shown) != 2:
        return None
    question = CompareQuestion(
        id=[one.configuration.id for one in shown],
        metric="energy_per_request_j" if per == "answer" else "energy_per_output_token_j",
    )
    assert question.metric == (PER_REQUEST if per == "answer" else PER_TOKEN)
    try:
        found = compare(reader.connection, reader.packs, question)
    except Refused:
        return None
    return found.rows[1].ratio


def _fields(
    question: EverydayQuestion, chosen: Sequence[Configuration], offered: Sequence[Configuration]
) -> list[list[Option]]:
    """The form's choices of configurations: one for each that is chosen, two at least."""
    every = list({one.id: one for one in (*chosen, *offered)}.values())
    named = list(zip(every, apart(every), strict=True))
    return [
        [
            Option(one.id[:16], name, i < len(chosen) and one.id == chosen[i].id)
            for one, name in named
        ]
        for i in range(max(2, len(chosen)))
    ]


def _chart(group: Group, source: str) -> Intervals:
    factor, unit = scaled([one.terms.device_kwh for one in group.shown], "kWh")
    return Intervals(
        id="energy",
        title=text(
            f"everyday.chart{_kind(group.shown)}", per=text(f"everyday.million.{group.per}")
        ),
        subtitle=text(
            f"everyday.chart_is{_kind(group.shown)}",
            energy_class=text(f"class.{group.shown[0].configuration.energy_class}"),
        ),
        source=source,
        axis=Axis(text(f"everyday.energy{_kind(group.shown)}"), unit),
        rows=tuple(
            Row(
                label=plain(full(one.configuration)),
                value=one.terms.measured.value_j / 3.6 * factor,
                interval=(one.terms.device_kwh.low * factor, one.terms.device_kwh.high * factor),
                target=Target("configuration", {"id": one.configuration.id[:16]}),
                estimated=one.terms.measured.estimated,
            )
            for one in group.shown
        ),
    )


def scaled(cells: Sequence[Range], unit: str) -> tuple[float, str]:
    """A factor and the unit in which these read well: 0.02 kWh is 20 Wh."""
    small = {"kWh": "Wh", "kg": "g"}
    if unit in small and max(cell.high for cell in cells) < LEAST_SHOWN:
        return 1000.0, small[unit]
    return 1.0, unit


def ends(found: Range, factor: float = 1.0) -> str:
    """``0.29 to 0.31``, rounded outwards to two digits; ``less than 0.31`` from zero on."""
    shown = (found * factor).outward()
    low, high = _two_digits(shown.low), _two_digits(shown.high)
    if low == high:
        return low
    return text("everyday.ends" if shown.low else "everyday.below", low=low, high=high)


def _two_digits(value: float) -> str:
    if value >= 1000:
        return count(round(value))
    return f"{value:.{max(0, 1 - math.floor(math.log10(value)))}f}" if value else "0"


def _answer(one: Shown, per: Per) -> InTerms:
    t = one.terms

    def e(found: Range, unit: str) -> Ends:
        return Ends(low=found.low, high=found.high, unit=unit)

    return InTerms(
        configuration=one.configuration.id,
        per=per,
        energy_class=t.measured.energy_class,
        energy=e(t.device_kwh, "kWh"),
        energy_with_overhead=e(t.place_kwh, "kWh"),
        co2e=e(t.co2e_kg, "kg"),
        cost=e(t.cost, t.currency),
        equivalents={
            q.factor.id: e(q.number, q.factor.unit.partition("/")[2]) for q in t.equivalents
        },
    )


def _table(groups: Sequence[Group]) -> Table:
    names = ("configuration", "name", "a million", "quantity", "low", "high", "unit")
    return Table(
        columns=(*(Column(n, "") for n in names), Column("energy class", "")),
        rows=tuple(
            (
                one.configuration.id,
                full(one.configuration),
                text(f"everyday.million.{group.per}"),
                line.name,
                line.cells[i].low,
                line.cells[i].high,
                line.unit,
                one.configuration.energy_class,
            )
            for group in groups
            for i, one in enumerate(group.shown)
            for line in group.lines
        ),
    )


KIND = Kind("everyday", everyday)
