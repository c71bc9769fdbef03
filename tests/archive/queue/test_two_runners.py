"""A queued campaign that two runners run, each with its own key: one campaign of the archive."""

import base64
import gzip
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from lem.archive import checks, ingest, live, log, rebuild
from lem.archive.dump.bring_in import bring_in
from lem.archive.dump.check import check
from lem.archive.dump.read import Dump
from lem.archive.dump.write import export
from lem.archive.queries.configurations import configuration
from lem.archive.queries.leaderboard import LeaderboardQuestion, leaderboard
from lem.archive.queries.results import ResultsQuestion, results
from lem.archive.queries.submitted import CampaignsQuestion, campaigns
from lem.archive.queries.submitted import campaign as campaign_of_archive
from lem.archive.queue import handover, leases, listing, presenting, runners
from lem.archive.queue.leases import LEASE_S
from lem.archive.queue.tables import QUEUED
from lem.archive.refused import Refused
from lem.archive.retract import retract
from lem.archive.schema import CAMPAIGN, SUBMISSION
from lem.contract.queue import Hardware
from lem.submit.bundle import Bundle
from lem.submit.client import MAX_ANSWER_BYTES
from lem.trust import traits
from lem.trust.judge import Judgement
from tests.archive_queue import Machine, Queue, hello
from tests.archive_submissions import Submitter, campaign, part_of

ENERGIES = [[0.10, 0.11, 0.12, 0.13], [0.20, 0.21, 0.22, 0.23]]
FIRST, SECOND = [0, 1], [2, 3]


@pytest.fixture(autouse=True)
def judge(monkeypatch) -> None:
    def judged(record, trace, responses, **_) -> Judgement:
        return Judgement(2, [], {}, traits.unread(record, trace))

    monkeypatch.setattr(checks, "judge", judged)


@dataclass
class Scene:
    queue: Queue
    id: str
    lab: Submitter
    other: Submitter
    first: Machine
    second: Machine
    bundle: Bundle

    def send(self, who: Submitter, bundle: Bundle, machine: Machine | None, fence: int):
        body = who.body(bundle)
        lease = None
        if machine is not None:
            lease = presenting.Presented(self.id, fence, machine.token_hash)
        archive = self.queue.archive
        return ingest.receive(archive.database, archive.packs, body, lease=lease)

    def refused(self, *arguments) -> str:
        with pytest.raises(Refused) as caught:
            self.send(*arguments)
        return caught.value.reason

    def blocks(self, numbers: list[int]) -> Bundle:
        runs = self.bundle.content.runs
        return part_of(self.bundle, [i for i, r in enumerate(runs) if r.block in numbers])

    def run_by_both(self) -> None:
        self.send(self.lab, self.blocks(FIRST), self.first, 1)
        assert self.queue.finish(self.first, self.id, 1, "released") == "queued"
        assert self.queue.claim(self.second).begun
        self.send(self.other, self.blocks(SECOND), self.second, 2)
        assert self.queue.finish(self.second, self.id, 2, "done") == "done"
        check_all(self.queue.archive)


def check_all(archive) -> None:
    while checks.check_next(archive.database, archive.packs) is not None:
        pass


@pytest.fixture
def scene(archive, tmp_path: Path, monkeypatch) -> Scene:
    return scene_of(archive, tmp_path, monkeypatch)


def scene_of(archive, tmp_path: Path, monkeypatch) -> Scene:
    queue = Queue(archive)
    # What is stored asks the clock itself.
    monkeypatch.setattr(leases, "moment_of", lambda row, at: queue.now if at is None else at)
    id = queue.add(queue.person())
    other = Submitter(archive, "Other lab")
    first, second = queue.machine(), queue.machine(key=other)
    assert queue.claim(first).queued == id
    with archive.database.reading() as c:
        owner = c.scalar(sa.select(QUEUED.c.owner))
    folder = campaign(tmp_path / "campaign", ENERGIES, owner=owner)
    return Scene(queue, id, queue.key, other, first, second, queue.key.bundle(folder))


