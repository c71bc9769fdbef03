"""The configurations beside one, by one figure: of the same model on the same hardware."""

import numpy as np
import sqlalchemy as sa
from pydantic import Field

from lem.archive.queries.answer import (
    Answer,
    Configuration,
    ConfigurationId,
    Figure,
    Metric,
    Shape,
    head,
)
from lem.archive.queries.figures import configurations_of, figures_of, id_of
from lem.archive.queries.filters import Filtered
from lem.archive.queries.leaderboard import ordered
from lem.archive.queries.selection import select

SAME = ("model", "device_model", "device_count")


class Neighbour(Shape):
    configuration: Configuration
    figure: Figure


class Neighbours(Answer):
    configurations: int
    """How many there are of this model on this hardware, itself among them."""
    rows: list[Neighbour] = Field(max_length=100)
    """From the best on, itself among them; none where it has no such figure."""


def neighbours(
    connection: sa.Connection,
    configuration: ConfigurationId,
    metric: Metric = "energy_per_output_token_j",
    around: int = 5,
) -> Neighbours:
    """So many on each side; more on one where the other has fewer. Each by its best tier. Places
    are no ranks: those whose intervals overlap can't be told apart. Raises :class:`Refused`
    (404)."""
    key = id_of(connection, configuration)
    own = configurations_of(connection, [key])[key]
    question = Filtered.model_validate(
        {
            "class": own.energy_class,
            "semantics": own.semantics_version,
            "where": {name: [str(getattr(own, name))] for name in SAME},
        }
    )
    about = select(connection, question)
    rows, _, _ = ordered(about, metric)
    keys = about.board.numbers["config_id"][rows]
    at = np.flatnonzero(keys == key)
    ids: list[int] = []
    if len(at):
        first = max(0, min(int(at[0]) - around, len(rows) - 2 * around - 1))
        ids = keys[first : first + 2 * around + 1].tolist()
    configurations = configurations_of(connection, ids)
    figures = figures_of(connection, ids, [metric], 0)
    return Neighbours(
        **head(connection, own.semantics_version).fields(),
        configurations=len(rows),
        rows=[
            Neighbour(configuration=configurations[i], figure=figures[i, metric])
            for i in ids
            if (i, metric) in figures
        ],
    )
