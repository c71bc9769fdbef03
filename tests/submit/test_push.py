"""From a folder to receipts: pins, keys, the net, and what an archive has already."""

from pathlib import Path

import pytest

from lem.errors import BadInput
from lem.submit import keys, push, settings
from lem.submit.client import Declined
from lem.submit.leaks import Net, Word
from lem.submit.outbox import Outbox
from lem.submit.send import Patience, Sent
from tests.submit import given, standin

pytestmark = pytest.mark.usefixtures("machine")


def pushed(folder: Path, archive: standin.Archive, outbox: Outbox | None = None) -> list[Sent]:
    outbox = outbox or Outbox()
    with push.connected(archive.url) as link:
        entries = push.queue(folder, link, outbox, push.fresh(folder, link.info, outbox, Net([])))
        key = push.ready_key(link, lambda _: None)
        with outbox.alone():
            return list(push.deliver(outbox, entries, link, key, Patience(5)))


def test_the_first_push_makes_a_key_and_enrols_it(archive: standin.Archive, tmp_path: Path) -> None:
    (sent,) = pushed(given.campaign(tmp_path / "c"), archive)
    assert sent.receipt is not None and sent.receipt.runs == 4
    ((key, name),) = archive.names.items()
    assert name == f"key-{key[:12]}"
    known = settings.read()
    assert known.server == archive.url and known.archives[archive.url].keys == [key]
    assert known.heads[standin.ARCHIVE].seq == 1
    assert pushed(tmp_path / "c", archive) == []


def test_an_invitation_is_needed_where_the_archive_says_so(
    archive: standin.Archive, tmp_path: Path
) -> None:
    archive.enrolment = "invitation"
    with pytest.raises(BadInput, match="by invitation") as e:
        pushed(given.campaign(tmp_path / "c"), archive)
    assert "lem key enrol" in str(e.value)
    assert len(Outbox().waiting()) == 1
    with push.connected(archive.url) as link:
        key = keys.load(keys.default_path())
        with pytest.raises(Declined, match="invitation_unknown"):
            push.enrol(link, key, "wrong")
        push.enrol(link, key, "an-invitation", "Alice")
        push.enrol(link, key, "an-invitation", "Alice")  # known already: nothing to do
    assert list(archive.names.values()) == ["Alice"]


def test_another_archive_at_the_same_address_gets_nothing(
    archive: standin.Archive, tmp_path: Path
) -> None:
    pushed(given.campaign(tmp_path / "c", blocks=1), archive)
    archive.archive = "b" * 64
    with pytest.raises(BadInput, match="another archive than before"):
        pushed(given.campaign(tmp_path / "d"), archive)
    assert len(archive.received) == 1


def test_no_address_is_built_in(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match="no archive is known"):
        push.server_of(None)
    monkeypatch.setenv("LEM_SERVER", "https://Archive.example/")
    assert push.server_of(None) == "https://archive.example"
    assert push.server_of("http://localhost:1") == "http://localhost:1"


def test_a_word_of_this_machine_stops_everything(archive: standin.Archive, tmp_path: Path) -> None:
    folder = given.campaign(tmp_path / "c", name="gpubox7-test")
    net = Net([Word("gpubox7", "this machine's name")])
    with push.connected(archive.url) as link, pytest.raises(BadInput) as e:
        list(push.fresh(folder, link.info, Outbox(), net))
    text = str(e.value)
    assert "campaign.lock.json: name: has this machine's name, 'gpubox7'" in text
    assert "record.json: campaign: has" in text
    assert "--allow 'gpubox7'" in text
    assert Outbox().entries() == []


def test_words_are_this_machines_and_the_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER", "alice")
    folder = given.campaign(tmp_path / "c", boot_id="boot-of-mine")
    found = {w.text for w in push.words([folder])}
    assert {"alice", "boot-of-mine", "test-owner"} <= found
    assert "alice" not in {w.text for w in push.words([folder], ["Alice"])}


def test_a_lost_outbox_sends_only_what_the_archive_lacks(
    archive: standin.Archive, tmp_path: Path
) -> None:
    folder = given.campaign(tmp_path / "c", blocks=5)
    kept = list(folder.glob("blocks/0002"))
    moved = [p.rename(tmp_path / p.name) for p in kept]
    pushed(folder, archive)
    for path, home in zip(moved, kept, strict=True):
        path.rename(home)
    lost = Outbox(tmp_path / "another")
    done = pushed(folder, archive, lost)
    accepted = [s for s in done if s.receipt is not None]
    there = [s for s in done if s.entry.there]
    assert sum(len(s.entry.places) for s in accepted) == 2
    assert {p[0] for s in accepted for p in s.entry.places} == {2}
    assert len(there) == 8 and len(done) == len(accepted) + 8
    assert len(archive.attempts) == 10
    assert pushed(folder, archive, lost) == []


def test_what_was_refused_is_in_the_next_push_again(
    archive: standin.Archive, tmp_path: Path
) -> None:
    folder = given.campaign(tmp_path / "c")
    later = (folder / "blocks/0001").rename(tmp_path / "later")
    pushed(given.campaign(tmp_path / "first", name="first"), archive)
    given.change(folder / "campaign.lock.json", owner="another")
    archive.trouble = [standin.let, standin.let, standin.refuse(422, "bad_record")]
    (sent,) = pushed(folder, archive)
    assert sent.entry.state == "refused"
    later.rename(folder / "blocks/0001")
    (sent,) = pushed(folder, archive)
    assert sent.receipt is not None and sent.receipt.runs == 4
    assert sorted(e.state for e in Outbox().entries()) == ["sent", "sent"]


def test_what_another_machine_sent_is_neither_sent_nor_searched_for(tmp_path: Path) -> None:
    folder, outbox = given.campaign(tmp_path / "c"), Outbox()
    (whole,) = push.fresh(folder, given.info(), outbox, Net([]))
    theirs = {p for p in whole.places if p[0] == 0}
    (rest,) = push.fresh(folder, given.info(), outbox, Net([]), theirs=theirs)
    assert rest.places == whole.places - theirs
    boots = {w.text for w in push.words([folder]) if w.what == "the id of a boot"}
    assert boots and boots > {
        w.text for w in push.words([folder], theirs=whole.places) if w.what == "the id of a boot"
    }
