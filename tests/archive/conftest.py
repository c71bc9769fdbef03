"""Empty archives, on SQLite and on PostgreSQL: a test that asks for one runs on both."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lem.archive.database import Database, open_database
from lem.archive.packs import Packs
from tests.postgres import TEMPLATE, postgres

__all__ = ["Archive", "archive", "new_archive", "postgres"]


@dataclass
class Archive:
    database: Database
    packs: Packs
    url: str
    """With which it can be opened once more."""


@pytest.fixture(params=["sqlite", "postgresql"])
def new_archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    """Makes another empty archive at each call."""
    made: list[Archive] = []

    def make() -> Archive:
        folder = tmp_path / f"archive-{len(made)}"
        folder.mkdir()
        if request.param == "sqlite":
            url = f"sqlite:///{folder / 'archive.db'}"
        else:
            url = request.getfixturevalue("postgres").new_database(TEMPLATE)
        database = open_database(url, folder)
        database.migrate()
        made.append(Archive(database, Packs(folder / "packs"), url))
        return made[-1]

    yield make
    for archive in made:
        archive.database.close()
        if request.param == "postgresql":
            request.getfixturevalue("postgres").drop(archive.url)


@pytest.fixture
def archive(new_archive: Any) -> Archive:
    """One empty archive."""
    made: Archive = new_archive()
    return made
