"""The page of one run."""

import gzip
from typing import Any

import pytest
from markupsafe import escape

from lem.archive.queries.power import power
from lem.archive.queries.results import ResultsQuestion, result, results, trace
from lem.archive.refused import Refused
from lem.archive.schema import BLOB, FINDING, IDENTITY, RUN
from lem.charts.model import Bars, Target, Traces
from lem.contract.flags import FLAGS
from lem.contract.record import Reconciliation, View
from lem.errors import BadInput
from lem.pages.doubts import NOT_OF_ENERGY, is_doubt
from lem.pages.one_figure import part_name
from lem.pages.page import Page, Reader
from lem.pages.result import KIND, why_none
from lem.trust import budget
from lem.web import rendering
from lem.web.addresses import LiveLinks, StaticLinks, path_of
from lem.web.rendering import Site
from lem.web.words import figure
from tests import archive_queries, records
from tests.archive.conftest import archive, new_archive, postgres

__all__ = ["archive", "new_archive", "postgres"]

HOSTILE = "<script>alert(1)</script>"
ENERGY = "energy_per_output_token_j"


def put(archive: Any, **changes: Any) -> str:
    """One run; its id."""
    given: dict[str, Any] = {"energy": {"gpu": 0.5}, "gpus": [records.gpu()], "semantics": 4}
    archive_queries.submitted(archive, [records.record(**given | changes)])
    with archive.database.reading() as c:
        return results(c, ResultsQuestion()).rows[0].id


def built(
    archive: Any, run: str, *query: tuple[str, str], static: bool = False
) -> tuple[Page, str]:
    target = Target("result", {"id": run})
    site = Site(StaticLinks(path_of(target)), static=True) if static else Site(LiveLinks())
    with archive.database.reading() as c:
        page = KIND.build(Reader(c, archive.packs), {"id": run}, query)
        html = rendering.page(page.shown(target), site)
    return page, html


def test_figures_are_the_queries(archive: Any) -> None:
    run = put(archive)
    page, html = built(archive, run)
    with archive.database.reading() as c:
        found = result(c, archive.packs, run)
        assert [p["id"] for p in KIND.instances(Reader(c, archive.packs))] == [run]
    said = figure(found.run.figures[ENERGY])
    assert said.value == "0.500 ± 0.010" and said.unit == "J per token"
    assert f'<span class="value">{said.value}</span> <span class="unit">{said.unit}</span>' in html
    assert page.answer == found and page.head == found
    assert page.table is not None
    row = next(r for r in page.table.rows if r[0] == ENERGY)
    assert row == (ENERGY, "gpu", 0.5, 0.01, "J/token", "recomputed", "gpu")
    # Each of the record's figures stands there.
    assert {r[0] for r in page.table.rows} == set(found.record["metrics"])
    assert 'class="badge estimated"' not in html


def test_it_says_who_measured_and_what_that_does_not_prove(archive: Any) -> None:
    run = put(archive)
    with archive.database.writing() as c:
        row = c.execute(RUN.select()).one()
        c.execute(
            FINDING.insert().values(
                submission_id=row.submission_id,
                run_id=row.id,
                rule="some_rule",
                consequence="hold",
                detail=f"said {HOSTILE}",
            )
        )
    page, html = built(archive, run)
    whole = page.answer.provenance  # type: ignore[union-attr]
    for said in (whole.submitter, whole.key, whole.submission, whole.does_not_prove):
        assert said in html
    assert f'href="/api/v1/log?after={whole.log_seq - 1}&amp;limit=1"' in html
    assert "some_rule" in html and "held back" in html and "&lt;script&gt;alert(1)" in html
    assert f'href="/api/v1/results/{run}/files/trace"' in html
    assert "Times of responses: none were sent." in html


def test_power_and_phases_are_the_traces(archive: Any) -> None:
    run = put(archive)
    page, html = built(archive, run)
    with archive.database.reading() as c:
        drawn = power(c, archive.packs, run)
        whole = trace(c, archive.packs, run)
    (line,) = drawn.lines
    (series,) = whole.series
    assert (line.t_s, line.power_w) == (series.t_s, series.value)
    assert line.power_w[0] == 100 and line.power_w[-1] == 199 and line.readings == 100
    assert line.device_class == "gpu" and drawn.without == []
    # The record's window begins at 1000 s of a clock whose 0 s is the trace's first reading.
    assert [(p.name, p.start_s) for p in drawn.phases] == [("window 0", 1000.0)]
    assert whole.zero_ns == 0
    chart = page.charts["power"]
    assert isinstance(chart, Traces) and chart.axis.unit == "W"
    assert list(chart.lines[0].values) == line.power_w
    assert chart.phases[0].name == "window 1" and chart.phases[0].start_s == 1000.0
    assert f'data-island="trace" data-address="/charts/results/{run}/power.json"' in html


