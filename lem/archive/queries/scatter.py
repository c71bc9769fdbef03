"""Two metrics of all configurations that match, as columns."""

from typing import Annotated

import sqlalchemy as sa
from pydantic import Field

from lem.archive.queries.answer import Answer, Metric
from lem.archive.queries.filters import Filtered

MOST = 20_000


class ScatterQuestion(Filtered):
    x: Metric = "output_throughput_tokens_per_s"
    y: Metric = "energy_per_output_token_j"
    limit: Annotated[int, Field(ge=1, le=MOST)] = MOST


class Scatter(Answer):
    """Columns of equal length: the i-th of each are of one configuration."""

    energy_class: str
    x_metric: Metric
    x_unit: str
    y_metric: Metric
    y_unit: str
    configurations: int
    """How many match and have both figures; more than are here where ``complete`` is false."""
    complete: bool
    id: list[str]
    x: list[float]
    x_uncertainty: list[float | None]
    y: list[float]
    y_uncertainty: list[float | None]
    tier: list[int]
    """1 self-reported, 2 recomputed, 3 replicated."""
    runs: list[int]
    submitters: list[int]
    model: list[str]
    backend: list[str]
    device_model: list[str]


def scatter(connection: sa.Connection, question: ScatterQuestion) -> Scatter:
    raise NotImplementedError
