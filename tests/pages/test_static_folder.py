"""What a site's folder keeps, and what is never touched outside of it."""

from pathlib import Path
from typing import Any

import pytest

from lem.errors import BadInput
from lem.pages.static_site import MARK, write
from tests.archive.conftest import Archive, archive, new_archive, postgres
from tests.archive_queries import filled

__all__ = ["archive", "new_archive", "postgres"]


def test_a_clone_stays_a_clone(archive: Archive, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    (folder / ".git/objects").mkdir(parents=True)
    (folder / ".git/HEAD").write_text("ref: refs/heads/pages\n")
    for _ in range(2):
        write(archive.database, archive.packs, folder)
        assert (folder / ".git/HEAD").is_file() and (folder / ".git/objects").is_dir()
        assert (folder / "index.html").is_file()


def test_nothing_is_written_or_removed_through_a_link(archive: Archive, tmp_path: Path) -> None:
    filled(archive, 2)
    folder, outside = tmp_path / "site", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "mine.txt").write_text("mine")
    (folder / MARK).write_text("")
    (folder / "assets").symlink_to(outside)
    (folder / "charts").symlink_to(outside)
    write(archive.database, archive.packs, folder)
    assert [p.name for p in outside.iterdir()] == ["mine.txt"]
    assert not (folder / "assets").is_symlink() and any((folder / "assets").iterdir())


def test_other_folders_are_refused(archive: Any, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(BadInput):
        write(archive.database, archive.packs, tmp_path)
