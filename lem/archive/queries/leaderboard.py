"""Configurations from the best to the worst, with ranks only where intervals tell them apart."""

from typing import Annotated, Literal

import numpy as np
import sqlalchemy as sa
from pydantic import Field

from lem.archive.columns import Floats, Ints
from lem.archive.queries.answer import (
    Answer,
    Configuration,
    Figure,
    Metric,
    Shape,
    Tier,
    better_of,
    head,
    tier_name,
    unit_of,
)
from lem.archive.queries.cursor import Cursor, CursorText, question_key
from lem.archive.queries.figures import configurations_of, figures_of, highest_tier
from lem.archive.queries.filters import OfMetric
from lem.archive.queries.selection import Selected, select
from lem.archive.refused import Refused
from lem.contract.objectives import NLL


class LeaderboardQuestion(OfMetric):
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: CursorText | None = None


class Chosen(Shape):
    """What the answer is about, where the question left it open."""

    energy_class: str
    tier: Tier | Literal["best"]
    """``best``: each configuration by the best tier that it has."""
    best_tier: Tier | None
    """The best that any of these figures has."""
    metric: Metric
    unit: str
    better: Literal["lower", "higher"]


class Place(Shape):
    rank: int | None
    """1, and 1 more for each configuration that is better by more than the two uncertainties
    together; None where there is no uncertainty to tell it from others."""
    configuration: Configuration
    figure: Figure


class Leaderboard(Answer):
    chosen: Chosen
    configurations: int
    """How many match."""
    rows: list[Place]
    next: str | None
    """Cursor of the next page."""


def leaderboard(connection: sa.Connection, question: LeaderboardQuestion) -> Leaderboard:
    """Raises :class:`Refused` for a cursor that is none (400) or from before the archive changed
    (410): ranks of two states are no ranks; for likelihoods of several models (422)."""
    about = select(connection, question)
    top = head(connection, about.semantics)
    walk = Walk.begin(question, about.board.state)
    better = better_of(question.metric)
    rows, mean, expanded = ordered(about, question.metric)
    _check_one_model(about, rows, question.metric)
    best = about.board.numbers["tier"][rows].max(initial=0)
    page = slice(walk.seen, walk.seen + question.limit)
    ranks = _ranks(mean[rows], expanded[rows], page, better == "lower")
    ids = [int(key) for key in about.board.numbers["config_id"][rows[page]]]
    end = walk.seen + len(ids)
    configurations = configurations_of(connection, ids)
    figures = figures_of(connection, ids, [question.metric], about.tier)
    return Leaderboard(
        **top.fields(),
        chosen=Chosen(
            energy_class=about.energy_class,
            tier=about.tier_name or "best",
            best_tier=tier_name(min(int(best), highest_tier(question.metric))),
            metric=question.metric,
            unit=unit_of(question.metric),
            better=better,
        ),
        configurations=len(rows),
        rows=[
            Place(
                rank=rank or None,
                configuration=configurations[key],
                figure=figures[key, question.metric],
            )
            for rank, key in zip(ranks, ids, strict=True)
        ],
        next=walk.model_copy(update={"seen": end}).text() if end < len(rows) else None,
    )


def _check_one_model(about: Selected, rows: Ints, metric: str) -> None:
    """A likelihood per token is of the model's own tokens: those of others have no order."""
    if metric == NLL and len(np.unique(about.board.coded["model_content"].codes[rows])) > 1:
        raise Refused(
            "not_comparable",
            "likelihoods of several models match, and those of other tokens have no order",
            hint="choose one with model.content=…, or compare configurations",
        )


class Walk(Cursor):
    """How far the walk from the best has come."""

    state: Annotated[str, Field(max_length=64)]
    """Of the archive, when it began."""
    seen: Annotated[int, Field(ge=0, lt=2**31)] = 0

    @classmethod
    def begin(cls, question: LeaderboardQuestion, state: str) -> "Walk":
        if question.cursor is None:
            return cls(question=question_key(question), state=state)
        walk = cls.read(question.cursor, question)
        if walk.state != state:
            raise Refused(
                "cursor_expired",
                "the archive has changed since this cursor was given, and ranks with it",
                410,
                hint="begin again without a cursor",
            )
        return walk


def _ranks(mean: Floats, expanded: Floats, page: slice, lower_is_better: bool) -> list[int]:
    """Of the rows of a page of these; 0 where there is no uncertainty. As leaderboards of other
    measurements with intervals have it (Chiang et al., Chatbot Arena, arXiv:2403.04132): the rank
    is 1 and 1 more for each whose interval lies wholly on the better side."""
    cost = mean if lower_is_better else -mean
    known = ~np.isnan(expanded)
    ends = np.sort((cost + expanded)[known])
    ahead = np.searchsorted(ends, (cost - expanded)[page], side="left")
    return [int(n) + 1 if k else 0 for n, k in zip(ahead, known[page], strict=True)]


def ordered(about: Selected, metric: str) -> tuple[Ints, Floats, Floats]:
    """Places on the board from the best to the worst, those without uncertainty last, equals by
    their hash; and mean and U of every row of the board."""
    rows = about.with_figures(metric)
    mean = about.board.figure("mean", metric, about.tier)
    expanded = about.board.figure("expanded", metric, about.tier)
    sign = 1 if better_of(metric) == "lower" else -1
    # The board is in the order of hashes, and sorting keeps the order of equals.
    order = np.lexsort((sign * mean[rows], np.isnan(expanded[rows])))
    return rows[order], mean, expanded
