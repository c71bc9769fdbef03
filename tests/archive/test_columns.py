"""The board in memory is the board in the database, whatever came between two looks at it."""

import random

import numpy as np
import pytest
import sqlalchemy as sa

from lem.archive import bulk, columns, summaries
from lem.archive.columns import CODED, Columns
from lem.archive.database import raise_data_version
from lem.archive.schema import (
    BOARD,
    CONFIG,
    CONFIG_SUMMARY,
    HEADLINE,
    REPLICATION,
    RUN,
    SETTING,
    TIERS,
)
from tests import archive_queries, archive_rows


def look(archive) -> Columns:
    with archive.database.reading() as c:
        return columns.columns(c)


def check(found: Columns, c: sa.Connection) -> None:
    """Every value beside what the tables say, row by row."""
    rows = (
        c.execute(
            sa.select(BOARD, CONFIG.c.model_content)
            .join(CONFIG, CONFIG.c.id == BOARD.c.config_id)
            .order_by(BOARD.c.hash)
        )
        .mappings()
        .all()
    )
    assert found.texts["hash"].tolist() == [r["hash"].encode() for r in rows]
    assert found.ids.tolist() == [r["hash"][:16] for r in rows]
    assert found.texts["last_at"].tolist() == [(r["last_at"] or "").encode() for r in rows]
    for name, column in found.numbers.items():
        assert column.tolist() == [r[name] for r in rows]
    for name in CODED:
        coded = found.coded[name]
        assert [coded.values[i] for i in coded.codes] == [r[name] for r in rows]
    summary = {
        (s.config_id, s.tier, s.metric): s for s in c.execute(sa.select(CONFIG_SUMMARY)).all()
    }
    seen = 0
    for i, row in enumerate(rows):
        for tier in TIERS:
            for metric in range(len(HEADLINE)):
                one = summary.get((row["config_id"], tier, metric))
                mean, expanded, n, submitters = (
                    found.figures[name][tier - 1, metric, i]
                    for name in ("mean", "expanded", "n", "submitters")
                )
                if one is None:
                    assert np.isnan(mean) and np.isnan(expanded) and n == submitters == 0
                    continue
                seen += 1
                assert (mean, n, submitters) == (one.mean, one.n, one.submitters)
                assert np.isnan(expanded) if one.expanded is None else expanded == one.expanded
        best = [found.figure("mean", m, 0)[i] for m in HEADLINE]
        assert best == pytest.approx(
            [np.nan if row[m] is None else row[m] for m in HEADLINE], nan_ok=True
        )
    assert seen == len(summary)


def test_an_empty_board_has_no_rows(archive) -> None:
    found = look(archive)
    assert len(found) == 0
    with archive.database.reading() as c:
        check(found, c)


def test_nothing_is_read_twice_of_one_state(archive) -> None:
    archive_queries.filled(archive)
    first = look(archive)
    with archive.database.reading() as c:
        check(first, c)
    assert look(archive) is first
    with archive.database.writing() as c:
        raise_data_version(c)
    assert look(archive) is not first
    # Its readers may not be done yet.
    assert len(first) == len(look(archive)) > 0


def test_after_any_changes_it_is_what_reading_all_of_it_gives(archive) -> None:
    """Runs come, go and change their tier; configurations vanish, others take their row's id."""
    draw = random.Random(5)
    known = archive_queries.filled(archive)
    look(archive)
    with archive.database.writing() as c:
        o = archive_rows.origin(c, 77)
    for step in range(12):
        with archive.database.writing() as c:
            ids = c.scalars(sa.select(CONFIG.c.id).order_by(CONFIG.c.id)).all()
            chosen = draw.sample(ids, min(3, len(ids)))
            if step % 3 == 0:
                c.execute(RUN.update().where(RUN.c.config_id.in_(chosen)).values(counted=False))
            elif step % 3 == 1:
                c.execute(RUN.update().where(RUN.c.config_id.in_(chosen)).values(tier=1 + step % 2))
                c.execute(RUN.update().where(RUN.c.config_id.in_(chosen)).values(counted=True))
            else:
                chosen = [*chosen[:1], ids[-1]]
                c.execute(RUN.delete().where(RUN.c.config_id.in_(chosen)))
            summaries.refresh(c, chosen)
            if step % 3 == 2:
                c.execute(REPLICATION.delete().where(REPLICATION.c.config_id.in_(chosen)))
                c.execute(CONFIG.delete().where(CONFIG.c.id.in_(chosen)))
            raise_data_version(c)
        if step % 2:
            bulk.merge(
                archive.database,
                [
                    archive_rows.run(o, archive_rows.config(100 + step), 10 * step + b, 1.0 + step)
                    for b in range(2)
                ],
            )
        with archive.database.reading() as c:
            check(columns.columns(c), c)
    assert known.configurations() and len(look(archive)) > 6


