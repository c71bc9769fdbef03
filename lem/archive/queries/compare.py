"""Any configurations beside each other: absolute figures, and ratios with their intervals."""

from typing import Annotated, Literal

import sqlalchemy as sa
from pydantic import Field

from lem.archive.queries.answer import (
    Answer,
    CampaignId,
    Configuration,
    ConfigurationId,
    Figure,
    Metric,
    Packs,
    Shape,
    Tier,
)
from lem.archive.queries.filters import Question
from lem.contract.base import Scalar


class CompareQuestion(Question):
    id: Annotated[list[ConfigurationId], Field(min_length=2, max_length=20)]
    """The first is the baseline, unless ``baseline`` names another of them."""
    baseline: ConfigurationId | None = None
    metric: Metric = "energy_per_output_token_j"
    tier: Tier | None = None
    """Only runs of at least this tier."""
    margin: Annotated[float, Field(gt=0, le=0.5)] = 0.02
    """Within which two count as the same."""


class Ratio(Shape):
    """To the baseline."""

    basis: Literal["within campaign", "across campaigns"]
    """``within campaign``: mean over blocks of the ratio within each block, so that gains of boards
    and drift cancel. ``across campaigns``: ratio of two absolute figures, whose uncertainties both
    enter."""
    ratio: float
    low: float | None
    high: float | None
    level: float
    """Joint confidence of all intervals of this basis, with the number of comparisons. Across
    campaigns the interval is of expanded uncertainties (k = 2)."""
    comparisons: int
    blocks: int | None
    """Blocks that have both; None across campaigns."""
    campaign: CampaignId | None
    reason: str | None
    """Why there is no interval."""
    verdict: Literal["less", "more", "same", "cannot_tell"]
    words: str


class Compared(Shape):
    configuration: Configuration
    figures: list[Figure]
    """The metric asked for, then quality and the other figures."""
    settings: dict[str, Scalar]
    """Experiment paths in which the configurations differ → value here."""
    ratio: Ratio | None
    """None for the baseline."""


class Comparison(Answer):
    baseline: ConfigurationId
    metric: Metric
    unit: str
    energy_class: str
    margin: float
    rows: list[Compared]
    differing: list[str]
    """Experiment paths, and columns, in which they differ."""
    notes: list[str]


def compare(connection: sa.Connection, packs: Packs, question: CompareQuestion) -> Comparison:
    """Raises :class:`Refused`: 404 for an unknown configuration; 422 ``not_comparable`` for
    different energy classes or definitions of the metric."""
    raise NotImplementedError
