"""The part of ``make gpu-check`` that sets a power limit, on the played board."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_check import settings, summary
from lem.errors import RunFailed
from tests.meters import played

Begin = Callable[[played.Play], played.Play]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LEM_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_it_sets_sees_and_puts_back(play: Begin, tmp_path: Path, state: Path) -> None:
    play(played.Play())
    found = settings.settings(0)
    limits = {k: v for k, v in found.items() if k.endswith("_w")}
    assert limits == {
        "before_w": 700.0,
        "asked_w": 630.0,
        "after_w": 700.0,
        "killed_w": 630.0,
        "put_back_w": 700.0,
    }
    assert found["clock"] == {"asked_mhz": 1440, "seen_mhz": 1440, "after_mhz": 1980}
    assert found["notes_left"] == 0
    assert list(state.glob("*.json")) == []
    assert played.settings(tmp_path / "played.txt")[0] == (700_000, 0)
    text = " ".join(summary._settings(found))
    assert "630 W" in text and "1440 MHz" in text


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"set_error": 4}, "may not change the power limit"),
        ({"no_limit": 1}, "tells no power limit"),
        ({"limit_w": 105, "most_limit_w": 700}, "below the least"),
        ({"ignores_set": 1}, "the one in force is 700 W"),
    ],
)
def test_what_cannot_be_set_is_a_typed_failure(
    play: Begin,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    options: dict[str, float],
    says: str,
) -> None:
    monkeypatch.setattr("lem.boards.board.FOLLOWS_S", 0.1)
    play(played.Play(options=options))
    with pytest.raises(RunFailed, match=says) as caught:
        settings.settings(0)
    assert caught.value.kind == "device_setting"
    assert all(limit in (0, 700_000) for limit, _ in played.settings(tmp_path / "played.txt"))
