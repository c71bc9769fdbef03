"""The board with its scatter."""

from typing import Any

from lem.charts.model import Scatter, Target
from lem.pages.explore import KIND
from lem.pages.page import Reader
from lem.web import rendering
from lem.web.addresses import LiveLinks
from lem.web.rendering import Site
from tests.archive.conftest import archive, new_archive, postgres
from tests.archive.queries.test_compare import campaign as same
from tests.pages.campaigns import campaign

__all__ = ["archive", "new_archive", "postgres"]


def scatter(archive: Any, *query: tuple[str, str]) -> Scatter:
    with archive.database.reading() as c:
        chart = KIND.build(Reader(c, archive.packs), {}, list(query)).charts["scatter"]
    assert isinstance(chart, Scatter)
    return chart


def test_no_whisker_reaches_below_nothing(archive: Any) -> None:
    """Of two submitters far apart U is larger than the figure, and energy is never negative."""
    for who, value in enumerate((1.0, 20.0)):
        same(archive, who, {1: value}, seed=who)
    (mark,) = [m for s in scatter(archive).series for m in s.marks]
    assert mark.y is not None and mark.y_interval is not None
    assert mark.y_interval[1] > 2 * mark.y and mark.y_interval[0] == 0


def test_what_is_estimated_is_said_on_its_axis_alone(archive: Any) -> None:
    campaign(archive, {1: 1.0, 2: 2.0}, energy_class="estimated")
    chart = scatter(archive)
    assert chart.y.label == "Estimated energy per output token"
    assert chart.x.label == "Output tokens per second"
    assert all(m.estimated for s in chart.series for m in s.marks)
    speeds = scatter(archive, ("x", "ttft_p50_s"), ("y", "itl_p50_s"))
    assert not any(m.estimated for s in speeds.series for m in s.marks)


def html(archive: Any, *query: tuple[str, str]) -> str:
    with archive.database.reading() as c:
        page = KIND.build(Reader(c, archive.packs), {}, list(query))
    return rendering.page(page.shown(Target("explore")), Site(LiveLinks()))


def test_what_nothing_fits_has_a_way_back_and_no_empty_frame(archive: Any) -> None:
    campaign(archive, {1: 1.0, 2: 2.0})
    shown = html(archive, ("model_size", "7B"))
    assert 'Nothing fits. <a href="/explore">Clear the filters</a>' in shown
    assert "0 configurations" not in shown and 'class="chart"' not in shown
    assert 'value="7B" selected' in shown, "what was asked for can be taken back"
    full = html(archive)
    assert "Nothing fits" not in full and 'class="chart"' in full


def test_where_no_filter_is_set_none_can_be_cleared(archive: Any) -> None:
    for shown in (html(archive), html(archive, ("metric", "nll_per_token"))):
        assert "No configuration here has this figure." in shown
        assert "Clear the filters" not in shown


def test_a_chart_that_would_have_no_point_is_not_drawn(archive: Any) -> None:
    campaign(archive, {1: 1.0, 2: 2.0})
    shown = html(archive, ("x", "nll_per_token"))
    assert "No configuration here has both figures" in shown and 'class="chart"' not in shown
    assert 'class="board"' in shown


def test_the_size_of_models_is_shown_where_there_is_one_alone(archive: Any) -> None:
    campaign(archive, {1: 1.0, 2: 2.0})
    with archive.database.reading() as c:
        more = KIND.build(Reader(c, archive.packs), {}, []).context["more"]
    found = {f.name: len(f.choices) for f in more}
    assert found["model_size"] == 1 and found["max_batch_size"] == 2
    assert "weights" not in found
    assert "Model size (from its name)" in html(archive)
