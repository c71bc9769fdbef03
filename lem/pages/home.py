"""The first page: one finding, three ways in, and what is in the archive."""

from typing import NamedTuple

import numpy as np
import sqlalchemy as sa

from lem.analysis.quantities import ESTIMATED
from lem.archive.columns import columns
from lem.archive.queries.facets import Facets, FacetsQuestion, facets
from lem.archive.schema import CAMPAIGN, HEADLINE
from lem.pages import headline
from lem.pages.naming import device, model_name
from lem.pages.page import Kind, Page, Params, Query, Reader
from lem.web.strings import text

SMALL = 30
"""Configurations below which the page lists what is there."""


class Holdings(NamedTuple):
    """What of the archive counts, of every class."""

    configurations: int
    runs: int
    submitters: int
    models: list[str]
    devices: list[str]
    energy_class: str
    """The one that is shown by default: of measured ones, where there are any."""

    @property
    def small(self) -> bool:
        return self.configurations < SMALL


def home(reader: Reader, params: Params, query: Query) -> Page:
    FacetsQuestion.from_query(query)  # refuses what the page does not take
    counts = facets(reader.connection, FacetsQuestion())
    found = headline.headline(reader)
    chart = None if found is None else headline.chart(found)
    holdings = _holdings(reader.connection, counts)
    kind = "_estimated" if holdings.energy_class == ESTIMATED and holdings.configurations else ""
    return Page(
        template="home.html",
        title=text("home.title"),
        description=text(f"home.description{kind}"),
        context={
            "kind": kind,
            "headline": found,
            "names": None if found is None else headline.names(found),
            "times": None if found is None else headline.times(found),
            "model_name": model_name,
            "device": device,
            "holdings": holdings,
        },
        charts={} if chart is None else {chart.id: chart},
        head=counts,
    )


def _holdings(connection: sa.Connection, counts: Facets) -> Holdings:
    """Runs that count and have a figure, and who sent them: neither what was held back or is
    incomplete, nor who only enrolled."""
    board = columns(connection)
    runs = np.max([board.figure("n", metric, 1) for metric in HEADLINE], axis=0, initial=0)

    def names(dimension: str) -> list[str]:
        column = board.coded[dimension]
        return sorted(str(column.values[code]) for code in np.unique(column.codes))

    of = sa.select(sa.func.count(CAMPAIGN.c.identity_id.distinct()))
    return Holdings(
        configurations=len(board),
        runs=int(runs.sum()),
        submitters=connection.scalar(of.where(CAMPAIGN.c.state == "complete")) or 0,
        models=names("model"),
        devices=names("device_model"),
        energy_class=counts.energy_class,
    )


KIND = Kind("home", home)
