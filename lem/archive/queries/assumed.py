"""What estimates of energy assume, as the records of their runs state it."""

from collections.abc import Iterable
from typing import NamedTuple

import sqlalchemy as sa

from lem.analysis.quantities import ESTIMATED
from lem.archive.queries.answer import Packs
from lem.archive.queries.members import Members, Submissions, run_row
from lem.archive.queries.runs import measured_query
from lem.archive.refused import Refused
from lem.archive.schema import CONFIG, RUN
from lem.contract.record import Record
from lem.errors import BadInput

MOST_CAMPAIGNS = 8
"""Of one configuration: a record of each is read."""


class Assumed(NamedTuple):
    watts: float
    """Power of one busy core."""
    relative: float | None
    """Its expanded uncertainty (k = 2), as a share of it; None where none is stated."""


def of_run(connection: sa.Connection, packs: Packs, run: str) -> Assumed | None:
    """None where its energy is not estimated, or its record does not state it. Raises
    :class:`Refused` (404)."""
    return _one([Members(connection, packs, run_row(connection, run))])


def of_configuration(
    connection: sa.Connection, packs: Packs, configuration: str, tier: int
) -> Assumed | None:
    """Of all its counted runs of at least this tier: those of one campaign assume the same. None
    where they do not all state one and the same, or where they are of too many campaigns."""
    first = (
        sa.select(sa.func.min(RUN.c.id))
        .join(CONFIG, CONFIG.c.id == RUN.c.config_id)
        .where(CONFIG.c.hash == configuration, RUN.c.counted, RUN.c.tier >= tier)
        .group_by(RUN.c.campaign_id)
        .limit(MOST_CAMPAIGNS + 1)
    )
    rows = connection.execute(measured_query().where(RUN.c.id.in_(first))).all()
    if len(rows) > MOST_CAMPAIGNS:
        return None
    submissions = Submissions(connection)
    return _one(Members(connection, packs, row, submissions) for row in rows)


def _one(runs: Iterable[Members]) -> Assumed | None:
    try:
        found = {stated(one.record()) for one in runs}
    except (Refused, BadInput, OSError):
        return None
    return found.pop() if len(found) == 1 else None


def stated(record: Record) -> Assumed | None:
    """None where no energy is estimated, or where the record leaves the power to a default."""
    meters = [m for m in record.meters if m.device_class == ESTIMATED]
    if not meters or "watts_per_busy_core" not in record.measurement.model_fields_set:
        return None
    relative = {m.relative_uncertainty for m in meters}
    return Assumed(
        record.measurement.watts_per_busy_core, relative.pop() if len(relative) == 1 else None
    )
