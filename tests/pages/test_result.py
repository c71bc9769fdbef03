"""The page of one run."""

from typing import Any

from lem.archive.queries.results import ResultsQuestion, result, results
from lem.charts.model import Target
from lem.pages.page import Page, Reader
from lem.pages.result import KIND
from lem.web import rendering
from lem.web.addresses import LiveLinks
from lem.web.rendering import Site
from lem.web.words import figure
from tests import archive_queries, records
from tests.archive.conftest import archive, new_archive, postgres

__all__ = ["archive", "new_archive", "postgres"]

HOSTILE = "<script>alert(1)</script>\u202e"
ENERGY = "energy_per_output_token_j"


def put(archive: Any, **changes: Any) -> str:
    """One run; its id."""
    given: dict[str, Any] = {"energy": {"gpu": 0.5}, "gpus": [records.gpu()], "semantics": 4}
    archive_queries.submitted(archive, [records.record(**given | changes)])
    with archive.database.reading() as c:
        return results(c, ResultsQuestion()).rows[0].id


def built(archive: Any, run: str, *query: tuple[str, str]) -> tuple[Page, str]:
    with archive.database.reading() as c:
        page = KIND.build(Reader(c, archive.packs), {"id": run}, query)
        html = rendering.page(page.shown(Target("result", {"id": run})), Site(LiveLinks()))
    return page, html


def test_figures_are_the_queries(archive: Any) -> None:
    run = put(archive)
    page, html = built(archive, run)
    with archive.database.reading() as c:
        found = result(c, archive.packs, run)
    said = figure(found.run.figures[ENERGY])
    assert said.value == "0.500 ± 0.010" and said.unit == "J per token"
    assert f'<span class="value">{said.value}</span> <span class="unit">{said.unit}</span>' in html
    assert page.answer == found
    assert page.table is not None
    row = next(r for r in page.table.rows if r[0] == ENERGY)
    assert row == (ENERGY, "gpu", 0.5, 0.01, "J/token", "recomputed", "gpu")