def test_a_transaction_that_began_before_sees_what_was_then(archive) -> None:
    archive_queries.filled(archive)
    with archive.database.reading() as before:
        versions = [before.scalar(sa.select(BOARD.c.changed).limit(1))]
        for _ in range(3):
            with archive.database.writing() as c:
                gone = c.scalar(sa.select(BOARD.c.config_id).order_by(BOARD.c.config_id).limit(1))
                c.execute(RUN.update().where(RUN.c.config_id == gone).values(counted=False))
                summaries.refresh(c, [gone])
                versions.append(raise_data_version(c))
            look(archive)
        found = columns.columns(before)
        check(found, before)
        assert len(found) == len(look(archive)) + 3


def count(c: sa.Connection, config: int, value: bool) -> None:
    c.execute(RUN.update().where(RUN.c.config_id == config).values(counted=value))
    summaries.refresh(c, [config])


def restored(c: sa.Connection, settings: dict[str, str]) -> None:
    """The settings of an older database, in the place of this one's."""
    for name, value in settings.items():
        c.execute(SETTING.update().where(SETTING.c.name == name).values(value=value))
    c.execute(BOARD.update().values(changed=int(settings["data_version"])))


@pytest.mark.parametrize("changes", [1, 2])
def test_nothing_is_kept_of_what_an_older_database_took_the_place_of(archive, changes: int) -> None:
    """Its versions come again, of other data: at once, or one after the last that was seen."""
    archive_queries.filled(archive)
    with archive.database.writing() as c:
        first, second = c.scalars(sa.select(BOARD.c.config_id).order_by(BOARD.c.config_id).limit(2))
        before = dict(c.execute(sa.select(SETTING.c.name, SETTING.c.value)).all())
    look(archive)
    with archive.database.writing() as c:
        count(c, first, False)
        raise_data_version(c)
    lost = look(archive)
    with archive.database.writing() as c:
        count(c, first, True)
        restored(c, before)
    for _ in range(changes):
        with archive.database.writing() as c:
            count(c, second, False)
            raise_data_version(c)
    found = look(archive)
    assert found.version == lost.version + changes - 1
    with archive.database.reading() as c:
        check(found, c)


def test_who_looks_seldom_reads_it_anew(archive) -> None:
    archive_queries.filled(archive)
    look(archive)
    with archive.database.writing() as c:
        count(c, c.scalar(sa.select(BOARD.c.config_id).limit(1)), False)
        for _ in range(70):
            raise_data_version(c)
    with archive.database.reading() as c:
        check(columns.columns(c), c)
    assert len(archive.database.setting("states").split()) == 64


def test_what_is_not_committed_is_not_kept(archive) -> None:
    archive_queries.filled(archive)
    kept = look(archive)
    with pytest.raises(RuntimeError), archive.database.writing() as c:
        gone = c.scalar(sa.select(BOARD.c.config_id).limit(1))
        c.execute(RUN.update().where(RUN.c.config_id == gone).values(counted=False))
        summaries.refresh(c, [gone])
        check(columns.columns(c), c)
        assert len(columns.columns(c)) == len(kept) - 1
        raise_data_version(c)
        assert len(columns.columns(c)) == len(kept) - 1
        raise RuntimeError
    assert look(archive) is kept
