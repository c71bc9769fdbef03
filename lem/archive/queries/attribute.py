"""Which choice mattered in one campaign."""

from typing import Annotated

import sqlalchemy as sa
from pydantic import Field

from lem.archive.queries.answer import Answer, CampaignId, Metric, Packs, Shape
from lem.archive.queries.filters import Question, Text
from lem.contract.base import Scalar


class AttributeQuestion(Question):
    metric: Metric = "energy_per_output_token_j"
    only: Annotated[Text, Field(min_length=1)] | None = None
    """``path=value[,path=value]``: the arms to look at, where only a part is a complete grid."""


class Factor(Shape):
    path: str
    noun: str
    values: list[Scalar]


class Share(Shape):
    paths: list[str]
    """One: a main effect; several: of these together; none: of more than two together."""
    name: str
    share: float
    low: float | None
    high: float | None
    boards_may_explain: bool


class Attribution(Answer):
    campaign: CampaignId
    name: str
    metric: Metric
    energy_class: str
    hardware: str
    blocks: int
    left_out_blocks: int
    factors: list[Factor]
    shares: list[Share]
    """Of the variance of the logarithms in *this* grid; empty where the arms cannot be told
    apart."""
    told_apart: bool
    spread: float
    """Largest ÷ smallest geometric mean of the arms."""
    scatter: float
    least: str
    most: str
    sentences: list[str]


def attribute(
    connection: sa.Connection, packs: Packs, campaign: CampaignId, question: AttributeQuestion
) -> Attribution:
    """Raises :class:`Refused`: 404 for an unknown campaign, 422 ``not_a_grid`` where the arms are
    no complete grid or too little was measured."""
    raise NotImplementedError
