"""Configurations from the best to the worst, with ranks only where intervals tell them apart."""

from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import Field

from lem.archive.queries.answer import Answer, Configuration, Figure, Metric, Shape, Tier
from lem.archive.queries.cursor import CursorText
from lem.archive.queries.filters import OfMetric


class LeaderboardQuestion(OfMetric):
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: CursorText | None = None


class Chosen(Shape):
    """What the answer is about, where the question left it open."""

    energy_class: str
    tier: Tier | Literal["best"]
    """``best``: each configuration by the best tier that it has."""
    best_tier: Tier | None
    """The best that any of these configurations has."""
    metric: Metric
    unit: str
    better: Literal["lower", "higher"]


class Place(Shape):
    rank: int | None
    """Of its group's first one; None where there is no uncertainty to tell it from others."""
    group: int | None
    """Configurations of one group cannot be told from the group's first one."""
    configuration: Configuration
    figure: Figure


class Leaderboard(Answer):
    chosen: Chosen
    configurations: int
    """How many match."""
    rows: list[Place]
    next: str | None
    """Cursor of the next page."""


def leaderboard(connection: sa.Connection, question: LeaderboardQuestion) -> Leaderboard:
    """Raises :class:`Refused` for a cursor that is none (400) or from before the archive changed
    (410): ranks of two states are no ranks."""
    raise NotImplementedError
