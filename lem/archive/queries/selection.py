"""A question's filters: on the board in memory, and as SQL for what is in the database alone.

Of names, only columns that are there and keys that
:func:`~lem.archive.queries.filters.path_of` lets through get into SQL; values are bound
parameters.
"""

import json
import math
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from lem.analysis.quantities import can_be_known
from lem.archive.columns import Columns, Ints, Mask, Value, columns
from lem.archive.queries import sizes
from lem.archive.queries.answer import TIER_NUMBERS, Tier, tier_name
from lem.archive.queries.filters import CLASS_ORDER, Filtered, path_of
from lem.archive.refused import Refused
from lem.archive.schema import CONFIG, DIMENSIONS
from lem.contract.base import Scalar
from lem.contract.metrics import METRIC_SEMANTICS_VERSION

Condition = sa.ColumnElement[bool]
MOST_MODELS = 30_000
"""That one query may name: databases take some 32,000 parameters."""


class Selected(NamedTuple):
    """What a question is about, with what it left open."""

    board: Columns
    energy_class: str
    semantics: int
    tier: int
    """At least; 0 where nobody asked, and each configuration counts by its best tier."""
    others: Mask
    """Rows of the board that match everything but ``dimensions``."""
    dimensions: dict[str, Mask]
    """Dimension that the question filters by → rows that match there."""

    @property
    def tier_name(self) -> Tier | None:
        return tier_name(self.tier)

    def matching(self, without: str = "") -> Mask:
        """Rows that match. ``without``: leave the filter of this dimension out."""
        masks = [mask for name, mask in self.dimensions.items() if name != without]
        found: Mask = np.logical_and.reduce([self.others, *masks])
        return found

    def with_figures(self, *metrics: str) -> Ints:
        """Places of the rows that match and have all of these figures, as far as their class of
        energy can tell them."""
        if not all(can_be_known(metric, self.energy_class) for metric in metrics):
            return np.zeros(0, dtype=np.int64)
        found = self.matching()
        for metric in metrics:
            found = found & ~np.isnan(self.board.figure("mean", metric, self.tier))
        return np.flatnonzero(found)


def select(connection: sa.Connection, question: Filtered) -> Selected:
    """Which rows of the board the question is about."""
    board = columns(connection)
    tier = TIER_NUMBERS[question.tier] if question.tier else 0
    semantics = question.semantics or METRIC_SEMANTICS_VERSION
    others = board.numbers["semantics_version"] == semantics
    if tier:
        others &= board.numbers["tier"] >= tier
    if question.q is not None:
        part = question.q.lower()
        others &= board.coded["model"].are(lambda model: part in str(model).lower())
    last_at = board.texts["last_at"]
    if question.since is not None:
        others &= last_at >= question.since.encode()
    if question.until is not None:
        others &= (last_at <= question.until.encode()) & (last_at != b"")
    dimensions: dict[str, Mask] = {}
    for name, values in question.where.items():
        if name in DIMENSIONS:
            dimensions[name] = board.coded[name].are(_one_of(name, values))
        elif name == sizes.NAME:
            dimensions[name] = board.coded["model"].are(partial(sizes.is_one_of, values))
        else:
            others &= board.mask((name, *values), partial(_at, connection, name, values))
    classes = board.coded["energy_class"]
    energy_class: str | None = question.energy_class
    if energy_class is None:
        matching = np.logical_and.reduce([others, *dimensions.values()])
        there = {str(name) for name, _ in classes.counts(matching)}
        energy_class = next((c for c in CLASS_ORDER if c in there), CLASS_ORDER[0])
    others &= classes.are(lambda name: name == energy_class)
    return Selected(board, energy_class, semantics, tier, others, dimensions)


def _one_of(name: str, texts: Sequence[str]) -> Callable[[Value], bool]:
    """Whether a value of this dimension is what one of these texts says."""
    if isinstance(CONFIG.c[name].type, sa.Text):
        return frozenset(texts).__contains__
    numbers = {None if text == "" else _number(text) for text in texts}
    if "" not in texts:
        numbers.discard(None)
    return numbers.__contains__


