"""Configurations from the best to the worst, with ranks only where intervals tell them apart."""

from typing import Annotated, Any, Literal

import sqlalchemy as sa
from pydantic import Field

from lem.archive.queries.answer import (
    Answer,
    Configuration,
    Figure,
    Metric,
    Shape,
    Tier,
    better_of,
    head,
    number_of,
    tier_name,
    unit_of,
)
from lem.archive.queries.cursor import Cursor, CursorText, question_key
from lem.archive.queries.figures import configurations_of, figures_of
from lem.archive.queries.filters import OfMetric
from lem.archive.queries.selection import Selected, select
from lem.archive.refused import Refused
from lem.archive.schema import BOARD, CONFIG, CONFIG_SUMMARY


class LeaderboardQuestion(OfMetric):
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: CursorText | None = None


class Chosen(Shape):
    """What the answer is about, where the question left it open."""

    energy_class: str
    tier: Tier | Literal["best"]
    """``best``: each configuration by the best tier that it has."""
    best_tier: Tier | None
    """The best that any of these configurations has."""
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
    _check_one_model(connection, about, question.metric)
    top = head(connection, about.semantics)
    walk = Walk.begin(question, top.data_version)
    better = better_of(question.metric)
    ranked = _Ranked(about, question.metric, better == "lower")
    count, best = connection.execute(ranked.count()).one()
    found = connection.execute(ranked.page(walk, question.limit + 1)).all()
    places = []
    for row in found[: question.limit]:
        walk = walk.step(row.mean, row.expanded, row.hash, better == "lower")
        places.append((walk.rank or None, walk.group or None, row.config_id))
    ids = [config_id for _, _, config_id in places]
    configurations = configurations_of(connection, ids)
    figures = figures_of(connection, ids, [question.metric], about.tier)
    return Leaderboard(
        **top.fields(),
        chosen=Chosen(
            energy_class=about.energy_class,
            tier=about.tier_name or "best",
            best_tier=tier_name(best or 0),
            metric=question.metric,
            unit=unit_of(question.metric),
            better=better,
        ),
        configurations=count,
        rows=[
            Place(
                rank=rank,
                group=group,
                configuration=configurations[key],
                figure=figures[key, question.metric],
            )
            for rank, group, key in places
        ],
        next=walk.text() if len(found) > question.limit else None,
    )


def _check_one_model(connection: sa.Connection, about: Selected, metric: str) -> None:
    """A likelihood per token is of the model's own tokens: those of others have no order."""
    if metric != "nll_per_token":
        return
    models = (
        sa.select(CONFIG.c.model_content)
        .join(BOARD, BOARD.c.config_id == CONFIG.c.id)
        .where(*about.conditions, BOARD.c.nll_per_token.is_not(None))
        .distinct()
        .limit(2)
    )
    if len(connection.scalars(models).all()) > 1:
        raise Refused(
            "not_comparable",
            "likelihoods of several models match, and those of other tokens have no order",
            hint="choose one with model.content=…, or compare configurations",
        )


class Walk(Cursor):
    """How far the walk from the best has come. Configurations with an uncertainty come first."""

    version: int
    """``data_version`` that it began at."""
    seen: Annotated[int, Field(ge=0)] = 0
    rank: Annotated[int, Field(ge=0)] = 0
    """0: nothing ranked yet, or the rest has no uncertainty."""
    group: Annotated[int, Field(ge=0)] = 0
    bound: float = 0.0
    """The end, towards the worse, of the interval of the group's first one."""
    unranked: bool = False
    mean: float = 0.0
    hash: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    """Of the last one seen."""

    @classmethod
    def begin(cls, question: LeaderboardQuestion, version: int) -> "Walk":
        if question.cursor is None:
            return cls(question=question_key(question), version=version)
        walk = cls.read(question.cursor, question)
        if walk.version != version:
            raise Refused(
                "cursor_expired",
                "the archive has changed since this cursor was given, and ranks with it",
                410,
                hint="begin again without a cursor",
            )
        return walk

    def step(self, mean: float, u: float | None, config_hash: str, lower_is_better: bool) -> "Walk":
        seen = self.seen + 1
        new = {"seen": seen, "mean": mean, "hash": config_hash}
        if u is None:
            return self.model_copy(update={**new, "unranked": True, "rank": 0, "group": 0})
        sign = 1 if lower_is_better else -1
        nearest, farthest = sign * mean - u, sign * mean + u
        if self.group and nearest <= self.bound:
            return self.model_copy(update=new)
        new |= {"rank": seen, "group": self.group + 1, "bound": farthest}
        return self.model_copy(update=new)


class _Ranked:
    """The rows of a leaderboard in their order."""

    def __init__(self, about: Selected, metric: str, lower_is_better: bool) -> None:
        b = BOARD.c
        self._lower = lower_is_better
        self._source: sa.FromClause = BOARD
        self._where = list(about.conditions)
        self._mean: sa.ColumnElement[float] = b[metric]
        self._expanded: sa.ColumnElement[float | None] = b[f"{metric}_u"]
        if about.tier:
            s = CONFIG_SUMMARY.c
            self._source = sa.join(CONFIG_SUMMARY, BOARD, s.config_id == b.config_id)
            self._mean, self._expanded = s.mean, s.expanded
            self._where += [s.metric == number_of(metric), s.tier == about.tier]
        self._where.append(self._mean.is_not(None))

    def count(self) -> sa.Select[Any]:
        counted = [sa.func.count(), sa.func.max(BOARD.c.tier)]
        query: Any = sa.select(*counted)
        found: sa.Select[Any] = query.select_from(self._source).where(*self._where)
        return found

    def page(self, walk: Walk, limit: int) -> sa.Select[Any]:
        hash_ = BOARD.c.hash
        # A number, not a truth value: SQLite has none to sort by.
        unranked = sa.case((self._expanded.is_(None), 1), else_=0)
        query = (
            sa.select(
                BOARD.c.config_id,
                hash_,
                self._mean.label("mean"),
                self._expanded.label("expanded"),
            )
            .select_from(self._source)
            .where(*self._where)
            .order_by(unranked, self._mean if self._lower else self._mean.desc(), hash_)
            .limit(limit)
        )
        if not walk.seen:
            return query
        mean = self._mean
        worse = mean > walk.mean if self._lower else mean < walk.mean
        beyond = sa.or_(worse, sa.and_(mean == walk.mean, hash_ > walk.hash))
        at = int(walk.unranked)
        return query.where(sa.or_(unranked > at, sa.and_(unranked == at, beyond)))
