"""Stories: their charts and figures are the archive's, as it is when the page is made."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple, TypeVar

import sqlalchemy as sa

from lem.analysis.quantities import DIFFERENCES
from lem.analysis.text import scaled
from lem.analysis.words import with_ends
from lem.archive.queries.answer import head, unit_of
from lem.archive.queries.arms import arms_of_campaign
from lem.archive.queries.compare import CompareQuestion, compare
from lem.archive.queries.holdings import holdings
from lem.archive.queries.leaderboard import Leaderboard, LeaderboardQuestion, leaderboard
from lem.archive.refused import Refused
from lem.charts.model import AnyChart, Axis, Intervals, Row, Scatter, Target
from lem.pages import attribution, explore, headline
from lem.pages.comparison import labels, ratio_chart, settings_of
from lem.pages.headline import Headline
from lem.pages.kept import kept
from lem.pages.naming import device, model_name, way, workload
from lem.pages.one_figure import interval, is_energy, name_in_class
from lem.pages.page import Kind, Page, Params, Query, Reader, nothing_asked
from lem.web import stories, words
from lem.web.stories import ChartBlock, Prose, Story
from lem.web.strings import text

MOST_ARMS = 20


class ProsePart(NamedTuple):
    markdown: str


class ChartPart(NamedTuple):
    chart: AnyChart | None
    """None where the archive has nothing to draw."""
    caption: str


def story(reader: Reader, params: Params, query: Query) -> Page:
    """Raises :class:`Refused` (404) for a story that there is not."""
    nothing_asked(query)
    found = stories.story(params["name"])
    if found is None:
        raise Refused("no_such_story", "there is no such story here", 404)
    # Its charts are files and embeds, too: each asks for the page.
    return kept(reader, ("story", found.name), lambda: _page(reader, found))


def _page(reader: Reader, found: Story) -> Page:
    archive = _Archive(reader)
    parts: list[ProsePart | ChartPart] = []
    for part in found.parts:
        if isinstance(part, ChartBlock):
            parts.append(ChartPart(archive.chart(part), part.caption))
        elif (markdown := part.filled(archive.figures(part))) is not None:
            parts.append(ProsePart(markdown))
    drawn = [part.chart for part in parts if isinstance(part, ChartPart) and part.chart]
    return Page(
        template="story.html",
        title=found.title,
        description=found.summary,
        context={"story": found, "parts": parts},
        charts={chart.id: chart for chart in drawn},
        head=head(reader.connection),
    )


def every(reader: Reader, params: Params, query: Query) -> Page:
    nothing_asked(query)
    found = [one for name in stories.names() if (one := stories.story(name))]
    return Page(
        template="stories.html",
        title=text("stories.title"),
        description=text("stories.description"),
        context={"stories": sorted(found, key=lambda s: (s.date, s.name), reverse=True)},
    )


def _instances(reader: Reader) -> Iterable[Params]:
    return [{"name": name} for name in stories.names()]


class _Archive:
    """What one story asks of the archive."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def headline(self, campaign: str) -> Headline | None:
        return _or_none(partial(headline.headline, self._reader, campaign or None))

    def figures(self, part: Prose) -> Mapping[str, str]:
        """Those that the part refers to and the archive has."""
        known: dict[str, str] = {}
        if any(name.startswith("headline.") for name in part.references):
            found = self.headline("")
            known |= {} if found is None else _of_headline(found)
        if any(name.startswith("archive.") for name in part.references):
            known |= _counts(self._reader.connection)
        return known

    def chart(self, block: ChartBlock) -> AnyChart | None:
        """None where the archive has nothing to draw."""
        drawn = _or_none(partial(_DRAW[block.kind], self, block))
        return None if drawn is None else replace(drawn, id=block.id)

    def draw_headline(self, block: ChartBlock) -> AnyChart | None:
        found = self.headline(block.campaign)
        return None if found is None else headline.chart(found)

    def draw_ratios(self, block: ChartBlock) -> AnyChart | None:
        top = self.headline("")
        campaign = block.campaign or (top.campaign if top is not None else "")
        return _ratios(self._reader, campaign, block) if campaign else None

    def draw_attribution(self, block: ChartBlock) -> AnyChart | None:
        for campaign in [block.campaign] if block.campaign else self._likely():
            chart = _or_none(
                partial(attribution.shares, self._reader, campaign, _given(metric=block.metric))
            )
            if chart is not None:
                return chart
        return None

    def _likely(self) -> list[str]:
        """Campaigns of which one may be a whole grid: the headline's, then the newest."""
        top = self.headline("")
        first = [] if top is None else [top.campaign]
        return list(dict.fromkeys([*first, *attribution.newest(self._reader.connection)]))

    def draw_scatter(self, block: ChartBlock) -> AnyChart | None:
        query = [*block.query, *_given(x=block.x, metric=block.y)]
        chart = explore.KIND.build(self._reader, {}, query).charts["scatter"]
        assert isinstance(chart, Scatter)
        return chart if any(series.marks for series in chart.series) else None

    def draw_leaderboard(self, block: ChartBlock) -> AnyChart | None:
        query = [*block.query, *_given(metric=block.metric), ("limit", str(block.limit))]
        board = leaderboard(self._reader.connection, LeaderboardQuestion.from_query(query))
        return _board(board) if board.rows else None


