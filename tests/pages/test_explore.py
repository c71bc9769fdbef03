"""The board with its scatter."""

from typing import Any

from lem.charts.model import Scatter
from lem.pages.explore import KIND
from lem.pages.page import Reader
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
