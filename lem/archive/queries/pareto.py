"""Configurations that no other beats in both of two metrics."""

from typing import Annotated, Literal, NamedTuple

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from pydantic import Field

from lem.archive.columns import Floats, Ints
from lem.archive.queries.answer import (
    Answer,
    Configuration,
    Figure,
    Metric,
    Shape,
    better_of,
    head,
    number_of,
)
from lem.archive.queries.figures import configurations_of, figures_of
from lem.archive.queries.filters import Filtered
from lem.archive.queries.selection import Selected, select
from lem.archive.refused import Refused
from lem.archive.schema import BOARD, CONFIG_SUMMARY
from lem.contract.objectives import NLL


class ParetoQuestion(Filtered):
    x: Metric = "ttft_p50_s"
    y: Metric = "energy_per_output_token_j"
    limit: Annotated[int, Field(ge=1, le=500)] = 200


class FrontPoint(Shape):
    configuration: Configuration
    x: Figure
    y: Figure
    state: Literal["front", "cannot_tell"]
    by: str | None
    """Id of a configuration that is ahead in both by the means, though not beyond uncertainty."""


class ParetoFront(Answer):
    energy_class: str
    x_metric: Metric
    y_metric: Metric
    points: list[FrontPoint]
    """The better x first: those on the front, and those of which it cannot be told."""
    complete: bool
    """False where ``limit`` left some out."""
    dominated: int
    without_both: int
    """Configurations that lack one of the two figures."""
    sentence: str


def pareto(connection: sa.Connection, question: ParetoQuestion) -> ParetoFront:
    """A configuration is *dominated* where another is better beyond both uncertainties in one
    metric and, beyond them, not worse than by ``MARGIN`` in the other. It is *on the front* where
    none is better by the means in one and at least as good in the other. Between the two it cannot
    be told. Likelihoods are held against each other only where the weights are the same, since
    other models cut the text into other tokens. One that is the same in every run is exact. Raises
    :class:`Refused` (422) where both metrics are the same."""
    if question.x == question.y:
        raise Refused("same_metric", "x and y name the same metric")
    about = select(connection, question)
    top = head(connection, about.semantics)
    board = about.board
    rows = about.with_figures(question.x, question.y)
    pairs = pairs_of(connection, about, rows, question.x, question.y)
    states, by = states_of(pairs)
    kept = [i for i in np.argsort(pairs.x_cost, kind="stable") if states[i] < DOMINATED]
    shown = kept[: question.limit]
    keys = board.numbers["config_id"][rows].tolist()
    ids = [keys[i] for i in shown]
    configurations = configurations_of(connection, ids)
    figures = figures_of(connection, ids, [question.x, question.y], about.tier)
    points = [
        FrontPoint(
            configuration=configurations[keys[i]],
            x=figures[keys[i], question.x],
            y=figures[keys[i], question.y],
            state="front" if states[i] == FRONT else "cannot_tell",
            by=board.texts["hash"][rows[by[i]]].decode() if by[i] >= 0 else None,
        )
        for i in shown
    ]
    on = int((states == FRONT).sum())
    open_ = int((states == CANNOT_TELL).sum())
    return ParetoFront(
        **top.fields(),
        energy_class=about.energy_class,
        x_metric=question.x,
        y_metric=question.y,
        points=points,
        complete=len(shown) == len(kept),
        dominated=len(rows) - len(kept),
        without_both=int(about.matching().sum()) - len(rows),
        sentence=_sentence(on, open_, len(rows)) + ("" if pairs.groups is None else OTHER_TOKENS),
    )


OTHER_TOKENS = (
    " Likelihoods of different weights may be of other tokens: such configurations are not held "
    "against each other here."
)
SAME = 1e-12
"""Likelihoods whose standard deviation is less, relative, are the same in every run."""


def exact_likelihoods(connection: sa.Connection, tier: int) -> list[int]:
    """Configurations of which two runs or more had the same likelihood, and none another."""
    s = CONFIG_SUMMARY.c
    query = (
        sa.select(s.config_id, s.n, s.mean, s.m2_within, s.m2_between)
        .join(BOARD, BOARD.c.config_id == s.config_id)
        .where(s.metric == number_of(NLL), s.tier == (tier or BOARD.c.tier), s.n > 1)
    )
    return [
        r.config_id
        for r in connection.execute(query)
        if max(r.m2_within, r.m2_between) <= r.n * (SAME * r.mean) ** 2
    ]


FRONT, CANNOT_TELL, DOMINATED = 0, 1, 2
MARGIN = 0.02
AT_ONCE = 500
Bools = NDArray[np.bool_]


