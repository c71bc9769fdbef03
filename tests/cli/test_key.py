"""``lem key``."""

import io
import json
from pathlib import Path

import pytest

from lem.cli.key import link_parts
from lem.errors import BadInput
from lem.submit import keys, settings
from lem.submit.manifest import key_id, raw_public
from tests.cli.archives import lem
from tests.submit import given, standin

Shown = pytest.CaptureFixture[str]

pytestmark = pytest.mark.usefixtures("desk")


def own() -> str:
    return key_id(raw_public(keys.load(keys.default_path())))


def test_a_key_is_made_once_and_shown(capsys: Shown) -> None:
    assert lem("key", "show") == 2
    assert "lem key new" in capsys.readouterr().err
    assert lem("key", "new") == 0
    assert own() in capsys.readouterr().out
    assert lem("key", "new") == 2
    capsys.readouterr()
    assert lem("key", "show", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["key"] == own() and shown["enrolled_at"] == []
    assert "PRIVATE" not in json.dumps(shown)
    assert lem("key", "show") == 0
    assert own() in capsys.readouterr().out


@pytest.mark.parametrize("way", ["link file", "secret in file", "stdin", "environment"])
def test_an_invitation_comes_by_every_way_but_the_command_line(
    archive: standin.Archive,
    desk: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    archive.enrolment = "invitation"
    link, more = f"{archive.url}/enrol#an-invitation", list[str]()
    if way == "link file":
        (desk / "link").write_text(link + "\n")
        more = ["--link-file", "link"]
    elif way == "secret in file":
        (desk / "link").write_text("an-invitation")
        more = ["--link-file", "link", "--server", archive.url]
    elif way == "environment":
        monkeypatch.setenv("LEM_TOKEN", link)
    else:
        monkeypatch.setattr("sys.stdin", io.StringIO(link))
        more = ["--link-file", "-"]
    assert lem("key", "enrol", "--name", "Alice", *more) == 0
    assert archive.names == {own(): "Alice"}
    assert settings.read().archives[archive.url].keys == [own()]


def test_a_wrong_invitation_is_refused(
    archive: standin.Archive,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Shown,
) -> None:
    archive.enrolment = "invitation"
    monkeypatch.setenv("LEM_TOKEN", "s3cr3t-0")
    assert lem("key", "enrol", "--server", archive.url) == 2
    shown = capsys.readouterr()
    assert "invitation_unknown" in shown.err and "s3cr3t-0" not in shown.out + shown.err
    monkeypatch.setenv("LEM_TOKEN", "http://127.0.0.1:2/enrol#x")
    assert lem("key", "enrol", "--server", archive.url) == 2


def test_links_have_one_form() -> None:
    assert link_parts("https://a.org/enrol#S") == ("https://a.org", "S")
    assert link_parts("https://a.org:8/lem/enrol#S") == ("https://a.org:8/lem", "S")
    assert link_parts("https://a.org/join#S") == ("https://a.org", "S")
    assert link_parts("https://a.org:8/lem/join/#S") == ("https://a.org:8/lem", "S")
    assert link_parts("S-_1") == (None, "S-_1")
    for text in ("https://a.org#S", "https://a.org/enrol", "ftp://a.org/enrol#S", "a b", "x" * 300,
                 "https://u:p@a.org/enrol#S"):  # fmt: skip
        with pytest.raises(BadInput):
            link_parts(text)


def test_a_key_is_replaced_everywhere_or_nowhere(
    archive: standin.Archive,
    capsys: Shown,
) -> None:
    assert lem("key", "new") == 0
    assert lem("key", "enrol", "--server", archive.url) == 0
    old = own()
    archive.trouble = [standin.let, standin.let, standin.refuse(503, "busy")]
    assert lem("key", "rotate") == 3
    assert own() == old and keys.next_path(keys.default_path()).exists()
    assert lem("key", "rotate") == 0
    new = own()
    assert new != old and archive.revoked == {old} and new in archive.keys
    assert settings.read().archives[archive.url].keys == [old, new]
    assert new in capsys.readouterr().out


def test_a_rotation_whose_answer_was_lost_goes_on(archive: standin.Archive) -> None:
    assert lem("key", "new") == 0
    assert lem("key", "enrol", "--server", archive.url) == 0
    old, new = own(), keys.make(keys.next_path(keys.default_path()))
    # The archive has done it; this machine never heard of it.
    archive.revoked.add(old)
    archive.keys[key_id(raw_public(new))] = raw_public(new)
    assert lem("key", "rotate") == 0
    assert own() == key_id(raw_public(new))


def test_a_key_is_revoked(archive: standin.Archive, desk: Path, capsys: Shown) -> None:
    assert lem("key", "new") == 0
    assert lem("key", "enrol", "--server", archive.url) == 0
    assert lem("key", "revoke", "--yes") == 0
    assert archive.revoked == {own()}
    assert settings.read().archives[archive.url].keys == []
    folder = given.campaign(desk / "c")
    capsys.readouterr()
    assert lem("results", "push", folder, "--yes") == 2
    assert "key_revoked" in capsys.readouterr().err
