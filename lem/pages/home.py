"""The first page: one finding, three ways in, and what is in the archive."""

from typing import NamedTuple

import sqlalchemy as sa

from lem.archive.queries.facets import Facets, FacetsQuestion, facets
from lem.archive.queries.holdings import holdings
from lem.pages import headline
from lem.pages.naming import device, model_name
from lem.pages.page import Kind, Page, Params, Query, Reader
from lem.web.strings import text

SMALL = 30
"""Configurations below which the page lists what is there."""


class Shown(NamedTuple):
    """What the archive has; names of what is of the class that is shown by default."""

    configurations: int
    runs: int
    submitters: int
    models: list[str]
    devices: list[str]
    backends: list[str]
    energy_class: str

    @property
    def small(self) -> bool:
        return self.configurations < SMALL


def home(reader: Reader, params: Params, query: Query) -> Page:
    FacetsQuestion.from_query(query)  # refuses what the page does not take
    counts = facets(reader.connection, FacetsQuestion())
    found = headline.headline(reader)
    chart = None if found is None else headline.chart(found)
    return Page(
        template="home.html",
        title=text("home.title"),
        description=text("home.description"),
        context={
            "headline": found,
            "names": None if found is None else headline.names(found),
            "times": None if found is None else headline.times(found),
            "model_name": model_name,
            "device": device,
            "holdings": _holdings(reader.connection, counts),
        },
        charts={} if chart is None else {chart.id: chart},
        head=counts,
    )


def _holdings(connection: sa.Connection, counts: Facets) -> Shown:
    def names(dimension: str) -> list[str]:
        return [str(c.value) for c in counts.dimensions[dimension] if c.value]

    found = holdings(connection)
    return Shown(
        configurations=sum(counts.classes.values()),
        runs=found.runs,
        submitters=found.submitters,
        models=names("model"),
        devices=names("device_model"),
        backends=names("backend"),
        energy_class=counts.energy_class,
    )


KIND = Kind("home", home)
