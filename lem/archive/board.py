"""Keeps the table ``board``: a row for each configuration with counted runs, with the figures of
its best tier."""

from collections.abc import Iterable, Iterator, Sequence

import sqlalchemy as sa

from lem.archive.database import setting
from lem.archive.schema import BOARD, CONFIG, CONFIG_SUMMARY, DIMENSIONS, HEADLINE

CHUNK = 4000


def refresh(connection: sa.Connection, config_ids: Iterable[int] | None = None) -> None:
    """Make the rows of these configurations anew (of all, with None) from ``config`` and
    ``config_summary``. To be called in the transaction that changed either, after it did."""
    # Readers see it from the next version on, whether that is raised before or after.
    version = int(setting(connection, "data_version")) + 1
    if config_ids is None:
        connection.execute(sa.delete(BOARD))
        connection.execute(_insert(sa.true(), version))
        return
    for ids in _chunks(sorted(set(config_ids))):
        connection.execute(sa.delete(BOARD).where(BOARD.c.config_id.in_(ids)))
        connection.execute(_insert(CONFIG.c.id.in_(ids), version))


def differences(connection: sa.Connection) -> list[str]:
    """Rows that are not what ``config`` and ``config_summary`` say; empty if they all are."""
    should = {row[0]: tuple(row) for row in connection.execute(_rows(sa.true()))}
    derived = [c for c in BOARD.c if c.name != "changed"]
    there = {row[0]: tuple(row) for row in connection.execute(sa.select(*derived))}
    return [
        f"board, configuration {key}: {there.get(key)} should be {should.get(key)}"
        for key in sorted(should.keys() | there.keys())
        if should.get(key) != there.get(key)
    ]


def _insert(which: sa.ColumnElement[bool], version: int) -> sa.Insert:
    rows = _rows(which).add_columns(sa.literal(version).label("changed"))
    return sa.insert(BOARD).from_select([c.name for c in BOARD.c], rows)


def _rows(which: sa.ColumnElement[bool]) -> sa.Select[tuple[object, ...]]:
    c, s = CONFIG.c, CONFIG_SUMMARY.c

    def of(column: sa.Column[object], name: str, label: str) -> sa.Label[object]:
        chosen = sa.case((s.metric == HEADLINE.index(name), column))
        return sa.func.max(chosen).label(label)

    copied = [c.hash, c.energy_class, c.semantics_version]
    dimensions = [c[name] for name in DIMENSIONS]
    return (
        sa.select(
            c.id.label("config_id"),
            *copied,
            c.best_tier.label("tier"),
            c.last_at,
            sa.func.coalesce(sa.func.max(s.n), 0).label("runs"),
            sa.func.coalesce(sa.func.max(s.submitters), 0).label("submitters"),
            *dimensions,
            *(of(s.mean, name, name) for name in HEADLINE),
            *(of(s.expanded, name, f"{name}_u") for name in HEADLINE),
        )
        .outerjoin(CONFIG_SUMMARY, sa.and_(s.config_id == c.id, s.tier == c.best_tier))
        .where(c.best_tier > 0, which)
        .group_by(c.id)
    )


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]
