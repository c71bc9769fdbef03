from typing import Any

import pytest

from lem.archive.refused import Refused
from lem.archive.schema import CONFIG
from lem.charts.model import Target
from lem.errors import BadInput
from lem.everyday import factors
from lem.everyday.ranges import Range
from lem.pages.everyday import EverydayAnswer, ends
from lem.pages.page import Page, Reader
from lem.pages.registry import kinds
from lem.web import rendering
from lem.web.addresses import LiveLinks
from lem.web.rendering import Site
from tests.archive.conftest import archive, new_archive, postgres
from tests.pages.campaigns import ANSWER_TOKENS, campaign

__all__ = ["archive", "new_archive", "postgres"]


def built(archive: Any, *query: tuple[str, str]) -> Page:
    with archive.database.reading() as connection:
        return kinds()["everyday"].build(Reader(connection, archive.packs), {}, query)


def answer(page: Page) -> EverydayAnswer:
    assert isinstance(page.answer, EverydayAnswer)
    return page.answer


def html(page: Page) -> str:
    return rendering.page(page.shown(Target("everyday")), Site(LiveLinks()))


def id_of(archive: Any, batch: int) -> str:
    with archive.database.reading() as c:
        rows = c.execute(CONFIG.select()).all()
    return next(str(r.hash) for r in rows if r.max_batch_size == batch)


def test_an_empty_archive_says_so(archive: Any) -> None:
    page = built(archive)
    assert not answer(page).rows and "no energy figure yet" in html(page)


def test_the_headlines_two_are_shown_first(archive: Any) -> None:
    campaign(archive, {1: 2.0, 2: 1.2, 4: 0.5})
    found = answer(built(archive))
    assert [row.configuration for row in found.rows] == [id_of(archive, 1), id_of(archive, 4)]
    assert found.ratio is not None and found.ratio.basis == "within campaign"
    assert found.ratio.ratio == pytest.approx(0.25, rel=0.02)


def test_a_million_answers_by_hand(archive: Any) -> None:
    """1.2 J a token, 20 tokens an answer: 24 J; a million are 24 MJ, 6.67 kWh."""
    campaign(archive, {1: 2.0, 2: 1.2})
    page = built(
        archive,
        ("id", id_of(archive, 2)),
        ("country", "FR"),
        ("own_price", "0.25"),
        ("currency", "GBP"),
        ("pue_low", "1.2"),
        ("pue_high", "1.5"),
    )
    (row,) = answer(page).rows
    kwh = 1.2 * ANSWER_TOKENS / 3.6
    assert row.per == "answer" and row.energy.low < kwh < row.energy.high
    u = (row.energy.high - row.energy.low) / 2
    assert 0.03 * kwh <= u * 1.001 and u < 0.05 * kwh, "3 % is the meter's part of U"
    assert row.energy_with_overhead.low == pytest.approx(1.2 * row.energy.low)
    assert row.energy_with_overhead.high == pytest.approx(1.5 * row.energy.high)
    france = factors.grids()["FR"].g_per_kwh
    assert row.co2e.low == pytest.approx(1.2 * row.energy.low * france.low / 1000)
    assert row.co2e.high == pytest.approx(1.5 * row.energy.high * france.high / 1000)
    assert row.cost.low == pytest.approx(0.3 * row.energy.low) and row.cost.unit == "GBP"
    assert "answers of about 20 tokens, at most 32" in html(page)


def test_forced_lengths_are_per_token_only(archive: Any) -> None:
    campaign(archive, {1: 2.0, 2: 1.2}, forced=True)
    page = built(archive)
    assert {row.per for row in answer(page).rows} == {"output_token"}
    assert "their length is not the model" in html(page)
    asked = built(archive, ("per", "answer"))
    assert not answer(asked).rows and not asked.charts
    assert "a million answers:" in html(asked)


def test_choices_begin_with_what_tells_them_apart(archive: Any) -> None:
    """A closed list shows no more than the beginning."""
    campaign(archive, {1: 2.0, 2: 1.2, 4: 0.5})
    fields = built(archive).context["fields"]
    names = [[o.shown for o in options] for options in fields]
    assert names[0] == names[1]
    assert [n.split(",")[0] for n in names[0]] == ["batch 1", "batch 4", "batch 2"]
    assert all(n.count("batch") == 1 and n.count(",") > 1 for n in names[0])


