"""All that is known of one configuration."""

from typing import Annotated

import sqlalchemy as sa
from pydantic import Field

from lem.archive.queries.answer import Answer, CampaignId, Configuration, Figure, Shape, Tier


class Submitter(Shape):
    """One submitter's figures, beside the others'."""

    submitter: str
    enrolled_by: str
    campaigns: list[CampaignId]
    boards: list[str]
    runs: int
    tier: Tier
    first_at: str
    last_at: str
    means: dict[str, float]
    """Metric → mean of its counted runs, each in the metric's unit."""


class Replication(Shape):
    """Two submitters beside each other, by two one-sided tests of equivalence."""

    submitter_a: str
    submitter_b: str
    ratio: float
    low: float | None
    high: float | None
    verdict: str
    """``agrees``, ``disagrees``, ``cannot_tell``, ``same_boards``."""


class Day(Shape):
    """Energy per output token by the day on which it was measured."""

    date: str
    runs: int
    mean: float
    low: float
    high: float
    """Smallest and largest of the runs."""


class ConfigurationAnswer(Answer):
    configuration: Configuration
    experiment: dict[str, object]
    figures: list[Figure]
    """Every metric at every tier that has runs, the best tier first."""
    submitters: list[Submitter]
    replications: list[Replication]
    history: list[Day]
    """Of counted runs; the newest 366 days that have any."""


def configuration(
    connection: sa.Connection,
    configuration: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")],
) -> ConfigurationAnswer:
    """Raises :class:`Refused` (404)."""
    raise NotImplementedError
