"""Setting boards for a run and putting them back, on boards that are played."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lem.boards import applied, journal, left, put_back
from lem.contract.spec import DeviceSettings
from lem.errors import EnvironmentFault, SettingRefused
from tests.meters import played

Begin = Callable[[played.Play], played.Play]
LIMIT = DeviceSettings(power_limit_w=300)
BOTH = DeviceSettings(power_limit_w=300, sm_clock_mhz=1410)
UUID = "GPU-00000000-0000-0000-0000-000000000000"

HOLD = """
import sys, time
from lem.boards import applied
from lem.contract.spec import DeviceSettings
with applied(DeviceSettings(power_limit_w=300, sm_clock_mhz=1410), [0, 1]):
    print("set", flush=True)
    time.sleep(60)
"""


def notes(state: Path) -> list[str]:
    return sorted(p.name for p in state.glob("*.json")) if state.exists() else []


def holder(command: str = HOLD) -> "subprocess.Popen[str]":
    """Another process, once it has set two boards."""
    process = subprocess.Popen(
        [sys.executable, "-c", command], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "set\n"
    return process


def test_within_it_is_set_and_afterwards_as_before(play: Begin, state: Path, config: Path) -> None:
    play(played.Play(options={"devices": 3, "limit_w": 650, "most_limit_w": 700}))
    with applied(BOTH, [0, 2]):
        assert played.settings(config)[:3] == [(300_000, 1410), (0, 0), (300_000, 1410)]
        assert notes(state) == [f"{UUID}.json", f"{UUID[:-1]}2.json"]
        note = journal.read(state / f"{UUID}.json")
        assert note is not None
        assert (note.limit_before_mw, note.limit_set_mw, note.clock_locked_mhz) == (
            650_000,
            300_000,
            1410,
        )
    assert played.settings(config)[:3] == [(650_000, 0), (0, 0), (650_000, 0)]
    assert notes(state) == []


def test_nothing_asked_for_touches_nothing(play: Begin, state: Path, config: Path) -> None:
    play(played.Play(options={"init_error": 9}))
    with applied(DeviceSettings(), [0]):
        pass
    assert played.settings(config) == []
    assert not state.exists()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_goes_wrong_within_still_puts_back(
    play: Begin, state: Path, config: Path, error: type[BaseException]
) -> None:
    play(played.Play())
    with pytest.raises(error), applied(BOTH, [0]):
        raise error
    assert played.settings(config)[0] == (700_000, 0)
    assert notes(state) == []


@pytest.mark.parametrize(
    ("options", "wanted", "says"),
    [
        ({}, DeviceSettings(power_limit_w=99), "100 W to 700 W"),
        ({}, DeviceSettings(power_limit_w=700.1), "100 W to 700 W"),
        ({}, DeviceSettings(sm_clock_mhz=1411), "1410 or 1425"),
        ({"no_limit": 1}, LIMIT, "no power limit that can be set"),
        ({"no_clock_list": 1}, BOTH, "does not tell which SM clocks"),
        ({"no_lock": 1}, BOTH, "SM clock of Played GPU cannot be set"),
        ({"set_error": 4}, LIMIT, "may not change the power limit"),
        ({"set_error": 4}, DeviceSettings(sm_clock_mhz=1410), "may not change the SM clock"),
        ({"set_error": 999}, LIMIT, "could not be set"),
        ({"ignores_set": 1}, LIMIT, "the one in force is 700 W"),
        ({"held_w": 250}, LIMIT, "the one in force is 250 W"),
        ({"mig": 1}, LIMIT, "MIG"),
        ({"lost_s": 0}, LIMIT, "does not answer"),
        ({"init_error": 9}, LIMIT, "no NVIDIA driver here"),
    ],
)
def test_what_cannot_be_set_is_refused_and_leaves_no_trace(
    play: Begin,
    state: Path,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: dict[str, float],
    wanted: DeviceSettings,
    says: str,
) -> None:
    monkeypatch.setattr("lem.boards.board.FOLLOWS_S", 0.1)
    play(played.Play(options=options))
    with pytest.raises(SettingRefused) as caught, applied(wanted, [0]):
        pytest.fail("it must not come to a run")
    assert says in str(caught.value)
    assert all(limit in (0, 700_000) and clock == 0 for limit, clock in played.settings(config))
    assert notes(state) == []


def test_without_a_gpu_it_is_refused(state: Path) -> None:
    with pytest.raises(SettingRefused, match="uses no NVIDIA board"), applied(LIMIT, []):
        pass


def test_where_a_second_board_refuses_the_first_is_put_back(
    play: Begin, state: Path, config: Path
) -> None:
    board = played.Board(options={"set_error": 4})
    play(played.Play(options={"devices": 2}, boards={1: board}))
    with pytest.raises(SettingRefused), applied(BOTH, [0, 1]):
        pass
    assert played.settings(config)[:2] == [(700_000, 0), (0, 0)]
    assert notes(state) == []


def test_a_limit_that_stands_already_is_no_problem(play: Begin, state: Path, config: Path) -> None:
    play(played.Play(options={"limit_w": 300, "most_limit_w": 700}))
    with applied(LIMIT, [0]):
        assert played.settings(config)[0] == (300_000, 0)
    assert played.settings(config)[0] == (300_000, 0)
    assert notes(state) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_puts_back(play: Begin, state: Path, config: Path, number: int) -> None:
    play(played.Play(options={"devices": 2}))
    raising = f"import signal\nsignal.signal({int(number)}, signal.default_int_handler)\n"
    process = holder(raising + HOLD)
    process.send_signal(number)
    process.wait(timeout=20)
    assert played.settings(config)[:2] == [(700_000, 0), (700_000, 0)]
    assert notes(state) == []


def test_after_kill_9_the_next_one_puts_back(play: Begin, state: Path, config: Path) -> None:
    play(played.Play(options={"devices": 2, "limit_w": 650, "most_limit_w": 700}))
    process = holder()
    assert [f.in_use for f in left(state)] == [True, True]
    said: list[str] = []
    assert len(put_back(said.append)) == 2
    assert said == []
    assert played.settings(config)[:2] == [(300_000, 1410), (300_000, 1410)]
    process.kill()
    process.wait(timeout=20)
    assert played.settings(config)[:2] == [(300_000, 1410), (300_000, 1410)]
    found = left(state)
    assert [f.in_use for f in found] == [False, False]
    assert "a power limit of 300 W (before: 650 W)" in found[0].words
    assert f"process {process.pid}" in found[0].words
    assert put_back(said.append) == []
    assert played.settings(config)[:2] == [(650_000, 0), (650_000, 0)]
    assert notes(state) == []
    assert "650 W again" in said[0]


def test_after_kill_9_the_next_run_takes_what_stood_before_for_what_to_put_back(
    play: Begin, state: Path, config: Path
) -> None:
    """Not the limit that the killed one left."""
    play(played.Play(options={"devices": 2}))
    process = holder()
    process.kill()
    process.wait(timeout=20)
    with applied(DeviceSettings(power_limit_w=400), [0]):
        assert played.settings(config)[0] == (400_000, 0)
    assert played.settings(config)[0] == (700_000, 0)
    assert notes(state) == [f"{UUID[:-1]}1.json"]


def test_two_at_once_cannot_set_one_board(play: Begin, state: Path, config: Path) -> None:
    play(played.Play(options={"devices": 3}))
    process = holder()
    try:
        with pytest.raises(EnvironmentFault, match="another lem"), applied(LIMIT, [2, 1]):
            pass
        assert played.settings(config)[:3] == [(300_000, 1410), (300_000, 1410), (0, 0)]
        with applied(LIMIT, [2]):
            assert played.settings(config)[2] == (300_000, 0)
    finally:
        process.kill()
        process.wait(timeout=20)


def leave(state: Path, **changes: Any) -> None:
    fields: dict[str, Any] = {
        "uuid": UUID,
        "boot_id": journal.boot_id(),
        "pid": 1,
        "written_at": "2026-01-01T00:00:00.000+00:00",
        "limit_before_mw": 650_000,
        "limit_set_mw": 300_000,
        "clock_locked_mhz": None,
    }
    note = journal.Journal(**fields | changes)
    state.mkdir(mode=0o755, exist_ok=True)
    journal.write(note, state / f"{note.uuid}.json")


def set_limit(config: Path, mw: int) -> None:
    config.with_name("played.txt.set").write_text(f"{mw} 0\n0 0\n0 0\n0 0\n")


def test_a_note_from_before_a_restart_is_only_removed(
    play: Begin, state: Path, config: Path
) -> None:
    play(played.Play())
    set_limit(config, 300_000)
    leave(state, boot_id="an earlier one")
    assert put_back(pytest.fail) == []
    assert played.settings(config)[0] == (300_000, 0)
    assert notes(state) == []


def test_a_limit_that_somebody_set_since_is_left_alone(
    play: Begin, state: Path, config: Path
) -> None:
    play(played.Play())
    set_limit(config, 500_000)
    leave(state)
    said: list[str] = []
    put_back(said.append)
    assert played.settings(config)[0] == (500_000, 0)
    assert "500 W, which somebody set since" in said[0]
    assert notes(state) == []


def test_a_process_that_died_before_it_set_anything_left_nothing_to_do(
    play: Begin, state: Path, config: Path
) -> None:
    play(played.Play(options={"limit_w": 650, "set_error": 4}))
    leave(state)
    said: list[str] = []
    assert put_back(said.append) == []
    assert "nothing had to be put back" in said[0]


def test_what_cannot_be_put_back_stays_noted(play: Begin, state: Path, config: Path) -> None:
    play(played.Play(options={"set_error": 4}))
    set_limit(config, 300_000)
    leave(state)
    said: list[str] = []
    assert len(put_back(said.append)) == 1
    assert "could not be put back" in said[0] and "may not change" in said[0]
    assert notes(state) == [f"{UUID}.json"]


def test_a_run_whose_board_cannot_be_put_back_says_so(
    play: Begin, state: Path, config: Path
) -> None:
    play(played.Play(options={"live": 1}))
    with pytest.raises(EnvironmentFault, match="could not be set back"), applied(LIMIT, [0]):
        play(played.Play(options={"live": 1, "set_error": 4}))
        os.utime(config, (time.time() + 5, time.time() + 5))
    assert notes(state) == [f"{UUID}.json"]


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_folder_that_others_can_write_to_is_not_used(
    play: Begin, state: Path, config: Path, mode: int
) -> None:
    play(played.Play())
    state.mkdir()
    state.chmod(mode)
    with pytest.raises(EnvironmentFault, match="others can write"), applied(LIMIT, [0]):
        pass
    assert played.settings(config) == []


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[" * 10_000, b'{"schema_version": 1, "uuid": "GPU-../../x"}']
)
def test_what_is_no_note_is_not_believed(play: Begin, state: Path, content: bytes) -> None:
    play(played.Play())
    state.mkdir(mode=0o755)
    (state / f"{UUID}.json").write_bytes(content)
    assert left(state) == []


def test_a_note_that_others_could_have_written_is_not_believed(play: Begin, state: Path) -> None:
    play(played.Play())
    leave(state)
    assert len(left(state)) == 1
    (state / f"{UUID}.json").chmod(0o666)
    assert left(state) == []
    if os.geteuid() == 0:
        (state / f"{UUID}.json").chmod(0o644)
        os.chown(state / f"{UUID}.json", 65534, 65534)
        assert left(state) == []


def test_a_signal_in_the_middle_of_setting_comes_after(play: Begin, state: Path) -> None:
    from lem.boards.settings import undisturbed

    done = []
    with pytest.raises(KeyboardInterrupt):
        with undisturbed():
            signal.raise_signal(signal.SIGINT)
            done.append("whole")
        pytest.fail("the signal must not be lost")
    assert done == ["whole"]
