"""Configurations beside each other."""

import re
from typing import Any

import pytest

from lem.archive.queries.compare import Compared, CompareQuestion, Comparison, compare
from lem.archive.queries.ratios import Ratio
from lem.archive.refused import Refused
from lem.charts.model import Intervals, Target
from lem.errors import BadInput
from lem.pages.compare import KINDS, comparisons
from lem.pages.comparison import rule
from lem.pages.page import Page, Reader
from lem.web import rendering
from lem.web.addresses import LiveLinks
from lem.web.rendering import Site
from lem.web.words import figure
from tests import archive_queries, records
from tests.archive.conftest import archive, new_archive, postgres
from tests.archive.queries.test_compare import campaign, ids_of

__all__ = ["archive", "new_archive", "postgres"]
Query = list[tuple[str, str]]
KIND, OF_CAMPAIGN = KINDS
HOSTILE = "<script>alert(1)</script>"


def built(archive: Any, query: Query) -> tuple[Page, str]:
    with archive.database.reading() as c:
        page = KIND.build(Reader(c, archive.packs), {}, query)
        target = Target("compare", {}, tuple(query))
        html = rendering.page(page.shown(target), Site(LiveLinks()))
    return page, html


def test_ratios_and_figures_are_the_querys(archive: Any) -> None:
    campaign(archive, 0, {1: 1.0, 2: 0.6, 4: 0.9}, nll={1: 2.5, 2: 2.5, 4: 2.75})
    ids = ids_of(archive)
    query = [("id", ids[b][:16]) for b in (1, 2, 4)] + [("margin", "0.05")]
    page, html = built(archive, query)
    with archive.database.reading() as c:
        found = compare(
            c, archive.packs, CompareQuestion(id=[ids[b] for b in (1, 2, 4)], margin=0.05)
        )
    assert page.answer == found
    chart = page.charts["ratios"]
    assert isinstance(chart, Intervals)
    assert chart.axis.log and chart.reference == 1 and chart.band == (0.95, 1.05)
    ratios = [r.ratio for r in found.rows[1:] if r.ratio]
    assert [(r.value, r.interval) for r in chart.rows] == [
        (r.ratio, (r.low, r.high)) for r in ratios
    ]
    assert len(ratios) == 2
    for ratio in ratios:
        assert f"{ratio.words}." in html
    assert (
        " % less GPU energy per output token (" in html and "within blocks of one campaign" in html
    )
    assert "its NLL per token is 10 % higher" in html
    for row in found.rows:
        for f in row.figures:
            said = figure(f)
            assert said.value in html
    assert page.table is not None
    names = [c.name for c in page.table.columns]
    lines = [dict(zip(names, row, strict=True)) for row in page.table.rows]
    assert [line["ratio"] for line in lines] == [1.0, *(r.ratio for r in ratios)]
    assert [line["verdict"] for line in lines][1:] == [r.verdict for r in ratios]


def test_the_same_is_said_so(archive: Any) -> None:
    campaign(archive, 0, {1: 1.0, 2: 1.0})
    ids = ids_of(archive)
    page, html = built(archive, [("id", ids[1]), ("id", ids[2]), ("margin", "0.05")])
    assert "the same GPU energy per output token within ±5 %" in page.charts["ratios"].title
    assert 'class="verdict-same"' in html


def test_it_says_how_large_a_difference_has_to_be(archive: Any) -> None:
    campaign(archive, 0, {1: 1.0, 2: 0.6, 4: 0.9})
    ids = ids_of(archive)
    asked = [("id", ids[b]) for b in (1, 2, 4)]
    page, html = built(archive, [*asked, ("margin", "0.001")])
    assert "Called the same: where it is shown to be within ±0.1 %" in html
    assert isinstance(page.answer, Comparison)
    widths = sorted(
        max(r.high / r.ratio, r.ratio / r.low)
        for row in page.answer.rows
        if (r := row.ratio) and r.ratio and r.low and r.high
    )
    said = re.findall(r"about ([0-9.]+) % less or ([0-9.]+) % more", html.split("<main")[1])
    assert len(widths) == 2 and 1 <= len(said) <= 2
    for width, (less, more) in zip(widths, [said[0], said[-1]], strict=True):
        assert float(less) == pytest.approx(100 * (1 - 1 / width), rel=0.06)
        assert float(more) == pytest.approx(100 * (width - 1), rel=0.06)
    assert page.context["rule"] in page.description
    # What is called the same within a wider margin is not told apart by a smaller difference.
    assert "to tell a difference" not in built(archive, [*asked, ("margin", "0.5")])[1]


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (1.1, "9.1 % less or 10 % more"),
        (5 / 3, "40 % less or 67 % more"),
        (300.0, "a factor of 300"),
    ],
)
def test_less_is_never_more_than_all(width: float, said: str) -> None:
    ratio = Ratio.model_construct(ratio=0.5, low=0.5 / width, high=0.5 * width)
    row = Compared.model_construct(ratio=ratio)
    assert said in rule(Comparison.model_construct(rows=[row], margin=0.02))


