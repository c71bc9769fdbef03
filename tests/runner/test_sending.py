"""What a runner has sent of a campaign, and what of it is missing."""

import shutil
from pathlib import Path

import pytest

from lem.runner import sending
from lem.runner.sending import Sending
from lem.submit import leaks, push
from lem.submit.outbox import Outbox
from tests.runner import standin
from tests.runner.standin import Server
from tests.submit import given
from tests.submit.standin import No


@pytest.fixture
def this(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sending:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setattr(push, "words", lambda *_, **__: list[leaks.Word]())
    one = server.put("name: x")
    one.state, one.fence, one.until = "running", 1, 1e12
    folder = given.campaign(tmp_path / "campaign")
    given.change(folder / "campaign.lock.json", owner=one.owner)
    outbox = Outbox(tmp_path / "outbox")
    handed = tmp_path / "none"
    return Sending(server.url, standin.TOKEN, False, one.id, 1, folder, outbox, handed, "A box")


def send(this: Sending, until: int = 2) -> sending.Sent:
    return sending.submit(this, 10, lambda block: block < until, print)


def refuse() -> None:
    raise No(422, "bad_record")


def test_what_was_refused_once_is_missing_for_good(this: Sending, server: Server) -> None:
    server.before_submission = refuse
    sent = send(this)
    assert sent.refused and not sent.whole
    server.before_submission = lambda: None
    # The same once more, as by a runner that was started anew: nothing is left to be sent.
    again = send(this)
    assert (again.whole, again.refused, again.runs) == (False, sent.refused, 0)


def test_what_was_refused_alone_and_is_taken_with_others_is_there(
    this: Sending, server: Server
) -> None:
    server.before_submission = refuse
    assert not send(this, until=1).whole
    server.before_submission = lambda: None
    sent = send(this)
    assert sent.whole and not sent.refused and sent.runs == 4


def test_a_lease_that_is_lost_meanwhile_keeps_what_was_to_be_sent(
    this: Sending, server: Server
) -> None:
    one = server.queued[this.queued]
    one.until = 0.0
    assert send(this).lost
    # The same runner has claimed it again.
    one.fence, one.until = 2, 1e12
    sent = send(this._replace(fence=2))
    assert sent.whole and sent.runs == 4


def test_its_submitter_is_shown_by_the_runner_s_name(this: Sending, server: Server) -> None:
    shutil.rmtree(this.outbox.root, ignore_errors=True)
    send(this)
    assert list(server.names.values()) == ["A box"]
