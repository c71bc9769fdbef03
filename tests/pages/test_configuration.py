"""The page of one configuration."""

import re
from typing import Any

import pytest

from lem.analysis.quantities import can_be_known
from lem.archive import summaries
from lem.archive.database import raise_data_version
from lem.archive.queries.compare import CompareQuestion, compare
from lem.archive.queries.configurations import configuration
from lem.archive.queries.leaderboard import LeaderboardQuestion, leaderboard
from lem.archive.queries.neighbours import neighbours
from lem.archive.refused import Refused
from lem.archive.schema import CONFIG, IDENTITY, REPLICATION, RUN
from lem.charts.model import Intervals, Scatter, Target
from lem.config.load import parse
from lem.contract.spec import Experiment
from lem.errors import BadInput
from lem.pages.again import again
from lem.pages.configuration import KIND
from lem.pages.page import Page, Reader
from lem.web import rendering
from lem.web.addresses import LiveLinks
from lem.web.rendering import Site
from lem.web.strings import text
from lem.web.words import figure
from tests import archive_queries, records
from tests.archive.conftest import archive, new_archive, postgres
from tests.archive.queries.test_compare import campaign, grid, ids_of

__all__ = ["archive", "new_archive", "postgres"]
ENERGY = "energy_per_output_token_j"
HOSTILE = "<script>alert(1)</script>"


def built(archive: Any, id: str, *query: tuple[str, str]) -> tuple[Page, str]:
    with archive.database.reading() as c:
        page = KIND.build(Reader(c, archive.packs), {"id": id}, query)
        html = rendering.page(page.shown(Target("configuration", {"id": id})), Site(LiveLinks()))
    return page, html


def test_every_configuration_has_a_page_with_the_queries_figures(archive: Any) -> None:
    known = archive_queries.filled(archive, 16)
    with archive.database.reading() as c:
        ids = [p["id"] for p in KIND.instances(Reader(c, archive.packs))]
    assert sorted(ids) == sorted(h[:16] for h in known.configurations())
    for id in ids:
        page, html = built(archive, id)
        with archive.database.reading() as c:
            found = configuration(c, id)
            shown = KIND.build(Reader(c, archive.packs), {"id": id}, ()).data()
        assert shown == found
        assert page.table is not None
        shown = [f for f in found.figures if can_be_known(f.metric, f.energy_class)]
        assert [(r[0], r[2], r[3], r[7]) for r in page.table.rows] == [
            (f.metric, f.value, f.uncertainty, f.tier) for f in shown
        ]
        for f in shown:
            said = figure(f)
            assert f'{said.value}</span> <span class="unit">{said.unit}<' in html, (id, f)
        estimated = found.configuration.energy_class == "estimated"
        assert ('class="badge estimated"' in html) == estimated
        assert ("Energy above idle" in html) != estimated
        headline = page.context["headline"]
        wanted = known.mean(found.configuration.id, ENERGY, known.best_tier(found.configuration.id))
        assert headline.value == pytest.approx(wanted)


def test_neighbours_are_those_of_the_leaderboard(archive: Any) -> None:
    archive_queries.filled(archive, 60)
    with archive.database.reading() as c:
        rows = c.execute(CONFIG.select().where(CONFIG.c.energy_class == "gpu")).all()
        for row in rows[:20]:
            question = LeaderboardQuestion.model_validate(
                {
                    "class": "gpu",
                    "limit": 500,
                    "where": {
                        "model": [row.model],
                        "device_model": [row.device_model],
                        "device_count": [str(row.device_count)],
                    },
                }
            )
            board = [p.configuration.id for p in leaderboard(c, question).rows]
            found = neighbours(c, row.hash, around=2)
            own = [n.configuration.id for n in found.rows]
            assert found.configurations == len(board)
            at = board.index(row.hash)
            first = max(0, min(at - 2, len(board) - 5))
            assert own == board[first : first + 5] and row.hash in own


def test_the_chart_of_neighbours_shows_itself(archive: Any) -> None:
    campaign(archive, 0, {1: 1.0, 2: 0.8, 4: 0.5})
    ids = ids_of(archive)
    page, _ = built(archive, ids[2])
    chart = page.charts["neighbours"]
    assert isinstance(chart, Intervals)
    assert [r.emphasis for r in chart.rows] == [False, True, False]
    assert [r.target and r.target.params["id"] for r in chart.rows] == [
        ids[4][:16],
        None,
        ids[1][:16],
    ]
    with archive.database.reading() as c:
        wanted = [n.figure for n in neighbours(c, ids[2]).rows]
    assert [r.value for r in chart.rows] == [f.value for f in wanted]
    assert [r.interval for r in chart.rows] == [
        (f.value - f.uncertainty, f.value + f.uncertainty) for f in wanted if f.uncertainty
    ]


