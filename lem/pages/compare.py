"""Two to six configurations beside each other; the first is what the others are compared with."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, NamedTuple, get_args

from pydantic import Field

from lem.analysis.quantities import can_be_known
from lem.analysis.text import plain
from lem.archive.queries.answer import ConfigurationId, Figure, Metric, Tier
from lem.archive.queries.arms import CampaignArms, arms_of_campaign, campaigns_of
from lem.archive.queries.compare import CompareQuestion, Comparison, compare
from lem.archive.queries.figures import configurations_of, ids_of
from lem.archive.queries.filters import Question
from lem.archive.queries.submitted import Campaign, CampaignsQuestion, campaigns
from lem.archive.refused import Refused
from lem.pages import comparison as made
from lem.pages.ids import campaign_id
from lem.pages.naming import device, full, model_name, way, workload
from lem.pages.one_figure import is_energy
from lem.pages.page import Kind, Page, Params, Query, Reader
from lem.web.strings import text

MOST = 6
MARGINS = (0.01, 0.02, 0.05, 0.1)
METRICS: tuple[Metric, ...] = get_args(Metric)
OFFERED_CAMPAIGNS = 5
OFFERED_ARMS = 12


class PageQuestion(Question):
    """As the API's, but that any number up to six may be named, none of them twice."""

    id: Annotated[list[ConfigurationId], Field(max_length=MOST)] = []
    metric: Metric = "energy_per_output_token_j"
    margin: Annotated[float, Field(gt=0, le=0.5)] = 0.02
    tier: Tier | None = None


class Beside(NamedTuple):
    """One metric of all of them."""

    metric: str
    figures: list[Figure | None]


def page(reader: Reader, params: Params, query: Query) -> Page:
    question = PageQuestion.from_query(query)
    connection, packs = reader
    ids = list(dict.fromkeys(question.id))
    if len(ids) < 2:
        return _offer(reader, question, ids_of(connection, ids))
    asked = CompareQuestion.model_validate({**question.model_dump(exclude={"id"}), "id": ids})
    found = compare(connection, packs, asked)
    settings = made.settings_of(connection, found)
    configurations = [row.configuration for row in found.rows]
    names = made.labels(configurations, settings)
    chart = made.ratio_chart(found, names)
    rule = made.rule(found)
    return Page(
        template="compare.html",
        title=text("compare.title", names=text("compare.versus").join(names[:3])),
        description=f"{plain(chart.title)}. {rule}",
        context={
            **_CONTEXT,
            "metrics": [m for m in METRICS if can_be_known(m, found.energy_class)],
            "question": question,
            "found": found,
            "names": names,
            "rows": list(zip(found.rows, names, strict=True)),
            "baseline": names[[c.id for c in configurations].index(found.baseline)],
            "beside": _beside(found),
            "settings": settings,
            "same_model": len({c.model for c in configurations}) == 1,
            "orders": _orders(found, question),
            "said": made.said,
            "rule": rule,
            "said_of": made.said_interval,
        },
        charts={chart.id: chart},
        answer=found,
        table=made.table(found, names),
        head=found,
    )


def offered(arms: CampaignArms) -> list[Metric]:
    """What its arms can be compared by."""
    classes = {a.configuration.energy_class for a in arms.arms}
    return [m for m in METRICS if not classes or any(can_be_known(m, c) for c in classes)]


def compared_with_baseline(
    reader: Reader, arms: CampaignArms, metric: Metric
) -> tuple[Comparison | None, str]:
    """A campaign's arms beside its baseline; or why they can't be."""
    first = _first_ids(arms)
    if len(first) < 2:
        return None, text("attribution.instead.one")
    asked = CompareQuestion(id=first, metric=metric)
    try:
        return compare(reader.connection, reader.packs, asked), ""
    except Refused as e:
        return None, e.message


_CONTEXT: dict[str, Any] = {
    "metrics": METRICS,
    "margins": MARGINS,
    "most": MOST,
    "model_name": model_name,
    "way": way,
    "device": device,
    "workload": workload,
    "full": full,
    "is_energy": is_energy,
    "what_interval": made.what_interval,
}


def _beside(found: Comparison) -> list[Beside]:
    """The metric asked for first, then what the quality of the answers is."""
    own: Sequence[dict[str, Figure]] = [{f.metric: f for f in r.figures} for r in found.rows]
    every = dict.fromkeys([found.metric, "nll_per_token", *(m for one in own for m in one)])
    rows = [
        Beside(metric, [one.get(metric) for one in own])
        for metric in every
        if can_be_known(metric, found.energy_class)
    ]
    return [r for r in rows if any(r.figures)]


