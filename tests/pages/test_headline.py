import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from lem.analysis.quality import QUALITY_MARGIN
from lem.archive.database import raise_data_version
from lem.archive.refused import Refused
from lem.archive.schema import RUN
from lem.charts.model import Target
from lem.contract.flags import FLAGS
from lem.pages import headline
from lem.pages.headline import Headline
from lem.pages.page import Reader
from lem.pages.registry import kinds
from lem.web import rendering
from lem.web.addresses import LiveLinks
from lem.web.rendering import Site
from lem.web.strings import text
from tests.archive.conftest import archive, new_archive, postgres
from tests.archive_submissions import Submitter
from tests.pages.campaigns import campaign

__all__ = ["archive", "new_archive", "postgres"]


def found(archive: Any, name: str | None = None) -> Headline | None:
    with archive.database.reading() as connection:
        return headline.headline(Reader(connection, archive.packs), name)


def shown(archive: Any, name: str, params: Mapping[str, str] | None = None) -> str:
    with archive.database.reading() as connection:
        reader = Reader(connection, archive.packs)
        page = kinds()[name].build(reader, dict(params or {}), [])
    return rendering.page(page.shown(Target(name, dict(params or {}))), Site(LiveLinks()))


def batch(one: Any) -> int:
    return int(one.configuration.max_batch_size)


def test_an_empty_archive_has_none(archive: Any) -> None:
    assert found(archive) is None


def test_times_is_of_the_one_that_takes_more(archive: Any) -> None:
    name = campaign(archive, {1: 2.0, 2: 1.2, 4: 0.5}, nll={1: 2.5, 2: 2.5, 4: 2.5})
    top = found(archive)
    assert top is not None and top.campaign == name and top.blocks == 5
    assert (batch(top.more), batch(top.less)) == (1, 4)
    assert top.times == pytest.approx(4.0, rel=0.02)
    assert top.low < top.times < top.high and not top.estimated


def test_where_the_other_one_costs_more_it_is_turned_round(archive: Any) -> None:
    campaign(archive, {1: 1.0, 2: 3.0})
    top = found(archive)
    assert top is not None and batch(top.less) == 1 == top.baseline.max_batch_size
    assert top.times == pytest.approx(3.0, rel=0.02)
    assert 1 < top.low < top.times < top.high


def test_no_headline_without_a_difference(archive: Any) -> None:
    campaign(archive, {1: 1.0, 2: 1.0})
    assert found(archive) is None


def test_a_new_state_of_the_archive_is_looked_at_anew(archive: Any) -> None:
    campaign(archive, {1: 9.0, 2: 1.0}, energy_class="estimated", submitter=2)
    before = found(archive)
    measured = campaign(archive, {1: 2.0, 2: 1.0}, submitter=1)
    after = found(archive)
    assert before is not None and before.estimated
    assert after is not None and after.campaign == measured and not after.estimated


def test_an_unknown_campaign_is_refused(archive: Any) -> None:
    with pytest.raises(Refused) as refused:
        found(archive, "0" * 64 + "-1")
    assert refused.value.status == 404


def test_its_chart_has_the_energies_and_the_ratio(archive: Any) -> None:
    campaign(archive, {1: 2.0, 2: 0.5})
    top = found(archive)
    assert top is not None
    chart = headline.chart(top)
    assert chart.first.value == pytest.approx(2.0, rel=0.02) and chart.axis.unit == "J per token"
    assert chart.second.value == pytest.approx(0.5, rel=0.02)
    assert chart.first.interval is not None and chart.ratio == top.times
    assert chart.ratio_text == f"{headline.times(top)} ×" and len(headline.times(top)) <= 4
    assert chart.first.label != chart.second.label