def test_submitters_who_disagree_stand_beside_each_other(archive: Any) -> None:
    for who, value in enumerate((1.0, 1.5)):
        campaign(archive, who, {1: value}, seed=who, drift=0.002)
    ids = ids_of(archive)
    with archive.database.writing() as c:
        a, b = c.scalars(IDENTITY.select().with_only_columns(IDENTITY.c.id)).all()
        key = c.scalar(CONFIG.select().with_only_columns(CONFIG.c.id))
        c.execute(
            REPLICATION.insert().values(
                config_id=key,
                identity_a=a,
                identity_b=b,
                ratio=0.667,
                low=0.65,
                high=0.68,
                verdict="disagrees",
            )
        )
        c.execute(CONFIG.update().values(disagrees=True))
    page, html = built(archive, ids[1])
    chart = page.charts["submitters"]
    assert isinstance(chart, Intervals) and chart.title == "Submitters disagree"
    values = [r.value for r in chart.rows]
    assert values[1:] == pytest.approx([1.0, 1.5], rel=0.01)
    assert values[0] == pytest.approx((values[1] + values[2]) / 2)  # type: ignore[operator]
    assert chart.rows[0].sublabel == "Of 2: 12 runs, recomputed at least"
    assert "they disagree" in html and "0.667" in html and "(0.650–0.680)" in html
    assert 'class="badge disagrees"' in html or 'role="note"' in html


def test_the_mean_says_of_whom_it_is(archive: Any) -> None:
    """Of the best level of checking alone: not of all whose rows stand below it."""
    for who, value in enumerate((1.0, 1.5)):
        campaign(archive, who, {1: value}, seed=who, drift=0.002)
    ids = ids_of(archive)
    with archive.database.writing() as c:
        worse = c.scalars(IDENTITY.select().with_only_columns(IDENTITY.c.id)).all()[1]
        c.execute(RUN.update().where(RUN.c.identity_id == worse).values(tier=1))
        summaries.refresh(c, None)
        raise_data_version(c)
    page, _ = built(archive, ids[1])
    chart = page.charts["submitters"]
    assert isinstance(chart, Intervals)
    mean, *each = [r.value for r in chart.rows]
    assert each == pytest.approx([1.0, 1.5], rel=0.01) and mean == pytest.approx(1.0, rel=0.01)
    assert chart.rows[0].sublabel.startswith("Of 1: ")


def test_history_is_the_queries_days(archive: Any) -> None:
    made = [
        records.record(
            block=day,
            energy={"gpu": 1.0 + 0.1 * day},
            gpus=[records.gpu()],
            semantics=4,
            started=records.START.replace(day=4 + 2 * day),
        )
        for day in range(3)
    ]
    archive_queries.submitted(archive, made)
    with archive.database.reading() as c:
        id = c.scalar(CONFIG.select().with_only_columns(CONFIG.c.hash))
        days = configuration(c, id).history
    page, _ = built(archive, id)
    chart = page.charts["history"]
    assert isinstance(chart, Scatter)
    assert [(m.x, m.y, m.y_interval) for m in chart.series[0].marks] == [
        (2.0 * n, d.mean, (d.least, d.most)) for n, d in enumerate(days)
    ]
    assert "no uncertainty" in chart.subtitle


@pytest.mark.parametrize(("step", "wide"), [(3.0, True), (0.01, False)])
def test_runs_far_apart_have_a_range_from_zero_which_the_page_explains(
    archive: Any, step: float, wide: bool
) -> None:
    made = [
        records.record(block=n, energy={"gpu": 1.0 + step * (n % 2)}, gpus=[records.gpu()])
        for n in range(4)
    ]
    archive_queries.submitted(archive, made)
    with archive.database.reading() as c:
        id = c.scalar(CONFIG.select().with_only_columns(CONFIG.c.hash))
    _, html = built(archive, id)
    assert bool(re.search(r'<span class="value">[0-9.]+ \(0–[0-9.]+\)<', html)) == wide
    assert (text("configuration.figures.wide") in html) == wide


def test_it_leads_to_its_campaigns_baseline_and_attribution(archive: Any) -> None:
    name = grid(archive, (0.3, 0.1))
    with archive.database.reading() as c:
        rows = c.execute(CONFIG.select()).all()
    of = {(r.max_batch_size, r.dtype): r.hash for r in rows}
    base, other = of[1, "float16"], of[2, "float32"]
    _, html = built(archive, other)
    assert f'href="/compare?id={base[:16]}&amp;id={other[:16]}"' in html
    assert f'href="/attribution/{name}"' in html
    with archive.database.reading() as c:
        assert compare(c, archive.packs, CompareQuestion(id=[base[:16], other[:16]])).rows
    assert "It is the campaign&#39;s baseline." in built(archive, base)[1]


