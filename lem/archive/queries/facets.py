"""How many configurations have which values."""

import sqlalchemy as sa

from lem.archive.queries.answer import Answer, Shape, Tier
from lem.archive.queries.filters import Filtered


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


def facets(connection: sa.Connection, question: FacetsQuestion) -> Facets:
    raise NotImplementedError
