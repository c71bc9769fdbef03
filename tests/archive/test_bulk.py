import numpy as np
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import IntegrityError

from lem.archive import bulk, summaries
from lem.archive.copying import copied_out, insert_many, insert_numbers
from lem.archive.queue.tables import METADATA
from lem.archive.rows import FIGURES
from lem.archive.schema import BOARD_SET, CONFIG, CONFIG_SUMMARY, RUN
from tests import archive_rows as made_rows


def test_many_rows_come_in_with_their_configurations_and_boards(archive) -> None:
    with archive.database.writing() as c:
        origins = [made_rows.origin(c, i) for i in range(3)]
    configs = [made_rows.config(i) for i in range(200)]
    rows = [
        made_rows.run(o, what, n, 1 + n / 1000 + i, flags="short_window")
        for i, o in enumerate(origins)
        for n, what in enumerate(configs)
    ]
    assert bulk.merge(archive.database, iter(rows)) == 600
    with archive.database.reading() as c:
        # Keys and indexes are there, whatever they were taken away for.
        assert c.scalar(sa.select(RUN.c.id)) is not None
        tables = compare_metadata(MigrationContext.configure(c), METADATA)
        assert [d for d in tables if d[1].table.name == "run"] == []
        assert c.scalar(sa.select(sa.func.count()).select_from(RUN)) == 600
        assert c.scalar(sa.select(sa.func.count()).select_from(CONFIG)) == 200
        assert c.scalar(sa.select(sa.func.count()).select_from(BOARD_SET)) == 3
        assert summaries.differences(c) == []
        last = c.execute(
            sa.select(RUN, CONFIG.c.hash, CONFIG.c.experiment, BOARD_SET.c.boards)
            .join(CONFIG, CONFIG.c.id == RUN.c.config_id)
            .join(BOARD_SET, BOARD_SET.c.id == RUN.c.board_set_id)
            .where(RUN.c.block == 199, RUN.c.identity_id == origins[2].identity_id)
        ).one()
    assert last.hash == configs[199].hash and last.boards == rows[-1].boards
    assert last.experiment == configs[199].experiment
    assert tuple(last._mapping[name] for name in FIGURES) == rows[-1].figures
    assert (last.flags, last.tier, last.counted) == ("short_window", 1, True)


def test_what_is_there_stays_as_it_is(archive) -> None:
    with archive.database.writing() as c:
        o = made_rows.origin(c, 1)
    few = [made_rows.run(o, made_rows.config(), b, 1.0) for b in range(3)]
    many = [made_rows.run(o, made_rows.config(), b, 2.0) for b in range(600)]
    assert bulk.merge(archive.database, few) == 3
    assert bulk.merge(archive.database, few) == 0
    assert bulk.merge(archive.database, many) == 597
    with archive.database.reading() as c:
        ones = sa.select(sa.func.count()).where(RUN.c.ttft_p50_s == 1.0)
        assert c.scalar(ones) == 3
    assert archive.database.setting("data_version") == "3"


def test_a_run_of_nothing_is_refused_whether_rows_are_few_or_many(archive) -> None:
    with archive.database.writing() as c:
        o = made_rows.origin(c, 1)._replace(submission_id=99)
    for count in (1, 600):
        rows = [made_rows.run(o, made_rows.config(), b, 1.0) for b in range(count)]
        with pytest.raises(IntegrityError):
            bulk.merge(archive.database, rows)
    with archive.database.reading() as c:
        assert c.scalar(sa.select(sa.func.count()).select_from(RUN)) == 0


@pytest.mark.parametrize("many_at_once", [True, False])
def test_nobody_waits_for_readers_nor_readers_for_a_submission(archive, many_at_once: bool) -> None:
    """Taking keys away would need everybody out of the tables."""
    with archive.database.writing() as c:
        o = made_rows.origin(c, 1)
    rows = [made_rows.run(o, made_rows.config(), b, 1.0) for b in range(600)]
    with archive.database.reading() as reader, archive.database.writing() as c:
        assert reader.scalar(sa.select(sa.func.count()).select_from(CONFIG)) == 0
        if not archive.database.is_sqlite:
            c.exec_driver_sql("SET LOCAL lock_timeout = '1s'")
        assert bulk.insert_runs(c, rows, many=many_at_once)[0] == 600
        if not many_at_once:
            assert reader.scalar(sa.select(sa.func.count()).select_from(RUN)) == 0
    with archive.database.reading() as c:
        tables = compare_metadata(MigrationContext.configure(c), METADATA)
        assert [d for d in tables if d[1].table.name == "run"] == []


@pytest.mark.parametrize("many_at_once", [True, False])
def test_an_import_that_fails_leaves_keys_and_indexes_as_they_were(
    archive, many_at_once: bool
) -> None:
    with archive.database.writing() as c:
        o = made_rows.origin(c, 1)
    rows = [made_rows.run(o, made_rows.config(), b, 1.0) for b in range(600)]
    with pytest.raises(RuntimeError), archive.database.writing() as c:
        assert bulk.insert_runs(c, [*rows, *rows], many=many_at_once)[0] == 600
        raise RuntimeError
    with archive.database.reading() as c:
        tables = compare_metadata(MigrationContext.configure(c), METADATA)
        assert [d for d in tables if d[1].table.name == "run"] == []
        assert c.scalar(sa.select(sa.func.count()).select_from(RUN)) == 0
    assert bulk.merge(archive.database, rows) == 600


def test_a_whole_number_that_is_null_is_no_number(archive) -> None:
    """PostgreSQL's rows would be read from the wrong places."""
    with archive.database.writing() as c:
        configs = [made_rows.config(i, tensor_parallel_size=i if i % 5 else None) for i in range(9)]
        insert_many(c, CONFIG, configs[0]._fields, configs)
        with pytest.raises(TypeError):
            copied_out(c, sa.select(CONFIG.c.id, CONFIG.c.tensor_parallel_size, CONFIG.c.load))


def test_numbers_come_out_as_they_went_in(archive) -> None:
    """Of both kinds of copying, NULL and the last bit included."""
    draw = np.random.default_rng(3)
    for count in (0, 3, 500):
        with archive.database.writing() as c:
            ids = range(count)
            insert_many(c, CONFIG, made_rows.config(0)._fields, [made_rows.config(i) for i in ids])
            keys = np.array(c.scalars(sa.select(CONFIG.c.id).order_by(CONFIG.c.id)).all())
            there = {
                "config_id": keys,
                **{n: draw.integers(0, 9, len(keys)) for n in ("tier", "metric", "n", "why_none")},
                "submitters": draw.integers(0, 2**31 - 1, len(keys)),
                **{
                    n: draw.lognormal(0, 30, len(keys))
                    for n in ("mean", "m2_within", "m2_between", "best", "last", "expanded")
                },
            }
            there["expanded"][::3] = np.nan
            insert_numbers(c, CONFIG_SUMMARY, there)
            query = sa.select(*(CONFIG_SUMMARY.c[n] for n in there))
            found = copied_out(c, query.order_by(CONFIG_SUMMARY.c.config_id))
            rows = c.execute(query.order_by(CONFIG_SUMMARY.c.config_id)).all()
            c.execute(CONFIG_SUMMARY.delete())
            c.execute(CONFIG.delete())
        for name, column in there.items():
            np.testing.assert_array_equal(found[name], column)
        assert [r.expanded for r in rows] == [
            None if v != v else v for v in there["expanded"].tolist()
        ]
        assert [r.mean for r in rows] == there["mean"].tolist()