def test_the_introduction_promises_no_range_where_there_is_none(archive: Any) -> None:
    campaign(archive, {1: 2.0, 2: 1.2}, energy_class="estimated", forced=True)
    shown = html(built(archive))
    assert "Everything is a range" not in shown and "unknown uncertainty has no range" in shown


def test_tokens_can_be_asked_for(archive: Any) -> None:
    campaign(archive, {1: 2.0, 2: 1.2})
    found = answer(built(archive, ("id", id_of(archive, 1)), ("per", "output_token")))
    (row,) = found.rows
    assert row.per == "output_token" and row.energy.low < 2.0 / 3.6 < row.energy.high


def test_per_correct_answer_where_it_was_measured(archive: Any) -> None:
    campaign(archive, {1: 2.0, 2: 1.2}, correct_j=36.0)
    page = built(archive, ("id", id_of(archive, 1)))
    answers, correct = answer(page).rows
    assert (answers.per, correct.per) == ("answer", "correct_answer")
    assert (correct.energy.low, correct.energy.high) == pytest.approx((9.0, 11.0))
    assert "a million correct answers" in html(page)


def test_estimates_are_marked_and_never_beside_measurements(archive: Any) -> None:
    campaign(archive, {1: 2.0, 2: 1.2}, submitter=1)
    campaign(archive, {8: 3.0, 16: 1.2}, energy_class="estimated", submitter=2)
    page = built(archive, ("id", id_of(archive, 1)), ("id", id_of(archive, 8)))
    assert [row.energy_class for row in answer(page).rows] == ["gpu"]
    assert "is left out" in html(page)
    alone = built(archive, ("id", id_of(archive, 8)))
    assert answer(alone).rows[0].energy_class == "estimated"
    assert 'class="badge estimated"' in html(alone)
    assert alone.charts["energy"].rows[0].estimated  # type: ignore[union-attr]


def test_every_assumption_has_its_source_on_the_page(archive: Any) -> None:
    campaign(archive, {1: 2.0, 2: 1.2})
    shown = html(built(archive, ("country", "FR")))
    for one in (*factors.grids()["FR"].published, *factors.overheads()):
        assert f'href="{one.source.url}"' in shown.replace("&amp;", "&")
    assert factors.prices()["eu-business"].source.url in shown.replace("&amp;", "&")
    # Every country's figures are one click away.
    assert all(grid.name in shown for grid in factors.grids().values())


def test_the_table_has_low_high_and_unit_of_everything(archive: Any) -> None:
    campaign(archive, {1: 2.0, 2: 1.2})
    page = built(archive)
    assert page.table is not None
    names = [column.name for column in page.table.columns]
    assert {"low", "high", "unit", "energy class"} <= set(names)
    rows = [dict(zip(names, row, strict=True)) for row in page.table.rows]
    assert len(rows) >= 8
    for row in rows:
        low, high = row["low"], row["high"]
        assert isinstance(low, float) and isinstance(high, float) and low <= high


@pytest.mark.parametrize(
    "query",
    [
        ("country", "XX"),
        ("price", "free"),
        ("own_price", "-1"),
        ("own_price", "nan"),
        ("pue_low", "0.5"),
        ("pue_low", "2"),
        ("pue_high", "9"),
        ("per", "query"),
        ("colour", "red"),
        ("id", "../x"),
    ],
)
def test_what_is_not_taken(archive: Any, query: tuple[str, str]) -> None:
    with pytest.raises(BadInput):
        built(archive, query)


def test_an_unknown_configuration_is_refused(archive: Any) -> None:
    with pytest.raises(Refused) as refused:
        built(archive, ("id", "0" * 16))
    assert refused.value.status == 404


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Range(9.96, 12.01), "9.9 to 13"),
        (Range(0.0551, 0.0849), "0.055 to 0.085"),
        (Range(1234, 5678), "1\u202f200 to 5\u202f700"),
        (Range(0.5, 0.5), "0.50"),
        (Range(0, 3.39), "less than 3.4"),
        (Range(0, 0), "0"),
    ],
)
def test_ranges_are_written_with_two_digits(found: Range, said: str) -> None:
    assert ends(found) == said