def test_without_intervals_nothing_is_said_of_how_large_it_has_to_be(archive: Any) -> None:
    campaign(archive, 0, {1: 1.0, 2: 0.6}, blocks=1)
    ids = ids_of(archive)
    _, html = built(archive, [("id", ids[1]), ("id", ids[2])])
    assert "within ±2 %" in html and "to tell a difference" not in html


def test_each_can_be_made_the_baseline(archive: Any) -> None:
    campaign(archive, 0, {1: 1.0, 2: 0.6})
    ids = ids_of(archive)
    _, html = built(archive, [("id", ids[1]), ("id", ids[2]), ("margin", "0.05")])
    first, other = ids[1][:16], ids[2][:16]
    assert f"/compare?id={other}&amp;id={first}&amp;margin=0.05" in html
    page, _ = built(archive, [("id", other), ("id", first)])
    assert isinstance(page.answer, Comparison) and page.answer.baseline == ids[2]


def test_settings_that_differ_stand_apart_from_equal_ones(archive: Any) -> None:
    campaign(archive, 0, {1: 1.0, 2: 0.6})
    ids = ids_of(archive)
    page, html = built(archive, [("id", ids[1]), ("id", ids[2])])
    settings = page.context["settings"]
    assert [(s.path, s.values) for s in settings.differing] == [("engine.max_batch_size", [1, 2])]
    equal = {s.path: s.values[0] for s in settings.equal}
    assert equal["engine.dtype"] == "float32" and equal["device_model"] == "NVIDIA Test 80GB"
    assert "engine.max_batch_size" not in equal
    assert list(page.context["names"]) == ["batch size 1", "batch size 2"]
    assert html.index("Most answers at once (batch)") < html.index("settings that are the same")


def test_across_campaigns_it_says_so(archive: Any) -> None:
    campaign(archive, 0, {1: 1.0}, seed=3)
    campaign(archive, 1, {2: 0.5}, seed=4)
    ids = ids_of(archive)
    page, html = built(archive, [("id", ids[1]), ("id", ids[2])])
    assert page.charts["ratios"].rows[0].sublabel == "from different campaigns"  # type: ignore[union-attr]
    assert "of figures from different campaigns" in html


@pytest.mark.parametrize("chosen", [0, 1])
def test_with_fewer_than_two_it_offers_arms_of_campaigns(archive: Any, chosen: int) -> None:
    campaign(archive, 0, {1: 1.0, 2: 0.6})
    ids = ids_of(archive)
    page, html = built(archive, [("id", ids[1])][:chosen])
    assert page.answer is None and not page.charts
    assert f'value="{ids[2][:16]}"' in html
    hidden = f'<input type="hidden" name="id" value="{ids[1][:16]}">'
    assert (hidden in html) == bool(chosen)
    # Naming one twice is naming one.
    assert built(archive, [("id", ids[1])] * 2)[1] == built(archive, [("id", ids[1])])[1]


def test_an_empty_archive_says_that_nothing_can_be_compared(archive: Any) -> None:
    assert "No campaign with two or more configurations" in built(archive, [])[1]


def test_what_cannot_be_asked_is_refused(archive: Any) -> None:
    campaign(archive, 0, {1: 1.0, 2: 0.6})
    ids = ids_of(archive)
    with pytest.raises(Refused) as e:
        built(archive, [("id", ids[1]), ("id", "0" * 64)])
    assert e.value.status == 404
    for query in (
        [("id", f"{n:064x}") for n in range(7)],
        [("id", ids[1]), ("id", ids[2]), ("margin", "0")],
        [("id", ids[1]), ("id", ids[2]), ("metric", "none")],
        [("nothing", "1")],
    ):
        with pytest.raises(BadInput):
            built(archive, query)


