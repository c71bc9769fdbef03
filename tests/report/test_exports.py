"""Parquet and BoAmps files of a folder."""

import builtins
import json
from pathlib import Path

import jsonschema
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from referencing import Registry, Resource

from lem.cli.results import command
from lem.errors import EnvironmentFault
from tests import records


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    records.campaign(tmp_path / "c", {1: [0.02, 0.021], 4: [0.01, None]})
    return tmp_path / "c"


def test_parquet_has_the_rows_of_csv(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.parquet"
    done = CliRunner().invoke(
        command, ["export", str(folder), "--format", "parquet", "-o", str(out), "--json"]
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["records"] == 3
    rows = pq.read_table(out).to_pylist()
    values = [r["cpu_time_per_output_token_s"] for r in rows]
    assert sorted(values) == [0.01, 0.02, 0.021]
    assert {r["counted"] for r in rows} == {True}
    assert {r["engine.max_batch_size"] for r in rows} == {1, 4}


def test_boamps_reports_follow_the_published_schema(folder: Path) -> None:
    done = CliRunner().invoke(command, ["export", str(folder), "--format", "boamps"])
    assert done.exit_code == 0, done.output
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(reports) == 3
    schemas = [
        json.loads(p.read_text()) for p in (Path(__file__).parent / "boamps").glob("*_schema.json")
    ]
    registry = Registry().with_resources([(s["id"], Resource.from_contents(s)) for s in schemas])
    main = next(s for s in schemas if s["title"] == "report")
    for one in reports:
        jsonschema.Draft4Validator(main, registry=registry).validate(one)
        # No licence is claimed for what is on somebody's own machine.
        assert "licensing" not in one["header"]
        assert one["header"]["publisher"]["confidentialityLevel"] == "internal"
    # 0.02 s of CPU time a token at 10 W, 1000 tokens
    joules = sorted(m["powerConsumption"] * 3.6e6 for r in reports for m in r["measures"])
    assert joules == pytest.approx([100, 200, 210])


def test_without_pyarrow_it_says_what_to_install(folder: Path, monkeypatch) -> None:
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    done = CliRunner().invoke(
        command, ["export", str(folder), "--format", "parquet", "-o", str(folder / "x.parquet")]
    )
    assert isinstance(done.exception, EnvironmentFault)
    assert "lem-energy[parquet]" in str(done.exception)