def figures(archive):
    """What a reader sees, without numbers of rows."""
    with archive.database.reading() as c:
        board = leaderboard(c, LeaderboardQuestion())
        rows = [(r.configuration.id, r.figure.model_dump()) for r in board.rows]
        found = [configuration(c, id) for id, _ in rows]
        runs = results(c, ResultsQuestion(limit=100)).rows
        sent = campaigns(c, CampaignsQuestion()).rows
    names = {r.id: (r.campaign.split("-")[0], r.submitter, r.counted, r.tier) for r in runs}
    submitters = [sorted((s.submitter, s.runs) for s in f.submitters) for f in found]
    told = [(s.state, s.submitter, s.queued, s.missing) for s in sent]
    return rows, names, submitters, told


def test_it_is_one_campaign_and_whole(scene: Scene) -> None:
    scene.run_by_both()
    archive = scene.queue.archive
    with archive.database.reading() as c:
        row = c.execute(sa.select(CAMPAIGN)).one()
        assert (row.state, row.queued) == ("complete", scene.id)
        found = campaign_of_archive(c, f"{row.owner}-{row.identity_id}")
        queued = listing.queued(c, scene.id)
        entries = log.entries(c, 0, 100)
    assert found.campaign.submitter == "Lab, Other lab"
    assert [s.submitter for s in found.submissions] == ["Lab", "Other lab"]
    assert (found.runs, found.counted) == (8, 8)
    assert (queued.campaign, queued.campaign_state) == (found.campaign.id, "complete")
    accepted = [e.payload for e in entries if e.kind == "accepted"]
    assert [a["queued"] for a in accepted] == [scene.id, scene.id]
    rows, names, submitters, _ = figures(archive)
    # Each submitter counts once: 0.105 and 0.125.
    assert [f["value"] for _, f in rows] == [pytest.approx(0.115), pytest.approx(0.215)]
    assert all(f["submitters"] == 2 and f["runs"] == 4 for _, f in rows)
    assert submitters == [[("Lab", 2), ("Other lab", 2)]] * 2
    # All of one campaign, whoever ran them.
    assert {n[0] for n in names.values()} == {row.owner}
    with archive.database.reading() as c:
        of_campaign = ResultsQuestion(campaign=found.campaign.id, limit=100)
        assert {r.campaign for r in results(c, of_campaign).rows} == {found.campaign.id}
        for id, _ in rows:
            of = configuration(c, id).submitters
            assert {i for s in of for i in s.campaigns} == {found.campaign.id}
        held = [r for id, _ in rows for r in configuration(c, id).ratio_replications]
    # 2 and 1.909 of the one's blocks, 1.833 and 1.769 of the other's.
    assert [(r.submitter_a, r.submitter_b) for r in held] == [("Lab", "Other lab")]
    assert held[0].ratio == pytest.approx(1.0853, abs=1e-3)


def test_everything_that_is_made_anew_is_the_same(scene: Scene) -> None:
    scene.run_by_both()
    archive = scene.queue.archive
    before = figures(archive)
    assert rebuild.differences(archive.database) == []
    assert rebuild.rebuild(archive.database, archive.packs) == 2
    assert figures(archive) == before
    assert live.check(archive.database, archive.packs) == []


def test_it_is_the_same_in_an_archive_that_takes_its_dump(
    scene: Scene, new_archive, tmp_path: Path
) -> None:
    scene.run_by_both()
    archive = scene.queue.archive
    export(archive.database, archive.packs, tmp_path / "dump")
    dump = Dump(tmp_path / "dump")
    assert check(dump).findings == []
    there = new_archive()
    brought = bring_in(there.database, there.packs, dump, trust_enrolment=True)
    assert (brought.new, brought.refused) == (2, [])
    check_all(there)
    assert figures(there) == figures(archive)
    assert rebuild.differences(there.database) == []
    # And once more from there.
    export(there.database, there.packs, tmp_path / "second")
    further = new_archive()
    bring_in(further.database, further.packs, Dump(tmp_path / "second"), trust_enrolment=True)
    check_all(further)
    assert figures(further) == figures(archive)
    # What it came from takes nothing of its own queue back without a lease.
    again = bring_in(archive.database, archive.packs, Dump(tmp_path / "second"))
    assert (again.new, again.already) == (0, 2)


