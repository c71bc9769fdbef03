"""Readings that were submitted before are known again, however they are packed and whoever sends
them."""

import zlib
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from lem.archive import checks, ingest, log, rebuild
from lem.archive.ingest import receipt
from lem.archive.refused import Refused
from lem.archive.retract import retract
from lem.archive.schema import FINGERPRINT, SUBMISSION
from lem.submit import pack
from lem.submit.bundle import Bundle
from lem.trust import traits
from lem.trust.judge import Judgement
from tests.archive_submissions import Submitter, campaign, text_of

ARMS = [[0.100, 0.101, 0.099], [0.200, 0.201, 0.199]]


@pytest.fixture
def read(monkeypatch) -> None:
    """A judge that objects to nothing, and knows a trace by the text in its file."""

    def judge(record, trace, responses, *, lock, now) -> Judgement:
        text = pack.unpacked(trace, 2**20)
        own = traits.unread(record, trace)
        known = (f"{zlib.crc32(text):064x}",)
        return Judgement(2, [], {}, own._replace(series=known))

    monkeypatch.setattr(checks, "judge", judge)


def check_all(archive) -> None:
    while checks.check_next(archive.database, archive.packs) is not None:
        pass
    assert rebuild.differences(archive.database) == []
    with archive.database.reading() as c:
        log.verify(log.entries(c, 0, 1000))


def recompressed(bundle: Bundle, other: Bundle) -> Bundle:
    """``bundle`` with the traces of ``other``: the same texts, gzip of another level."""
    import hashlib

    made = bundle
    files, runs = dict(bundle.files), []
    for number, run in enumerate(bundle.content.runs):
        level = zlib.compressobj(1, zlib.DEFLATED, 31)
        data = level.compress(text_of(other, number, "trace")) + level.flush()
        data = pack.GZIP_HEAD + data[len(pack.GZIP_HEAD) :]
        sha = hashlib.sha256(data).hexdigest()
        files[sha] = data
        runs.append(run.model_copy(update={"trace": sha}))
        assert sha != other.content.runs[number].trace
    content = made.content.model_copy(update={"runs": runs})
    return Bundle(content, {sha: files[sha] for sha in pack.order(content)})


def ends(archive, *submissions: str) -> list[str]:
    return [receipt(archive.database, s).checks for s in submissions]


def test_recompressed_traces_of_somebody_else_are_replayed(archive, tmp_path, read) -> None:
    victim, thief = Submitter(archive), Submitter(archive, "thief")
    theirs = victim.bundle(campaign(tmp_path / "a", ARMS))
    first = victim.send(theirs)
    check_all(archive)
    copy = recompressed(thief.bundle(campaign(tmp_path / "b", ARMS)), theirs)
    second = thief.send(copy)
    check_all(archive)
    assert ends(archive, first.submission, second.submission) == ["passed", "rejected"]
    told = receipt(archive.database, second.submission)
    assert {f.rule for f in told.findings} == {"trace_replayed"}
    assert len(told.findings) == 6 and told.campaign_state == "rejected"


def test_a_rejected_campaign_does_not_come_back_as_another(archive, tmp_path, read) -> None:
    """A new folder's name, the same measurements; or of several such campaigns the best one."""
    me = Submitter(archive)
    once = me.bundle(campaign(tmp_path / "a", ARMS))
    first = me.send(once)
    check_all(archive)
    again = me.send(recompressed(me.bundle(campaign(tmp_path / "b", ARMS)), once))
    check_all(archive)
    assert ends(archive, first.submission, again.submission) == ["passed", "rejected"]


def test_what_was_taken_back_does_not_come_again_without_its_bad_block(
    archive, tmp_path, read
) -> None:
    me, other = Submitter(archive), Submitter(archive, "other")
    once = me.bundle(campaign(tmp_path / "a", ARMS))
    first = me.send(once)
    check_all(archive)
    retract(archive.database, archive.packs, *me.retraction(first.campaign))
    copy = recompressed(other.bundle(campaign(tmp_path / "b", ARMS)), once)
    again = other.send(copy)
    check_all(archive)
    assert ends(archive, again.submission) == ["rejected"]


def test_files_that_were_taken_back_unchecked_are_refused(archive, tmp_path) -> None:
    me, other = Submitter(archive), Submitter(archive, "other")
    once = me.bundle(campaign(tmp_path / "a", ARMS))
    first = me.send(once)
    retract(archive.database, archive.packs, *me.retraction(first.campaign))
    mine = other.bundle(campaign(tmp_path / "b", ARMS))
    runs = [
        run.model_copy(update={"trace": old.trace})
        for run, old in zip(mine.content.runs, once.content.runs, strict=True)
    ]
    content = mine.content.model_copy(update={"runs": runs})
    body = other.signed(content, {**mine.files, **once.files})
    with pytest.raises(Refused) as caught:
        ingest.receive(archive.database, archive.packs, body)
    assert caught.value.reason == "already_submitted"


def test_whoever_came_first_keeps_it_though_checked_later(archive, tmp_path, read) -> None:
    """The first one's checker died; the copy is checked meanwhile."""
    victim, thief = Submitter(archive), Submitter(archive, "thief")
    theirs = victim.bundle(campaign(tmp_path / "a", ARMS))
    first = victim.send(theirs)
    hold_until(archive, lambda: 4e9)
    second = thief.send(recompressed(thief.bundle(campaign(tmp_path / "b", ARMS)), theirs))
    check_all(archive)
    assert ends(archive, first.submission, second.submission) == ["pending", "passed"]
    hold_until(archive, lambda: 0.0)
    check_all(archive)
    assert ends(archive, first.submission, second.submission) == ["passed", "rejected"]
    with archive.database.reading() as c:
        told = [e.payload["submission"] for e in log.entries(c, 0, 1000) if e.kind == "rejected"]
        assert told == [second.submission]
        assert c.scalar(sa.select(sa.func.count()).select_from(FINGERPRINT)) == 12
    # Making everything anew keeps what was found.
    rebuild.rebuild(archive.database, archive.packs)
    assert ends(archive, first.submission, second.submission) == ["passed", "rejected"]


def hold_until(archive, when: Callable[[], float]) -> None:
    with archive.database.writing() as c:
        mine = SUBMISSION.c.checks == "pending"
        c.execute(SUBMISSION.update().where(mine).values(lease_until=when()))
