"""Demonstration archives: the only ones that take made-up records. Marked for ever, so that nothing
in one can be taken for a measurement: its answers, its pages and its dumps say what it is."""

import sqlalchemy as sa

from lem.archive.database import Database, every_setting
from lem.archive.schema import RUN, SETTING, SUBMISSION
from lem.errors import BadInput

DEMO = "demo"
"""The setting's name."""
MADE_UP = "Made-up records of a demonstration, not to be cited: "
"""Before the citation of all that comes out of such an archive."""


def is_demo(connection: sa.Connection) -> bool:
    """Whether made-up records may be among this archive's."""
    return DEMO in every_setting(connection)


def mark(connection: sa.Connection) -> None:
    """Make this archive one for demonstrations, within the caller's transaction. Nothing takes that
    back. Raises :class:`BadInput` where it has records already: what was measured would stand in
    doubt."""
    if is_demo(connection):
        return
    for table in (SUBMISSION, RUN):
        if connection.execute(sa.select(table.c.id).limit(1)).first() is not None:
            raise BadInput(
                "this archive has records, and is none for demonstrations",
                hint="a demonstration begins with an empty archive: name another with --data or "
                "--database",
            )
    connection.execute(SETTING.insert().values(name=DEMO, value="1"))


def open_as(database: Database, demo: bool) -> None:
    """For a server that starts. Raises :class:`BadInput` where it would serve a demonstration as
    measurements, or make one of an archive that has records."""
    with database.reading() as connection:
        marked = is_demo(connection)
    if marked and not demo:
        raise BadInput(
            "this archive is for demonstrations: made-up records may be in it",
            hint="lem serve --demo says so on every page; for measurements, begin another archive",
        )
    if demo and not marked:
        with database.writing() as connection:
            mark(connection)
