"""``lem archive``: what it prints, its exit codes, and a dump that is verified by its traces."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bench.archive import campaigns
from lem.archive.checks import check_next
from lem.archive.database import Database, open_database
from lem.archive.packs import Packs
from lem.archive.schema import FACET, RUN
from lem.cli.main import cli
from lem.errors import BadInput, LemError
from lem.submit.bundle import bundles
from tests.archive import dumps

ROOT = Path(__file__).parents[2]


def lem(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["archive", *map(str, arguments)], catch_exceptions=True)


def said(*arguments: str | Path, code: int = 0) -> dict[str, Any]:
    done = lem(*arguments, "--json")
    assert done.exit_code == code, (done.output, done.exception)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def error(*arguments: str | Path) -> LemError:
    found = lem(*arguments).exception
    assert isinstance(found, LemError)
    return found


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("LEM_DATABASE_URL", "LEM_DATABASE_URL_FILE", "LEM_DATA"):
        monkeypatch.delenv(name, raising=False)
    folder = tmp_path / "data"
    database = opened(folder)
    dumps.filled(database, Packs(folder / "packs"), tmp_path / "folders")
    database.close()
    return folder


def opened(folder: Path) -> Database:
    database = open_database(None, folder)
    database.migrate()
    return database


def test_out_and_in_again(data: Path, tmp_path: Path) -> None:
    dump, other = tmp_path / "dump", tmp_path / "other"
    written = said("export", dump, "--data", data)
    assert written["counts"] == {
        "submissions": 2, "runs": 12, "configurations": 4, "keys": 2, "external": 1,
    }  # fmt: skip
    assert said("verify", dump)["holds"] is True
    assert said("import", dump, "--data", other)["new"] == 2
    assert said("import", dump, "--data", other)["already"] == 2
    assert said("verify", "--data", other) == {"schema_version": 1, "holds": True, "findings": []}
    assert said("rebuild", "--data", other)["changed"] == []


def test_what_does_not_hold_ends_with_1(data: Path, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    said("export", dump, "--data", data)
    with (dump / "README.txt").open("a") as f:
        f.write("x")
    found = said("verify", dump, code=1)
    assert found["findings"] == [
        {"place": "README.txt", "what": "is not what SHA256SUMS says: it was altered"}
    ]
    refused = error("import", dump, "--data", tmp_path / "other")
    assert "README.txt: is not what SHA256SUMS says" in str(refused)


def test_rebuild_says_what_changed_and_mends_it(data: Path) -> None:
    database = opened(data)
    with database.writing() as c:
        c.execute(FACET.update().values(configurations=99))
    database.close()
    assert lem("verify", "--data", data).exit_code == 1
    assert len(said("rebuild", "--data", data)["changed"]) > 10
    assert lem("verify", "--data", data).exit_code == 0


def test_figures_of_others(data: Path, tmp_path: Path) -> None:
    example = ROOT / "docs/data/external-example.csv"
    assert said("import", "--external", example, "--data", data)["new"] == 2
    assert said("import", "--external", example, "--data", data)["already"] == 2
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{}\n")
    assert f"{bad}:1: source" in str(error("import", "--external", bad, "--data", data))


def test_what_cannot_be_meant_is_refused(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folders" / "1"
    found = error("import", folder, "--data", data)
    assert isinstance(found, BadInput) and found.hint == f"lem results push {folder}"
    assert "no archive in" in str(error("export", tmp_path / "x", "--data", tmp_path / "none"))
    assert not (tmp_path / "none").exists()
    assert "either" in str(error("import", "--data", data))
    assert "either" in str(error("verify", tmp_path, "--data", data))
    assert "--recompute is for dumps" in str(error("verify", "--recompute", "--data", data))


def test_traces_bear_out_what_tables_say(tmp_path: Path) -> None:
    """Runs by a real agent: recomputed from the dump, by another process."""
    place, data = tmp_path / "campaign", tmp_path / "data"
    place.mkdir()
    assert campaigns.run(place, blocks=3, window_s=0.2) == ""
    database, packs = opened(data), Packs(data / "packs")
    dumps.enrol(database, 1, "Ann")
    (bundle,) = bundles(place / "out", dumps.info_of(database))
    receipt = dumps.receive(database, packs, bundle, 1)
    assert receipt.campaign_state == "complete"
    while check_next(database, packs) is not None:
        pass
    with database.reading() as c:
        tiers = list(c.scalars(RUN.select().with_only_columns(RUN.c.tier)))
    confirmed = sum(t >= 2 for t in tiers)
    assert len(tiers) == 6 and confirmed
    dump = tmp_path / "dump"
    said("export", dump, "--data", data)
    found = said("verify", dump, "--recompute", "--processes", "1")
    assert found["runs_confirmed_from_their_traces"] == confirmed
    # A table that says more than the records do.
    with database.writing() as c:
        c.execute(RUN.update().values(mean_power_w=RUN.c.mean_power_w * 0.9))
    database.close()
    lying = tmp_path / "lying"
    said("export", lying, "--data", data)
    told = said("verify", lying, "--recompute", "--processes", "1", code=1)
    assert [f["what"] for f in told["findings"]] == [
        "runs.parquet has other figures than its record"
    ] * 6
