"""lem doctor on archives."""

from pathlib import Path

import pytest

from lem.cli import doctor_archive as d
from lem.submit import settings
from tests.postgres import postgres
from tests.submit import given

__all__ = ["postgres"]


def test_a_server_without_its_packages_says_how_to_get_them() -> None:
    said = d.serving({}, lambda name: None if name in ("fastapi", "orjson") else object())
    assert said.state == "absent"
    assert said.what == 'lem serve needs fastapi, orjson: pip install "lem-energy[server]"'


def test_without_a_database_it_is_sqlite() -> None:
    assert d.serving({}) == ("ok", "lem serve can start, with SQLite", None)


def test_a_database_that_is_away_is_told_without_its_password() -> None:
    url = "postgresql+psycopg://lem:s3cret@127.0.0.1:9/lem"
    said = d.serving({"LEM_DATABASE_URL": url})
    assert said.state == "missing" and "cannot be reached" in said.what
    assert "s3cret" not in repr(said) and said.fix is not None


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert d.serving({"LEM_DATABASE_URL_FILE": str(tmp_path / "none")}).state == "missing"


def test_a_database_that_answers(postgres) -> None:
    url = postgres.new_database()
    said = d.serving({"LEM_DATABASE_URL": url})
    assert said.state == "ok" and "with postgresql 1" in said.what


def test_where_results_go(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert d.submitting() == ("absent", "no archive is known; results stay here", None)
    with settings.changed() as change:
        change.to(change.settings.knowing("https://lem.example.org", given.info()))
    said = d.submitting()
    assert said.state == "ok" and said.what.startswith("https://lem.example.org; a key is made")