def test_few_points_keep_the_lowest_and_the_highest(archive: Any) -> None:
    run = put(archive)
    with archive.database.reading() as c:
        (line,) = power(c, archive.packs, run, points=40).lines
    assert len(line.t_s) == 40 and line.t_s == sorted(line.t_s)
    assert (line.power_w[0], line.power_w[-1], line.readings) == (100, 199, 100)


def test_a_run_without_its_trace_says_so(archive: Any) -> None:
    run = put(archive)
    with archive.database.reading() as c:
        sha = result(c, archive.packs, run).files.trace
    with archive.database.writing() as c:
        c.execute(BLOB.delete().where(BLOB.c.sha256 == bytes.fromhex(sha)))
    page, html = built(archive, run)
    assert "power" not in page.charts
    assert "There is no plot: this run has no trace here." in html


def test_the_budget_is_the_records(archive: Any) -> None:
    run = put(archive)
    page, html = built(archive, run)
    with archive.database.reading() as c:
        found = result(c, archive.packs, run)
    record = records.record(energy={"gpu": 0.5}, gpus=[records.gpu()], semantics=4)
    wanted = next(b for b in budget.metrics(record) if (b.of, b.what) == (ENERGY, "gpu"))
    assert wanted.parts == {"unstated": pytest.approx(0.005)}
    chart = page.charts["budget"]
    assert isinstance(chart, Bars) and chart.axis.share
    assert [r.value for r in chart.rows] == [pytest.approx(0.01)]
    assert found.run.id == run and "As stated, not split up" in html


def test_flags_say_what_they_mean_and_what_follows(archive: Any) -> None:
    run = put(archive, flags=["short_window", "throttled", "of_tomorrow"])
    _, html = built(archive, run)
    assert FLAGS["throttled"].meaning in html and FLAGS["short_window"].meaning in html
    assert "not known to this version" in html
    assert html.count("the run enters no figure") == 2
    assert html.count("shown, nothing else") == 1


def headline_box(html: str) -> str:
    return html.split('<div class="headline">')[1].split("</div>")[0]


def test_what_makes_the_headline_doubtful_stands_beside_it(archive: Any) -> None:
    run = put(archive, flags=["warm_up_capped", "tokens_spread", "of_tomorrow"])
    _, html = built(archive, run)
    box = headline_box(html)
    assert "Read this figure with care:" in box
    assert "Throughput had not settled when the warm-up limit was reached." in box
    assert "Not known to this version." in box and "of_tomorrow" in box
    assert "spread evenly" not in box and "spread evenly" in html


def test_no_doubt_is_raised_without_a_flag(archive: Any) -> None:
    assert "with care" not in built(archive, put(archive))[1]


def test_a_flag_of_another_devices_meter_is_no_doubt_of_the_headline() -> None:
    record = records.record(energy={"gpu": 0.5, "cpu": 0.1}, gpus=[records.gpu()], semantics=4)
    (window,) = record.windows
    flagged = [
        r.model_copy(update={"flags": ["sampler_gap"] if r.device_class == "cpu" else []})
        for r in window.energy
    ]
    record = record.model_copy(update={"windows": [window.model_copy(update={"energy": flagged})]})
    assert not is_doubt("sampler_gap", record, "gpu")
    assert is_doubt("sampler_gap", record, "cpu")
    assert is_doubt("clocks_changed", record, "gpu")
    assert not is_doubt("estimated", record, "gpu")
    assert not is_doubt("idle_drift", record, "gpu")


@pytest.mark.parametrize(("what", "doubtful"), [("cpu", False), ("gpu", True), ("gpu0", True)])
def test_meters_that_disagree_are_a_doubt_of_what_they_both_read(what: str, doubtful: bool) -> None:
    view = View(meter="m", devices=["d"], energy_j=1.0, uncertainty_j=0.1, flags=[])
    found = Reconciliation(
        relation="same",
        what=what,
        first=view,
        second=view,
        ratio=1.5,
        uncertainty=0.1,
        agrees=False,
    )
    record = records.record(energy={"gpu": 0.5}, gpus=[records.gpu()], semantics=4)
    record = record.model_copy(update={"reconciliation": [found]})
    assert is_doubt("meters_disagree", record, "gpu") == doubtful


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["uncertainty_unstated"], "nobody stated how good its meter is"),
        ([], "no uncertainty is stated"),
    ],
)
def test_a_meter_is_blamed_only_where_its_reading_says_so(flags: list[str], why: str) -> None:
    record = records.record(energy={"gpu": 0.5}, gpus=[records.gpu()], semantics=4)
    (window,) = record.windows
    readings = [r.model_copy(update={"uncertainty_j": None, "flags": flags}) for r in window.energy]
    record = record.model_copy(update={"windows": [window.model_copy(update={"energy": readings})]})
    assert why_none(record, ENERGY, "gpu") == why
    assert why_none(record, "output_throughput_tokens_per_s", "") == "no uncertainty is stated"


