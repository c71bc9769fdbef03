"""``config_summary``, and what ``config`` and ``facet`` say of it, kept as their runs are.

There is one way to make them, from the counted runs of a configuration: after each change for those
that it touched, and for all in :func:`refresh` without a choice. So both give the same.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Connection

from lem.archive import board, facets
from lem.archive.copying import FEW, copied_out, insert_numbers, or_none
from lem.archive.figures import Runs, Summaries, on_boards, summarise
from lem.archive.rows import FIGURES
from lem.archive.schema import (
    BOARD_SET,
    CONFIG,
    CONFIG_SUMMARY,
    DIMENSIONS,
    HEADLINE,
    RUN,
    TIERS,
    WITH_UNCERTAINTY,
)

AT_ONCE = 4000
"""Configurations whose runs are read together."""
_PLACE = ("campaign_id", "block", "arm", "attempt")
_WHOLE = ("config_id", "identity_id", *_PLACE, "tier", "board_set_id")


class State(NamedTuple):
    """What a configuration's row says of its runs."""

    best_tier: int
    last_at: str | None


def refresh(c: Connection, config_ids: Iterable[int] | None) -> None:
    """Make the summaries of these configurations (of all: None) from their counted runs, and adjust
    best tiers and facets."""
    changes: list[facets.Change] = []
    for chunk in _chunks(c, config_ids):
        found = computed(c, chunk)
        c.execute(CONFIG_SUMMARY.delete().where(CONFIG_SUMMARY.c.config_id.in_(chunk)))
        columns = dict(zip(CONFIG_SUMMARY.c.keys(), found.summaries, strict=True))
        insert_numbers(c, CONFIG_SUMMARY, columns)
        changes += _set_states(c, chunk, found.states)
        board.refresh(c, chunk)
    if config_ids is None:
        facets.rebuild(c)
    else:
        facets.adjust(c, changes)


def differences(c: Connection, limit: int = 100) -> list[str]:
    """Where summaries, best tiers or facets are not what the runs say; empty if they all are.
    Compared to the last bit."""
    found: list[str] = []
    for chunk in _chunks(c, None):
        made = computed(c, chunk)
        there = c.execute(
            sa.select(CONFIG_SUMMARY).where(CONFIG_SUMMARY.c.config_id.in_(chunk))
        ).all()
        expected = {row[:3]: row for row in rows_of(made.summaries)}
        actual = {tuple(row[:3]): tuple(row) for row in there}
        for key in sorted(expected.keys() | actual.keys()):
            if expected.get(key) != actual.get(key):
                config, tier, metric = key
                found.append(
                    f"configuration {config}, tier {tier}, {HEADLINE[metric]}: "
                    f"{actual.get(key)} should be {expected.get(key)}"
                )
        for config, state in _states_there(c, chunk).items():
            should = made.states.get(config, State(0, None))
            if state != should:
                found.append(f"configuration {config}: {state} should be {should}")
        if len(found) >= limit:
            return found[:limit]
    found += board.differences(c)
    counted, stored = facets.counted(c), facets.stored(c)
    found += [
        f"facet {key}: {stored[key]} should be {counted[key]}"
        for key in sorted(counted.keys() | stored.keys())
        if counted[key] != stored[key]
    ]
    return found[:limit]


class Computed(NamedTuple):
    summaries: Summaries
    states: dict[int, State]
    """Of the configurations that have counted runs."""


def computed(
    c: Connection,
    config_ids: Sequence[int],
    campaign: int | None = None,
    tiers: Iterable[int] = TIERS,
) -> Computed:
    """What the counted runs of these configurations say, of each tier at least; ``campaign``: those
    of this one alone."""
    columns = [RUN.c[name] for name in (*_WHOLE, "started_at", *FIGURES)]
    query = sa.select(*columns).where(RUN.c.config_id.in_(config_ids), RUN.c.counted)
    if campaign is not None:
        query = query.where(RUN.c.campaign_id == campaign)
    found = copied_out(c, query)
    whole = {name: found[name].astype(np.int64) for name in _WHOLE}
    runs = Runs(
        config=whole["config_id"],
        identity=whole["identity_id"],
        place=np.stack([whole[name] for name in _PLACE], axis=1),
        started=found["started_at"],
        tier=whole["tier"],
        boards=on_boards(
            whole["config_id"],
            whole["identity_id"],
            whole["board_set_id"],
            lambda sets: _names(c, sets),
        ),
        values=np.stack([found[name] for name in HEADLINE], axis=1),
        expanded=np.stack([found[f"{name}_u"] for name in WITH_UNCERTAINTY], axis=1),
    )
    return Computed(summarise(runs, tiers), _states(runs))