def test_without_a_lease_nothing_is_added_to_it(scene: Scene) -> None:
    stranger = Submitter(scene.queue.archive, "Stranger")
    part = scene.blocks(FIRST)
    for who in (scene.lab, stranger):
        assert scene.refused(who, part, None, 0) == "lease_lost"
    assert scene.refused(scene.other, part, scene.second, 1) == "lease_lost"
    assert scene.refused(scene.lab, part, scene.first, 2) == "lease_lost"
    # A token that was stolen is of no use with another key.
    assert scene.refused(stranger, part, scene.first, 1) == "not_the_runners_key"
    scene.queue.now += LEASE_S
    assert scene.refused(scene.lab, part, scene.first, 1) == "lease_lost"
    with scene.queue.database.reading() as c:
        assert c.execute(sa.select(SUBMISSION)).all() == []
    assert list(scene.queue.archive.packs.every()) == []


def test_who_has_lost_it_adds_nothing(scene: Scene) -> None:
    scene.queue.now += LEASE_S
    assert scene.queue.claim(scene.second).fence == 2
    assert scene.refused(scene.lab, scene.blocks(FIRST), scene.first, 1) == "lease_lost"
    scene.send(scene.other, scene.blocks(FIRST), scene.second, 2)
    scene.queue.finish(scene.second, scene.id, 2, "done")
    assert scene.refused(scene.other, scene.blocks(SECOND), scene.second, 2) == "lease_lost"


def test_the_same_once_more_is_told_so_even_after_the_lease(scene: Scene) -> None:
    body = scene.lab.body(scene.blocks(FIRST))
    lease = presenting.Presented(scene.id, 1, scene.first.token_hash)
    archive = scene.queue.archive
    ingest.receive(archive.database, archive.packs, body, lease=lease)
    scene.queue.now += LEASE_S
    again = ingest.receive(archive.database, archive.packs, body, lease=lease)
    assert again.already_there


def test_another_campaign_is_not_submitted_under_the_lease(scene: Scene, tmp_path: Path) -> None:
    stray = scene.lab.bundle(campaign(tmp_path / "stray", ENERGIES))
    assert scene.refused(scene.lab, stray, scene.first, 1) == "lease_lost"
    # As its own it is taken, as ever.
    assert scene.send(scene.lab, stray, None, 0).campaign_state == "complete"


def test_a_block_resets_the_count_and_says_on_what(scene: Scene) -> None:
    scene.send(scene.lab, scene.blocks(FIRST), scene.first, 1)
    with scene.queue.database.reading() as c:
        found = listing.queued(c, scene.id)
    assert (found.tries, found.device_models) == (0, "NVIDIA H100 80GB HBM3")
    assert found.campaign_state == "open" and "block" in found.missing


def test_it_is_handed_over_as_it_was_submitted(scene: Scene) -> None:
    def hand(machine: Machine, fence: int):
        archive = scene.queue.archive
        with archive.database.reading() as c:
            return handover.handover(c, archive.packs, scene.id, fence, machine.token_hash)

    def reason(*arguments) -> str:
        with pytest.raises(Refused) as caught:
            hand(*arguments)
        return caught.value.reason

    assert reason(scene.first, 1) == "not_begun"
    assert reason(scene.second, 1) == "lease_lost"
    part = scene.blocks(FIRST)
    scene.send(scene.lab, part, scene.first, 1)
    scene.queue.finish(scene.first, scene.id, 1, "released")
    scene.queue.claim(scene.second)
    found = hand(scene.second, 2)
    assert base64.b64decode(found.lock) == part.files[part.content.lock]
    sent = {(r.block, r.arm_id, r.attempt): r for r in part.content.runs}
    assert {(r.block, r.arm_id, r.attempt) for r in found.runs} == sent.keys()
    for run in found.runs:
        named = sent[run.block, run.arm_id, run.attempt]
        assert base64.b64decode(run.record) == part.files[named.record]
        assert gzip.decompress(base64.b64decode(run.record)).startswith(b"{")
        assert run.failure is None


