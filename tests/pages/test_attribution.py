"""Which choice mattered: the list of campaigns, and the page of one."""

import re
from typing import Any

import pytest

from lem.archive.queries.attribute import Answered, AttributeQuestion, attribute
from lem.archive.queries.compare import Comparison
from lem.archive.refused import Refused
from lem.archive.schema import CAMPAIGN, RUN
from lem.charts.model import Bars, Intervals, Slope, Target
from lem.errors import BadInput
from lem.pages import attribution, attributions, home
from lem.pages.page import Page, Reader
from lem.pages.registry import kinds
from lem.stats import absolute
from lem.web import rendering
from lem.web.addresses import LiveLinks
from lem.web.rendering import Site
from lem.web.strings import text
from tests import archive_queries
from tests.archive.conftest import archive, new_archive, postgres
from tests.archive.queries.test_compare import campaign, grid, ids_of
from tests.pages.campaigns import campaign as pages_campaign

__all__ = ["archive", "new_archive", "postgres"]
DTYPES = ("float32", "float16")


def built(archive: Any, name: str, *query: tuple[str, str]) -> tuple[Page, str]:
    params = {"campaign": name}
    with archive.database.reading() as c:
        page = attribution.KIND.build(Reader(c, archive.packs), params, query)
        html = rendering.page(page.shown(Target("attribution", params)), Site(LiveLinks()))
    return page, html


def listed(archive: Any, *query: tuple[str, str]) -> tuple[Page, str]:
    with archive.database.reading() as c:
        page = attributions.KIND.build(Reader(c, archive.packs), {}, query)
        html = rendering.page(page.shown(Target("attributions")), Site(LiveLinks()))
    return page, html


def test_shares_are_the_querys(archive: Any) -> None:
    name = grid(archive, (0.3, 0.1))
    page, html = built(archive, name)
    with archive.database.reading() as c:
        found = attribute(c, archive.packs, name, AttributeQuestion())
        assert [p["campaign"] for p in attribution.KIND.instances(Reader(c, archive.packs))] == [
            name
        ]
    assert page.answer == found
    shares = page.charts["shares"]
    assert isinstance(shares, Bars) and shares.axis.share
    assert [(r.label, r.value, r.interval) for r in shares.rows] == [
        (s.name, s.share, (s.low, s.high)) for s in found.shares
    ]
    assert shares.rows[0].label == "batch size" and shares.rows[0].text.startswith("90")
    for sentence in found.sentences:
        assert sentence in html
    assert "batch size 1, 2" in html and "precision float16, float32" in html
    assert page.table is not None and page.table.rows[0][:2] == (
        "batch size",
        found.shares[0].share,
    )


def test_slopes_are_of_each_arms_mean(archive: Any) -> None:
    name = grid(archive, (0.3, 0.1))
    page, _ = built(archive, name)
    with archive.database.reading() as c:
        found = attribute(c, archive.packs, name, AttributeQuestion())
        runs = c.execute(
            attribution.sa.text(
                "SELECT arm, energy_per_output_token_j, energy_per_output_token_j_u FROM run"
                " ORDER BY arm, block"
            )
        ).all()
    means = {}
    for number, arm in enumerate(found.arms):
        own = [r for r in runs if r[0] == number]
        mean = absolute([r[1] for r in own], [r[2] for r in own])
        assert (arm.value, arm.uncertainty) == pytest.approx((mean.mean, mean.expanded))
        means[tuple(arm.values)] = arm
    slopes = [c for c in page.charts.values() if isinstance(c, Slope)]
    assert [(s.left, s.right) for s in slopes] == [
        ("batch size 1", "batch size 2"),
        ("float16", "float32"),
    ]
    for line, dtype in zip(slopes[0].lines, ("float16", "float32"), strict=True):
        assert line.label == dtype
        assert (line.left, line.right) == (means[1, dtype].value, means[2, dtype].value)
        assert line.left_interval is not None and line.right_interval is not None
        u = means[1, dtype].uncertainty
        assert line.left_interval == (means[1, dtype].value - u, means[1, dtype].value + u)
    arms = page.charts["arms"]
    assert isinstance(arms, Intervals)
    assert [r.value for r in arms.rows] == sorted(a.value for a in found.arms)


