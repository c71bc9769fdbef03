"""Two metrics of all configurations that match, as columns."""

from typing import Annotated, Any, Protocol

import sqlalchemy as sa
from pydantic import Field

from lem.archive.queries.answer import Answer, Metric, head, number_of, unit_of
from lem.archive.queries.filters import Filtered
from lem.archive.queries.selection import Selected, select
from lem.archive.schema import BOARD, CONFIG_SUMMARY

MOST = 20_000
NAMES = ("model", "backend", "device_model")
"""Texts that many configurations share."""


class ScatterQuestion(Filtered):
    x: Metric = "output_throughput_tokens_per_s"
    y: Metric = "energy_per_output_token_j"
    limit: Annotated[int, Field(ge=1, le=MOST)] = MOST


class Pair(Protocol):
    """Of a question about two metrics."""

    @property
    def x(self) -> str: ...
    @property
    def y(self) -> str: ...


class Scatter(Answer):
    """Columns of equal length: the i-th of each are of one configuration."""

    energy_class: str
    x_metric: Metric
    x_unit: str
    y_metric: Metric
    y_unit: str
    configurations: int
    """How many match and have both figures; more than are here where ``complete`` is false."""
    complete: bool
    id: list[str]
    """The first 16 digits of each configuration's id: enough wherever an id is asked for."""
    x: list[float]
    x_uncertainty: list[float | None]
    y: list[float]
    y_uncertainty: list[float | None]
    tier: list[int]
    """1 self-reported, 2 recomputed, 3 replicated."""
    runs: list[int]
    """That count, of this tier; a single figure may be of fewer."""
    submitters: list[int]
    model: list[int]
    """Place in ``models``; likewise the next two."""
    backend: list[int]
    device_model: list[int]
    models: list[str]
    backends: list[str]
    device_models: list[str]


def scatter(connection: sa.Connection, question: ScatterQuestion) -> Scatter:
    """In no order. The database writes each column as one JSON text: building rows of
    Python objects for 20,000 configurations would take most of the time."""
    import orjson

    about = select(connection, question)
    top = head(connection, about.semantics)
    matching = matching_both(question, about)
    if question.limit < MOST:
        matching = matching.order_by(BOARD.c.config_id)
    chosen = matching.limit(question.limit).subquery("chosen")
    on_postgres = connection.dialect.name == "postgresql"
    collect = sa.func.json_agg if on_postgres else sa.func.json_group_array
    columns: dict[str, sa.ColumnElement[object]] = {
        "id": sa.func.substr(chosen.c.hash, 1, 16),
        **{n: chosen.c[n] for n in ("x", "x_uncertainty", "y", "y_uncertainty")},
        **{n: chosen.c[n] for n in ("tier", "runs", "submitters")},
        **{n: chosen.c[n] for n in NAMES},
    }
    texts = [sa.cast(collect(c), sa.Text) for c in columns.values()]
    row = connection.execute(sa.select(sa.func.count(), *texts)).one()
    found = {n: orjson.loads(t) if t else [] for n, t in zip(columns, row[1:], strict=True)}
    names = {}
    for name in NAMES:
        names[name] = sorted(set(found[name]))
        place = {value: i for i, value in enumerate(names[name])}
        found[name] = [place[value] for value in found[name]]
    complete = row[0] < question.limit
    total = row[0] if complete else _count(connection, matching)
    # Not validated once more: the columns are what the database wrote just now.
    return Scatter.model_construct(
        **top.fields(),
        energy_class=about.energy_class,
        x_metric=question.x,
        x_unit=unit_of(question.x),
        y_metric=question.y,
        y_unit=unit_of(question.y),
        configurations=total,
        complete=total <= row[0],
        **found,
        models=names["model"],
        backends=names["backend"],
        device_models=names["device_model"],
    )


def matching_both(question: Pair, about: Selected) -> sa.Select[Any]:
    """Configurations that match and have both figures."""
    b = BOARD.c
    shared: list[sa.ColumnElement[Any]] = [
        b.hash,
        b.runs,
        b.submitters,
        b.model,
        b.backend,
        b.device_model,
    ]
    if not about.tier:
        x, y = b[question.x], b[question.y]
        figures = [x, b[f"{question.x}_u"], y, b[f"{question.y}_u"]]
        source: sa.FromClause = BOARD
        where = [*about.conditions, x.is_not(None), y.is_not(None)]
        shown_tier: sa.ColumnElement[int] = b.tier
    else:
        one, two = CONFIG_SUMMARY.alias("one"), CONFIG_SUMMARY.alias("two")
        figures = [one.c.mean, one.c.expanded, two.c.mean, two.c.expanded]
        source = BOARD.join(one, one.c.config_id == b.config_id)
        source = source.join(two, two.c.config_id == b.config_id)
        where = [*about.conditions]
        for side, metric in ((one, question.x), (two, question.y)):
            where += [side.c.tier == about.tier, side.c.metric == number_of(metric)]
        shown_tier = sa.literal(about.tier)
        shared[1:3] = [one.c.n.label("runs"), one.c.submitters.label("submitters")]
    labels = ("x", "x_uncertainty", "y", "y_uncertainty")
    named = [c.label(n) for c, n in zip(figures, labels, strict=True)]
    query = sa.select(*shared, *named, shown_tier.label("tier"))
    return query.select_from(source).where(*where)


def _count(connection: sa.Connection, matching: sa.Select[Any]) -> int:
    query = sa.select(sa.func.count()).select_from(matching.subquery())
    return int(connection.execute(query).scalar_one())