def test_runs_come_page_by_page(archive: Any) -> None:
    campaign(archive, 0, {1: 1.0}, blocks=6)
    campaign(archive, 1, {1: 1.0}, blocks=6)
    campaign(archive, 2, {1: 1.0}, blocks=6)
    (id,) = ids_of(archive).values()
    page, html = built(archive, id)
    runs = page.context["runs"]
    assert len(runs.rows) == 10 and f"cursor={runs.next}" in html.replace("%3D", "=")
    later, _ = built(archive, id, ("cursor", runs.next))
    assert len(later.context["runs"].rows) == 8 and later.context["runs"].next is None
    assert not {r.id for r in runs.rows} & {r.id for r in later.context["runs"].rows}
    with pytest.raises(Refused):
        built(archive, id, ("cursor", "none"))


FORMS = [
    records.experiment(4, "vllm", args={"enable_prefix_caching": True, "x": "1e-3", "yes": "no"}),
    records.experiment(1, "llama_cpp", args={"name": HOSTILE, "deep": {"a": [1, None, "010"]}}),
    records.experiment(
        2,
        workload={
            "requests": 10,
            "dataset": {
                "kind": "random",
                "input_tokens": {
                    "distribution": "lognormal",
                    "median": 100,
                    "sigma": 1,
                    "high": 900,
                },
                "output_tokens": 20,
            },
            "arrival": {"kind": "poisson", "rate": 2.5},
            "slo": {"ttft_ms": 200},
        },
        device={"power_limit_w": 300, "sm_clock_mhz": None},
        generate={"temperature": 0.7, "ignore_eos": False, "top_k": 5, "seed": 2**40},
    ),
    records.experiment(
        2,
        workload={
            "requests": 10,
            "dataset": {"kind": "jsonl", "path": "a b.jsonl", "sha256": "d" * 64},
            "arrival": {"kind": "concurrency", "concurrency": 4},
            "slo": {},
        },
        model={
            "id": "org/model",
            "revision": "0123456789abcdef",
            "content": "sha256:" + "a" * 64,
            "weights": "trained",
        },
    ),
]


@pytest.mark.parametrize("raw", FORMS)
def test_the_campaign_file_asks_for_the_same_settings(raw: dict[str, Any]) -> None:
    found = again(raw)
    assert found.problem == ""
    (draft,) = parse(found.text, "again.yaml").drafts
    wanted = Experiment.model_validate(raw)
    assert draft.model.id == wanted.model.id and draft.model.revision == wanted.model.revision
    for name in ("backend", "engine", "args", "generate", "workload", "device"):
        assert getattr(draft, name) == getattr(wanted, name), name
    assert ("file" in found.needs) == ("path" in raw["workload"]["dataset"])
    assert ("model" in found.needs) == (wanted.model.revision is None)


def test_what_no_campaign_file_can_say_is_said() -> None:
    for raw in (
        records.experiment(1, backend="none_such"),
        records.experiment(1, model={**FORMS[0]["model"], "id": HOSTILE}),
        {},
    ):
        found = again(raw)
        assert found.text == "" and found.problem


def test_hostile_settings_and_names_are_text(archive: Any) -> None:
    bad = HOSTILE + "\u202e"
    raw = records.experiment(1, args={bad: bad})
    raw["model"] = {**raw["model"], "id": f"org/{HOSTILE}"}
    archive_queries.submitted(
        archive,
        [
            records.record(
                raw_experiment=raw,
                energy={"gpu": 0.5},
                gpus=[records.gpu(name=HOSTILE)],
                semantics=4,
            )
        ],
    )
    with archive.database.writing() as c:
        c.execute(IDENTITY.update().values(name=bad))
    with archive.database.reading() as c:
        id = c.scalar(CONFIG.select().with_only_columns(CONFIG.c.hash))
    _, html = built(archive, id)
    assert "<script>alert" not in html and "\u202e" not in html
    assert html.count("&lt;script&gt;alert(1)") > 5


@pytest.mark.parametrize("id", ["0" * 16, "0" * 64, "xyz", "0" * 15, "0" * 65, "G" * 16])
def test_an_unknown_configuration_is_refused(archive: Any, id: str) -> None:
    with pytest.raises(Refused) as e:
        built(archive, id)
    assert e.value.status == 404


def test_unknown_parameters_are_refused(archive: Any) -> None:
    with pytest.raises(BadInput):
        built(archive, "0" * 16, ("nothing", "1"))
