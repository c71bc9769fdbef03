"""Campaigns by the choices that they compared."""

from lem.archive.queries.swept import SweptCampaigns, SweptQuestion, swept
from lem.charts.table import Column, Table
from lem.pages.page import Kind, Page, Params, Query, Reader
from lem.pages.ranges import ranges
from lem.web.strings import text


def page(reader: Reader, params: Params, query: Query) -> Page:
    question = SweptQuestion.from_query(query)
    found = swept(reader.connection, question)
    return Page(
        template="attributions.html",
        title=text("attributions.title"),
        description=text("attributions.description"),
        context={
            "found": found,
            "several": [r for r in found.rows if len(r.factors) > 1],
            "rest": [r for r in found.rows if len(r.factors) < 2],
            "later": question.cursor is not None,
            "ranges": ranges,
        },
        answer=found,
        table=_table(found),
        head=found,
    )


def _table(found: SweptCampaigns) -> Table:
    names = ("campaign", "name", "submitter", "received", "arms", "factors", "why none")
    return Table(
        columns=tuple(Column(name) for name in names),
        rows=tuple(
            (
                r.campaign.id,
                r.campaign.name,
                r.campaign.submitter,
                r.campaign.created_at,
                float(r.arms),
                "; ".join(ranges(r.factors)),
                r.problem or None,
            )
            for r in found.rows
        ),
    )


KIND = Kind("attributions", page)
