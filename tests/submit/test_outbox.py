"""The outbox: whole entries, one process at a time, nothing lost."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from lem.contract.submission import Receipt
from lem.errors import BadInput, EnvironmentFault
from lem.submit.bundle import Bundle, bundles
from lem.submit.manifest import content_sha256
from lem.submit.outbox import ASIDE, Entry, Outbox
from tests.submit import given

URL, ARCHIVE = "http://localhost:1", "a" * 64


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    (made,) = bundles(given.campaign(tmp_path / "c", blocks=1), given.info())
    return made


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox")


def receipt(entry: Entry) -> Receipt:
    return Receipt(
        submission=entry.queued.submission,
        campaign=entry.queued.content.campaign,
        received_at="2026-05-04T12:00:00.000+00:00",
        already_there=False,
        runs=2,
        campaign_state="complete",
        checks="pending",
        log_seq=1,
        log_hash="1" * 64,
    )


def test_what_is_put_is_there_whole(outbox: Outbox, bundle: Bundle) -> None:
    entry = outbox.put(bundle, URL, ARCHIVE, "test")
    (found,) = outbox.waiting()
    assert found == entry
    assert found.files() == bundle.files
    assert found.queued.submission == content_sha256(bundle.content)
    assert outbox.done(ARCHIVE, bundle.content.campaign) == bundle.places
    assert outbox.done("b" * 64, bundle.content.campaign) == set()


def test_the_same_is_put_once(outbox: Outbox, bundle: Bundle) -> None:
    first = outbox.put(bundle, URL, ARCHIVE, "test")
    assert outbox.put(bundle, URL, ARCHIVE, "test") == first
    assert len(outbox.entries()) == 1
    assert [p.name for p in outbox.root.iterdir()] == [first.path.name]


def test_a_receipt_takes_the_place_of_the_files(outbox: Outbox, bundle: Bundle) -> None:
    entry = outbox.put(bundle, URL, ARCHIVE, "test")
    outbox.sent(entry, receipt(entry))
    (found,) = outbox.entries()
    assert found.state == "sent" and found.receipt == receipt(entry)
    assert not (entry.path / "files").exists()
    assert outbox.waiting() == []
    assert outbox.done(ARCHIVE, bundle.content.campaign) == bundle.places


def test_a_refusal_is_kept_and_not_sent_again(outbox: Outbox, bundle: Bundle) -> None:
    entry = outbox.put(bundle, URL, ARCHIVE, "test")
    outbox.refused(entry, "bad_record", "a record is wrong", 422)
    (found,) = outbox.entries()
    assert found.state == "refused" and found.refusal is not None
    assert found.refusal.reason == "bad_record"
    assert outbox.waiting() == []
    assert outbox.done(ARCHIVE, bundle.content.campaign) == set()
    outbox.forget(found)
    assert outbox.entries() == [] and list(outbox.root.iterdir()) == []


def test_a_damaged_file_is_not_sent(outbox: Outbox, bundle: Bundle) -> None:
    entry = outbox.put(bundle, URL, ARCHIVE, "test")
    path = min((entry.path / "files").iterdir())
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(BadInput, match="damaged"):
        entry.files()
    path.unlink()
    with pytest.raises(BadInput, match="cannot be read"):
        entry.files()


def test_an_entry_that_was_changed_is_refused(outbox: Outbox, bundle: Bundle) -> None:
    entry = outbox.put(bundle, URL, ARCHIVE, "test")
    given.change(entry.path / "entry.json", content__lem_version="another")
    with pytest.raises(BadInput, match="not what its name says"):
        outbox.entries()
    (entry.path / "entry.json").write_text("{")
    with pytest.raises(BadInput, match="is damaged"):
        outbox.entries()


def test_only_one_process_sends(outbox: Outbox) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom lem.submit.outbox import Outbox\n"
        "with Outbox(Path(sys.argv[1])).alone() as held:\n"
        "    print(held, flush=True)\n    time.sleep(60)\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(outbox.root)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None and other.stdout.readline() == "True\n"
        with outbox.alone() as held:
            assert not held
        before = time.monotonic()
        with outbox.alone(0.3) as held:
            assert not held and time.monotonic() - before >= 0.3
    finally:
        other.kill()
        other.wait(10)
    with outbox.alone() as held:
        assert held


def test_what_killed_processes_left_is_cleared(outbox: Outbox, bundle: Bundle) -> None:
    import os

    entry = outbox.put(bundle, URL, ARCHIVE, "test")
    receipt(entry).write(entry.path / "receipt.json")  # killed before the files were removed
    old, young = outbox.root / f"{ASIDE}old", outbox.root / f"{ASIDE}young"
    for folder in (old, young):
        folder.mkdir()
    os.utime(old, (1, 1))
    with outbox.alone():
        pass
    assert not old.exists() and young.exists() and not (entry.path / "files").exists()
    assert [e.state for e in outbox.entries()] == ["sent"]


def test_an_outbox_that_cannot_be_written(tmp_path: Path, bundle: Bundle) -> None:
    (tmp_path / "file").write_text("")
    outbox = Outbox(tmp_path / "file" / "outbox")
    with pytest.raises(EnvironmentFault, match="cannot be written"):
        outbox.put(bundle, URL, ARCHIVE, "test")
    with pytest.raises(EnvironmentFault, match="cannot be written"), outbox.alone():
        pass
    assert outbox.entries() == []
