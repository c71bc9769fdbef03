"""``submit:`` of a campaign, with whole small campaigns run by the command line."""

import os
import pty
import subprocess
import threading
from pathlib import Path

import pytest
from tick import LEM, environment, lem, write_campaign

from lem.contract.lock import Lock
from lem.submit import settings
from lem.submit.outbox import Outbox
from tests.submit import standin

pytestmark = pytest.mark.slow


@pytest.fixture
def campaign(desk: Path) -> Path:
    return write_campaign(desk / "c.yaml", submit="always")


def run(file: Path, desk: Path) -> "subprocess.CompletedProcess[str]":
    return lem("campaign", "run", file, "--out", desk / "out", cache=desk / "cache")


def test_blocks_are_sent_as_they_are_done(
    archive: standin.Archive, desk: Path, campaign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEM_SERVER", archive.url)
    done = run(campaign, desk)
    assert done.returncode == 0, done.stderr
    lock = Lock.read(desk / "out/campaign.lock.json")
    wanted = {(block, arm.arm_id, 0) for block in range(3) for arm in lock.arms}
    assert {(b, a, n) for _, b, a, n in archive.attempts} == wanted
    # A submission after each block but the last, and one at the end.
    sent = [e.places for e in Outbox().entries()]
    assert [{p[0] for p in places} for places in sent] == [{0}, {1}, {2}]
    assert done.stderr.count("submitted 3 runs") == 3
    # The first was there before the last block was begun.
    lines = done.stderr.splitlines()
    first = next(i for i, line in enumerate(lines) if "submitted 3 runs" in line)
    assert any("block 3 of 3" in line for line in lines[first:])
    again = run(campaign, desk)
    assert again.returncode == 0 and len(archive.received) == 3


def test_an_archive_that_is_away_fails_nothing_and_loses_nothing(
    archive: standin.Archive, desk: Path, campaign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEM_SERVER", "http://127.0.0.1:1")
    done = run(campaign, desk)
    assert done.returncode == 0
    assert "not submitted: the archive at http://127.0.0.1:1 cannot be reached" in done.stderr
    assert "lem results push" in done.stderr
    assert "CPU time per" in done.stdout
    monkeypatch.setenv("LEM_SERVER", archive.url)
    assert run(campaign, desk).returncode == 0
    assert len(archive.attempts) == 9


def test_no_archive_is_known(desk: Path, campaign: Path) -> None:
    done = run(campaign, desk)
    assert done.returncode == 0
    assert "not submitted: no archive is known" in done.stderr


def test_never_says_and_sends_nothing(
    archive: standin.Archive, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEM_SERVER", archive.url)
    done = run(write_campaign(desk / "c.yaml", submit="never"), desk)
    assert done.returncode == 0 and "push" not in done.stderr
    assert archive.asked == []


def test_ask_without_a_terminal_only_says_how(
    archive: standin.Archive, desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEM_SERVER", archive.url)
    done = run(write_campaign(desk / "c.yaml"), desk)
    assert done.returncode == 0
    assert f"lem results push {desk / 'out'}" in done.stderr
    assert archive.asked == []


@pytest.mark.parametrize(
    ("answer", "remembered", "runs"),
    [("always", "always", 9), ("once", None, 9), ("never", "never", 0)],
)  # fmt: skip
def test_ask_on_a_terminal_asks_once_and_remembers(
    archive: standin.Archive, desk: Path, monkeypatch: pytest.MonkeyPatch,
    answer: str, remembered: str | None, runs: int,
) -> None:  # fmt: skip
    monkeypatch.setenv("LEM_SERVER", archive.url)
    file = write_campaign(desk / "c.yaml")
    shown = on_a_terminal(["campaign", "run", str(file), "--out", str(desk / "out")], answer, desk)
    assert f"Send the results of campaigns on this machine to {archive.url}?" in shown
    assert settings.read().submit == remembered
    assert len(archive.attempts) == runs


def on_a_terminal(arguments: list[str], answer: str, desk: Path) -> str:
    """What the command shows on a terminal where somebody answers its question."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*LEM, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True,
        env={**environment(desk / "cache"), "COLUMNS": "400"},
    )  # fmt: skip
    os.close(theirs)
    timer = threading.Timer(120, process.kill)
    timer.start()
    shown, answered = b"", False
    try:
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
            if not answered and b"never)" in shown:
                os.write(ours, f"{answer}\n".encode())
                answered = True
        assert process.wait(30) == 0, shown.decode()
    finally:
        timer.cancel()
        process.kill()
        os.close(ours)
    return shown.decode()