def test_where_nothing_can_be_attributed_it_says_why_and_compares(archive: Any) -> None:
    name = grid(archive, (0.3, 0.1), drop=(2, "float32"))
    page, html = built(archive, name)
    assert "shares" not in page.charts
    assert "not every combination was run: 3 of 4" in html
    assert "each run several times under the same conditions" in html
    assert isinstance(page.answer, Comparison) and len(page.answer.rows) == 3
    ratios = page.charts["ratios"]
    assert isinstance(ratios, Intervals)
    assert [r.value for r in ratios.rows] == [
        r.ratio.ratio for r in page.answer.rows[1:] if r.ratio
    ]


def test_the_first_page_leads_to_a_campaign_with_shares(archive: Any) -> None:
    def links() -> list[str]:
        with archive.database.reading() as c:
            page = home.KIND.build(Reader(c, archive.packs), {}, ())
            html = rendering.page(page.shown(Target("home")), Site(LiveLinks()))
        return re.findall(r'<a href="/attribution/(.*?)">(.*?)</a>', html)

    assert links() == []
    own = pages_campaign(archive, {1: 2.0, 2: 0.5}, nll={1: 2.5, 2: 2.5})
    assert links() == [(own, text("home.headline.campaign"))]


def test_the_first_page_names_another_campaign_where_its_own_has_no_shares(
    archive: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = pages_campaign(archive, {1: 2.0, 2: 0.5}, nll={1: 2.5, 2: 2.5}, blocks=6)
    other = pages_campaign(archive, {1: 2.0, 2: 0.5}, submitter=1)
    asked = attribution.attribute

    def refusing(c: Any, packs: Any, campaign: str, question: Any) -> Any:
        if campaign == own:
            raise Refused("not_attributable", "not every combination was run")
        return asked(c, packs, campaign, question)

    monkeypatch.setattr(attribution, "attribute", refusing)
    with archive.database.reading() as c:
        reader = Reader(c, archive.packs)
        found = attribution.with_shares(reader, [own])
        html = rendering.page(
            home.KIND.build(reader, {}, ()).shown(Target("home")), Site(LiveLinks())
        )
    assert found == (other, "batching")
    assert f'href="/attribution/{own}">{text("home.headline.this")}<' in html
    assert f'href="/attribution/{other}">{text("home.headline.other", name="batching")}<' in html


def test_intervals_are_explained_beside_shares(archive: Any) -> None:
    name = grid(archive, (0.3, 0.1))
    words = "of 100 such intervals, about 95 hold the true value"
    assert words in built(archive, name)[1] and words in listed(archive)[1]


def test_the_uncertainties_of_two_pages_are_told_apart(archive: Any) -> None:
    """Of the same runs: an arm's, of independent blocks; its configuration's, which allows for
    drift and is the wider."""
    name = grid(archive, (0.3, 0.1))
    page, html = built(archive, name)
    assert text("attribution.other_u").replace("'", "&#39;") in html
    place = re.search(r'href="/glossary#(why-[a-z-]+)"', html)
    assert isinstance(page.answer, Answered) and place is not None
    with archive.database.reading() as c:
        reader = Reader(c, archive.packs)
        words = kinds()["glossary"].build(reader, {}, ())
        glossary = rendering.page(words.shown(Target("glossary")), Site(LiveLinks()))
        for arm in page.answer.arms:
            params = {"id": str(arm.configuration)[:16]}
            own = kinds()["configuration"].build(reader, params, ())
            shown = rendering.page(own.shown(Target("configuration", params)), Site(LiveLinks()))
            figure = own.context["headline"]
            assert figure.value == pytest.approx(arm.value)
            assert arm.uncertainty is not None and figure.uncertainty > arm.uncertainty
            assert text("configuration.interval_wide").replace("'", "&#39;") in shown
    assert f'id="{place[1]}"' in glossary


def test_what_no_meter_tells_has_no_meter_in_its_uncertainty(archive: Any) -> None:
    name = grid(archive, (0.3, 0.1))
    of_energy = built(archive, name)[1]
    of_speed = built(archive, name, ("metric", "output_throughput_tokens_per_s"))[1]
    assert text("attribution.arms.note") in of_energy
    assert text("attribution.arms.note_scatter") in of_speed
    assert "what the meter" not in of_speed.split("<main")[1]


def test_estimates_are_not_offered_what_they_cannot_know(archive: Any) -> None:
    name = pages_campaign(archive, {1: 2.0, 2: 1.2}, energy_class="estimated")
    metric = "energy_above_idle_per_output_token_j"
    with archive.database.writing() as c:
        c.execute(RUN.update().values({metric: 1.0}))
    assert f'value="{metric}"' not in built(archive, name)[1]
    asked = built(archive, name, ("metric", metric))[1]
    assert text("attribution.instead.heading_figure").replace("'", "&#39;") in asked
    assert text("attribution.instead.lead") not in asked


def test_a_part_that_is_a_grid_can_be_asked_for(archive: Any) -> None:
    name = grid(archive, (0.3, 0.1), drop=(2, "float32"))
    page, _ = built(archive, name, ("only", "engine.dtype=float16"))
    shares = page.charts["shares"]
    assert isinstance(shares, Bars) and [r.label for r in shares.rows] == ["batch size"]


def test_arms_that_cannot_be_told_apart_have_no_shares(archive: Any) -> None:
    name = grid(archive, (0.3, 0.1))
    page, html = built(archive, name, ("metric", "output_throughput_tokens_per_s"))
    assert "shares" not in page.charts
    assert "the arms differ by no more than scatter explains" in html


def test_a_campaign_without_its_lock_is_compared(archive: Any) -> None:
    o, _ = campaign(archive, 0, {1: 1.0, 2: 0.6})
    with archive.database.reading() as c:
        owner = c.execute(CAMPAIGN.select()).one().owner
    page, html = built(archive, f"{owner}-{o.identity_id}")
    assert "submitted without its lock" in html
    assert isinstance(page.answer, Comparison)
    assert {r.configuration.id for r in page.answer.rows} == set(ids_of(archive).values())


def test_the_list_has_campaigns_with_their_ranges(archive: Any) -> None:
    assert "No campaign with several choices is here yet" in listed(archive)[1]
    name = grid(archive, (0.3, 0.1))
    page, html = listed(archive)
    assert [r.campaign.id for r in page.context["several"]] == [name]
    assert f'href="/attribution/{name}"' in html
    assert "batch size 1, 2; precision float16, float32" in html


def test_unknown_campaigns_and_parameters_are_refused(archive: Any) -> None:
    for name in ("0" * 64 + "-1", "0" * 64 + "-x", "x", "0" * 64 + "-" + "9" * 13, "-1"):
        with pytest.raises(Refused) as e:
            built(archive, name)
        assert e.value.status == 404
    with pytest.raises(BadInput):
        built(archive, "0" * 64 + "-1", ("nothing", "1"))
    with pytest.raises(BadInput):
        listed(archive, ("nothing", "1"))


def test_hostile_names_are_text(archive: Any) -> None:
    name = grid(archive, (0.3, 0.1))
    with archive.database.writing() as c:
        c.execute(CAMPAIGN.update().values(name="<script>alert(1)</script>"))
    for html in (built(archive, name)[1], listed(archive)[1]):
        assert "<script>alert" not in html and "&lt;script&gt;alert(1)" in html


def test_an_archive_without_locks_has_no_such_pages(archive: Any) -> None:
    archive_queries.filled(archive, 4)
    with archive.database.reading() as c:
        assert list(attribution.KIND.instances(Reader(c, archive.packs))) == []
    assert listed(archive)[0].context["several"] == []


def test_what_intervals_are_is_said_of_each_chart_with_its_energy_class(archive: Any) -> None:
    name = pages_campaign(archive, {1: 2.0, 4: 1.0}, energy_class="estimated", dtypes=DTYPES)
    page, _ = built(archive, name)
    assert "95 %" in page.charts["shares"].source
    for id in ("arms", "slope-1"):
        source = page.charts[id].source
        assert "95 %" not in source and "expanded uncertainty (k = 2)" in source
    for chart in page.charts.values():
        assert "estimated energy" in chart.subtitle
    assert "Estimated energy per output token" in page.charts["shares"].title
    assert page.table is not None
    classes = [c.name for c in page.table.columns].index("energy class")
    assert {row[classes] for row in page.table.rows} == {"estimated"}
