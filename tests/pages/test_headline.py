from typing import Any

import pytest

from lem.archive.refused import Refused
from lem.archive.schema import CAMPAIGN
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


def test_the_arm_that_is_furthest_from_the_baseline(archive: Any) -> None:
    name = campaign(archive, {1: 2.0, 2: 1.2, 4: 0.5}, nll={1: 2.5, 2: 2.5, 4: 2.5})
    top = found(archive)
    assert top is not None and top.campaign == name and top.blocks == 5
    assert (batch(top.more), batch(top.less)) == (1, 4)
    assert top.times == pytest.approx(4.0, rel=0.02)
    assert top.low < top.times < top.high and top.same_quality and not top.estimated


def test_the_baseline_may_be_the_one_that_takes_less(archive: Any) -> None:
    campaign(archive, {1: 1.0, 2: 3.0})
    top = found(archive)
    assert top is not None and batch(top.less) == 1 == top.baseline.max_batch_size
    assert top.times == pytest.approx(3.0, rel=0.02) and not top.same_quality


def test_two_arms_beside_the_baseline_are_never_held_against_each_other(archive: Any) -> None:
    """0.5 and 3 are six times apart; of the baseline both are less far."""
    campaign(archive, {1: 1.0, 2: 0.5, 4: 3.0})
    top = found(archive)
    assert top is not None and top.times == pytest.approx(3.0, rel=0.02)


def test_lost_quality_is_no_saving(archive: Any) -> None:
    campaign(archive, {1: 2.0, 2: 1.2, 4: 0.5}, nll={1: 2.5, 2: 2.5, 4: 2.9})
    top = found(archive)
    assert top is not None and batch(top.less) == 2


def test_who_breaks_the_objectives_does_not_count(archive: Any) -> None:
    campaign(archive, {1: 2.0, 2: 1.2, 4: 0.5}, slo_kept={1: 1.0, 2: 0.97, 4: 0.6})
    top = found(archive)
    assert top is not None and batch(top.less) == 2


def test_another_workload_is_another_question(archive: Any) -> None:
    other = {"generate": {"temperature": 0, "ignore_eos": True}}
    campaign(archive, {1: 2.0, 2: 0.5}, changes={2: other})
    assert found(archive) is None


def test_no_headline_without_a_difference(archive: Any) -> None:
    campaign(archive, {1: 1.0, 2: 1.0})
    assert found(archive) is None


def test_another_number_format_needs_its_quality_measured(archive: Any) -> None:
    campaign(archive, {1: 1.0}, dtypes=("float32", "float16"))
    assert found(archive) is None


def test_measured_comes_before_estimated(archive: Any) -> None:
    measured = campaign(archive, {1: 2.0, 2: 1.0}, submitter=1)
    campaign(archive, {1: 9.0, 2: 1.0}, energy_class="estimated", submitter=2, blocks=8)
    top = found(archive)
    assert top is not None and top.campaign == measured and not top.estimated


def test_a_campaign_that_is_not_whole_says_nothing(archive: Any) -> None:
    name = campaign(archive, {1: 2.0, 2: 1.0})
    with archive.database.writing() as c:
        c.execute(CAMPAIGN.update().values(state="open"))
    assert found(archive) is None and found(archive, name) is None


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
