"""Configurations that no other beats in both of two metrics."""

from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import Field

from lem.archive.queries.answer import Answer, Configuration, Figure, Metric, Shape
from lem.archive.queries.filters import Filtered


class ParetoQuestion(Filtered):
    x: Metric = "ttft_p50_s"
    y: Metric = "energy_per_output_token_j"
    limit: Annotated[int, Field(ge=1, le=500)] = 200


class FrontPoint(Shape):
    configuration: Configuration
    x: Figure
    y: Figure
    state: Literal["front", "cannot_tell"]
    by: str | None
    """Id of a configuration that is ahead in both by the means, though not beyond uncertainty."""


class ParetoFront(Answer):
    energy_class: str
    x_metric: Metric
    y_metric: Metric
    points: list[FrontPoint]
    """The better x first: those on the front, and those of which it cannot be told."""
    complete: bool
    """False where ``limit`` left some out."""
    dominated: int
    without_both: int
    """Configurations that lack one of the two figures."""
    sentence: str


def pareto(connection: sa.Connection, question: ParetoQuestion) -> ParetoFront:
    raise NotImplementedError
