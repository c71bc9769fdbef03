"""Configurations and their figures, as answers show them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from lem.archive import summaries
from lem.archive.database import once_each
from lem.archive.figures import WHY_NONE
from lem.archive.queries.among import among
from lem.archive.queries.answer import (
    Configuration,
    ConfigurationId,
    Figure,
    better_of,
    number_of,
    tier_name,
    unit_of,
)
from lem.archive.refused import Refused
from lem.archive.schema import CONFIG, CONFIG_SUMMARY, HEADLINE, REPLICATED, SELF_REPORTED
from lem.trust.recompute import REPORTED

NOT_BY_ITS_INTERVAL = "there is no interval"
UNSEEN = frozenset(name for name in HEADLINE if f"quality.{name}" in REPORTED)
"""Metrics that no submitted file shows: the submitters' word, whatever their runs' tier."""
_ID = "id of a configuration"
_SHOWN_AS = "configuration"
_EXPERIMENT = "experiment"
_SHOWN = [c for c in CONFIG.c if c.name != "experiment"]
_SHOWN_NAMES = frozenset(c.name for c in _SHOWN)


def configurations_of(connection: sa.Connection, ids: Sequence[int]) -> dict[int, Configuration]:
    """By their row's id."""
    if not ids:
        return {}

    def find(missing: list[int]) -> dict[int, Configuration]:
        query = sa.select(*_SHOWN).where(among(CONFIG.c.id, missing))
        return {row.id: shown(row) for row in connection.execute(query)}

    found = once_each(connection, _SHOWN_AS, ids, find)
    # Whoever has one from here asks for it by its whole id.
    whole = {one.id: key for key, one in found.items()}
    once_each(connection, _ID, whole, lambda missing: {one: whole[one] for one in missing})
    return found


def shown(row: sa.Row[Any]) -> Configuration:
    """A row of ``config`` as answers have it."""
    found = {name: value for name, value in row._mapping.items() if name in _SHOWN_NAMES}
    del found["id"]
    return Configuration(id=found.pop("hash"), best_tier=tier_name(found.pop("best_tier")), **found)


def id_of(connection: sa.Connection, configuration: str) -> int:
    """The row's id of a configuration. Raises :class:`Refused` (404)."""
    return ids_of(connection, [configuration])[0]


def ids_of(connection: sa.Connection, configurations: Sequence[str]) -> list[int]:
    """The rows' ids of several, in this order. Raises :class:`Refused` (404)."""
    found = once_each(connection, _ID, configurations, lambda some: _ids(connection, some))
    return [found[one] for one in configurations]


def _ids(connection: sa.Connection, configurations: Sequence[str]) -> dict[str, int]:
    c = CONFIG.c
    # "g" is beyond every digit.
    which = [c.hash.between(one, one + "g") for one in configurations]
    query = sa.select(CONFIG).where(sa.or_(sa.false(), *which)).limit(2 * len(which))
    rows = connection.execute(query).all()
    found = {one: [row.id for row in rows if row.hash.startswith(one)] for one in configurations}
    if any(len(own) != 1 for own in found.values()):
        raise Refused("no_such_configuration", "there is no such configuration here", 404)
    # Whoever asks for its id asks for the rest of it, too.
    whole = {row.id: row for row in rows}
    once_each(connection, _SHOWN_AS, whole, lambda new: {i: shown(whole[i]) for i in new})
    once_each(connection, _EXPERIMENT, whole, lambda new: {i: whole[i].experiment for i in new})
    return {one: int(own[0]) for one, own in found.items()}


def experiments_by_hash(
    connection: sa.Connection, configurations: Sequence[ConfigurationId]
) -> dict[str, dict[str, object]]:
    """By their whole ids. Raises :class:`Refused` (404) where one is not here."""
    keys = dict(zip(configurations, ids_of(connection, configurations), strict=True))
    found = experiments_of(connection, list(keys.values()))
    return {one: found[key] for one, key in keys.items()}


def experiments_of(
    connection: sa.Connection, config_ids: Sequence[int]
) -> dict[int, dict[str, object]]:
    def find(missing: list[int]) -> dict[int, dict[str, object]]:
        query = sa.select(CONFIG.c.id, CONFIG.c.experiment).where(among(CONFIG.c.id, missing))
        return dict(connection.execute(query).all())

    return once_each(connection, _EXPERIMENT, config_ids, find)


def figures_of(
    connection: sa.Connection, ids: Sequence[int], metrics: Iterable[str], tier: int
) -> dict[tuple[int, str], Figure]:
    """(Row's id, metric) → figure of runs of at least this tier; with 0 of each one's best."""
    s = CONFIG_SUMMARY.c
    if not ids:
        return {}
    # Where the tier is the configuration's own, SQLite would rather read every figure of the metric
    # than those of a few configurations; an expression has no index.
    metric = s.metric if tier else s.metric + 0
    query = (
        sa.select(CONFIG_SUMMARY, CONFIG.c.energy_class)
        .join(CONFIG, CONFIG.c.id == s.config_id)
        .where(
            among(s.config_id, ids),
            among(metric, (number_of(m) for m in metrics)),
            s.tier == (tier or CONFIG.c.best_tier),
        )
    )
    return {
        (row.config_id, HEADLINE[row.metric]): figure(row._mapping, row.energy_class)
        for row in connection.execute(query)
    }


def figures_within(
    connection: sa.Connection, campaign: int, ids: Sequence[int], tier: int
) -> dict[tuple[int, str], Figure]:
    """(Row's id, metric) → figure of the runs of one campaign (its row's id) that are of at least
    this tier, made as those of the whole archive are."""
    if not ids:
        return {}
    classes = dict(
        connection.execute(
            sa.select(CONFIG.c.id, CONFIG.c.energy_class).where(CONFIG.c.id.in_(ids))
        ).all()
    )
    names = CONFIG_SUMMARY.c.keys()
    rows = (
        dict(zip(names, row, strict=True))
        for row in summaries.rows_of(
            summaries.computed(connection, ids, campaign, (tier,)).summaries
        )
    )
    return {
        (row["config_id"], HEADLINE[row["metric"]]): figure(row, classes[row["config_id"]])
        for row in rows
    }


def highest_tier(*metrics: str) -> int:
    """That figures of all of these metrics can have."""
    return REPLICATED if UNSEEN.isdisjoint(metrics) else SELF_REPORTED


def figure(found: Mapping[str, Any] | sa.RowMapping, energy_class: str) -> Figure:
    """A row of ``config_summary`` as answers have it."""
    name = HEADLINE[found["metric"]]
    tier = tier_name(min(found["tier"], highest_tier(name)))
    assert tier is not None
    why = None if found["expanded"] is not None else WHY_NONE.get(found["why_none"])
    return Figure(
        metric=name,
        unit=unit_of(name),
        better=better_of(name),
        value=found["mean"],
        uncertainty=found["expanded"],
        why_no_uncertainty=why or (NOT_BY_ITS_INTERVAL if found["expanded"] is None else None),
        runs=found["n"],
        submitters=found["submitters"],
        tier=tier,
        energy_class=energy_class,
        best_run=found["best"],
        newest_run=found["last"],
    )
