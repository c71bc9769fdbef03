"""The leaderboard: filters, a scatter, and a table with ranks."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from lem.analysis.quantities import DIFFERENCES, can_be_known
from lem.analysis.text import plain, scaled
from lem.archive.columns import Floats
from lem.archive.queries import sizes
from lem.archive.queries.answer import Metric, unit_of
from lem.archive.queries.facets import Count, Facets, FacetsQuestion, facets
from lem.archive.queries.filters import Filtered
from lem.archive.queries.leaderboard import Leaderboard, LeaderboardQuestion, leaderboard
from lem.archive.queries.selection import select
from lem.archive.schema import DIMENSIONS
from lem.charts.model import Axis, Mark, Scatter, Series, Target
from lem.charts.table import Column, Table
from lem.charts.theme import colours_of
from lem.pages.naming import device, model_name, way, workload
from lem.pages.one_figure import interval, is_energy, name_in_class
from lem.pages.page import Kind, Page, Params, Query, Reader
from lem.web.strings import text
from lem.web.words import said_unit

SHOWN_POINTS = 40
"""Of the scatter without JavaScript; the table and the island have all."""
FIRST_FILTERS = ("device_model", "backend", "dtype")
MORE_FILTERS = (
    "model",
    sizes.NAME,
    "quantization",
    "dataset",
    "arrival",
    "load",
    "max_batch_size",
    "tensor_parallel_size",
    "device_count",
    "engine_version",
    "meter_class",
    "weights",
)
ALWAYS = (sizes.NAME,)
"""Further filters that are shown where they have one value alone, too."""
METRICS: tuple[Metric, ...] = (
    "energy_per_output_token_j",
    "energy_per_request_j",
    "energy_per_total_token_j",
    "energy_above_idle_per_output_token_j",
    "mean_power_w",
    "output_throughput_tokens_per_s",
    "ttft_p50_s",
    "ttft_p99_s",
    "itl_p50_s",
    "itl_p99_s",
    "e2e_latency_p50_s",
    "nll_per_token",
)


class ExploreQuestion(LeaderboardQuestion):
    """What the API's leaderboard takes, and the axes of the scatter."""

    x: Metric = "output_throughput_tokens_per_s"
    y: Metric | None = None
    """By default the metric that the board is ordered by."""
    colour: Literal["backend", "model", "device_model", "precision", "tier"] = "backend"
    """Of the island's points; likewise the next two. The chart without JavaScript has its own."""
    x_scale: Literal["log", "linear"] | None = None
    y_scale: Literal["log", "linear"] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50


_OF_THE_CHART = ("x", "y", "colour", "x_scale", "y_scale")


class Choice(NamedTuple):
    value: str
    shown: str
    configurations: int
    chosen: bool


class Filter(NamedTuple):
    name: str
    choices: Sequence[Choice]
    chosen: bool


def explore(reader: Reader, params: Params, query: Query) -> Page:
    question = ExploreQuestion.from_query(_as_filters(query))
    own = question.model_dump(by_alias=True, exclude={"where", *_OF_THE_CHART}, exclude_none=True)
    board = leaderboard(
        reader.connection, LeaderboardQuestion.model_validate({**own, "where": question.where})
    )
    filtered = {k: v for k, v in own.items() if k not in ("metric", "limit", "cursor")}
    counts = facets(
        reader.connection, FacetsQuestion.model_validate({**filtered, "where": question.where})
    )
    chart, points = _scatter(reader, question, board)
    where = question.where
    return Page(
        template="explore.html",
        title=text("explore.title"),
        description=text("explore.description"),
        context={
            "question": question,
            "board": board,
            "facets": counts,
            "first": [_filter(n, counts, where) for n in FIRST_FILTERS],
            "more": [f for n in MORE_FILTERS if _is_shown(f := _filter(n, counts, where))],
            "filtered": bool(where or filtered),
            "metrics": [
                m
                for m in METRICS
                if can_be_known(m, board.chosen.energy_class) or m in (question.metric, question.x)
            ],
            "among": [p.figure for p in board.rows],
            "points": points,
            "kept": [p for p in query if p[0] not in ("cursor",)],
            "paths": {k: v for k, v in where.items() if k not in (*DIMENSIONS, sizes.NAME)},
            "explorer": Target("explore"),
            "model_name": model_name,
            "way": way,
            "device": device,
            "workload": workload,
        },
        charts={chart.id: chart},
        answer=board,
        table=_table(board),
        head=board,
    )


def _as_filters(query: Query) -> list[tuple[str, str]]:
    """A form says with ``null`` what the API says with an empty value: not set."""
    return [(n, "" if v == "null" and n in DIMENSIONS else v) for n, v in query]


