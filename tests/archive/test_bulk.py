import sqlalchemy as sa

from lem.archive import bulk, summaries
from lem.archive.rows import FIGURES
from lem.archive.schema import BOARD_SET, CONFIG, RUN
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
