"""The first page: one finding, three ways in, and what is in the archive."""

from typing import NamedTuple

import numpy as np
import sqlalchemy as sa

from lem.analysis.quantities import ESTIMATED
from lem.archive.columns import columns
from lem.archive.queries.facets import Facets, FacetsQuestion, facets
from lem.archive.queries.holdings import holdings
from lem.pages import headline
from lem.pages.attribution import with_shares
from lem.pages.naming import device, model_name
from lem.pages.page import Kind, Page, Params, Query, Reader
from lem.web.strings import text

SMALL = 30
"""Configurations below which the page lists what is there."""


class Shown(NamedTuple):
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
            "shares": None if found is None else with_shares(reader, [found.campaign]),
            "names": None if found is None else headline.names(found),
            "times": None if found is None else headline.times(found),
            "model_name": model_name,
            "device": device,
            "holdings": holdings,
        },
        charts={} if chart is None else {chart.id: chart},
        head=counts,
    )


def _holdings(connection: sa.Connection, counts: Facets) -> Shown:
    board = columns(connection)

    def names(dimension: str) -> list[str]:
        column = board.coded[dimension]
        return sorted(str(column.values[code]) for code in np.unique(column.codes))

    found = holdings(connection)
    return Shown(
        configurations=found.configurations,
        runs=found.runs,
        submitters=found.submitters,
        models=names("model"),
        devices=names("device_model"),
        energy_class=counts.energy_class,
    )


KIND = Kind("home", home)
