"""Whatever comes and goes, in whatever order: summaries and facets are as made anew."""

import random
from collections import Counter

import pytest
import sqlalchemy as sa

from lem.archive import bulk, facets, summaries
from lem.archive.schema import CONFIG, CONFIG_SUMMARY, DIMENSIONS, FACET, RUN
from tests import archive_rows as made_rows


def everything(c):
    tables = (CONFIG_SUMMARY, FACET)
    return [sorted(map(tuple, c.execute(sa.select(t)))) for t in tables]


@pytest.mark.parametrize("seed", range(4))
def test_incremental_is_exactly_what_a_rebuild_gives(archive, seed: int) -> None:
    r = random.Random(seed)
    with archive.database.writing() as c:
        origins = [made_rows.origin(c, i) for i in range(3)]
    configs = [made_rows.config(i) for i in range(6)]
    configs.append(made_rows.config(7, energy_class="estimated", load=2.5))
    rows = [
        made_rows.run(o, what, block, r.gauss(1, 0.02), arm=arm, tier=r.choice([1, 1, 2]))
        for o in origins
        for arm, what in enumerate(configs)
        for block in range(r.choice([1, 3, 7]))
    ]
    r.shuffle(rows)
    while rows:
        n = r.randint(1, 20)
        bulk.merge(archive.database, rows[:n])
        rows = rows[n:]
        with archive.database.writing() as c:
            ids = c.execute(sa.select(RUN.c.id, RUN.c.config_id)).all()
            for run in r.sample(ids, min(3, len(ids))):
                change = {"counted": r.random() < 0.5, "tier": r.randint(1, 3)}
                c.execute(RUN.update().where(RUN.c.id == run.id).values(change))
                summaries.refresh(c, [run.config_id])
        with archive.database.reading() as c:
            assert summaries.differences(c) == []
    with archive.database.writing() as c:
        before = everything(c)
        summaries.refresh(c, None)
        assert everything(c) == before
        c.execute(RUN.update().values(counted=False))
        summaries.refresh(c, list(c.scalars(sa.select(CONFIG.c.id))))
        assert everything(c) == [[], []]
        assert set(c.scalars(sa.select(CONFIG.c.best_tier))) == {0}


def test_what_was_changed_by_hand_is_found(archive) -> None:
    with archive.database.writing() as c:
        o = made_rows.origin(c, 1)
    bulk.merge(archive.database, [made_rows.run(o, made_rows.config(), b, 1 + b) for b in range(4)])
    with archive.database.writing() as c:
        c.execute(CONFIG_SUMMARY.update().where(CONFIG_SUMMARY.c.metric == 0).values(mean=9.0))
        c.execute(CONFIG.update().values(last_at="x"))
        c.execute(FACET.update().where(FACET.c.dimension == "model").values(configurations=5))
        found = summaries.differences(c)
    # The board is made of summaries and configurations, so it is not what they say either.
    assert ["energy_per_output_token_j" in found[0], len(found)] == [True, 4]
    assert "'x'" in found[1] and found[2].startswith("board") and "model" in found[3]


def test_facets_count_configurations_at_every_tier_up_to_their_best(archive) -> None:
    with archive.database.writing() as c:
        o = made_rows.origin(c, 1)
    rows = [made_rows.run(o, made_rows.config(i), i, 1.0, tier=1 + i % 2) for i in range(4)]
    bulk.merge(archive.database, rows)
    with archive.database.reading() as c:
        stored = facets.stored(c)
    assert stored["gpu", 1, "backend", "vllm"] == 4
    assert stored["gpu", 2, "backend", "vllm"] == 2
    assert stored["gpu", 1, "load", "8"] == 4
    assert stored["gpu", 1, "tensor_parallel_size", ""] == 4
    assert Counter(k[2] for k in stored if k[1] == 2)["model"] == 1
    assert {k[2] for k in stored} == set(DIMENSIONS)


def test_a_run_without_figures_has_no_summary_but_a_tier(archive) -> None:
    with archive.database.writing() as c:
        o = made_rows.origin(c, 1)
    bulk.merge(archive.database, [made_rows.run(o, made_rows.config(), 0, None)])
    with archive.database.reading() as c:
        assert c.scalar(sa.select(sa.func.count()).select_from(CONFIG_SUMMARY)) == 0
        row = c.execute(sa.select(CONFIG.c.best_tier, CONFIG.c.last_at)).one()
    assert tuple(row) == (1, "2026-05-28T20:26:40.000+00:00")


def test_blocks_of_one_submitter_on_several_boards_are_told_by_their_boards(archive) -> None:
    r = random.Random(1)
    with archive.database.writing() as c:
        o = made_rows.origin(c, 1)
    values = [1 + 0.03 * (b % 3) + r.gauss(0, 0.001) for b in range(9)]

    def u(n: int, boards) -> float:
        made = [
            made_rows.run(o, made_rows.config(n), b, v, boards=boards(b), arm=n)
            for b, v in enumerate(values)
        ]
        bulk.merge(archive.database, made)
        with archive.database.reading() as c:
            assert summaries.differences(c) == []
            s, ids = CONFIG_SUMMARY.c, sa.select(sa.func.max(CONFIG.c.id)).scalar_subquery()
            return c.scalar(sa.select(s.expanded).where(s.config_id == ids, s.metric == 0).limit(1))

    assert u(0, lambda b: f"salt:{b % 3}") > 2 * u(1, lambda b: "salt:0")
    assert u(2, lambda b: f"salt:{b % 3},{(b + 1) % 3}") is None
