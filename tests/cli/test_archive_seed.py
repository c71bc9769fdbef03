"""``lem archive seed``, and what ``lem serve --demo`` and ``--seed`` share with it."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lem.archive import seeds
from lem.archive.database import open_database
from lem.archive.demo import is_demo
from lem.archive.dump.write import export
from lem.archive.packs import Packs
from lem.archive.schema import IDENTITY, RUN, SUBMISSION
from lem.cli.main import cli
from lem.cli.serve import banner, settings_of
from lem.errors import BadInput, EnvironmentFault
from lem.server import running
from tests.archive import dumps


def lem(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["archive", *map(str, arguments)], catch_exceptions=True)


def said(*arguments: str | Path) -> dict[str, Any]:
    done = lem(*arguments, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LEM_DATABASE_URL", "LEM_DATABASE_URL_FILE", "LEM_DATA", "LEM_DEMO", "LEM_SEED"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two sets of records in place of those that come with lem."""
    folder = tmp_path / "sets"
    for number in (1, 2):
        place = tmp_path / f"made-{number}"
        database = open_database(None, place)
        database.migrate()
        packs = Packs(place / "packs")
        dumps.enrol(database, number, "lem project")
        dumps.submit(database, packs, tmp_path / "folders" / str(number), number, number)
        folder.mkdir(exist_ok=True)
        export(database, packs, folder / f"set-{number}")
        database.close()
    monkeypatch.setattr(seeds, "FOLDER", folder)
    monkeypatch.setattr(seeds.dumps, "__defaults__", (folder,))
    monkeypatch.setattr(seeds.seed, "__defaults__", (folder,))
    return folder


def test_it_takes_in_what_comes_with_lem_once(sets: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    first = said("seed", "--data", data)
    assert first["sets"] == [
        {"name": "set-1", "new": 1, "already": 0},
        {"name": "set-2", "new": 1, "already": 0},
    ]
    assert (first["checked"], first["demo"], first["refused"]) == (2, False, [])
    again = said("seed", "--data", data)
    assert [s["already"] for s in again["sets"]] == [1, 1] and again["checked"] == 0
    database = open_database(None, data)
    with database.reading() as c:
        assert not is_demo(c)
        assert {r.checks for r in c.execute(SUBMISSION.select())} != {"pending"}
        # Nobody is taken for invited here because another archive, or lem, says so.
        assert {(r.name, r.enrolled_by) for r in c.execute(IDENTITY.select())} == {
            ("lem project", "imported")
        }
    database.close()
    assert lem("verify", "--data", data).exit_code == 0


def test_checks_can_be_left_to_the_server(sets: Path, tmp_path: Path) -> None:
    assert said("seed", "--no-checks", "--data", tmp_path / "data")["checked"] == 0
    done = lem("seed", "--no-checks", "--data", tmp_path / "other")
    assert "set-1: 1 submissions taken in, 0 were there" in done.output
    assert "self-reported until" in done.output


def test_a_set_that_was_altered_is_refused(sets: Path, tmp_path: Path) -> None:
    with (sets / "set-1" / "README.txt").open("a") as f:
        f.write("x")
    error = lem("seed", "--data", tmp_path / "data").exception
    assert isinstance(error, BadInput) and "was altered" in str(error)


def test_without_sets_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds.seed, "__defaults__", (tmp_path,))
    error = lem("seed", "--data", tmp_path / "data").exception
    assert isinstance(error, EnvironmentFault) and "no records" in str(error)


def test_a_demonstration_of_any_size(tmp_path: Path) -> None:
    data = tmp_path / "data"
    made = said("seed", "--demo", "--configurations", "40", "--runs", "400", "--data", data)
    assert made == {"schema_version": 1, "demo": True, "runs": 400, "configurations": 40}
    database = open_database(None, data)
    with database.reading() as c:
        assert is_demo(c)
        assert all("synthetic" in r.flags for r in c.execute(RUN.select()))
    database.close()
    again = lem("seed", "--demo", "--data", data).exception
    assert isinstance(again, BadInput) and "has records" in str(again)


def test_what_cannot_be_meant_is_refused(sets: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for arguments, words in (
        (["--configurations", "5"], "go with --demo"),
        (["--runs", "5"], "go with --demo"),
        (["--demo", "--no-checks"], "have no traces"),
    ):
        error = lem("seed", *arguments, "--data", data).exception
        assert isinstance(error, BadInput) and words in str(error)
    said("seed", "--no-checks", "--data", data)
    error = lem("seed", "--demo", "--data", data).exception
    assert isinstance(error, BadInput) and "none for demonstrations" in str(error)


def served(data: Path, demo: bool) -> Any:
    options = dict.fromkeys(("database", "url", "enrolment"))
    plain = {"host": "127.0.0.1", "port": 0, "trust_proxy": (), "log_format": "text"}
    plain |= {"log_addresses": "none", "metrics_public": False, "checkers": 0}
    return settings_of({**options, **plain, "data": data, "demo": demo}, {})


def test_a_server_says_what_it_serves_before_it_does(tmp_path: Path) -> None:
    data = tmp_path / "data"
    said("seed", "--demo", "--configurations", "4", "--runs", "40", "--data", data)
    with pytest.raises(BadInput, match="for demonstrations"):
        running.migrate(served(data, demo=False))
    running.migrate(served(data, demo=True))
    assert any("made-up" in line for line in banner(served(data, demo=True), 1))
    assert not any("made-up" in line for line in banner(served(data, demo=False), 1))
