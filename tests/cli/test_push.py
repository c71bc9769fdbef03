"""``lem results push`` and ``retract``."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lem.cli import push as push_command
from lem.cli import push_view
from lem.submit.outbox import Outbox
from tests import records
from tests.cli.archives import lem
from tests.submit import given, standin

Shown = pytest.CaptureFixture[str]


@pytest.fixture
def folder(desk: Path) -> Path:
    gpus = [{**records.gpu(), "uuid": "GPU-5a1c9c1e-1234-4567-89ab-0123456789ab"}]
    return given.campaign(desk / "results/test", energy={"gpu": 0.1}, gpus=gpus)


@pytest.fixture
def url(archive: standin.Archive) -> str:
    return archive.url


def test_push_sends_and_says_what_became_of_it(
    archive: standin.Archive,
    folder: Path,
    url: str,
    capsys: Shown,
) -> None:
    assert lem("results", "push", folder, "--server", url, "--yes") == 0
    shown = capsys.readouterr()
    assert "test: 4 runs are there; campaign" in shown.out and "is open" in shown.out
    assert "not on the board yet: block 3" in shown.out
    assert "made a key" in shown.err and "enrolled" in shown.err and "accepted" in shown.err
    assert len(archive.attempts) == 4
    assert lem("results", "push", folder, "--yes", "--json") == 0
    again = capsys.readouterr()
    (found,) = json.loads(again.out)["submissions"]
    assert found["state"] == "sent" and found["receipt"]["already_there"] is True
    assert "was sent before" in again.err
    assert len(archive.received) == 1


def test_without_path_it_is_what_is_in_results(
    archive: standin.Archive,
    folder: Path,
    url: str,
) -> None:
    assert lem("results", "push", "--server", url, "--yes") == 0
    assert len(archive.attempts) == 4


def test_nothing_is_sent_unasked(
    archive: standin.Archive,
    folder: Path,
    url: str,
    capsys: Shown,
) -> None:
    assert lem("results", "push", folder, "--server", url) == 2
    assert "--yes" in capsys.readouterr().err
    assert archive.received == [] and Outbox().entries() == []


def test_the_dry_run_shows_everything_and_sends_nothing(
    archive: standin.Archive,
    folder: Path,
    url: str,
    capsys: Shown,
    desk: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(push_view, "FEW_FILES", 3)
    assert lem("results", "push", folder, "--server", url, "--dry-run") == 0
    shown = capsys.readouterr()
    assert "GPU-5a1c9c1e-1234-4567-89ab-0123456789ab → board-" in shown.out
    for line in (
        "environment.boot_id: replaced: keyed hash",
        "quality.sample: withheld: the beginning of an answer",
        "arms.model.folder: withheld: a path",
    ):
        assert line in shown.out
    assert "4 × record.json" in shown.out and "1 × campaign.lock.json" in shown.out
    sent = shown.out.split()
    for path in ("windows.energy.energy_j", "metrics.*", "experiment.*", "campaign_digest"):
        assert path in sent
    assert "nothing was sent" in shown.err
    assert {a.split()[1] for a in archive.asked} == {"/api/v1/archive"}
    assert not (desk / "config").exists() and Outbox().entries() == []


def test_the_dry_run_as_json_has_the_whole_documents_and_is_what_is_sent(
    archive: standin.Archive,
    folder: Path,
    url: str,
    capsys: Shown,
) -> None:
    def run(*more: str) -> Any:
        assert lem("results", "push", folder, "--server", url, "--json", *more) == 0
        return json.loads(capsys.readouterr().out)

    (dry,) = run("--dry-run")["submissions"]
    (sent,) = run("--yes")["submissions"]
    assert dry["submission"] == sent["submission"]
    record = next(f["document"] for f in dry["files"] if f["name"].endswith("record.json"))
    assert record["environment"]["gpus"][0]["uuid"].startswith("board-")
    assert "GPU-5a1c" not in json.dumps(dry)


def test_the_exact_bytes_can_be_looked_at(
    archive: standin.Archive,
    folder: Path,
    url: str,
    capsys: Shown,
    desk: Path,
) -> None:
    push = ("results", "push", folder, "--server", url, "--dry-run")
    assert lem(*push, "-o", desk / "out") == 0
    capsys.readouterr()
    name = f"blocks/0001/{records.arm_name(1)}/0/trace.csv.gz"
    assert lem(*push, "--show", name) == 0
    shown = capsys.readouterr().out
    (written,) = (desk / "out").glob(f"test/*/{name}")
    assert gzip.decompress(written.read_bytes()).decode() == shown
    assert shown.startswith(given.TRACE)
    assert lem(*push, "--show", "secret.txt") == 2
    assert lem("results", "push", folder, "--show", name) == 2


def test_an_archive_that_is_away_is_shown_from_what_is_known(
    archive: standin.Archive,
    folder: Path,
    url: str,
    capsys: Shown,
) -> None:
    assert lem("results", "push", folder, "--server", "http://127.0.0.1:1", "--dry-run") == 3
    assert lem("results", "push", folder, "--server", url, "--yes") == 0
    archive.trouble = [standin.refuse(503, "busy")]
    capsys.readouterr()
    assert lem("results", "push", folder, "--dry-run") == 0
    assert "what is known of it" in capsys.readouterr().err


def test_what_cannot_be_sent_now_stays_in_the_outbox(
    archive: standin.Archive, folder: Path, url: str, capsys: Shown,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(push_command, "PATIENCE_S", 0.2)
    archive.trouble = [standin.let, standin.let, standin.refuse(503, "busy")]
    assert lem("results", "push", folder, "--server", url, "--yes") == 3
    shown = capsys.readouterr().err
    assert "kept in the outbox" in shown and "lem results push" in shown
    assert len(Outbox().waiting()) == 1
    assert lem("results", "push") == 0
    assert len(archive.attempts) == 4 and Outbox().waiting() == []


def test_a_refusal_has_its_reason_and_its_exit_code(
    archive: standin.Archive,
    folder: Path,
    url: str,
    capsys: Shown,
) -> None:
    archive.trouble = [standin.let] * 3 + [standin.refuse(422, "bad_record")]
    assert lem("results", "push", folder, "--server", url, "--yes", "--json") == 2
    shown = capsys.readouterr()
    (found,) = json.loads(shown.out)["submissions"]
    assert (found["state"], found["reason"]) == ("refused", "bad_record")
    assert "it is bad_record" in shown.err


def test_a_word_of_this_machine_can_be_called_harmless(
    archive: standin.Archive, folder: Path, url: str, capsys: Shown,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("USER", "test")  # a common word: no leak
    assert lem("results", "push", folder, "--server", url, "--dry-run") == 0
    monkeypatch.setenv("USER", "float32")
    capsys.readouterr()
    push = ("results", "push", folder, "--server", url, "--yes")
    assert lem(*push) == 2
    assert "--allow 'float32'" in capsys.readouterr().err
    assert archive.received == []
    look = ("results", "push", folder, "--server", url, "--dry-run")
    assert lem(*look, "--allow", "Float32") == 0
    assert lem(*look) == 2  # looking remembers nothing
    capsys.readouterr()
    assert lem(*push, "--allow", "Float32") == 0
    assert "allowed from now on" in capsys.readouterr().err
    other = given.campaign(folder.parent / "other", energy={"gpu": 0.2})
    assert lem("results", "push", other, "--server", url, "--yes") == 0


def test_a_campaign_that_is_running_sends_the_blocks_before(
    archive: standin.Archive,
    folder: Path,
    url: str,
    capsys: Shown,
) -> None:
    from lem.campaign.guard import alone

    with alone(folder):
        assert lem("results", "push", folder, "--server", url, "--yes") == 0
    assert "block 2 is sent when it is done" in capsys.readouterr().err
    assert {block for _, block, _, _ in archive.attempts} == {0}


def test_a_campaign_is_taken_back(
    archive: standin.Archive,
    folder: Path,
    url: str,
    capsys: Shown,
) -> None:
    assert lem("results", "push", folder, "--server", url, "--yes") == 0
    ((campaign, *_), *_) = archive.attempts
    (submission,) = archive.receipts
    capsys.readouterr()
    for what in (folder, campaign, submission, submission[:10]):
        archive.retracted.clear()
        assert lem("results", "retract", what, "--yes") == 0
        assert archive.retracted == {campaign}
    assert campaign[:12] in capsys.readouterr().out
    assert lem("results", "retract", "nothing", "--yes") == 2
    assert lem("results", "retract", folder, "--yes", "--json") == 0
    assert json.loads(capsys.readouterr().out)["answer"]["state"] == "retracted"


def test_no_archive_is_known(folder: Path, capsys: Shown) -> None:
    assert lem("results", "push", folder, "--yes") == 2
    assert "no archive is known" in capsys.readouterr().err


def test_nothing_to_push(desk: Path, capsys: Shown) -> None:
    assert lem("results", "push", "--server", "http://localhost:1", "--yes") == 2
    assert "there is no results here" in capsys.readouterr().err
