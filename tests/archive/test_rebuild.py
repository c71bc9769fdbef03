"""Submissions, checks and retractions in any order: the archive is as if made anew."""

import random

import pytest
import sqlalchemy as sa

from lem.archive import checks, rebuild
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
        assert rebuild.differences(archive.database) == []
    while checks.check_next(archive.database, archive.packs) is not None:
        pass
    before = everything(archive)
    assert rebuild.rebuild(archive.database, archive.packs) > 0
    assert everything(archive) == before
    assert rebuild.differences(archive.database) == []


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