def _at(connection: sa.Connection, name: str, values: Sequence[str]) -> Sequence[int]:
    """Configurations that have one of these values at an experiment path."""
    query = sa.select(CONFIG.c.id).where(_at_path(connection.dialect.name, name, values))
    return connection.scalars(query).all()


def filters(connection: sa.Connection, question: Filtered) -> list[Condition]:
    """``q`` and ``where``, on ``config``."""
    c = CONFIG.c
    found: list[Condition] = []
    if question.q is not None:
        found.append(c.model.icontains(question.q, autoescape=True))
    for name, values in question.where.items():
        if name in DIMENSIONS:
            found.append(sa.or_(*(_is(c[name], v) for v in values)))
        elif name == sizes.NAME:
            models = connection.scalars(sa.select(c.model).distinct())
            wanted = [m for m in models if sizes.is_one_of(values, m)]
            if len(wanted) > MOST_MODELS:
                raise Refused("too_many_values", "too many models are of these sizes")
            found.append(c.model.in_(wanted))
        else:
            found.append(_at_path(connection.dialect.name, name, values))
    return found


def seconds(moment: str) -> float:
    """Since the epoch, of a time as :mod:`~lem.archive.queries.filters` has checked it."""
    return datetime.fromisoformat(moment).timestamp()


def _is(column: sa.ColumnElement[object], text: str) -> Condition:
    if isinstance(column.type, sa.Text):
        return column == text
    if text == "":
        return column.is_(None)
    number = _number(text)
    if number is None:
        return sa.false()
    return column == float(number)


def _number(text: str) -> int | float | None:
    """A JSON number that a database can hold."""
    value = _json(text)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _json(text: str) -> Scalar:
    """The scalar that ``text`` is as JSON; else the text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        value = float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return text
    return value if isinstance(value, str | int | float | bool) or value is None else text


def _at_path(dialect: str, name: str, values: Sequence[str]) -> Condition:
    """``name`` has one of the values: as the text that it is, or as the JSON scalar that it says
    (``4`` is the number and the text, ``null`` and nothing at all: not set)."""
    path = path_of(name)
    assert path is not None
    at = _OnPostgres(path.keys) if dialect == "postgresql" else _OnSqlite(path.keys)
    found: list[Condition] = []
    for text in values:
        value = None if text == "" else _json(text)
        if value is None:
            found.append(at.missing())
        elif not isinstance(value, str):
            found.append(at.equals(value))
        found.append(at.equals(text))
    one = sa.or_(*found)
    return one if path.backend is None else sa.and_(CONFIG.c.backend == path.backend, one)


class _OnPostgres:
    def __init__(self, keys: tuple[str, ...]) -> None:
        self.keys = keys

    def missing(self) -> Condition:
        return sa.func.jsonb_extract_path_text(CONFIG.c.experiment, *self.keys).is_(None)

    def equals(self, value: str | int | float | bool) -> Condition:
        nested: object = value
        for key in reversed(self.keys):
            nested = {key: nested}
        return CONFIG.c.experiment.op("@>", is_comparison=True)(sa.literal(nested, JSONB()))


class _OnSqlite:
    def __init__(self, keys: tuple[str, ...]) -> None:
        self.path = "$" + "".join(f'."{key}"' for key in keys)

    def missing(self) -> Condition:
        return sa.func.json_extract(CONFIG.c.experiment, self.path).is_(None)

    def equals(self, value: str | int | float | bool) -> Condition:
        kind = sa.func.json_type(CONFIG.c.experiment, self.path)
        if isinstance(value, bool):
            return kind == ("true" if value else "false")
        is_kind = kind == "text" if isinstance(value, str) else kind.in_(["integer", "real"])
        return sa.and_(sa.func.json_extract(CONFIG.c.experiment, self.path) == value, is_kind)
