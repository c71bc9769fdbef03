"""A question's filters as SQL, for SQLite and PostgreSQL alike. Values are bound parameters; of
names, only columns that are there and keys that :func:`~lem.archive.queries.filters.path_of` lets
through get here."""

import json
import math
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from lem.archive.queries.answer import TIER_NUMBERS, Tier, tier_name
from lem.archive.queries.filters import CLASS_ORDER, Filtered, path_of
from lem.archive.schema import BOARD, CONFIG, DIMENSIONS
from lem.contract.base import Scalar
from lem.contract.metrics import METRIC_SEMANTICS_VERSION

Condition = sa.ColumnElement[bool]


class Selected(NamedTuple):
    """What a question is about, with what it left open."""

    energy_class: str
    semantics: int
    tier: int
    """At least; 0 where nobody asked, and each configuration counts by its best tier."""
    conditions: tuple[Condition, ...]
    """On ``board``."""

    @property
    def tier_name(self) -> Tier | None:
        return tier_name(self.tier)


def select(connection: sa.Connection, question: Filtered, without: str = "") -> Selected:
    """Which rows of ``board`` the question is about. ``without``: leave this filter out."""
    tier = TIER_NUMBERS[question.tier] if question.tier else 0
    semantics = question.semantics or METRIC_SEMANTICS_VERSION
    b = BOARD.c
    found = [b.semantics_version == semantics, *filters(connection, question, BOARD, without)]
    if tier:
        found.append(b.tier >= tier)
    energy_class: str = question.energy_class or first_class(connection, found)
    return Selected(energy_class, semantics, tier, (b.energy_class == energy_class, *found))


def first_class(connection: sa.Connection, conditions: Sequence[Condition]) -> str:
    """The first class, in the order of what is worth most, of which something matches."""
    for name in CLASS_ORDER:
        query = sa.select(sa.literal(1)).where(BOARD.c.energy_class == name, *conditions).limit(1)
        if connection.execute(query).first() is not None:
            return name
    return CLASS_ORDER[0]


def filters(
    connection: sa.Connection, question: Filtered, table: sa.Table, without: str = ""
) -> list[Condition]:
    """``q``, ``since``, ``until`` and ``where``; ``table``: ``board`` or ``config``."""
    c = table.c
    found: list[Condition] = []
    if question.q is not None:
        found.append(c.model.icontains(question.q, autoescape=True))
    if question.since is not None:
        found.append(c.last_at >= question.since)
    if question.until is not None:
        found.append(c.last_at <= question.until)
    for name, values in question.where.items():
        if name == without:
            continue
        if name in DIMENSIONS:
            found.append(sa.or_(*(_is(c[name], v) for v in values)))
            continue
        one = _at_path(connection.dialect.name, name, values)
        if table is not CONFIG:
            one = c.config_id.in_(sa.select(CONFIG.c.id).where(one))
        found.append(one)
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
