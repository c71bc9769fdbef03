"""What a page is, before it is HTML."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa
from pydantic import BaseModel

from lem.archive.queries.answer import Packs
from lem.archive.queries.filters import Question
from lem.charts.model import AnyChart, Target
from lem.charts.table import Table
from lem.web.rendering import Shown


class Reader(NamedTuple):
    """The archive, at one of its states."""

    connection: sa.Connection
    packs: Packs


class Stated(Protocol):
    """An answer, of which pages say what state of the archive it is from."""

    @property
    def data_version(self) -> int: ...
    @property
    def citation(self) -> str: ...


Query = Sequence[tuple[str, str]]
Params = Mapping[str, str]


@dataclass(frozen=True)
class Page:
    template: str
    title: str
    description: str
    context: Mapping[str, Any]
    charts: Mapping[str, AnyChart] = field(default_factory=dict)
    answer: BaseModel | Callable[[], BaseModel] | None = None
    """What ``.json`` at the same address gives; made on demand where the page shows less."""
    table: Table | None = None
    """What ``.csv`` at the same address gives."""
    head: Stated | None = None
    files: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)
    """What the static site puts beside the page: name → content. A server has it in its API."""

    def data(self) -> BaseModel | None:
        """Its answer, made now."""
        return self.answer() if callable(self.answer) else self.answer

    def shown(self, target: Target) -> Shown:
        return Shown(
            target=target,
            template=self.template,
            title=self.title,
            description=self.description,
            context=self.context,
            charts=self.charts,
            head=self.head,
            has_json=self.answer is not None,
            has_csv=self.table is not None,
        )


Build = Callable[[Reader, Params, Query], Page]


@dataclass(frozen=True)
class Kind:
    """A page, or many of one form."""

    name: str
    """As in :data:`lem.web.addresses.PATHS`."""
    build: Build
    """Raises :class:`~lem.errors.BadInput` and :class:`~lem.archive.refused.Refused`."""
    instances: Callable[[Reader], Iterable[Params]] = lambda reader: ({},)
    """What the static site has of it."""


def asked(query: Query) -> list[tuple[str, str]]:
    """What a form sent, without the fields that were left empty."""
    return [(name, value) for name, value in query if value != ""]


def nothing_asked(query: Query) -> None:
    """Raises :class:`~lem.errors.BadInput` where a page that takes no parameters is given some."""
    Question.from_query(query)
