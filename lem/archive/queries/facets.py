"""How many configurations have which values."""

import json
from collections import Counter
from collections.abc import Sequence

import sqlalchemy as sa

from lem.archive.columns import Value
from lem.archive.queries import sizes
from lem.archive.queries.answer import Answer, Shape, Tier, head
from lem.archive.queries.filters import Filtered
from lem.archive.queries.selection import Selected, select
from lem.archive.schema import CONFIG, DIMENSIONS, FACET


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
    """The most frequent first, at most 200 of each; and ``model_size``, as models' names say it,
    from the smallest on."""


MOST_VALUES = 200


def facets(connection: sa.Connection, question: FacetsQuestion) -> Facets:
    """Without filters the counts that are kept; with filters they are counted."""
    about = select(connection, question)
    top = head(connection, about.semantics)
    kept = not filtering(question) and _one_semantics(about)
    counts = _kept(connection, about) if kept else _counted(about)
    return Facets(
        **top.fields(),
        energy_class=about.energy_class,
        tier=about.tier_name,
        configurations=int(about.matching().sum()),
        classes=_classes(connection, about.tier),
        dimensions={name: _sorted(counts[name]) for name in DIMENSIONS}
        | {sizes.NAME: _by_size(about)},
    )


def filtering(question: Filtered) -> bool:
    """Whether it is about anything but a class and a tier."""
    return bool(question.where) or any(
        value is not None for value in (question.q, question.since, question.until)
    )


def _one_semantics(about: Selected) -> bool:
    """Whether all configurations are of this version: the kept counts don't tell them apart."""
    return bool((about.board.numbers["semantics_version"] == about.semantics).all())


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
        if not isinstance(CONFIG.c[dimension].type, sa.Text):
            value = None if text == "" else json.loads(text)
        found[dimension].append((value, n))
    return found


def _counted(about: Selected) -> dict[str, list[tuple[Value, int]]]:
    every = about.matching()
    return {
        name: about.board.coded[name].counts(
            about.matching(without=name) if name in about.dimensions else every
        )
        for name in DIMENSIONS
    }


def _by_size(about: Selected) -> list[Count]:
    """From the smallest on."""
    counts: Counter[str] = Counter()
    for model, n in about.board.coded["model"].counts(about.matching(without=sizes.NAME)):
        counts[sizes.size_of(model)] += n
    return [Count(value=size, configurations=counts[size]) for size in sizes.SIZES if counts[size]]


def _sorted(counts: Sequence[tuple[Value, int]]) -> list[Count]:
    ordered = sorted(counts, key=lambda c: (-c[1], c[0] is None, _key(c[0])))
    # Without validation: a thousand of them are in every answer.
    return [
        Count.model_construct(value=plain(v), configurations=n) for v, n in ordered[:MOST_VALUES]
    ]


def plain(value: Value) -> Value:
    """8.0, which a column of decimals gives, as 8, which people wrote."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _key(value: Value) -> tuple[float, str]:
    return (0.0, value or "") if value is None or isinstance(value, str) else (float(value), "")
