"""Two metrics of all configurations that match, in as few bytes as drawing them needs; and single
ones of them, exactly."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self, get_args

import numpy as np
import sqlalchemy as sa
from pydantic import Field, model_validator

from lem.archive.columns import Floats, Ints
from lem.archive.queries.answer import (
    Answer,
    Configuration,
    ConfigurationId,
    Figure,
    Metric,
    Shape,
    Tier,
    better_of,
    head,
    unit_of,
)
from lem.archive.queries.digits import BASE, planes, quantised
from lem.archive.queries.facets import plain
from lem.archive.queries.figures import configurations_of, figures_of, highest_tier
from lem.archive.queries.filters import Filtered
from lem.archive.queries.pareto import front_of, pairs_of
from lem.archive.queries.selection import Selected, select
from lem.archive.refused import Refused
from lem.archive.schema import DIMENSIONS

MOST = 20_000
MOST_ROWS = 60
"""That are shown exactly at once."""
Column = Literal[
    "x_uncertainty",
    "y_uncertainty",
    "certain",
    "tier",
    "model",
    "backend",
    "engine_version",
    "device_model",
    "device_count",
    "meter_class",
    "dtype",
    "quantization",
    "max_batch_size",
    "tensor_parallel_size",
    "arrival",
    "load",
    "dataset",
    "input_tokens",
    "output_tokens",
    "weights",
]
assert get_args(Column)[4:] == DIMENSIONS


class _OfPoints(Filtered):
    x: Metric = "output_throughput_tokens_per_s"
    y: Metric = "energy_per_output_token_j"
    limit: Annotated[int, Field(ge=1, le=MOST)] = MOST

    @model_validator(mode="after")
    def _two(self) -> Self:
        if self.x == self.y:
            raise ValueError("x and y name the same metric")
        return self


class PointsQuestion(_OfPoints):
    column: Annotated[list[Column], Field(max_length=20)] = []
    """What else is wanted of each point."""


class PointRowsQuestion(_OfPoints):
    state: Annotated[str, Field(pattern=r"^[0-9a-f]{1,64}$")]
    """Of the answer with the points."""
    row: Annotated[list[Annotated[int, Field(ge=0, lt=2 * MOST)]], Field(max_length=MOST_ROWS)] = []
    """Places of points in that answer."""
    id: Annotated[list[ConfigurationId], Field(max_length=MOST_ROWS)] = []
    """Configurations of which the places are asked for."""


class Quantity(Shape):
    """Codes are 93 × a digit of the first half of ``digits`` + one of the second half. Code c below
    8647 is low × (high ÷ low)^(c ÷ 8646), or low + (high − low) × c ÷ 8646 with ``linear``; 8647
    is 0, 8648 none. Only to draw: whoever shows a number asks for it."""

    scale: Literal["log", "linear"]
    low: float
    high: float
    digits: str


class Coded(Shape):
    """``digits``: of each point the place of its value in ``values``; in two halves, as above,
    where there are more than 93 values."""

    values: list[str | int | float | None]
    digits: str


class FrontMark(Shape):
    """A point on the front (``/pareto`` says what that is), with its figures as they are."""

    row: int
    x: float
    x_uncertainty: float | None
    y: float
    y_uncertainty: float | None


class Points(Answer):
    """In the order of x. A digit is a printable character of ASCII without ``"`` and the backslash,
    and stands for its place among them: 0 to 92."""

    energy_class: str
    tier: Tier | Literal["best"]
    x_metric: Metric
    x_unit: str
    x_better: Literal["lower", "higher"]
    y_metric: Metric
    y_unit: str
    y_better: Literal["lower", "higher"]
    configurations: int
    """How many match and have both figures; more than are here where ``complete`` is false."""
    complete: bool
    points: int
    """How many are here."""
    state: str
    """Of the archive: rows are places in this answer only while it lasts."""
    x: Quantity
    """Each code after the first less the one before it, modulo 93²."""
    y: Quantity
    x_uncertainty: Quantity | None
    """U, in the unit of x; null where the column is not asked for."""
    y_uncertainty: Quantity | None
    coded: dict[str, Coded]
    """``certain`` (1 where both figures have an uncertainty, else 0), ``tier`` (1 self-reported, 2
    recomputed, 3 replicated) and dimensions, as asked for."""
    front: list[FrontMark]
    """In the order of x."""


class PointRow(Shape):
    row: int | None
    """None where it is not among the points."""
    id: str
    configuration: Configuration | None
    """None where it was asked for by its id: whoever has that mostly has the rest."""
    x: Figure | None
    y: Figure | None


class PointRows(Answer):
    rows: list[PointRow]


class _Placed:
    """Which configurations are drawn, in which order: the same for the same state and question."""

    def __init__(self, connection: sa.Connection, about: Selected, question: _OfPoints) -> None:
        rows = about.with_figures(question.x, question.y)
        self.total = len(rows)
        self.pairs = pairs_of(connection, about, rows, question.x, question.y)
        front = front_of(self.pairs)
        kept = np.arange(len(rows))
        if len(rows) > question.limit:
            # The front is there whatever else is left out.
            others = np.setdiff1d(kept, front)[: max(0, question.limit - len(front))]
            kept = np.union1d(front, others)
        x = about.board.figure("mean", question.x, about.tier)[rows[kept]]
        kept = kept[np.argsort(x, kind="stable")]
        self.rows: Ints = rows[kept]
        """Of the board."""
        self.front: Ints = np.flatnonzero(np.isin(kept, front))
        """Places in ``rows``."""


def points(connection: sa.Connection, question: PointsQuestion) -> Points:
    """All that match, to be drawn."""
    about = select(connection, question)
    top = head(connection, about.semantics)
    placed = _Placed(connection, about, question)
    rows = placed.rows

    def figure(name: str, metric: str) -> Floats:
        found: Floats = about.board.figure(name, metric, about.tier)[rows]
        return found

    x, y = figure("mean", question.x), figure("mean", question.y)
    x_u, y_u = figure("expanded", question.x), figure("expanded", question.y)
    asked = dict.fromkeys(question.column)
    return Points(
        **top.fields(),
        energy_class=about.energy_class,
        tier=about.tier_name or "best",
        x_metric=question.x,
        x_unit=unit_of(question.x),
        x_better=better_of(question.x),
        y_metric=question.y,
        y_unit=unit_of(question.y),
        y_better=better_of(question.y),
        configurations=placed.total,
        complete=placed.total <= len(rows),
        points=len(rows),
        state=about.board.state,
        x=_quantity(x, by_steps=True),
        y=_quantity(y),
        x_uncertainty=_quantity(x_u) if "x_uncertainty" in asked else None,
        y_uncertainty=_quantity(y_u) if "y_uncertainty" in asked else None,
        coded={
            name: _column(about, question, rows, name)
            for name in asked
            if not name.endswith("_uncertainty")
        },
        front=[
            FrontMark(
                row=i,
                x=float(x[i]),
                x_uncertainty=_or_none(x_u[i]),
                y=float(y[i]),
                y_uncertainty=_or_none(y_u[i]),
            )
            for i in placed.front.tolist()
        ],
    )


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _quantity(values: Floats, by_steps: bool = False) -> Quantity:
    log = not bool((values < 0).any())
    low, high, codes = quantised(values, log)
    if by_steps:
        codes = np.diff(codes, prepend=0) % BASE**2
    digits = planes(codes, BASE**2)
    return Quantity(scale="log" if log else "linear", low=low, high=high, digits=digits)


def _coded(about: Selected, name: str, rows: Ints) -> Coded:
    """The most frequent value first, as long as two digits can tell them."""
    column = about.board.coded[name]
    used, places, counts = np.unique(column.codes[rows], return_inverse=True, return_counts=True)
    if len(used) > BASE**2:
        raise Refused("too_many_values", f"there are too many different values of {name} to draw")
    order = np.argsort(-counts, kind="stable")
    place = np.argsort(order)
    values = [plain(column.values[code]) for code in used[order].tolist()]
    return Coded(values=values, digits=planes(place[places], len(values)))


def _column(about: Selected, question: _OfPoints, rows: Ints, name: str) -> Coded:
    if name == "tier":
        return _tiers(about, question, rows)
    if name == "certain":
        x_u, y_u = (
            about.board.figure("expanded", m, about.tier)[rows] for m in (question.x, question.y)
        )
        both = ~(np.isnan(x_u) | np.isnan(y_u))
        return Coded(values=[0, 1], digits=planes(both.astype(np.int64), 2))
    return _coded(about, name, rows)


def _tiers(about: Selected, question: _OfPoints, rows: Ints) -> Coded:
    """That both figures have."""
    tiers = about.board.numbers["tier"][rows]
    if about.tier:
        tiers = np.full(len(rows), about.tier)
    tiers = np.minimum(tiers, highest_tier(question.x, question.y))
    return Coded(values=[1, 2, 3], digits=planes(tiers - 1, 3))


def point_rows(connection: sa.Connection, question: PointRowsQuestion) -> PointRows:
    """Exact figures of single points, by their place or their id. Raises :class:`Refused`: 410
    where the archive has changed since the points were asked for; 404 for what is not there."""
    about = select(connection, question)
    if question.state != about.board.state:
        raise Refused(
            "points_expired",
            "the archive has changed since these points were given, and their places with it",
            410,
            hint="ask for the points again",
        )
    placed = _Placed(connection, about, question)
    asked: list[tuple[int | None, int]] = []
    for row in question.row:
        if row >= len(placed.rows):
            raise Refused("no_such_point", f"there is no point {row} in that answer", 404)
        asked.append((row, int(placed.rows[row])))
    asked += [_named(about, placed, one) for one in question.id]
    return PointRows(
        **head(connection, about.semantics).fields(),
        rows=_shown(connection, about, question, asked, len(question.row)),
    )


def _named(about: Selected, placed: _Placed, id: str) -> tuple[int | None, int]:
    hashes = about.board.texts["hash"]
    at = int(np.searchsorted(hashes, id.encode()))
    if at == len(hashes) or not hashes[at].startswith(id.encode()):
        raise Refused("no_such_configuration", "there is no such configuration here", 404)
    places = np.flatnonzero(placed.rows == at)
    return (int(places[0]) if len(places) else None), at


def _shown(
    connection: sa.Connection,
    about: Selected,
    question: PointRowsQuestion,
    asked: Sequence[tuple[int | None, int]],
    by_place: int,
) -> list[PointRow]:
    """The first so many with their configurations."""
    keys = about.board.numbers["config_id"]
    ids = [int(keys[at]) for _, at in asked]
    configurations = configurations_of(connection, ids[:by_place])
    figures = figures_of(connection, ids, [question.x, question.y], about.tier)
    return [
        PointRow(
            row=row,
            id=about.board.texts["hash"][at].decode(),
            configuration=configurations[key] if i < by_place else None,
            x=figures.get((key, question.x)),
            y=figures.get((key, question.y)),
        )
        for i, ((row, at), key) in enumerate(zip(asked, ids, strict=True))
    ]
