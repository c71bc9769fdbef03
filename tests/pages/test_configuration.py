"""The page of one configuration."""

from typing import Any

from lem.archive.queries.configurations import configuration
from lem.charts.model import Target
from lem.pages.configuration import KIND
from lem.pages.page import Page, Reader
from lem.web import rendering
from lem.web.addresses import LiveLinks
from lem.web.rendering import Site
from lem.web.words import figure
from tests import archive_queries
from tests.archive.conftest import archive, new_archive, postgres

__all__ = ["archive", "new_archive", "postgres"]
ENERGY = "energy_per_output_token_j"


def built(archive: Any, id: str, *query: tuple[str, str]) -> tuple[Page, str]:
    with archive.database.reading() as c:
        page = KIND.build(Reader(c, archive.packs), {"id": id}, query)
        html = rendering.page(page.shown(Target("configuration", {"id": id})), Site(LiveLinks()))
    return page, html


def test_every_configuration_has_a_page_with_the_queries_figures(archive: Any) -> None:
    known = archive_queries.filled(archive, 16)
    with archive.database.reading() as c:
        ids = [p["id"] for p in KIND.instances(Reader(c, archive.packs))]
    assert sorted(ids) == sorted(h[:16] for h in known.configurations())
    for id in ids:
        page, html = built(archive, id)
        with archive.database.reading() as c:
            found = configuration(c, id)
        assert page.answer == found
        best = [f for f in found.figures if f.tier == found.configuration.best_tier]
        for f in best:
            said = figure(f)
            assert f'{said.value}</span> <span class="unit">{said.unit}<' in html, (id, f)
