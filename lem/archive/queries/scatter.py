"""Two metrics of all configurations that match, as columns."""

from typing import Annotated, Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from pydantic import Field

from lem.archive.columns import Coded, Floats, Ints
from lem.archive.copying import or_none
from lem.archive.queries.answer import Answer, Metric, head, unit_of
from lem.archive.queries.figures import highest_tier
from lem.archive.queries.filters import Filtered
from lem.archive.queries.selection import select

MOST = 20_000
DIGITS, DIGITS_OF_U = 8, 4
"""Significant ones. All seventeen would make the answer twice as long, and mean nothing."""
NAMES = ("model", "backend", "device_model")
"""Texts that many configurations share."""


class ScatterQuestion(Filtered):
    x: Metric = "output_throughput_tokens_per_s"
    y: Metric = "energy_per_output_token_j"
    limit: Annotated[int, Field(ge=1, le=MOST)] = MOST


class Scatter(Answer):
    """Columns of equal length: the i-th of each are of one configuration. Figures are rounded to
    eight significant digits and uncertainties to four, which is finer than anything that is
    measured: whoever needs every bit asks for the configuration."""

    energy_class: str
    x_metric: Metric
    x_unit: str
    y_metric: Metric
    y_unit: str
    configurations: int
    """How many match and have both figures; more than are here where ``complete`` is false."""
    complete: bool
    id: list[str]
    """The first 16 digits of each configuration's id: enough wherever an id is asked for."""
    x: list[float]
    x_uncertainty: list[float | None]
    y: list[float]
    y_uncertainty: list[float | None]
    tier: list[int]
    """That both figures have: 1 self-reported, 2 recomputed, 3 replicated."""
    runs: list[int]
    """That count, of this tier; a single figure may be of fewer."""
    submitters: list[int]
    model: list[int]
    """Place in ``models``; likewise the next two."""
    backend: list[int]
    device_model: list[int]
    models: list[str]
    backends: list[str]
    device_models: list[str]


def scatter(connection: sa.Connection, question: ScatterQuestion) -> Scatter:
    """In no order."""
    about = select(connection, question)
    top = head(connection, about.semantics)
    board, tier = about.board, about.tier
    rows = about.with_figures(question.x, question.y)
    total = len(rows)
    rows = rows[: question.limit]

    def figure(name: str, metric: str) -> NDArray[Any]:
        found: NDArray[Any] = board.figure(name, metric, tier)[rows]
        return found

    def uncertainty(metric: str) -> list[float | None]:
        return or_none(rounded(figure("expanded", metric), DIGITS_OF_U))

    tiers = np.full(len(rows), tier) if tier else board.numbers["tier"][rows]
    names = {name: _names(board.coded[name], rows) for name in NAMES}
    # Not validated once more: the columns are those of the database.
    return Scatter.model_construct(
        **top.fields(),
        energy_class=about.energy_class,
        x_metric=question.x,
        x_unit=unit_of(question.x),
        y_metric=question.y,
        y_unit=unit_of(question.y),
        configurations=total,
        complete=total <= question.limit,
        id=board.ids[rows].tolist(),
        x=rounded(figure("mean", question.x), DIGITS).tolist(),
        x_uncertainty=uncertainty(question.x),
        y=rounded(figure("mean", question.y), DIGITS).tolist(),
        y_uncertainty=uncertainty(question.y),
        tier=np.minimum(tiers, highest_tier(question.x, question.y)).tolist(),
        runs=figure("n", question.x).tolist() if tier else board.numbers["runs"][rows].tolist(),
        submitters=figure("submitters", question.x).tolist()
        if tier
        else board.numbers["submitters"][rows].tolist(),
        model=names["model"][1],
        backend=names["backend"][1],
        device_model=names["device_model"][1],
        models=names["model"][0],
        backends=names["backend"][0],
        device_models=names["device_model"][0],
    )


def rounded(values: Floats, digits: int) -> Floats:
    """To so many significant digits, as the double that is nearest to that decimal number. What is
    too small or too large for that (below 1e-13, from 1e22) stays as it is, as do 0 and NaN."""
    size = np.abs(values)
    fits = (size >= 1e-13) & (size < 1e22)
    exponent = np.floor(np.log10(np.where(fits, size, 1.0)))
    places = digits - 1 - exponent
    # Powers of ten up to 1e22 are exact, so one division or multiplication rounds but once.
    up, down = 10.0 ** np.maximum(places, 0), 10.0 ** np.maximum(-places, 0)
    found: Floats = np.where(fits, np.round(values * up / down) * down / up, values)
    return found


def _names(column: Coded, rows: Ints) -> tuple[list[str], list[int]]:
    """The different names of these rows, sorted, and of each row the place of its own."""
    used, places = np.unique(column.codes[rows], return_inverse=True)
    names = [str(column.values[code]) for code in used]
    order = sorted(range(len(names)), key=names.__getitem__)
    place = np.argsort(np.array(order, dtype=np.int64))
    return [names[i] for i in order], place[places].tolist()
