from typing import Any

import pytest

from lem.archive.refused import Refused
from lem.charts.model import AnyChart, Bars, Intervals, Scatter, Target
from lem.charts.model import Headline as HeadlineChart
from lem.errors import BadInput
from lem.pages import headline
from lem.pages.page import Page, Reader
from lem.pages.registry import kinds
from lem.pages.stories import ChartPart, ProsePart
from lem.web import rendering, stories
from lem.web.addresses import LiveLinks
from lem.web.rendering import Site
from tests.archive.conftest import archive, new_archive, postgres
from tests.pages.campaigns import campaign

__all__ = ["archive", "new_archive", "postgres"]


def built(archive: Any, name: str, query: tuple[tuple[str, str], ...] = ()) -> Page:
    with archive.database.reading() as connection:
        return kinds()["story"].build(Reader(connection, archive.packs), {"name": name}, query)


def html(page: Page, name: str) -> str:
    return rendering.page(page.shown(Target("story", {"name": name})), Site(LiveLinks()))


def drawn(page: Page) -> list[AnyChart | None]:
    return [part.chart for part in page.context["parts"] if isinstance(part, ChartPart)]


def prose(page: Page) -> str:
    return "\n".join(p.markdown for p in page.context["parts"] if isinstance(p, ProsePart))


@pytest.mark.parametrize("name", stories.names())
def test_an_empty_archive_tells_each_story_without_figures(archive: Any, name: str) -> None:
    page = built(archive, name)
    assert not page.charts and set(drawn(page)) == {None}
    assert "{{" not in prose(page) and not any(c.isdigit() for c in prose(page))
    assert "has no results for it yet" in html(page, name)


def test_the_same_answer_with_a_campaign(archive: Any) -> None:
    campaign(archive, {1: 2.0, 2: 1.2, 4: 0.5}, dtypes=("float32", "float16"))
    page = built(archive, "the-same-answer")
    kinds_drawn = [type(chart) for chart in drawn(page)]
    assert kinds_drawn == [HeadlineChart, Intervals, Bars, Scatter, Intervals] or (
        kinds_drawn == [HeadlineChart, Intervals, Bars, type(None), Intervals]
    )
    with archive.database.reading() as connection:
        top = headline.headline(Reader(connection, archive.packs))
    assert top is not None
    told = prose(page)
    assert f"{headline.times(top)} times (".replace(".", r"\.").replace("(", r"\(") in told
    assert "configurations, 6; models, 1; runs, 30." in told
    assert "{{" not in told
    assert "chart-1" in page.charts and "SmolLM2" in html(page, "the-same-answer")


def test_the_ratios_of_a_story_are_the_campaigns(archive: Any) -> None:
    campaign(archive, {1: 2.0, 2: 1.0, 4: 0.5})
    chart = drawn(built(archive, "the-same-answer"))[1]
    assert isinstance(chart, Intervals) and chart.reference == 1.0
    assert [row.value for row in chart.rows] == pytest.approx([0.5, 0.25], rel=0.02)
    assert all(
        row.interval and row.interval[0] < row.value < row.interval[1]
        for row in chart.rows
        if row.value
    )


def test_hostile_names_stay_text(archive: Any) -> None:
    campaign(
        archive,
        {1: 2.0, 2: 1.0},
        changes={n: {"model": HOSTILE} for n in (1, 2)},
    )
    page = html(built(archive, "the-same-answer"), "the-same-answer")
    assert (
        "<img src=x" not in page
        and "&lt;img src=x" in page
        and "javascript:" not in page.split("img")[0]
    )


HOSTILE = {
    "id": "<img src=x onerror=alert(1)>",
    "revision": None,
    "content": "sha256:" + "a" * 64,
    "weights": "trained",
}


def test_an_unknown_story_and_parameters_are_refused(archive: Any) -> None:
    with pytest.raises(Refused) as refused:
        built(archive, "nothing")
    assert refused.value.status == 404
    with pytest.raises(BadInput):
        built(archive, "the-same-answer", (("a", "b"),))


def test_all_stories_are_listed(archive: Any) -> None:
    with archive.database.reading() as connection:
        page = kinds()["stories"].build(Reader(connection, archive.packs), {}, ())
    assert {one.name for one in page.context["stories"]} == set(stories.names())
    shown = rendering.page(page.shown(Target("stories")), Site(LiveLinks()))
    assert all(f'href="/stories/{name}"' in shown for name in stories.names())