def test_what_is_estimated_is_nowhere_called_measured(archive: Any) -> None:
    campaign(archive, {1: 2.0, 2: 0.5}, energy_class="estimated", nll={1: 2.5, 2: 2.5})
    top = found(archive)
    assert top is not None and top.estimated
    chart = headline.chart(top)
    assert "estimated" in chart.title and "estimated" in chart.ratio_label
    assert chart.subtitle.startswith("By estimated energy, on ")
    assert chart.axis.label.startswith("Estimated") and "processor times" in chart.source
    for page, params in (("home", {}), ("everyday", {}), ("story", {"name": "the-same-answer"})):
        html = shown(archive, page, params)
        for claim in ("as the meter saw it", "That is measured", "The measured figure",
                      "Here is what was measured", "measured in one campaign"):  # fmt: skip
            assert claim not in html, (page, claim)
        assert "estimated" in html
    story = shown(archive, "story", {"name": "the-same-answer"})
    assert story.count("J per token (estimated)") == 2


def test_who_says_so_is_said(archive: Any) -> None:
    campaign(archive, {1: 2.0, 2: 0.5}, nll={1: 2.5, 2: 2.5})
    top = found(archive)
    assert top is not None
    chart = headline.chart(top)
    assert "by lab 0 (recomputed)" in chart.source
    assert any("by the submitter" in note for note in chart.notes)


def test_it_claims_no_more_of_the_answers_than_the_loss_shows(archive: Any) -> None:
    campaign(archive, {1: 2.0, 2: 0.5}, nll={1: 2.5, 2: 2.51})
    top = found(archive)
    assert top is not None
    said = headline.quality(top)
    assert f"within the margin of {100 * QUALITY_MARGIN:g} %" in said
    assert "by the submitter's own loss" in said
    for page, params in (("home", {}), ("story", {"name": "the-same-answer"})):
        assert "same answer" not in shown(archive, page, params).lower()


def test_it_says_that_it_is_one_case_and_why_the_ratio_is_the_sharper(archive: Any) -> None:
    campaign(archive, {1: 2.0, 2: 0.5})
    top = found(archive)
    assert top is not None
    single, sharper = (text(f"headline.{name}") for name in ("single", "sharper"))
    assert headline.scope(top) == (single, sharper)
    assert headline.chart(top).notes[:2] == (single, sharper)
    wide = replace(top, low=top.times / 1.5, high=top.times * 1.5)
    assert headline.scope(wide) == (single,)


def test_what_makes_it_doubtful_stands_beside_it(archive: Any) -> None:
    """Of the two configurations' runs; the campaign's page says it of all."""
    name = campaign(archive, {1: 2.0, 2: 1.2, 4: 0.5}, nll={1: 2.5, 2: 2.5, 4: 2.5})
    assert "Read with care" not in shown(archive, "home")
    with archive.database.writing() as c:
        flagged = c.scalars(sa.select(RUN.c.id).where(RUN.c.block < 2)).all()
        c.execute(
            RUN.update().where(RUN.c.id.in_(flagged)).values(flags="tokens_spread,warm_up_capped")
        )
        c.execute(RUN.update().where(RUN.c.id.in_(flagged[:1])).values(flags="<b>,warm_up_capped"))
        raise_data_version(c)
    top = found(archive)
    assert top is not None
    first, second = top.doubts
    meaning = FLAGS["warm_up_capped"].meaning
    assert first == f"{meaning} (4 of 10 runs)" and "<b>: not known" in second
    home, page = shown(archive, "home"), shown(archive, "attribution", {"campaign": name})
    assert f"Read with care: {meaning} (4 of 10 runs)" in home and "<b>:" not in home
    assert f"{meaning[:1].upper()}{meaning[1:]} (6 of 15 runs)." in page and "<b>:" not in page


def test_the_first_page_counts_what_counts(archive: Any) -> None:
    """Not runs of a campaign that is not complete, nor submitters who have none that is."""
    campaign(archive, {1: 2.0, 2: 0.5})
    campaign(archive, {4: 2.0, 8: 0.5}, energy_class="estimated", submitter=1)
    Submitter(archive, "enrolled and silent")
    html = shown(archive, "home")
    numbers = dict(re.findall(r"<dt>([a-z ]+)</dt><dd>([0-9]+)</dd>", html))
    assert numbers["runs"] == "20" and numbers["submitters"] == "2"
    assert numbers["configurations"] == "4" and numbers["kinds of hardware"] == "2"
    assert numbers["model"] == "1" and "models" not in numbers
