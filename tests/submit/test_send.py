"""Sending: until it is answered, never twice, and never for ever."""

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lem.submit import manifest, pack
from lem.submit.bundle import bundles
from lem.submit.client import ArchiveClient, Declined, Unreachable
from lem.submit.outbox import Outbox
from lem.submit.send import Patience, Sent, send
from lem.submit.veil import campaign_of
from tests.submit import given, standin
from tests.submit.standin import let, refuse

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OWN = manifest.key_id(manifest.raw_public(KEY))


class Clock:
    """Time that passes only by waiting."""

    def __init__(self) -> None:
        self.now, self.waits = 0.0, list[float]()

    def patience(self, total_s: float) -> Patience:
        return Patience(total_s, self.sleep, lambda: self.now, lambda: 1.0)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outbox(tmp_path: Path, archive: standin.Archive) -> Outbox:
    """Two campaigns' submissions; the archive knows the key."""
    made = Outbox(tmp_path / "outbox")
    for name in ("a", "b"):
        folder = given.campaign(tmp_path / name, blocks=1, name=name)
        given.change(folder / "campaign.lock.json", owner=name)
        for bundle in bundles(folder, given.info()):
            made.put(bundle, archive.url, standin.ARCHIVE, name)
    archive.keys[OWN] = manifest.raw_public(KEY)
    return made


def sent(outbox: Outbox, archive: standin.Archive, patience: Patience) -> list[Sent]:
    with ArchiveClient(archive.url) as client, outbox.alone():
        return list(send(outbox, outbox.waiting(), client, KEY, patience))


def states(outbox: Outbox) -> list[str]:
    return [e.state for e in outbox.entries()]


def test_everything_arrives_once_and_as_it_was(
    outbox: Outbox, archive: standin.Archive, clock: Clock
) -> None:
    before = {e.queued.submission: e.files() for e in outbox.entries()}
    done = sent(outbox, archive, clock.patience(60))
    assert [s.receipt is not None for s in done] == [True, True]
    assert states(outbox) == ["sent", "sent"]
    assert sorted(archive.received) == sorted(before)
    for sha, body in archive.bodies.items():
        found = pack.read(body)
        assert {s: found.file(s) for s in found.files} == before[sha]
    assert sent(outbox, archive, clock.patience(60)) == []


def test_a_lost_answer_is_asked_for_again(
    outbox: Outbox, archive: standin.Archive, clock: Clock
) -> None:
    archive.lose_answers = 1
    done = sent(outbox, archive, clock.patience(60))
    assert all(s.receipt is not None for s in done)
    assert len(archive.received) == 2  # the first one was not sent again
    assert "GET /api/v1/submissions/" + archive.received[0] in archive.asked
    assert clock.waits == [1.0]


def test_an_answer_that_was_lost_for_good_is_asked_for_by_the_next_process(
    outbox: Outbox, archive: standin.Archive, clock: Clock
) -> None:
    archive.lose_answers = 1
    first, second = sent(outbox, archive, clock.patience(0.5))
    assert isinstance(first.why, Unreachable) and first.kept and second.kept
    assert states(outbox) == ["queued", "queued"]
    done = sent(outbox, archive, clock.patience(60))
    assert [s.receipt is not None and s.receipt.already_there for s in done] == [True, False]
    assert len(archive.received) == 2


def test_waits_double_and_end(outbox: Outbox, archive: standin.Archive, clock: Clock) -> None:
    archive.trouble = [refuse(503, "busy")] * 100
    done = sent(outbox, archive, clock.patience(100))
    assert all(isinstance(s.why, Unreachable) and s.kept for s in done)
    assert clock.waits == [1, 2, 4, 8, 16, 32]
    assert states(outbox) == ["queued", "queued"]


def test_the_archive_says_how_long_to_wait(
    outbox: Outbox, archive: standin.Archive, clock: Clock
) -> None:
    archive.trouble = [refuse(429, "slow_down", retry="30")]
    assert all(s.receipt is not None for s in sent(outbox, archive, clock.patience(60)))
    assert clock.waits == [30.0]


def test_a_nonce_that_ran_out_is_replaced(
    outbox: Outbox, archive: standin.Archive, clock: Clock
) -> None:
    archive.trouble = [let, refuse(409, "nonce_unknown")]
    assert all(s.receipt is not None for s in sent(outbox, archive, clock.patience(60)))
    assert clock.waits == []


def test_nonces_that_always_run_out_are_something_else(
    outbox: Outbox, archive: standin.Archive, clock: Clock
) -> None:
    archive.use_nonce = lambda nonce, key: (_ for _ in ()).throw(standin.No(409, "nonce_unknown"))  # type: ignore[method-assign]
    done = sent(outbox, archive, clock.patience(60))
    assert [isinstance(s.why, Declined) for s in done] == [True, True]
    assert states(outbox) == ["refused", "refused"]


