"""Configurations from the best to the worst, with ranks only where intervals tell them apart."""

import math
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
    """Of its group's first one; None where there is no uncertainty to tell it from others."""
    group: int | None
    """Configurations of one group cannot be told from the group's first one."""
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
    page = rows[walk.seen : walk.seen + question.limit]
    keys = about.board.numbers["config_id"]
    places = []
    for row in page.tolist():
        walk = walk.step(float(mean[row]), float(expanded[row]), better == "lower")
        places.append((walk.rank or None, walk.group or None, int(keys[row])))
    ids = [config_id for _, _, config_id in places]
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
                rank=rank,
                group=group,
                configuration=configurations[key],
                figure=figures[key, question.metric],
            )
            for rank, group, key in places
        ],
        next=walk.text() if walk.seen < len(rows) else None,
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
    """How far the walk from the best has come. Configurations with an uncertainty come first."""

    state: Annotated[str, Field(max_length=64)]
    """Of the archive, when it began."""
    seen: Annotated[int, Field(ge=0, lt=2**31)] = 0
    rank: Annotated[int, Field(ge=0)] = 0
    """0: nothing ranked yet, or the rest has no uncertainty."""
    group: Annotated[int, Field(ge=0)] = 0
    bound: float = 0.0
    """The end, towards the worse, of the interval of the group's first one."""

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

    def step(self, mean: float, u: float, lower_is_better: bool) -> "Walk":
        """To the next row; ``u`` is NaN where it has no uncertainty."""
        seen = self.seen + 1
        if math.isnan(u):
            return self.model_copy(update={"seen": seen, "rank": 0, "group": 0})
        sign = 1 if lower_is_better else -1
        nearest, farthest = sign * mean - u, sign * mean + u
        if self.group and nearest <= self.bound:
            return self.model_copy(update={"seen": seen})
        new = {"seen": seen, "rank": seen, "group": self.group + 1, "bound": farthest}
        return self.model_copy(update=new)


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
