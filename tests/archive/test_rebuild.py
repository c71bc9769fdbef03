"""Submissions, checks and retractions in any order: the archive is as if made anew."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sqlalchemy as sa

from lem.archive import bulk, checks, columns, rebuild, summaries
from lem.archive.database import Database, data_state, open_database, raise_data_version
from lem.archive.queries.cursor import question_key
from lem.archive.queries.results import Place, ResultsQuestion, results
from lem.archive.refused import Refused
from lem.archive.retract import retract
from lem.archive.schema import (
    CAMPAIGN,
    CONFIG,
    CONFIG_SUMMARY,
    FACET,
    FINDING,
    LOG,
    REPLICATION,
    RUN,
    SUBMISSION,
)
from lem.contract.submission import Finding
from lem.trust import traits
from lem.trust.judge import Judgement
from tests import archive_rows
from tests.archive_submissions import Submitter, campaign, part_of


@pytest.fixture(autouse=True)
def judge(monkeypatch) -> None:
    """Holds blocks 3, rejects what draws above a kilowatt."""

    def judged(record, trace, responses, **_) -> Judgement:
        found = []
        if record.block == 3:
            found.append(Finding(rule="trace_gap", consequence="hold", detail="x"))
        if record.metrics["energy_per_output_token_j"]["gpu"].value > 1:
            found.append(Finding(rule="figures_differ", consequence="reject", detail="x"))
        return Judgement(1 if found else 2, found, {}, traits.unread(record, trace))

    monkeypatch.setattr(checks, "judge", judged)


def everything(archive, *, ids: bool = True):
    """All that is made of submissions; runs and findings without their own numbers."""
    with archive.database.reading() as c:
        run = [col for col in RUN.c if col.name != "id"]
        finding = [col for col in FINDING.c if col.name not in ("id", "run_id")]
        of_run = [*finding, RUN.c.number]
        tables = [
            sa.select(CONFIG),
            sa.select(CONFIG_SUMMARY),
            sa.select(FACET),
            sa.select(CAMPAIGN.c.id, CAMPAIGN.c.state, CAMPAIGN.c.missing),
            sa.select(SUBMISSION.c.id, SUBMISSION.c.checks, SUBMISSION.c.outcomes),
            sa.select(*run),
            sa.select(*of_run).join(RUN, RUN.c.id == FINDING.c.run_id),
            sa.select(*[col for col in REPLICATION.c if col.name != "id"]),
            sa.select(LOG),
        ]
        return [sorted(map(repr, c.execute(t))) for t in tables]


def check_board(database: Database) -> None:
    """What a process keeps in memory, whatever it saw before, is what another reads anew."""
    with database.reading() as c:
        kept = columns.columns(c)
        anew = columns._read(c, data_state(c), columns._EMPTY)
    assert (kept.version, kept.state) == (anew.version, anew.state)
    for name in ("numbers", "texts", "figures"):
        of_kept, of_anew = getattr(kept, name), getattr(anew, name)
        assert of_kept.keys() == of_anew.keys()
        for column in of_kept:
            np.testing.assert_array_equal(of_kept[column], of_anew[column])
    for name, coded in kept.coded.items():
        other = anew.coded[name]
        assert [coded.values[i] for i in coded.codes] == [other.values[i] for i in other.codes]
    assert kept.ids.tolist() == anew.ids.tolist()


@pytest.mark.parametrize("seed", range(3))
def test_after_anything_a_rebuild_changes_nothing(archive, tmp_path, seed: int) -> None:
    r = random.Random(seed)
    people = [Submitter(archive, f"s{i}") for i in range(3)]
    waiting = []
    for i in range(6):
        who = people[i % 3]
        level = 10.0 if i == 5 else 1 + 0.1 * (i % 3)
        blocks = r.choice([1, 3, 4])
        energies = [[level * a * r.gauss(0.1, 0.001) for _ in range(blocks)] for a in (1, 2)]
        bundle = who.bundle(campaign(tmp_path / str(i), energies, board=f"GPU-{i % 3}"))
        cut = r.randrange(1, len(bundle.content.runs))
        numbers = list(range(len(bundle.content.runs)))
        waiting += [(who, part_of(bundle, p)) for p in (numbers[:cut], numbers[cut:])]
    r.shuffle(waiting)
    readers = [archive.database, open_database(archive.url, tmp_path)]
    sent = []
    for who, bundle in waiting:
        try:
            sent.append((who, who.send(bundle).campaign))
        except Refused as e:
            assert e.reason in ("campaign_retracted", "campaign_rejected")
        if r.random() < 0.6:
            checks.check_next(archive.database, archive.packs)
        if r.random() < 0.15:
            them, gone = sent.pop(r.randrange(len(sent)))
            retract(archive.database, archive.packs, *them.retraction(gone))
        if r.random() < 0.1:
            rebuild.rebuild(archive.database, archive.packs)
        assert rebuild.differences(archive.database) == []
        for reader in readers:
            if r.random() < 0.4:
                check_board(reader)
    while checks.check_next(archive.database, archive.packs) is not None:
        pass
    before = everything(archive)
    assert rebuild.rebuild(archive.database, archive.packs) > 0
    assert everything(archive) == before
    assert rebuild.differences(archive.database) == []
    for reader in readers:
        check_board(reader)
    readers[1].close()


def test_threads_that_look_while_it_changes_see_one_state_each(archive) -> None:
    with archive.database.writing() as c:
        origin = archive_rows.origin(c, 1)
    rows = [archive_rows.run(origin, archive_rows.config(i), i, 1.0 + i) for i in range(30)]
    bulk.merge(archive.database, rows)
    done = threading.Event()

    def looking() -> int:
        looks = 0
        while not done.is_set():
            check_board(archive.database)
            looks += 1
        return looks

    with ThreadPoolExecutor(3) as pool:
        looks = [pool.submit(looking) for _ in range(3)]
        try:
            for i in range(25):
                with archive.database.writing() as c:
                    ids = c.scalars(sa.select(CONFIG.c.id).order_by(CONFIG.c.id)).all()
                    those = RUN.c.config_id == ids[i % 7]
                    c.execute(RUN.update().where(those).values(counted=i % 2 == 1, tier=1 + i % 3))
                    # Before or after the rows have changed.
                    if i % 2:
                        raise_data_version(c)
                    summaries.refresh(c, [ids[i % 7]])
                    if not i % 2:
                        raise_data_version(c)
        finally:
            done.set()
        assert all(look.result(60) > 0 for look in looks)
    check_board(archive.database)


@pytest.mark.parametrize("gone", [False, True])
def test_pages_go_on_after_a_rebuild(archive, tmp_path, gone: bool) -> None:
    """Though every run has another number then."""
    me, other = Submitter(archive), Submitter(archive, "other")
    energies = [[0.1, 0.11, 0.12], [0.2, 0.21, 0.22]]
    me.push(campaign(tmp_path / "mine", energies))
    last = other.push(campaign(tmp_path / "theirs", energies))

    def page(cursor: str | None = None, limit: int = 4):
        with archive.database.reading() as c:
            return results(c, ResultsQuestion(limit=limit, cursor=cursor))

    every = [row.id for row in page(limit=100).rows]
    assert len(every) == 12
    first = page()
    rebuild.rebuild(archive.database, archive.packs)
    if gone:
        retract(archive.database, archive.packs, *other.retraction(last.campaign))
        assert [row.id for row in page(first.next, limit=9).rows] == every[6:]
        return
    assert [row.id for row in page(limit=100).rows] == every
    second = page(first.next)
    rebuild.rebuild(archive.database, archive.packs)
    third = page(second.next)
    lost = Place(question=question_key(ResultsQuestion()), last=f"{'0' * 64}-0")
    with pytest.raises(Refused) as caught:
        page(lost.text())
    assert (caught.value.status, caught.value.reason) == (410, "cursor_expired")
    assert [row.id for p in (first, second, third) for row in p.rows] == every
    assert third.next is None


def test_rows_that_were_lost_or_changed_come_back(archive, tmp_path) -> None:
    me = Submitter(archive)
    me.push(campaign(tmp_path / "c", [[0.1, 0.11, 0.12, 0.13]]))
    checks.check_next(archive.database, archive.packs)
    before = everything(archive)
    with archive.database.writing() as c:
        c.execute(CONFIG_SUMMARY.delete())
        c.execute(FACET.delete())
        c.execute(RUN.update().values(energy_per_output_token_j=0.001, counted=False))
        c.execute(SUBMISSION.update().values(outcomes=None))
    assert rebuild.differences(archive.database) != []
    rebuild.rebuild(archive.database, archive.packs)
    assert everything(archive) == before


def test_a_pack_that_is_not_what_was_signed_stops_it(archive, tmp_path) -> None:
    me = Submitter(archive)
    made = me.push(campaign(tmp_path / "c", [[0.1, 0.11, 0.12]]))
    before = everything(archive)
    path = archive.packs.path(made.submission)
    body = bytearray(path.read_bytes())
    body[-2000] ^= 1
    path.write_bytes(body)
    with pytest.raises(Exception, match=r"SHA-256|gzip|tar"):
        rebuild.rebuild(archive.database, archive.packs)
    path.unlink()
    with pytest.raises(Refused) as caught:
        rebuild.rebuild(archive.database, archive.packs)
    assert caught.value.reason == "pack_missing"
    assert everything(archive) == before