def test_what_is_refused_is_kept_and_the_rest_is_sent(
    outbox: Outbox, archive: standin.Archive, clock: Clock
) -> None:
    archive.trouble = [let, refuse(422, "bad_record")]
    first, second = sent(outbox, archive, clock.patience(60))
    assert isinstance(first.why, Declined) and first.why.reason == "bad_record"
    assert not first.kept and second.receipt is not None
    assert states(outbox) == ["refused", "sent"]
    assert sent(outbox, archive, clock.patience(60)) == []


@pytest.mark.parametrize("reason", ["key_unknown", "key_revoked"])
def test_a_key_that_is_not_taken_refuses_nothing(
    outbox: Outbox, archive: standin.Archive, clock: Clock, reason: str
) -> None:
    if reason == "key_unknown":
        archive.keys.clear()
    else:
        archive.revoked.add(OWN)
    done = sent(outbox, archive, clock.patience(60))
    assert all(isinstance(s.why, Declined) and s.why.reason == reason and s.kept for s in done)
    assert states(outbox) == ["queued", "queued"]
    assert archive.received == []


def test_a_lease_that_was_lost_refuses_nothing(
    outbox: Outbox, archive: standin.Archive, clock: Clock
) -> None:
    archive.trouble = [let, refuse(409, "lease_lost")]
    done = sent(outbox, archive, clock.patience(60))
    assert all(isinstance(s.why, Declined) and s.why.reason == "lease_lost" for s in done)
    assert all(s.kept for s in done) and states(outbox) == ["queued", "queued"]
    assert all(s.receipt is not None for s in sent(outbox, archive, clock.patience(60)))


def test_a_receipt_of_something_else_is_no_receipt(
    outbox: Outbox, archive: standin.Archive, clock: Clock
) -> None:
    real = archive.submit

    def swapped(body: bytes) -> tuple[int, dict[str, object]]:
        status, answer = real(body)
        return status, {**answer, "submission": "0" * 64}

    archive.submit = swapped  # type: ignore[method-assign]
    first, _ = sent(outbox, archive, clock.patience(60))
    assert first.why is not None and "another submission" in first.why.message
    assert states(outbox)[0] == "queued"


def test_an_archive_that_is_away(outbox: Outbox, clock: Clock) -> None:
    with ArchiveClient("http://127.0.0.1:1") as client:
        done = list(send(outbox, outbox.waiting(), client, KEY, clock.patience(5)))
    assert all(isinstance(s.why, Unreachable) and s.kept for s in done)
    assert clock.waits == [1, 2]


def test_waits_are_shortened_by_chance() -> None:
    waited: list[float] = []
    patience = Patience(1000, waited.append, lambda: 0.0, iter([0.0, 1.0, 0.5]).__next__)
    assert [patience.wait() for _ in range(3)] == [True] * 3
    assert waited == [0.5, 2.0, 3.0]


KILLER = """
import os, signal, sys, time
from pathlib import Path
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from lem.submit.bundle import bundles
from lem.submit.client import ArchiveClient
from lem.submit.outbox import Outbox
from lem.submit.send import Patience, send
from tests.submit import given
root, url, folder, campaign = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4]

def push():
    outbox = Outbox(root)
    for bundle in bundles(folder, given.info(max_submission_bytes=20_000),
                          outbox.done("a" * 64, campaign)):
        outbox.put(bundle, url, "a" * 64, "test")
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    with ArchiveClient(url) as client, outbox.alone(10) as held:
        assert held
        done = list(send(outbox, outbox.waiting(), client, key, Patience(20)))
    assert all(s.receipt is not None for s in done), done

killed = 0
for step in range(400):
    child = os.fork()
    if child == 0:
        push()
        os._exit(0)
    time.sleep(0.003 * step)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == 0
        break
    killed += 1
print(killed)
"""


def test_killed_at_any_moment_nothing_is_lost_or_sent_twice(
    tmp_path: Path, archive: standin.Archive
) -> None:
    """A sender is killed again and again, each time a little later, until one comes to its end."""
    folder = given.campaign(tmp_path / "c", blocks=12)
    campaign = campaign_of("test-owner", given.SALT)
    whole = {p for b in bundles(folder, given.info()) for p in b.places}
    archive.keys[OWN] = manifest.raw_public(KEY)
    root = tmp_path / "outbox"
    done = subprocess.run(
        [sys.executable, "-c", KILLER, str(root), archive.url, str(folder), campaign],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 5
    entries = Outbox(root).entries()
    assert {e.state for e in entries} == {"sent"}
    assert sorted(p for e in entries for p in e.places) == sorted(whole)
    assert {(b, a, n) for _, b, a, n in archive.attempts} == whole
    assert len(archive.receipts) == len(entries)
    assert not list(root.glob("[0-9a-f]*/files"))