def test_flags_that_are_no_doubt_are_known() -> None:
    assert set(FLAGS) >= NOT_OF_ENERGY


def test_a_run_that_does_not_count_says_so(archive: Any) -> None:
    run = put(archive)
    assert "This run enters no figure." not in built(archive, run)[1]
    with archive.database.writing() as c:
        c.execute(RUN.update().values(counted=False))
    assert "This run enters no figure." in built(archive, run)[1]
    with archive.database.reading() as c:
        assert list(KIND.instances(Reader(c, archive.packs))) == []


def test_an_estimate_is_marked_at_every_figure_of_energy(archive: Any) -> None:
    run = put(archive, energy=None, gpus=[])
    page, html = built(archive, run)
    assert page.table is not None
    estimated = [r for r in page.table.rows if r[6] == "estimated"]
    assert {r[0] for r in estimated} == {ENERGY, "mean_power_w"}
    # Of the run, of each figure, and of the window's reading.
    assert html.count('class="badge estimated"') >= 1 + len(estimated) + 1
    assert html.count("is-estimated") >= 1 + len(estimated) + 1


def test_a_figure_without_uncertainty_says_so(archive: Any) -> None:
    run = put(archive)
    page, html = built(archive, run)
    assert page.table is not None
    times = page.context["times"]
    without = [r for r in page.table.rows if r[3] is None and r[0] not in times]
    assert without and html.count('class="no-u"') >= len(without)


def test_why_there_is_no_interval_is_read_beside_the_figure(archive: Any) -> None:
    run = put(archive, nll=2.5)
    page, html = built(archive, run)
    without = [f for f in page.context["figures"] if f.uncertainty is None]
    assert without
    for f in without:
        assert f"no interval: {escape(f.why_no_uncertainty)}</span>" in html
    whys = {f.metric: f.why_no_uncertainty for f in without}
    assert whys["nll_per_token"].startswith("computed on one fixed text")


def test_memory_is_of_no_energy_class() -> None:
    assert part_name("peak_memory_bytes", "cpu") == "main memory, of the engine's process"
    assert part_name("peak_memory_bytes", "gpu") == "GPU memory"
    assert part_name("mean_power_w", "cpu") == "processor power"
    assert part_name("energy_per_request_j", "cpu") == "processor energy"
    assert part_name("ttft_s", "p50") == "median"
    assert part_name("peak_memory_bytes", "of_tomorrow") == "of_tomorrow"


def test_everything_hostile_is_text(archive: Any) -> None:
    bad = HOSTILE + "\u202e\x1b[31m"
    raw = records.experiment(1, backend=HOSTILE, args={bad: bad})
    raw["model"] = {**raw["model"], "id": f"org/{HOSTILE}"}
    run = put(
        archive,
        raw_experiment=raw,
        campaign=bad,
        gpus=[records.gpu(name=HOSTILE)],
        meters={"gpu": HOSTILE},
    )
    with archive.database.writing() as c:
        c.execute(IDENTITY.update().values(name=bad))
    _, html = built(archive, run)
    assert "<script>alert" not in html and "\u202e" not in html and "\x1b" not in html
    assert html.count("&lt;script&gt;alert(1)") > 8


def test_files_lie_beside_the_page_of_a_static_site(archive: Any) -> None:
    run = put(archive)
    target = Target("result", {"id": run})
    with archive.database.reading() as c:
        page = KIND.build(Reader(c, archive.packs), {"id": run}, ())
        html = rendering.page(page.shown(target), Site(StaticLinks(path_of(target)), static=True))
        assert set(page.files) == {"trace.csv.gz"}
        assert gzip.decompress(page.files["trace.csv.gz"]()).startswith(b"t_ns,meter")
    assert 'href="trace.csv.gz"' in html and 'data-island="trace"' in html
    assert "/api/v1" not in html


@pytest.mark.parametrize("run", ["0" * 64 + "-0", "x", "0" * 64, "0" * 64 + "-²", "F" * 64 + "-1"])
def test_an_unknown_run_is_refused(archive: Any, run: str) -> None:
    with pytest.raises(Refused) as e:
        built(archive, run)
    assert e.value.status == 404


def test_unknown_parameters_are_refused(archive: Any) -> None:
    with pytest.raises(BadInput):
        built(archive, put(archive), ("nothing", "1"))