class Pairs(NamedTuple):
    """Two figures of each configuration as costs: the lower the better."""

    x_cost: Floats
    x_u: Floats
    """NaN where there is none, and then nothing is shown beyond it."""
    y_cost: Floats
    y_u: Floats
    groups: Ints | None = None
    """Only those of one group are held against each other; None: all."""

    def beside(self, these: Ints) -> tuple[Bools, Bools]:
        """Of each of these (row) beside every other (column): whether the other dominates it, and
        whether it is ahead by the means. Uncertainties of two add in squares."""
        better, not_worse, ahead, at_least = [], [], [], []
        for cost, u in ((self.x_cost, self.x_u), (self.y_cost, self.y_u)):
            # Below 0: the other is better.
            difference = cost[None, :] - cost[these, None]
            half = np.hypot(u[None, :], u[these, None])
            better.append(difference + half < 0)
            not_worse.append(difference + half <= MARGIN * np.abs(cost[these, None]))
            ahead.append(difference < 0)
            at_least.append(difference <= 0)
        dominating = (better[0] | better[1]) & not_worse[0] & not_worse[1]
        leading = (ahead[0] | ahead[1]) & at_least[0] & at_least[1]
        if self.groups is not None:
            alike = self.groups[None, :] == self.groups[these, None]
            dominating, leading = dominating & alike, leading & alike
        return dominating, leading


def pairs_of(connection: sa.Connection, about: Selected, rows: Ints, x: str, y: str) -> Pairs:
    """Of these rows of the board. Likelihoods that are the same in every run are exact."""

    def figure(name: str, metric: str) -> Floats:
        found: Floats = about.board.figure(name, metric, about.tier)[rows]
        return found

    signs = [1 if better_of(m) == "lower" else -1 for m in (x, y)]
    x_u, y_u, models = figure("expanded", x), figure("expanded", y), None
    if NLL in (x, y):
        models = about.board.coded["model_content"].codes[rows].astype(np.int64)
        exact = np.isin(
            about.board.numbers["config_id"][rows], exact_likelihoods(connection, about.tier)
        )
        (x_u if x == NLL else y_u)[exact] = 0.0
    return Pairs(signs[0] * figure("mean", x), x_u, signs[1] * figure("mean", y), y_u, models)


def front_of(pairs: Pairs) -> Ints:
    """Places of those on the front, as :func:`states_of` says, without comparing every pair."""
    led_by_none = _first_by_means(pairs)
    found = [
        part[~pairs.beside(part)[0].any(axis=1)]
        for start in range(0, len(led_by_none), AT_ONCE)
        if len(part := led_by_none[start : start + AT_ONCE])
    ]
    return np.concatenate(found) if found else led_by_none


def _first_by_means(pairs: Pairs) -> Ints:
    """Places of those that none of their group is ahead of by the means."""
    n = len(pairs.x_cost)
    groups = np.zeros(n, dtype=np.int64) if pairs.groups is None else pairs.groups
    found = []
    for group in np.unique(groups):
        at = np.flatnonzero(groups == group)
        at = at[np.lexsort((pairs.y_cost[at], pairs.x_cost[at]))]
        x, y = pairs.x_cost[at], pairs.y_cost[at]
        lowest = np.minimum.accumulate(y)
        steps = np.flatnonzero(np.r_[True, lowest[1:] < lowest[:-1]])
        # Equals of one that is ahead of no other: neither is ahead of the other.
        reached = steps[np.searchsorted(steps, np.arange(len(at)), side="right") - 1]
        found.append(at[(y == lowest) & (x == x[reached])])
    return np.sort(np.concatenate(found)) if found else np.zeros(0, dtype=np.int64)


def states_of(pairs: Pairs) -> tuple[Ints, Ints]:
    """Each one's state, and the place of one that is ahead of it (−1: none)."""
    n = len(pairs.x_cost)
    states = np.zeros(n, dtype=np.int64)
    by = np.full(n, -1, dtype=np.int64)
    for start in range(0, n, AT_ONCE):
        part = np.arange(start, min(start + AT_ONCE, n))
        dominating, leading = pairs.beside(part)
        states[part] = np.where(
            dominating.any(axis=1), DOMINATED, np.where(leading.any(axis=1), CANNOT_TELL, FRONT)
        )
        by[part] = np.where(leading.any(axis=1), leading.argmax(axis=1), -1)
    # Of all that are ahead, one that is on the front itself says most.
    on = np.flatnonzero(states == FRONT)
    for i in np.flatnonzero(states == CANNOT_TELL):
        wins = np.ones(len(on), dtype=bool)
        if pairs.groups is not None:
            wins = pairs.groups[on] == pairs.groups[i]
        strictly = np.zeros(len(on), dtype=bool)
        for cost in (pairs.x_cost, pairs.y_cost):
            wins &= cost[on] <= cost[i]
            strictly |= cost[on] < cost[i]
        if (found := on[wins & strictly]).size:
            by[i] = found[0]
    return states, by


def _sentence(on: int, open_: int, total: int) -> str:
    text = f"{on} of {total} configurations {'is' if on == 1 else 'are'} on the front"
    if open_:
        text += f"; of {open_} more it cannot be told within their uncertainties"
    rest = total - on - open_
    return f"{text}; {rest} {'is' if rest == 1 else 'are'} dominated."
