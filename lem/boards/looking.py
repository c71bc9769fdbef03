"""What could be set here, and by whom; changes nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lem.boards.board import MAY_FIX, Board, nvml
from lem.contract.spec import DeviceSettings
from lem.errors import SettingRefused

SYS_ADMIN = 21
"""CAP_SYS_ADMIN's number (capabilities(7)): what the driver takes for root."""


class Able(NamedTuple):
    """One board."""

    gpu: int
    """Its index, as NVML counts."""
    uuid: str
    name: str
    least_w: float | None
    most_w: float | None
    limit_w: float | None
    clocks_mhz: tuple[int, int] | None
    """Least and greatest SM clock that it can be locked to."""
    partitioned: bool
    persistent: bool | None


def look() -> list[Able]:
    """The NVIDIA boards that are here. Raises :class:`SettingRefused` where there is no driver."""
    found = []
    with nvml() as library:
        for index in range(library.nvmlDeviceGetCount()):
            board = Board(library, index)
            allowed, clocks, limit = board.range_mw(), board.clocks_mhz(), board.limit_mw()
            found.append(
                Able(
                    gpu=index,
                    uuid=board.uuid,
                    name=board.name,
                    least_w=allowed[0] / 1e3 if allowed else None,
                    most_w=allowed[1] / 1e3 if allowed else None,
                    limit_w=limit / 1e3 if limit is not None else None,
                    clocks_mhz=(clocks[0], clocks[-1]) if clocks else None,
                    partitioned=board.partitioned(),
                    persistent=board.persistent(),
                )
            )
    return found


def privileged(root: Path = Path("/")) -> bool:
    """Whether this process has what the driver asks for. Only setting something shows whether it
    really lets it."""
    for line in (root / "proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> SYS_ADMIN & 1)
    return False


def obstacle(wanted: DeviceSettings, gpus: Sequence[int], root: Path = Path("/")) -> str | None:
    """Why boards could not have these settings, as far as can be told without setting them."""
    if wanted.power_limit_w is None and wanted.sm_clock_mhz is None:
        return None
    if not gpus:
        return "this run uses no NVIDIA board; this version sets no others"
    try:
        with nvml() as library:
            for index in gpus:
                Board(library, index).check(wanted)
    except SettingRefused as e:
        return e.message if e.hint is None else f"{e.message}; {e.hint}"
    if not privileged(root):
        return f"this user may change no power limits or clocks; {MAY_FIX}"
    return None