def _filter(name: str, counts: Facets, where: Mapping[str, Sequence[str]]) -> Filter:
    chosen = set(where.get(name, ()))
    choices = [_choice(count, chosen) for count in counts.dimensions[name]]
    there = {c.value for c in choices}
    # What was asked for stays to be seen, and taken back, where nothing has it.
    choices += [
        Choice(v or "null", plain(v) or text("explore.not_set"), 0, True)
        for v in sorted(chosen)
        if (v or "null") not in there
    ]
    return Filter(name, choices, bool(chosen))


def _is_shown(found: Filter) -> bool:
    """Whether there is something to choose, or to be known."""
    least = 1 if found.name in ALWAYS else 2
    return found.chosen or len(found.choices) >= least


def _choice(count: Count, chosen: set[str]) -> Choice:
    value = "" if count.value is None else str(count.value)
    shown = text("explore.not_set") if value == "" else plain(value)
    return Choice(value or "null", shown, count.configurations, value in chosen)


def _scatter(reader: Reader, question: ExploreQuestion, board: Leaderboard) -> tuple[Scatter, int]:
    """At most :data:`SHOWN_POINTS`: every so many of all that match, in the order of their ids."""
    y_metric = question.y or question.metric
    x_metric = question.x if question.x != y_metric else "ttft_p50_s"
    about = select(
        reader.connection,
        Filtered.model_validate(
            question.model_dump(by_alias=True, include=set(Filtered.model_fields) - {"where"})
            | {"where": question.where}
        ),
    )
    rows = about.with_figures(x_metric, y_metric)
    total = len(rows)
    if total > SHOWN_POINTS:
        rows = rows[np.linspace(0, total - 1, SHOWN_POINTS).astype(np.int64)]
    columns = [
        about.board.figure(name, metric, about.tier)[rows]
        for metric in (x_metric, y_metric)
        for name in ("mean", "expanded")
    ]
    axes = []
    for metric, (mean, u) in ((x_metric, columns[:2]), (y_metric, columns[2:])):
        factor, unit = scaled(unit_of(metric), mean.tolist())
        mean *= factor
        u *= factor
        name = name_in_class(metric, about.energy_class)
        axes.append(
            Axis(name, said_unit(unit), log=_wide(mean), positive=metric not in DIFFERENCES)
        )
    x, x_u, y, y_u = (c.tolist() for c in columns)
    names = {n: about.board.coded[n] for n in ("model", "backend", "device_model")}
    series: dict[str, list[Mark]] = {}
    for i, row in enumerate(rows.tolist()):
        model, backend, device_model = (str(c.values[c.codes[row]]) for c in names.values())
        series.setdefault(backend, []).append(
            Mark(
                label="",
                x=x[i],
                y=y[i],
                x_interval=interval(x_metric, x[i], None if x_u[i] != x_u[i] else x_u[i]),
                y_interval=interval(y_metric, y[i], None if y_u[i] != y_u[i] else y_u[i]),
                target=Target("configuration", {"id": str(about.board.ids[row])}),
                title=f"{plain(model)}, {plain(backend)}, {plain(device_model)}",
                estimated=about.energy_class == "estimated"
                and (is_energy(x_metric) or is_energy(y_metric)),
            )
        )
    colours = colours_of(sorted(series))
    notes = [text("explore.scatter.some", shown=len(rows), all=total)] if total > len(rows) else []
    return Scatter(
        id="scatter",
        title=text("explore.scatter.title", y=axes[1].label, x=axes[0].label.lower()),
        subtitle=text("explore.scatter.subtitle", energy_class=text(f"class.{about.energy_class}")),
        source=board.citation,
        notes=tuple(notes),
        x=axes[0],
        y=axes[1],
        series=tuple(
            Series(plain(name), tuple(marks), colour=colours[name])
            for name, marks in sorted(series.items())
        ),
    ), total


def _wide(values: Floats) -> bool:
    """Whether a logarithmic axis reads better."""
    known = values[np.isfinite(values)]
    return bool(len(known) and known.min() > 0 and known.max() / known.min() > 8)


def _table(board: Leaderboard) -> Table:
    unit = board.chosen.unit
    names = ("rank", "configuration", "model", "backend", "device", "settings", "workload")
    more = (
        Column("value", unit),
        Column("U (k = 2)", unit),
        Column("runs", ""),
        Column("submitters", ""),
        Column("tier", ""),
        Column("energy class", ""),
    )
    return Table(
        columns=(*(Column(n, "") for n in names), *more),
        rows=tuple(
            (
                p.rank,
                p.configuration.id,
                p.configuration.model,
                p.configuration.backend,
                device(p.configuration),
                way(p.configuration),
                workload(p.configuration),
                p.figure.value,
                p.figure.uncertainty,
                p.figure.runs,
                p.figure.submitters,
                p.figure.tier,
                p.figure.energy_class,
            )
            for p in board.rows
        ),
    )


KIND = Kind("explore", explore)
