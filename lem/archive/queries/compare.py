"""Any configurations beside each other: absolute figures, and ratios with their intervals."""

import json
from collections.abc import Sequence
from typing import Annotated

import sqlalchemy as sa
from pydantic import Field

from lem.analysis.naming import flat
from lem.analysis.quantities import NO_POWER_AT_REST, can_be_known
from lem.archive.queries.answer import (
    TIER_NUMBERS,
    Answer,
    Configuration,
    ConfigurationId,
    Figure,
    Metric,
    Packs,
    Shape,
    Tier,
    head,
    unit_of,
)
from lem.archive.queries.figures import configurations_of, experiments_of, figures_of, ids_of
from lem.archive.queries.filters import Question
from lem.archive.queries.ratios import NLL, Ratio, Sides
from lem.archive.refused import Refused
from lem.archive.schema import HEADLINE
from lem.contract.base import Scalar

MOST_SETTINGS = 200
MEASURED_ON = ("device_model", "device_count", "meter_class")


class CompareQuestion(Question):
    id: Annotated[list[ConfigurationId], Field(min_length=2, max_length=20)]
    """The first is the baseline, unless ``baseline`` names another of them."""
    baseline: ConfigurationId | None = None
    metric: Metric = "energy_per_output_token_j"
    tier: Tier | None = None
    """Only runs of at least this tier."""
    margin: Annotated[float, Field(gt=0, le=0.5)] = 0.02
    """Within which two count as the same."""


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
    named = ids_of(connection, [*question.id, question.baseline or question.id[0]])
    ids, base = list(dict.fromkeys(named[:-1])), named[-1]
    if len(ids) < 2 or base not in ids:
        raise Refused("not_comparable", "name two configurations or more, the baseline among them")
    configurations = configurations_of(connection, ids)
    _check_alike(list(configurations.values()), question.metric)
    tier = TIER_NUMBERS[question.tier] if question.tier else 0
    figures = figures_of(connection, ids, HEADLINE, tier)
    # A ratio is of runs that are as well known as the figures beside it.
    least = min(TIER_NUMBERS[c.best_tier] if c.best_tier else 1 for c in configurations.values())
    sides = Sides(connection, packs, question, tier or least, configurations, figures, base)
    found = sides.ratios()
    differing, settings = _settings(connection, configurations)
    order = [question.metric, NLL, *(m for m in HEADLINE if m not in (question.metric, NLL))]
    return Comparison(
        **head(connection, configurations[base].semantics_version).fields(),
        baseline=configurations[base].id,
        metric=question.metric,
        unit=unit_of(question.metric),
        energy_class=configurations[base].energy_class,
        margin=question.margin,
        rows=[
            Compared(
                configuration=configurations[key],
                figures=[figures[key, m] for m in order if (key, m) in figures],
                settings=settings[key],
                ratio=found.get(key),
            )
            for key in ids
        ],
        differing=differing,
        notes=sides.notes(),
    )


def _check_alike(configurations: Sequence[Configuration], metric: str) -> None:
    for what, values in (
        ("device classes", {c.energy_class for c in configurations}),
        ("definitions of the metrics", {str(c.semantics_version) for c in configurations}),
    ):
        if len(values) > 1:
            raise Refused(
                "not_comparable",
                f"these configurations have figures of different {what}, which are not compared: "
                + ", ".join(sorted(values)),
            )
    if not can_be_known(metric, configurations[0].energy_class):
        raise Refused("not_comparable", NO_POWER_AT_REST)


def _settings(
    connection: sa.Connection, configurations: dict[int, Configuration]
) -> tuple[list[str], dict[int, dict[str, Scalar]]]:
    """Where they differ: experiment paths, and what they were measured on."""
    experiments = experiments_of(connection, list(configurations))
    paths = {
        key: {
            **flat(experiments[key]),
            **{name: getattr(one, name) for name in MEASURED_ON},
        }
        for key, one in configurations.items()
    }
    every = dict.fromkeys(p for one in paths.values() for p in one)
    differing = [p for p in every if len({json.dumps(one.get(p)) for one in paths.values()}) > 1][
        :MOST_SETTINGS
    ]
    return differing, {
        key: {p: one[p] for p in differing if p in one} for key, one in paths.items()
    }
