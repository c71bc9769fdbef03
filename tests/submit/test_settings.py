"""What a machine knows of archives."""

from pathlib import Path

import pytest

from lem.errors import BadInput
from lem.submit import places, settings
from lem.submit.settings import Settings, address
from tests.submit.given import info

URL = "https://archive.example.org"


@pytest.mark.parametrize(
    ("text", "one"),
    [
        ("https://Archive.Example.org/", URL),
        ("https://archive.example.org:443", URL),
        (" http://127.0.0.1:8000/ ", "http://127.0.0.1:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
        ("https://example.org/lem/", "https://example.org/lem"),
    ],
)
def test_an_address_has_one_spelling(text: str, one: str) -> None:
    assert address(text) == one


@pytest.mark.parametrize(
    "text",
    ["", "example.org", "ftp://example.org", "file:///etc/passwd", "https://", "https://a:b@c.org",
     "https://a.org?x=1", "https://a.org#x", "https://a.org:x", "https://[::1"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        address(text)


def test_an_archive_is_pinned_at_first_contact() -> None:
    known = Settings().knowing(URL, info())
    assert known.server == URL
    assert known.knowing(URL, info(runs=5)) == known
    with pytest.raises(BadInput, match="another archive than before"):
        known.knowing(URL, info(archive="b" * 64))
    with pytest.raises(BadInput, match="another salt"):
        known.knowing(URL, info(board_salt="f" * 32))
    assert known.knowing("https://other.example", info(archive="b" * 64)).server == (
        "https://other.example"
    )


def test_plain_http_is_remembered() -> None:
    known = Settings().knowing(URL, info(), plain_http=True)
    assert known.knowing(URL, info()).archives[URL].plain_http


def test_keys_come_and_go() -> None:
    known = Settings().knowing(URL, info()).with_key(URL, "1" * 64).with_key(URL, "1" * 64)
    assert known.archives[URL].keys == ["1" * 64]
    assert known.without_key(URL, "1" * 64).archives[URL].keys == []


def test_a_log_that_was_rewritten_is_noticed() -> None:
    known = Settings().seen("a" * 64, 5, "5" * 64)
    assert known.seen("a" * 64, 4, "4" * 64) == known
    assert known.seen("a" * 64, 6, "6" * 64).heads["a" * 64].seq == 6
    with pytest.raises(BadInput, match="rewritten"):
        known.seen("a" * 64, 5, "6" * 64)


def test_settings_are_kept(tmp_path: Path) -> None:
    assert settings.read(tmp_path / "none") == Settings()
    with settings.changed(tmp_path) as change:
        change.to(change.settings.knowing(URL, info()))
    assert settings.read(tmp_path).archives[URL].archive == "a" * 64
    with pytest.raises(RuntimeError), settings.changed(tmp_path) as change:
        change.to(Settings())
        raise RuntimeError
    assert settings.read(tmp_path).server == URL


def test_damaged_settings_are_named(tmp_path: Path) -> None:
    (tmp_path / settings.FILE).write_text("{")
    with pytest.raises(BadInput, match=settings.FILE):
        settings.read(tmp_path)


def test_folders_follow_the_environment() -> None:
    assert places.config_folder({"XDG_CONFIG_HOME": "/c"}) == Path("/c/lem")
    assert places.state_folder({"XDG_STATE_HOME": "/s"}) == Path("/s/lem")
    assert places.config_folder({"XDG_CONFIG_HOME": "relative"}) == Path.home() / ".config/lem"
    assert places.state_folder({}) == Path.home() / ".local/state/lem"