def test_hostile_settings_are_text(archive: Any) -> None:
    made = []
    for block in range(3):
        for n, name in enumerate((HOSTILE, "plain")):
            made.append(
                records.record(
                    arm_id=records.arm_name(n),
                    raw_experiment=records.experiment(1, args={"x": name, HOSTILE: n}),
                    block=block,
                    energy={"gpu": 1.0 + n + 0.01 * block},
                    gpus=[records.gpu()],
                    semantics=4,
                )
            )
    archive_queries.submitted(archive, made)
    with archive.database.reading() as c:
        queries = dict(comparisons(Reader(c, archive.packs)))
    (query,) = queries.values()
    assert len(query) == 2
    _, html = built(archive, query)
    assert "<script>alert" not in html and "&lt;script&gt;alert(1)" in html


def test_estimates_are_marked(archive: Any) -> None:
    made = [
        records.record(
            arm_id=records.arm_name(n),
            raw_experiment=records.experiment(2**n),
            block=block,
            cpu_time_s=0.02 * (n + 1) * (1 + 0.01 * block),
            above_idle={"estimated": 0.5},
            semantics=4,
        )
        for block in range(3)
        for n in range(2)
    ]
    archive_queries.submitted(archive, made)
    ids = ids_of(archive)
    page, html = built(archive, [("id", ids[1]), ("id", ids[2])])
    chart = page.charts["ratios"]
    assert isinstance(chart, Intervals) and all(r.estimated for r in chart.rows)
    assert html.count('class="badge estimated"') >= 3
    beside = [b.metric for b in page.context["beside"]]
    assert "mean_power_w" in beside and "energy_above_idle_per_output_token_j" not in beside


@pytest.mark.parametrize("name", ["", "x", "0" * 64 + "-1", "0" * 64, "0" * 64 + "-²"])
def test_an_unknown_campaign_has_no_comparison(archive: Any, name: str) -> None:
    with archive.database.reading() as c, pytest.raises(Refused) as e:
        OF_CAMPAIGN.build(Reader(c, archive.packs), {"campaign": name}, ())
    assert e.value.status == 404


def test_each_campaigns_comparison_has_a_page(archive: Any) -> None:
    """Of two campaigns with the same arms, too."""
    for who in range(2):
        campaign(archive, who, {1: 1.0, 2: 0.6}, seed=who)
    with archive.database.reading() as c:
        reader = Reader(c, archive.packs)
        instances = list(OF_CAMPAIGN.instances(reader))
        pages = [OF_CAMPAIGN.build(reader, params, ()) for params in instances]
        assert len(pages) == 2 == len({p.title for p in pages})
        query = {c.id: q for c, q in comparisons(reader)}[instances[0]["campaign"]]
        assert pages[0].answer == KIND.build(reader, {}, query).answer
        for page in pages:
            ids = [value for _, value in query]
            assert set(page.files) == {f"{i}.json" for i in ids}
            for i in ids:
                found = Comparison.model_validate_json(page.files[f"{i}.json"]())
                assert found.baseline.startswith(i)


def test_large_changes_are_times_and_narrow_intervals_keep_their_ends(archive: Any) -> None:
    campaign(archive, 0, {1: 20.0, 2: 1.0})
    ids = ids_of(archive)
    page, _ = built(archive, [("id", ids[2]), ("id", ids[1])])
    assert isinstance(page.answer, Comparison) and page.answer.rows[1].ratio
    more = page.answer.rows[1].ratio
    assert "times as much GPU energy per output token (" in more.words and "e+" not in more.words
    page, _ = built(archive, [("id", ids[1]), ("id", ids[2])])
    assert isinstance(page.answer, Comparison) and page.answer.rows[1].ratio
    less = page.answer.rows[1].ratio
    low, high = re.findall(r"\(([0-9.]+)–([0-9.]+) %\)", less.words)[0]
    assert less.low is not None and less.high is not None
    assert float(low) < float(high)
    assert float(low) <= 100 * (1 - less.high) and 100 * (1 - less.low) <= float(high)


def test_intervals_of_figures_from_different_campaigns_are_not_called_95_per_cent(
    archive: Any,
) -> None:
    campaign(archive, 0, {1: 1.0}, seed=3)
    campaign(archive, 1, {2: 0.5}, seed=4)
    ids = ids_of(archive)
    page, html = built(archive, [("id", ids[1]), ("id", ids[2])])
    assert isinstance(page.answer, Comparison) and page.answer.rows[1].ratio
    assert page.answer.rows[1].ratio.low is not None
    assert "95 %" not in html
    assert "expanded uncertainties (k = 2)" in page.charts["ratios"].source
    assert page.table is not None
    level = [c.name for c in page.table.columns].index("joint level")
    assert page.table.rows[1][level] is None
