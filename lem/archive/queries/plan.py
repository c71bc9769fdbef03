"""What of a campaign has been measured already, before anybody runs it."""

from typing import Literal

import sqlalchemy as sa

from lem.archive.queries.answer import Answer, ConfigurationId, Figure, Shape, Tier
from lem.contract.base import Scalar

MAX_CAMPAIGN_BYTES = 256 * 1024
MAX_EXPERIMENTS = 1000


class Measured(Shape):
    """A configuration that an experiment may be."""

    match: Literal["exact", "alike"]
    """``exact``: the same experiment id. ``alike``: the same in all that a campaign file says; what
    staging would resolve (the model's commit, the engine's version, the requests' hash) may
    differ."""
    may_differ: list[str]
    configuration: ConfigurationId
    experiment_id: str
    model_content: str
    engine_version: str
    device_model: str
    device_count: int
    meter_class: str
    energy_class: str
    tier: Tier
    figure: Figure | None
    """Energy per output token."""


class PlannedExperiment(Shape):
    experiment_id: str
    """Of what is known before staging."""
    provisional: bool
    """Whether staging will change the id."""
    label: str
    settings: dict[str, Scalar]
    backend: str
    model: str
    baseline: bool
    measured: list[Measured]
    """The best tier first, at most 20."""


class Plan(Answer):
    name: str
    experiments: list[PlannedExperiment]
    measured: int
    """Experiments of which something is there."""
    missing: int
    notes: list[str]


def plan(connection: sa.Connection, text: str) -> Plan:
    """``text``: a campaign, YAML or JSON. Nothing that it names is opened, fetched or looked up.

    Raises :class:`BadInput` with every problem of the campaign and its line.
    """
    raise NotImplementedError
