"""How many configurations have which values."""

import json
from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa

from lem.archive.queries.answer import Answer, Shape, Tier, head
from lem.archive.queries.filters import Filtered
from lem.archive.queries.selection import Condition, Selected, select
from lem.archive.schema import BOARD, DIMENSIONS, FACET


class FacetsQuestion(Filtered):
    """A dimension's own filter does not narrow its own counts, so that a reader sees what else
    there is to choose."""


class Count(Shape):
    value: str | int | float | None
    """None: the experiment says nothing there."""
    configurations: int


class Facets(Answer):
    energy_class: str
    tier: Tier | None
    """At least; None: any that counts."""
    configurations: int
    """How many match all filters."""
    classes: dict[str, int]
    """Energy class → configurations that have counted runs, without filters."""
    dimensions: dict[str, list[Count]]
    """The most frequent first, at most 200 of each."""


MOST_VALUES = 200


def facets(connection: sa.Connection, question: FacetsQuestion) -> Facets:
    """Without filters the counts that are kept; with filters they are counted."""
    about = select(connection, question)
    top = head(connection, about.semantics)
    kept = not filtering(question) and _one_semantics(connection, about.semantics)
    counts = _kept(connection, about) if kept else _counted(connection, question, about)
    free = next((n for n in DIMENSIONS if n not in question.where), None)
    if free is not None:
        total = sum(n for _, n in counts[free])
    else:
        count = sa.select(sa.func.count()).select_from(BOARD).where(*about.conditions)
        total = connection.execute(count).scalar_one()
    return Facets(
        **top.fields(),
        energy_class=about.energy_class,
        tier=about.tier_name,
        configurations=total,
        classes=_classes(connection, about.tier),
        dimensions={name: _sorted(counts[name]) for name in DIMENSIONS},
    )


Value = str | int | float | None


def filtering(question: Filtered) -> bool:
    """Whether it is about anything but a class and a tier."""
    return bool(question.where) or any(
        value is not None for value in (question.q, question.since, question.until)
    )


def _one_semantics(connection: sa.Connection, semantics: int) -> bool:
    """Whether all configurations are of this version: the kept counts don't tell them apart."""
    others = sa.select(sa.literal(1)).where(BOARD.c.semantics_version != semantics).limit(1)
    return connection.execute(others).first() is None


def _classes(connection: sa.Connection, tier: int) -> dict[str, int]:
    f = FACET.c
    query = (
        sa.select(f.energy_class, sa.func.sum(f.configurations))
        .where(f.tier == max(1, tier), f.dimension == "backend")
        .group_by(f.energy_class)
        .order_by(f.energy_class)
    )
    return {name: int(n) for name, n in connection.execute(query)}


def _kept(connection: sa.Connection, about: Selected) -> dict[str, list[tuple[Value, int]]]:
    f = FACET.c
    query = sa.select(f.dimension, f.value, f.configurations).where(
        f.energy_class == about.energy_class, f.tier == max(1, about.tier)
    )
    found: dict[str, list[tuple[Value, int]]] = {name: [] for name in DIMENSIONS}
    for dimension, text, n in connection.execute(query):
        value: Value = text
        if not isinstance(BOARD.c[dimension].type, sa.Text):
            value = None if text == "" else json.loads(text)
        found[dimension].append((value, n))
    return found


def _counted(
    connection: sa.Connection, question: FacetsQuestion, about: Selected
) -> dict[str, list[tuple[Value, int]]]:
    """One scan for all dimensions without a filter of their own, and one for each that has."""
    own = [name for name in DIMENSIONS if name in question.where]
    found = _group(connection, [n for n in DIMENSIONS if n not in own], about.conditions)
    for name in own:
        fixed = question.model_copy(update={"energy_class": about.energy_class})
        found |= _group(connection, [name], select(connection, fixed, name).conditions)
    return found


def _group(
    connection: sa.Connection, names: Sequence[str], conditions: Sequence[Condition]
) -> dict[str, list[tuple[Value, int]]]:
    found: dict[str, list[tuple[Value, int]]] = {name: [] for name in names}
    if not names:
        return found
    columns = [BOARD.c[name] for name in names]
    if connection.dialect.name != "postgresql":
        rows = connection.execute(sa.select(*columns).where(*conditions)).all()
        for name, column in zip(names, zip(*rows, strict=True), strict=True) if rows else ():
            found[name] = list(Counter(column).items())
        return found
    # Which of the sets a row is of: its bit is 0 where its column is not taken together.
    which = sa.func.grouping(*columns)
    sets = sa.func.grouping_sets(*(sa.tuple_(c) for c in columns))
    query = sa.select(which, sa.func.count(), *columns).where(*conditions).group_by(sets)
    last = len(names) - 1
    for row in connection.execute(query):
        bits, n, values = row[0], row[1], row[2:]
        at = next(i for i in range(len(names)) if not bits >> (last - i) & 1)
        found[names[at]].append((values[at], n))
    return found


def _sorted(counts: Sequence[tuple[Value, int]]) -> list[Count]:
    ordered = sorted(counts, key=lambda c: (-c[1], c[0] is None, _key(c[0])))
    # Without validation: a thousand of them are in every answer.
    return [Count.model_construct(value=v, configurations=n) for v, n in ordered[:MOST_VALUES]]


def _key(value: Value) -> tuple[float, str]:
    return (0.0, value or "") if value is None or isinstance(value, str) else (float(value), "")