def _names(c: Connection, sets: Sequence[int]) -> dict[int, str]:
    found: dict[int, str] = {}
    for at in range(0, len(sets), AT_ONCE):
        those = BOARD_SET.c.id.in_(sets[at : at + AT_ONCE])
        found |= {r.id: r.boards for r in c.execute(sa.select(BOARD_SET).where(those))}
    return found


def rows_of(found: Summaries) -> list[tuple[Any, ...]]:
    """As rows of ``config_summary``, in the order of its columns."""
    return list(zip(*map(or_none, found), strict=True))


def _states(runs: Runs) -> dict[int, State]:
    configs, of_run = np.unique(runs.config, return_inverse=True)
    best = np.zeros(len(configs), dtype=np.int64)
    last = np.full(len(configs), -np.inf)
    np.maximum.at(best, of_run, runs.tier)
    np.maximum.at(last, of_run, runs.started)
    return {
        int(config): State(int(tier), _time(float(at)))
        for config, tier, at in zip(configs, best, last, strict=True)
    }


def _set_states(
    c: Connection, config_ids: Sequence[int], states: dict[int, State]
) -> list[facets.Change]:
    """Write what changed of best tiers; returns those changes, by configuration's id."""
    dimensions = [CONFIG.c[d] for d in DIMENSIONS]
    rows = c.execute(
        sa.select(
            CONFIG.c.id, CONFIG.c.energy_class, CONFIG.c.best_tier, CONFIG.c.last_at, *dimensions
        )
        .where(CONFIG.c.id.in_(config_ids))
        .order_by(CONFIG.c.id)
    ).mappings()
    changes: list[facets.Change] = []
    updates: list[dict[str, Any]] = []
    for row in rows:
        state = states.get(row["id"], State(0, None))
        if state != State(row["best_tier"], row["last_at"]):
            updates.append({"key": row["id"], "tier": state.best_tier, "at": state.last_at})
        if state.best_tier != row["best_tier"]:
            changes.append(facets.Change(dict(row), row["best_tier"], state.best_tier))
    if len(updates) > FEW and c.dialect.name == "postgresql":
        _update_together(c, updates)
    elif updates:
        c.execute(
            CONFIG.update()
            .where(CONFIG.c.id == sa.bindparam("key"))
            .values(best_tier=sa.bindparam("tier"), last_at=sa.bindparam("at")),
            updates,
        )
    return changes


def _update_together(c: Connection, updates: Sequence[dict[str, Any]]) -> None:
    """In one statement, which PostgreSQL does several times as fast."""
    of = {name: [row[name] for row in updates] for name in ("key", "tier", "at")}
    new = (
        sa.func.unnest(
            sa.literal(of["key"], ARRAY(sa.BigInteger)),
            sa.literal(of["tier"], ARRAY(sa.SmallInteger)),
            sa.literal(of["at"], ARRAY(sa.Text)),
        )
        .table_valued("key", "tier", "at", name="new")
        .render_derived()
    )
    c.execute(
        CONFIG.update()
        .where(CONFIG.c.id == new.c.key)
        .values(best_tier=new.c.tier, last_at=new.c.at)
    )


def _states_there(c: Connection, config_ids: Sequence[int]) -> dict[int, State]:
    rows = c.execute(
        sa.select(CONFIG.c.id, CONFIG.c.best_tier, CONFIG.c.last_at).where(
            CONFIG.c.id.in_(config_ids)
        )
    )
    return {r.id: State(r.best_tier, r.last_at) for r in rows}


def _chunks(c: Connection, config_ids: Iterable[int] | None) -> Iterator[list[int]]:
    ids = (
        list(c.scalars(sa.select(CONFIG.c.id).order_by(CONFIG.c.id)))
        if config_ids is None
        else sorted(set(config_ids))
    )
    for at in range(0, len(ids), AT_ONCE):
        yield ids[at : at + AT_ONCE]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat("T", "milliseconds")