def _orders(found: Comparison, question: PageQuestion) -> list[list[tuple[str, str]]]:
    """For each of them the query that makes it the baseline, all else being the same."""
    ids = [row.configuration.id[:16] for row in found.rows]
    given = question.model_dump(exclude={"id"}, exclude_unset=True, exclude_none=True)
    more = [(name, str(value)) for name, value in given.items()]
    return [[("id", first), *(("id", i) for i in ids if i != first), *more] for first in ids]


def _offer(reader: Reader, question: PageQuestion, keys: list[int]) -> Page:
    """How to compare, and what may be compared: arms of campaigns, which ran side by side."""
    connection = reader.connection
    chosen = configurations_of(connection, keys)[keys[0]] if keys else None
    if chosen is not None:
        ids = campaigns_of(connection, chosen.id, OFFERED_CAMPAIGNS)
    else:
        recent = campaigns(connection, CampaignsQuestion(state="complete", limit=OFFERED_CAMPAIGNS))
        ids = [c.id for c in recent.rows]
    offered = [arms_of_campaign(connection, campaign) for campaign in ids]
    return Page(
        template="compare_offer.html",
        title=text("compare.offer.title"),
        description=text("compare.offer.description"),
        context={
            **_CONTEXT,
            "question": question,
            "chosen": chosen,
            "offered": [
                (o, _arms(o, chosen.id if chosen else None)) for o in offered if len(o.arms) > 1
            ],
            # Only asked for where each comparison has an address of its own.
            "pages": lambda: comparisons(reader),
        },
    )


def _arms(offered: CampaignArms, without: str | None) -> list[Any]:
    return [a for a in offered.arms if a.configuration.id != without][:OFFERED_ARMS]


def comparisons(reader: Reader) -> Iterator[tuple[Campaign, list[tuple[str, str]]]]:
    """Campaign → the query that compares its first arms with its baseline; of every campaign that
    has two or more that can be compared. For outlets that have to name each page beforehand."""
    cursor = None
    while True:
        found = campaigns(reader.connection, CampaignsQuestion(state="complete", cursor=cursor))
        for campaign in found.rows:
            query = first_arms(arms_of_campaign(reader.connection, campaign.id))
            if len(query) > 1:
                yield campaign, query
        if (cursor := found.next) is None:
            return


def first_arms(arms: CampaignArms) -> list[tuple[str, str]]:
    """At most :data:`MOST`, the baseline first; none of another kind of energy than that."""
    return [("id", i[:16]) for i in _first_ids(arms)]


def _first_ids(arms: CampaignArms) -> list[ConfigurationId]:
    """Of :func:`first_arms`, whole."""
    if not arms.arms:
        return []
    base = arms.arms[0].configuration
    alike = [
        a.configuration.id
        for a in arms.arms
        if (a.configuration.energy_class, a.configuration.semantics_version)
        == (base.energy_class, base.semantics_version)
    ]
    return list(dict.fromkeys(alike))[:MOST]


def of_campaign(reader: Reader, params: Params, query: Query) -> Page:
    """A campaign's first arms beside its baseline: the same as by their ids, at an address that
    does not depend on them. Raises :class:`Refused` (404)."""
    campaign = campaign_id(params["campaign"])
    first = first_arms(arms_of_campaign(reader.connection, campaign))
    if len(first) < 2:
        raise Refused("no_such_comparison", "this campaign has nothing to compare", 404)
    found = page(reader, {}, [*first, *(p for p in query if p[0] != "id")])
    ids = [one for _, one in first]

    def beside(base: str) -> bytes:
        asked = CompareQuestion(id=[base, *(i for i in ids if i != base)])
        return compare(*reader, asked).model_dump_json(by_alias=True).encode()

    return replace(
        found,
        title=text("compare.title_of_campaign", title=found.title, id=campaign[:8]),
        files={f"{i}.json": partial(beside, i) for i in ids},
    )


def _instances(reader: Reader) -> Iterator[Params]:
    for campaign, _ in comparisons(reader):
        yield {"campaign": campaign.id}


KINDS = (Kind("compare", page), Kind("comparison", of_campaign, _instances))
