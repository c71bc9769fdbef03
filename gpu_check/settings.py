"""Whether power limits and clocks can be set on this board, and are put back: also after kill -9.

The only part that changes a setting of the device. It needs what the driver takes for root.
"""

import os
import subprocess
import sys
import time
from typing import Any

from lem import boards
from lem.boards.board import Board, nvml
from lem.contract.spec import DeviceSettings
from lem.errors import EnvironmentFault, RunFailed, SettingRefused

SHARE = 0.9
"""Of the limit that stands: what is asked for."""
START_S = 30.0
CLOCK_S = 0.5
"""A board without load may need a moment to follow."""

HOLD = """
import sys, time
from lem.boards import applied
from lem.contract.spec import DeviceSettings
with applied(DeviceSettings(power_limit_w=float(sys.argv[2])), [int(sys.argv[1])]):
    print("set", flush=True)
    time.sleep(120)
"""


def settings(gpu: int) -> dict[str, Any]:
    """Limits in W as read back by NVML in another opening of it than the one that set them.

    Raises :class:`RunFailed`: ``device_setting`` where this board or user may not be set, and
    ``meter`` where what is read back is not what was asked for, or not put back.
    """
    boards.put_back(lambda _: None)
    before_w, least_w = _limit_w(gpu), _least_w(gpu)
    asked_w = float(round(SHARE * before_w))
    if asked_w < least_w:
        raise RunFailed("device_setting", f"{asked_w:g} W is below the least, {least_w:g} W")
    try:
        start_s = time.monotonic()
        with boards.applied(DeviceSettings(power_limit_w=asked_w), [gpu]):
            set_took_s = time.monotonic() - start_s
            _must_be("set", _limit_w(gpu), asked_w)
        after_w = _limit_w(gpu)
        _must_be("put back", after_w, before_w)
        killed_w = _killed(gpu, asked_w)
        _must_be("left by a killed process", killed_w, asked_w)
        said: list[str] = []
        stayed = boards.put_back(said.append)
        put_back_w = _limit_w(gpu)
        _must_be("put back after kill -9", put_back_w, before_w)
    except (SettingRefused, EnvironmentFault) as e:
        raise RunFailed("device_setting", e.message, e.hint) from e
    return {
        "before_w": before_w,
        "asked_w": asked_w,
        "set_took_ms": 1e3 * set_took_s,
        "after_w": after_w,
        "killed_w": killed_w,
        "put_back_w": put_back_w,
        "said": said,
        "notes_left": len(stayed),
        "persistence_mode": _persistent(gpu),
        "clock": _clock(gpu),
    }


def _killed(gpu: int, asked_w: float) -> float:
    """The limit that stands after the process that set it was killed."""
    command = [sys.executable, "-c", HOLD, str(gpu), repr(asked_w)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "set":
            raise RunFailed("device_setting", "another process could not set the power limit")
        # Somebody has to hold the board: without persistence mode an idle driver forgets it.
        with nvml() as library:
            Board(library, gpu)
            process.kill()
            process.wait(timeout=START_S)
            return _limit_w(gpu)
    finally:
        process.kill()
        process.wait(timeout=START_S)


def _clock(gpu: int) -> dict[str, Any]:
    try:
        with nvml() as library:
            clocks = Board(library, gpu).clocks_mhz()
        if not clocks:
            return {"refused": "the board does not tell which clocks it supports"}
        asked_mhz = clocks[int(0.7 * (len(clocks) - 1))]
        with boards.applied(DeviceSettings(sm_clock_mhz=asked_mhz), [gpu]):
            time.sleep(CLOCK_S)
            seen_mhz = _clock_mhz(gpu)
    except SettingRefused as e:
        return {"refused": e.message}
    return {"asked_mhz": asked_mhz, "seen_mhz": seen_mhz, "after_mhz": _clock_mhz(gpu)}


def _must_be(what: str, found_w: float, wanted_w: float) -> None:
    if abs(found_w - wanted_w) > 1:
        raise RunFailed("meter", f"{what}: the power limit is {found_w:g} W, not {wanted_w:g} W")


def _limit_w(gpu: int) -> float:
    with nvml() as library:
        found = Board(library, gpu).limit_mw()
    if found is None:
        raise RunFailed("device_setting", "this board tells no power limit")
    return found / 1e3


def _least_w(gpu: int) -> float:
    with nvml() as library:
        allowed = Board(library, gpu).range_mw()
    if allowed is None:
        raise RunFailed("device_setting", "this board has no power limit that can be set")
    return allowed[0] / 1e3


def _persistent(gpu: int) -> bool | None:
    with nvml() as library:
        return Board(library, gpu).persistent()


def _clock_mhz(gpu: int) -> int:
    with nvml() as library:
        handle = library.nvmlDeviceGetHandleByIndex(gpu)
        return int(library.nvmlDeviceGetClockInfo(handle, library.NVML_CLOCK_SM))