_DRAW: Mapping[str, Callable[[_Archive, ChartBlock], AnyChart | None]] = {
    "headline": _Archive.draw_headline,
    "ratios": _Archive.draw_ratios,
    "attribution": _Archive.draw_attribution,
    "scatter": _Archive.draw_scatter,
    "leaderboard": _Archive.draw_leaderboard,
}


T = TypeVar("T")


def _or_none(ask: Callable[[], T]) -> T | None:
    """None where the archive does not have what is asked for, or would not compare it."""
    try:
        return ask()
    except Refused:
        return None


def _given(**fields: str) -> list[tuple[str, str]]:
    return [(name, value) for name, value in fields.items() if value]


def _of_headline(found: Headline) -> dict[str, str]:
    more, less = headline.names(found)
    figures = [headline.energy(one) for one in (found.more, found.less)]
    said = [
        f"{one.value} {one.unit}" for one in (words.figure(figure, figures) for figure in figures)
    ]
    if found.estimated:
        said = [text("stories.estimated_energy", energy=one) for one in said]
    _, low, high = with_ends(found.times, found.low, found.high)
    return {
        "headline.how": text(f"stories.{'estimated' if found.estimated else 'measured'}"),
        "headline.ratio": text(
            "stories.times",
            times=headline.times(found),
            low=low,
            high=high,
        ),
        "headline.first": more,
        "headline.second": less,
        "headline.first_energy": said[0],
        "headline.second_energy": said[1],
        "headline.model": model_name(found.baseline),
        "headline.device": device(found.baseline),
        "headline.workload": workload(found.baseline),
    }


def _counts(connection: sa.Connection) -> dict[str, str]:
    """Of what counts; nothing where the archive is empty, so that no sentence speaks of none."""
    found = holdings(connection)
    names = ("runs", "configurations", "models", "campaigns")
    return {f"archive.{name}": words.count(n) for name in names if (n := getattr(found, name))}


def _ratios(reader: Reader, campaign: str, block: ChartBlock) -> Intervals | None:
    """The arms of a campaign beside its baseline."""
    every = arms_of_campaign(reader.connection, campaign).arms
    arms = list(dict.fromkeys(one.configuration.id for one in every))
    if len(arms) < 2:
        return None
    question = CompareQuestion.from_query(
        [("id", one) for one in arms[:MOST_ARMS]] + _given(metric=block.metric)
    )
    compared = compare(reader.connection, reader.packs, question)
    names = labels(
        [row.configuration for row in compared.rows], settings_of(reader.connection, compared)
    )
    return ratio_chart(compared, names)


def _board(board: Leaderboard) -> Intervals:
    metric = board.chosen.metric
    factor, unit = scaled(unit_of(metric), [p.figure.value for p in board.rows])
    name = name_in_class(metric, board.chosen.energy_class)

    return Intervals(
        id="leaderboard",
        title=text("stories.leaderboard.title", metric=name),
        subtitle=text(
            "stories.leaderboard.subtitle",
            energy_class=text(f"class.{board.chosen.energy_class}"),
        ),
        source=board.citation,
        axis=Axis(
            name,
            words.said_unit(unit),
            positive=board.chosen.metric not in DIFFERENCES,
        ),
        rows=tuple(
            Row(
                label=model_name(p.configuration),
                sublabel=f"{way(p.configuration)}, {device(p.configuration)}",
                value=p.figure.value * factor,
                interval=interval(metric, p.figure.value, p.figure.uncertainty, factor),
                target=Target("configuration", {"id": p.configuration.id[:16]}),
                estimated=p.figure.energy_class == "estimated" and is_energy(metric),
                rank=str(p.rank or ""),
            )
            for p in board.rows
        ),
    )


KINDS = (Kind("stories", every), Kind("story", story, _instances))
