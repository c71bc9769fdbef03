"""Records that this project measured on real machines. They come with ``lem``, each set as a dump
of the archive that it was first submitted to: signed once, the same bytes everywhere, with the tier
that the checks of the archive give it that takes them in."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from lem.archive import checks
from lem.archive.database import Database
from lem.archive.dump import layout
from lem.archive.dump.bring_in import BroughtIn, bring_in
from lem.archive.dump.read import Dump
from lem.archive.packs import Packs
from lem.archive.schema import SUBMISSION
from lem.errors import EnvironmentFault

FOLDER = Path(__file__).parents[1] / "seed"
Progress = Callable[[int, int], None]


class Seeded(NamedTuple):
    name: str
    done: BroughtIn


def dumps(folder: Path = FOLDER) -> list[Path]:
    """The sets of records, by name."""
    return sorted(p.parent for p in folder.glob(f"*/{layout.DESCRIPTION}"))


def seed(database: Database, packs: Packs, folder: Path = FOLDER) -> Iterator[Seeded]:
    """Take in what is not there yet. Raises :class:`EnvironmentFault` where this ``lem`` comes
    without records, and as :func:`~lem.archive.dump.bring_in.bring_in`."""
    found = dumps(folder)
    if not found:
        raise EnvironmentFault(f"there are no records in {folder}", hint="is lem installed whole?")
    for place in found:
        yield Seeded(place.name, bring_in(database, packs, Dump(place)))


def check(database: Database, packs: Packs, progress: Progress = lambda done, of: None) -> int:
    """Let every submission that waits go through this archive's checks, so that its tier is known;
    how many there were. Those that a server has begun are left to it."""
    with database.reading() as c:
        pending = sa.select(sa.func.count()).where(SUBMISSION.c.checks == "pending")
        of = int(c.scalar(pending) or 0)
    done = 0
    while checks.check_next(database, packs) is not None:
        done += 1
        progress(done, max(done, of))
    return done
