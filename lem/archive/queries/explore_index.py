"""All that the explorer of a site without a server answers from, in one document.

``web/src/api/index_format.ts`` describes it and ``web/src/explore/file_source.ts`` reads it: there
the same questions have the same answers as here.
"""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray

from lem.analysis.naming import flat
from lem.archive.columns import Coded, Columns, Ints, columns
from lem.archive.figures import WHY_NONE
from lem.archive.queries import sizes
from lem.archive.queries.answer import better_of, head, unit_of
from lem.archive.queries.facets import plain
from lem.archive.queries.figures import NOT_BY_ITS_INTERVAL, highest_tier
from lem.archive.queries.filters import CLASS_ORDER, is_filter
from lem.archive.queries.pareto import exact_likelihoods
from lem.archive.schema import CONFIG, CONFIG_SUMMARY, DIMENSIONS, HEADLINE, TIERS

MOST_VALUES = 200
"""Of an experiment path; one with more tells configurations apart but chooses none."""


def explore_index(connection: sa.Connection) -> dict[str, Any]:
    """``ExploreIndex`` of ``index_format.ts``, to be written as JSON."""
    board = columns(connection)
    top = head(connection)
    exact = [exact_likelihoods(connection, tier) for tier in TIERS]
    keys = board.numbers["config_id"]
    why = _whys(connection, board)
    return {
        "format": 1,
        "metric_semantics_version": top.metric_semantics_version,
        "data_version": top.data_version,
        "licence": "CC-BY-4.0",
        "citation": top.citation,
        "class_order": list(CLASS_ORDER),
        "ids": board.ids.tolist(),
        "tier": board.numbers["tier"].tolist(),
        "semantics_version": board.numbers["semantics_version"].tolist(),
        "last_at": [t.decode() or None for t in board.texts["last_at"].tolist()],
        "disagrees": _disagreeing(connection, keys),
        "energy_class": _coded(board.coded["energy_class"]),
        "model_content": _coded(board.coded["model_content"]),
        "dimensions": {name: _coded(board.coded[name]) for name in DIMENSIONS}
        | {sizes.NAME: _sizes(board.coded["model"])},
        "paths": _paths(connection, keys),
        "metrics": {name: _metric(board, name, why) for name in HEADLINE},
        "whys": ["", NOT_BY_ITS_INTERVAL, *WHY_NONE.values()],
        "exact_likelihood": [np.flatnonzero(np.isin(keys, ids)).tolist() for ids in exact],
    }


def _coded(column: Coded) -> dict[str, Any]:
    used, places = np.unique(column.codes, return_inverse=True)
    values = [plain(column.values[code]) for code in used.tolist()]
    return {"values": values, "codes": places.tolist()}


def _sizes(models: Coded) -> dict[str, Any]:
    """All of them, from the smallest on."""
    place = [sizes.SIZES.index(sizes.size_of(model)) for model in models.values]
    codes = np.array(place, dtype=np.int64)[models.codes] if place else models.codes
    return {"values": list(sizes.SIZES), "codes": codes.tolist()}


def _disagreeing(connection: sa.Connection, keys: Ints) -> list[int]:
    found = connection.scalars(sa.select(CONFIG.c.id).where(CONFIG.c.disagrees)).all()
    places: list[int] = np.flatnonzero(np.isin(keys, np.array(found, dtype=np.int64))).tolist()
    return places


def _whys(connection: sa.Connection, board: Columns) -> NDArray[np.int64]:
    """Place in ``whys`` of each figure without an interval: (tiers, metrics, rows)."""
    found = np.zeros((len(TIERS), len(HEADLINE), len(board)), dtype=np.int64)
    place = {number: i for i, number in enumerate(WHY_NONE, 2)}
    rows = {key: i for i, key in enumerate(board.numbers["config_id"].tolist())}
    s = CONFIG_SUMMARY.c
    query = sa.select(s.config_id, s.tier, s.metric, s.why_none).where(s.expanded.is_(None))
    for key, tier, metric, why in connection.execute(query):
        if key in rows:
            found[tier - 1, metric, rows[key]] = place.get(why, 1)
    return found


def _metric(board: Columns, name: str, why: NDArray[np.int64]) -> dict[str, Any]:
    metric = HEADLINE.index(name)
    best = board.numbers["tier"]
    tiers: list[dict[str, Any] | None] = []
    before: tuple[NDArray[Any], ...] | None = None
    for tier in TIERS:
        rows = np.flatnonzero(best >= tier)
        figures = (
            *(board.figure(n, name, tier) for n in ("mean", "expanded", "n", "submitters")),
            why[tier - 1, metric],
        )
        same = before is not None and all(
            np.array_equal(a[rows], b[rows], equal_nan=a.dtype == np.float64)
            for a, b in zip(figures, before, strict=True)
        )
        tiers.append(None if same else _tier([f[rows] for f in figures]))
        before = figures
    return {
        "unit": unit_of(name),
        "better": better_of(name),
        "highest_tier": highest_tier(name),
        "tiers": tiers,
    }


def _tier(figures: Sequence[NDArray[Any]]) -> dict[str, Any]:
    mean, expanded, runs, submitters, why = figures
    return {
        "mean": _or_null(mean),
        "expanded": _or_null(expanded),
        "runs": runs.tolist(),
        "submitters": submitters.tolist(),
        "why": why.tolist(),
    }


def _or_null(values: NDArray[Any]) -> list[float | None]:
    return [None if v != v else v for v in values.tolist()]


def _paths(connection: sa.Connection, keys: Ints) -> dict[str, Any]:
    """Experiment paths by which configurations can be chosen, where there are several values."""
    rows = {key: i for i, key in enumerate(keys.tolist())}
    values: dict[str, dict[int, Any]] = {}
    for key, experiment in connection.execute(sa.select(CONFIG.c.id, CONFIG.c.experiment)):
        if key not in rows:
            continue
        for path, value in flat(experiment).items():
            if value is not None:
                values.setdefault(path, {})[rows[key]] = value
    found = {}
    for path, by_row in sorted(values.items()):
        if path in DIMENSIONS or not is_filter(path):
            continue
        # As JSON, since true and 1 are the same key.
        texts = [json.dumps(by_row.get(i)) for i in range(len(rows))]
        different = sorted(set(texts))
        if 1 < len(different) <= MOST_VALUES:
            place = {text: i for i, text in enumerate(different)}
            found[path] = {
                "values": [json.loads(text) for text in different],
                "codes": [place[text] for text in texts],
            }
    return found
