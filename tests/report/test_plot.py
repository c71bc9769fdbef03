"""The charts of a campaign's folder say what its tables say."""

import json
import math
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import records
from click.testing import CliRunner

from lem.analysis.results import Campaign
from lem.analysis.text import ratio
from lem.charts.model import Bars, Intervals, Scatter, Slope, Traces
from lem.cli.charts import names_of
from lem.cli.results import command
from lem.errors import BadInput
from lem.meters.protocol import Sample
from lem.meters.sampling.trace import TraceWriter
from lem.report import budget, power_traces
from lem.report.budget import Budget
from lem.report.charts_of import KINDS, Charts
from lem.trust.budget import metrics

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


def estimated(cell: dict[str, Any], block: int) -> dict[str, Any]:
    return {
        "cpu_time_s": of(cell, block)["energy"]["gpu"] / 10,
        "tpot_s": 0.01,
        "throughput": 40.0,
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    records.grid(tmp_path / "c", AXES, of, blocks=3, name="charts")
    return tmp_path / "c"


def run(*arguments: str | Path) -> Any:
    return CliRunner(env={"COLUMNS": "160"}).invoke(
        command, [str(a) for a in arguments], catch_exceptions=False
    )


def charts(folder: Path) -> Charts:
    return Charts(Campaign(folder), metrics)


def with_trace(folder: Path, seconds: int = 40) -> Path:
    """Gives the first run a trace: 10 W, in its window 300 W."""
    (place,) = [p.parent for p in (folder / "blocks/0000").glob(f"{records.arm_name(0)}/0/*.json")]
    writer = TraceWriter(place / "trace.csv.gz")
    start = 10**12 - 5 * 10**9
    record = Campaign(folder).entry(str(place.relative_to(folder))).record
    assert record is not None
    end = record.windows[0].end_ns
    for i in range(seconds * 10):
        t = start + i * 10**8
        watts = 300.0 if 10**12 <= t < end else 10.0
        writer.add([Sample(t, "nvml", "gpu0", "power_mw", watts * 1e3)])
        if i == 0:
            writer.add([Sample(t, "agent", "run", "phase", 2.0)])
    writer.add([Sample(end, "agent", "run", "phase", 4.0)])
    writer.close()
    return place


def test_the_command_draws_all_that_applies(folder: Path, tmp_path: Path) -> None:
    with_trace(folder)
    to = tmp_path / "drawn"
    found = run("plot", folder, "-o", to, "--json")
    assert found.exit_code == 0, found.output
    document = json.loads(found.stdout)
    assert document["left_out"] == {}
    files = sorted(p.name for p in to.iterdir())
    assert files == sorted(Path(c["file"]).name for c in document["charts"])
    assert {c["kind"] for c in document["charts"]} == {
        "intervals",
        "scatter",
        "bars",
        "slope",
        "traces",
    }
    assert {
        "attribution-gpu.svg", "budget-gpu.svg", "energy-gpu.svg", "front.svg",
        "load-curve-gpu.svg", "ratios-gpu.svg", "scatter-gpu.svg", "slope-gpu-engine-dtype.svg",
    } <= set(files)  # fmt: skip
    for file in to.iterdir():
        ElementTree.fromstring(file.read_text())


def test_one_file_of_some_kinds_in_either_format(folder: Path, tmp_path: Path) -> None:
    both = ("--chart", "ratios", "--chart", "energy")
    run("plot", folder, *both, "-o", tmp_path / "x.svg", "--dark", "--width", "400")
    root = ElementTree.fromstring((tmp_path / "x.svg").read_text())
    assert root.get("width") == "400" and "#14181c" in (tmp_path / "x.svg").read_text()
    run("plot", folder, "--chart", "ratios", "-o", tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    run("plot", folder, "--chart", "ratios", "-o", tmp_path / "d", "--format", "png")
    assert [p.name for p in (tmp_path / "d").iterdir()] == ["ratios-gpu.png"]


def test_what_does_not_apply_is_left_out_with_a_note(tmp_path: Path) -> None:
    def alike(cell: dict[str, Any], block: int) -> dict[str, Any]:
        return {"energy": {"gpu": 1.0}, "gpus": [records.gpu()]}

    records.grid(tmp_path / "c", {"engine.dtype": ["float32", "bfloat16"]}, alike, blocks=1)
    shown = run("plot", tmp_path / "c", "-o", tmp_path / "d")
    assert shown.exit_code == 0
    for kind in ("attribution", "traces", "load-curve"):
        assert f"no {kind}: " in shown.output
    with pytest.raises(BadInput, match="no load is swept"):
        run("plot", tmp_path / "c", "--chart", "load-curve")
    with pytest.raises(BadInput, match=r"is no \.svg"):
        run("plot", tmp_path / "c", "-o", "x.png", "--format", "svg")


def test_ratios_are_those_of_compare(folder: Path) -> None:
    (chart,) = charts(folder).of("ratios")
    assert isinstance(chart, Intervals)
    compared = json.loads(run("compare", folder, "--json").stdout)
    key = "energy_per_output_token_j.gpu"
    wanted = {
        a["name"]: tuple(a["ratios"][key][k] for k in ("ratio", "low", "high"))
        for a in compared["arms"]
        if not a["baseline"]
    }
    assert len(wanted) == 5
    drawn = {r.label: (r.value, *(r.interval or (None, None))) for r in chart.rows}
    assert drawn == wanted
    c = Campaign(folder).compare()
    assert {r.label: r.text for r in chart.rows} == {
        a.name: ratio(a.ratios[key], a.verdicts[key]) for a in c.arms if not a.baseline
    }
    assert chart.reference == 1 and chart.band == (0.98, 1.02)
    assert (
        chart.title.startswith("Bfloat16, concurrency 16 uses 87") and "blocks" not in chart.title
    )


def test_figures_are_those_of_the_table(folder: Path) -> None:
    (chart,) = charts(folder).of("energy")
    assert isinstance(chart, Intervals)
    printed = " ".join(run("compare", folder).output.split())
    assert len(chart.rows) == 6
    for row in chart.rows:
        assert row.text.removesuffix(" J/token").removesuffix(" mJ/token") in printed
        assert row.interval is not None and row.value is not None
        # U ≥ the meter's 2 %, of which scatter is a small part.
        assert (row.interval[1] - row.value) / row.value == pytest.approx(0.02, rel=0.2)
        assert not row.estimated


def test_slopes_join_arms_that_differ_in_one_thing(folder: Path) -> None:
    found = {c.id: c for c in charts(folder).of("attribution") if isinstance(c, Slope)}
    chart = found["slope-gpu-engine-dtype"]
    assert (chart.left, chart.right) == ("float32", "bfloat16")
    assert [s.label for s in chart.lines] == [f"concurrency {n}" for n in (1, 4, 16)]
    for line in chart.lines:
        assert line.left is not None and line.right is not None
        assert line.left / line.right == pytest.approx(2, rel=0.01)
    over = found["slope-gpu-workload-arrival-concurrency"]
    assert over.notes == ("Not drawn: 1 value between.",)
    (bars,) = [c for c in charts(folder).of("attribution") if isinstance(c, Bars)]
    shares = json.loads(run("attribute", folder, "--json").stdout)["found"][0]["shares"]
    assert [(r.label, r.value) for r in bars.rows] == [(s["name"], s["share"]) for s in shares]


def test_an_estimate_is_drawn_as_one(tmp_path: Path) -> None:
    records.grid(tmp_path / "e", AXES, estimated, blocks=3, name="estimated")
    of = charts(tmp_path / "e")
    (energy,) = of.of("energy")
    assert isinstance(energy, Intervals) and all(r.estimated for r in energy.rows)
    assert "not measured" in energy.subtitle and energy.rows[0].text.startswith("≈ ")
    assert energy.rows[0].text.endswith("± 50 %")
    (curve,) = of.of("load-curve")
    assert isinstance(curve, Scatter) and all(m.estimated for s in curve.series for m in s.marks)
    assert "not measured" in curve.subtitle
    for kind in ("ratios", "scatter", "attribution"):
        for chart in of.of(kind):  # type: ignore[arg-type]
            assert "only estimated" in chart.subtitle and "CPU time" in chart.subtitle
    (parts,) = of.of("budget")
    assert "estimated, not measured" in parts.subtitle


def test_a_trace_has_its_power_and_the_window_of_the_record(folder: Path) -> None:
    with_trace(folder)
    (chart,) = charts(folder).of("traces")
    assert isinstance(chart, Traces)
    (line,) = chart.lines
    assert line.name == "gpu0" and max(line.values) == 300 and min(line.values) == 10
    window = next(p for p in chart.phases if p.measured)
    assert (window.start_s, window.end_s) == (5, 30)
    during = [v for t, v in zip(line.t_s, line.values, strict=True) if 5 <= t < 30]
    assert set(during) == {300}
    assert [p.name for p in chart.phases] == ["warm up", "window", "idle"]
    assert "block 0" in chart.source and "nvml" in chart.source


def test_a_damaged_trace_is_named(folder: Path) -> None:
    place = with_trace(folder)
    (place / "trace.csv.gz").write_bytes(b"nothing")
    with pytest.raises(BadInput, match=r"trace\.csv\.gz: is damaged"):
        charts(folder).of("traces")
    assert (
        power_traces.chart(Campaign(folder).entry(str(place.relative_to(folder))).record, [], "x")
        is None
    )  # type: ignore[arg-type]


def test_a_budgets_parts_make_its_whole() -> None:
    parts = {"gain": 0.02, "edges": 0.01, "sampling": 0.0}
    one = Budget(
        "energy_per_output_token_j", "gpu", "J/token", 2.0, 2 * math.hypot(0.02, 0.01), parts
    )
    chart = budget.chart(one, "r1", "c")
    assert chart is not None
    assert [r.label for r in chart.rows][:2] == ["gain", "edges"]
    assert [r.value for r in chart.rows] == pytest.approx([1, 0.5, 0, math.hypot(1, 0.5)])
    assert chart.axis.unit == "%" and "GPU energy per output token" in chart.title
    assert budget.chart(one._replace(parts={}), "r1", "c") is None
    without = budget.chart(one._replace(value=0.0), "r1", "c")
    assert without is not None and without.axis.unit == "J/token"
    assert without.rows[0].value == 0.02


def test_every_kind_can_be_asked_for() -> None:
    for kind in KINDS:
        assert kind in run("plot", "--help").output


def test_names_of_files_are_harmless_and_different() -> None:
    assert names_of(["a/../b", "A  b", "", "<x>", "x"]) == ["a-b", "a-b-2", "chart", "x", "x-2"]
