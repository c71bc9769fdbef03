from typing import Any

import pytest

from lem.archive.refused import Refused
from lem.pages import headline
from lem.pages.headline import Headline
from lem.pages.page import Reader
from tests.archive.conftest import archive, new_archive, postgres
from tests.pages.campaigns import campaign

__all__ = ["archive", "new_archive", "postgres"]


def found(archive: Any, name: str | None = None) -> Headline | None:
    with archive.database.reading() as connection:
        return headline.headline(Reader(connection, archive.packs), name)


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
