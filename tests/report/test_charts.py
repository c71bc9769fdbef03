"""``lem results pareto``, ``attribute``, ``curve`` and ``plot`` as a user sees them."""

import json
import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import records
from click.testing import CliRunner

from lem.cli.results import command

AXES: dict[str, Any] = {
    "engine.dtype": ["float32", "bfloat16"],
    "workload.arrival.concurrency": [1, 4, 16],
}


def of(cell: dict[str, Any], block: int) -> dict[str, Any]:
    clients = cell["workload.arrival.concurrency"]
    joules = (2.0 if cell["engine.dtype"] == "float32" else 1.0) / clients**0.5
    wiggle = 1 + 0.003 * math.sin(7 * block + clients + 3 * joules)
    return {
        "energy": {"gpu": joules * wiggle},
        "above_idle": {"gpu": 0.7 * joules * wiggle},
        "tpot_s": 0.01 * (1 + clients / 4) * wiggle,
        "throughput": 40.0 * clients,
        "cpu_time_s": None,
        "gpus": [records.gpu()],
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    records.grid(tmp_path / "c", AXES, of, blocks=3, name="charts")
    return tmp_path / "c"


def run(*arguments: str | Path) -> Any:
    return CliRunner(env={"COLUMNS": "160"}).invoke(
        command, [str(a) for a in arguments], catch_exceptions=False
    )


@pytest.mark.parametrize("name", ["pareto", "attribute", "curve"])
def test_each_prints_draws_and_speaks_json(folder: Path, tmp_path: Path, name: str) -> None:
    chart = tmp_path / "x.svg"
    shown = run(name, folder, "-o", chart)
    assert shown.exit_code == 0, shown.output
    assert "GPU energy" in shown.output
    root = ElementTree.fromstring(chart.read_text())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert root.findall(".//{*}circle") or root.findall(".//{*}rect")
    assert not root.findall(".//{*}script")
    found = json.loads(run(name, folder, "--json").stdout)
    assert found["schema_version"] == 1


def test_the_json_has_what_the_tables_say(folder: Path) -> None:
    front = json.loads(run("pareto", folder, "--json").stdout)
    on = {p["name"] for p in front["points"] if p["state"] == "front"}
    assert on == {f"bfloat16, concurrency {n}" for n in (1, 4, 16)}
    shares = json.loads(run("attribute", folder, "--json").stdout)["found"][0]["shares"]
    # ln √c over c = 1, 4, 16 has the variance ⅔·(ln 2)², ln 2 between the types ¼·(ln 2)².
    assert {s["name"]: s["share"] for s in shares}["concurrency"] == pytest.approx(8 / 11, abs=0.01)
    (curve,) = json.loads(run("curve", folder, "--json").stdout)["curves"]
    assert [[p["load"] for p in s["points"]] for s in curve["series"]] == [[1, 4, 16]] * 2
    assert curve["series"][0]["points"][0]["above_idle"]["mean"] == pytest.approx(1.4, rel=0.01)


def test_what_cannot_be_is_refused(folder: Path, tmp_path: Path) -> None:
    from lem.errors import BadInput

    with pytest.raises(BadInput, match=r"charts are written as \.svg or \.png"):
        run("pareto", folder, "-o", tmp_path / "x.pdf")
    records.grid(tmp_path / "d", AXES, of)
    with pytest.raises(BadInput, match="artefact"):
        run("attribute", tmp_path)
    with pytest.raises(BadInput, match=r"no arm of charts has engine\.dtype=int4"):
        run("pareto", folder, "--where", "engine.dtype=int4")


def test_an_estimate_has_no_energy_above_idle_to_show(tmp_path: Path) -> None:
    def estimated(cell: dict[str, Any], block: int) -> dict[str, Any]:
        joules = of(cell, block)["energy"]["gpu"]
        return {"cpu_time_s": joules / 10, "above_idle": {"estimated": joules}}

    records.grid(tmp_path / "e", AXES, estimated, blocks=3, name="estimated")
    shown = run("curve", tmp_path / "e", "-o", tmp_path / "x.svg").output
    assert "Above idle" not in shown and "knows no idle power" in shown
    assert "above idle" not in (tmp_path / "x.svg").read_text()


@pytest.mark.parametrize("name", ["pareto", "attribute", "curve", "list"])
@pytest.mark.parametrize("width", [80, 120])
def test_no_figure_is_cut_off(folder: Path, name: str, width: int) -> None:
    shown = CliRunner(env={"COLUMNS": str(width)}).invoke(command, [name, str(folder)])
    assert shown.exit_code == 0 and "…" not in shown.output


def test_a_crowded_fronts_marks_are_numbered_and_named_below(tmp_path: Path) -> None:
    axes = AXES | {"engine.max_batch_size": [8, 16]}
    records.grid(tmp_path / "c", axes, of, blocks=3, name="many")
    run("pareto", tmp_path / "c", "-o", tmp_path / "x.svg")
    root = ElementTree.fromstring((tmp_path / "x.svg").read_text())
    texts = [t.text or "" for t in root.iter("{http://www.w3.org/2000/svg}text")]
    note = " ".join(t for t in texts if "bfloat16" in t)
    assert "1" in texts and note.startswith("1: ") and "concurrency 1" in note


def test_an_axis_has_its_ticks_at_the_loads_where_there_is_room(
    folder: Path, tmp_path: Path
) -> None:
    run("curve", folder, "-o", tmp_path / "x.svg")
    root = ElementTree.fromstring((tmp_path / "x.svg").read_text())
    texts = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"1", "4", "16"} <= set(texts)


def test_a_front_names_what_is_kept_off_it(tmp_path: Path) -> None:
    def serves(cell: dict[str, Any], block: int) -> dict[str, Any]:
        late = cell["engine.max_batch_size"] == 8 and block
        goodput = (0.0, 0.0) if late else (3.0, 1.0)
        return {"energy": {"gpu": 1.0}, "goodput": goodput, "gpus": [records.gpu()]}

    records.grid(tmp_path / "c", {"engine.max_batch_size": [1, 8]}, serves, blocks=3)
    shown = run("pareto", tmp_path / "c", "--x", "goodput_per_s", "-o", tmp_path / "x.svg")
    assert shown.exit_code == 0, shown.output
    assert "batch size 8 (goodput is 0 in 2 of 3 blocks)" in " ".join(shown.output.split())
    assert "batch size 1" in (tmp_path / "x.svg").read_text()