def test_it_is_not_handed_over_to_a_machine_of_another_kind(scene: Scene) -> None:
    """That said so only after it had claimed it."""
    scene.send(scene.lab, scene.blocks(FIRST), scene.first, 1)
    scene.queue.finish(scene.first, scene.id, 1, "released")
    scene.queue.claim(scene.second)
    hardware = Hardware(cpu="CPU", cores=1, memory_bytes=1)
    again = hello(scene.other.key_id, f"{2:032x}", hardware=hardware)
    archive = scene.queue.archive
    with archive.database.queueing() as c:
        assert runners.register(c, again, scene.second.token_hash) == scene.second.handle
    with archive.database.reading() as c, pytest.raises(Refused) as caught:
        handover.handover(c, archive.packs, scene.id, 2, scene.second.token_hash)
    assert caught.value.reason == "not_handed_over"


def test_as_much_is_handed_over_as_a_runner_reads() -> None:
    in_base64 = handover.MAX_BYTES * 4 / 3
    assert in_base64 < MAX_ANSWER_BYTES - 2**21


def test_too_much_is_not_handed_over(scene: Scene, monkeypatch) -> None:
    scene.send(scene.lab, scene.blocks(FIRST), scene.first, 1)
    monkeypatch.setattr(handover, "MAX_BYTES", 1000)
    archive = scene.queue.archive
    with archive.database.reading() as c, pytest.raises(Refused) as caught:
        handover.handover(c, archive.packs, scene.id, 1, scene.first.token_hash)
    assert caught.value.reason == "too_large"


def test_nobody_takes_blocks_of_others_back(scene: Scene) -> None:
    scene.run_by_both()
    archive = scene.queue.archive
    stranger = Submitter(archive, "Stranger")
    for who, reason in (
        (scene.lab, "not_yours_alone"),
        (scene.other, "not_yours_alone"),
        (stranger, "campaign_unknown"),
    ):
        signed = who.retraction(scene.bundle.content.campaign)
        with pytest.raises(Refused) as caught:
            retract(archive.database, archive.packs, *signed)
        assert caught.value.reason == reason
    assert len(figures(archive)[0]) == 2


def test_who_ran_all_of_it_may_take_it_back(scene: Scene) -> None:
    scene.send(scene.lab, scene.bundle, scene.first, 1)
    assert scene.queue.finish(scene.first, scene.id, 1, "done") == "done"
    archive = scene.queue.archive
    signed = scene.lab.retraction(scene.bundle.content.campaign)
    assert retract(archive.database, archive.packs, *signed) == 1
    assert figures(archive)[0] == []
    assert list(archive.packs.every()) == []


def test_one_that_was_taken_back_goes_no_further(scene: Scene) -> None:
    scene.send(scene.lab, scene.blocks(FIRST), scene.first, 1)
    archive = scene.queue.archive
    retract(archive.database, archive.packs, *scene.lab.retraction(scene.bundle.content.campaign))
    assert scene.refused(scene.lab, scene.blocks(SECOND), scene.first, 1) == "campaign_retracted"
    with archive.database.reading() as c, pytest.raises(Refused) as caught:
        handover.handover(c, archive.packs, scene.id, 1, scene.first.token_hash)
    assert caught.value.reason == "campaign_retracted"
