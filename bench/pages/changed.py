"""How long a page takes that is the first one asked for after the archive has changed."""

import sqlalchemy as sa

from bench.pages import server
from lem.archive import board
from lem.archive.database import Database, raise_data_version
from lem.archive.schema import BOARD

CHANGED = 2
"""Configurations, as by a submission of two arms."""


def first_answers(url: str, database: Database, path: str, times: int) -> list[float]:
    """Seconds of each: nothing that was made of an earlier state is of use."""
    found = []
    for number in range(times):
        _change(database, number)
        (seconds,), _ = server.asked(url, [path])
        found.append(seconds)
    return found


def _change(database: Database, number: int) -> None:
    with database.writing() as c:
        rows = sa.select(BOARD.c.config_id).order_by(BOARD.c.config_id)
        ids = c.scalars(rows.offset(CHANGED * number).limit(CHANGED)).all()
        board.refresh(c, ids)
        raise_data_version(c)
