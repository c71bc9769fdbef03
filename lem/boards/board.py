"""One board's settings through NVML: what is allowed, what is in force, changing it.

NVML's own words on these calls (API reference, Device Commands): root's alone; lost with a restart
and where the driver unloads, which it does on an idle board without persistence mode as soon as
nobody holds it open. So whoever sets something keeps NVML open until it is put back.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lem.contract.spec import DeviceSettings
from lem.errors import SettingRefused

TOLERANCE_MW = 1000
"""A limit that is read back this close to what was asked for is that limit: boards round."""
FOLLOWS_S = 2.0
"""How long a board may take until the limit it enforces is the one that was set."""
MAY_FIX = "run lem as root (sudo); NVIDIA's driver lets nobody else change power limits or clocks"


@contextmanager
def nvml() -> Iterator[Any]:
    """NVML, open. Raises :class:`SettingRefused` where there is none."""
    try:
        import pynvml
    except ImportError as e:
        raise SettingRefused(
            "the Python package nvidia-ml-py is not installed", "pip install nvidia-ml-py"
        ) from e
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as e:
        raise SettingRefused(
            f"there is no NVIDIA driver here ({e}); power limits and clocks are set on NVIDIA"
            " boards alone",
            "leave device.* out; on an AMD board set the limit with amd-smi before the campaign",
        ) from e
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


class Board:
    """A board by its index or its UUID, while NVML is open."""

    def __init__(self, nvml: Any, which: int | str) -> None:
        """Raises :class:`SettingRefused` where there is no such board."""
        self._nvml = nvml
        try:
            if isinstance(which, int):
                self._handle = nvml.nvmlDeviceGetHandleByIndex(which)
            else:
                self._handle = nvml.nvmlDeviceGetHandleByUUID(which.encode())
            self.uuid: str = _text(nvml.nvmlDeviceGetUUID(self._handle))
            self.name: str = _text(nvml.nvmlDeviceGetName(self._handle))
        except nvml.NVMLError as e:
            raise SettingRefused(f"GPU {which} does not answer: {e}") from e

    def range_mw(self) -> tuple[int, int] | None:
        """The least and the greatest power limit, mW; None where the board has none to set."""
        found = self._ask("nvmlDeviceGetPowerManagementLimitConstraints")
        return None if found is None else (int(found[0]), int(found[1]))

    def limit_mw(self) -> int | None:
        """The limit that was asked of the board last, mW."""
        return self._number("nvmlDeviceGetPowerManagementLimit")

    def enforced_mw(self) -> int | None:
        """The limit in force, mW: something else may hold the board lower."""
        return self._number("nvmlDeviceGetEnforcedPowerLimit")

    def clocks_mhz(self) -> list[int] | None:
        """SM clocks that the board may be locked to at its greatest memory clock, ascending; None
        where it does not tell."""
        memory = self._ask("nvmlDeviceGetSupportedMemoryClocks")
        if not memory:
            return None
        found = self._ask("nvmlDeviceGetSupportedGraphicsClocks", max(memory))
        return sorted(int(c) for c in found) if found else None

    def partitioned(self) -> bool:
        """Whether MIG is on: a limit would hold for other people's partitions, too."""
        mode = self._ask("nvmlDeviceGetMigMode")
        return bool(mode and mode[0])

    def persistent(self) -> bool | None:
        """Whether persistence mode is on; None where the board does not tell."""
        mode = self._number("nvmlDeviceGetPersistenceMode")
        return None if mode is None else bool(mode)

    def check(self, wanted: DeviceSettings) -> None:
        """Raise :class:`SettingRefused` where the board cannot have these settings; changes
        nothing."""
        if self.partitioned():
            raise SettingRefused(
                f"{self.name} is divided into partitions (MIG), which share its limit and clocks",
                "switch MIG off, or leave device.* out",
            )
        if wanted.power_limit_w is not None:
            self._check_limit(wanted.power_limit_w)
        if wanted.sm_clock_mhz is not None:
            self._check_clock(wanted.sm_clock_mhz)

    def _check_limit(self, asked_w: float) -> None:
        allowed = self.range_mw()
        if allowed is None or self.limit_mw() is None:
            raise SettingRefused(f"{self.name} has no power limit that can be set")
        least, most = allowed
        if not least <= milliwatts(asked_w) <= most:
            raise SettingRefused(
                f"device.power_limit_w: {asked_w:g} W is outside of what {self.name} allows",
                f"choose from {least / 1e3:g} W to {most / 1e3:g} W",
            )

    def _check_clock(self, asked_mhz: int) -> None:
        clocks = self.clocks_mhz()
        if clocks is None:
            raise SettingRefused(f"{self.name} does not tell which SM clocks it supports")
        if asked_mhz not in clocks:
            near = sorted(sorted(clocks, key=lambda c: abs(c - asked_mhz))[:2])
            raise SettingRefused(
                f"device.sm_clock_mhz: {self.name} has no SM clock of {asked_mhz} MHz",
                f"choose from {clocks[0]} to {clocks[-1]} MHz, such as "
                + " or ".join(map(str, near)),
            )

    def set_limit(self, mw: int, in_force: bool = True) -> None:
        """Raises :class:`SettingRefused`, also where the board keeps another limit in force (where
        that matters: what is put back is the limit that was asked for, whatever holds the board
        lower)."""
        self._change("power limit", "nvmlDeviceSetPowerManagementLimit", mw)
        until = time.monotonic() + FOLLOWS_S
        while True:
            enforced = self.enforced_mw() if in_force else None
            now = self.limit_mw() if enforced is None else enforced
            if now is not None and abs(now - mw) <= TOLERANCE_MW:
                return
            if time.monotonic() >= until:
                found = "unknown" if now is None else f"{now / 1e3:g} W"
                raise SettingRefused(
                    f"{self.name} took a power limit of {mw / 1e3:g} W, but the one in force is"
                    f" {found}",
                    "nvidia-smi -q -d POWER shows what else holds the board",
                )
            time.sleep(0.05)

    def lock_clock(self, mhz: int) -> None:
        """Raises :class:`SettingRefused`."""
        self._change("SM clock", "nvmlDeviceSetGpuLockedClocks", mhz, mhz)

    def free_clock(self) -> None:
        """Back to what the board chooses itself. Raises :class:`SettingRefused`."""
        self._change("SM clock", "nvmlDeviceResetGpuLockedClocks")

    def _change(self, what: str, function: str, *arguments: int) -> None:
        nvml = self._nvml
        try:
            getattr(nvml, function)(self._handle, *arguments)
        except nvml.NVMLError as e:
            if e.value == nvml.NVML_ERROR_NO_PERMISSION:
                raise SettingRefused(
                    f"this user may not change the {what} of {self.name}", MAY_FIX
                ) from e
            if e.value in (nvml.NVML_ERROR_NOT_SUPPORTED, nvml.NVML_ERROR_FUNCTION_NOT_FOUND):
                raise SettingRefused(f"the {what} of {self.name} cannot be set") from e
            raise SettingRefused(f"the {what} of {self.name} could not be set: {e}") from e

    def _ask(self, function: str, *arguments: int) -> Any:
        """None where the board or the driver does not tell."""
        call: Callable[..., Any] = getattr(self._nvml, function)
        try:
            return call(self._handle, *arguments)
        except self._nvml.NVMLError:
            return None

    def _number(self, function: str) -> int | None:
        found = self._ask(function)
        return None if found is None else int(found)


def milliwatts(watts: float) -> int:
    return round(1e3 * watts)


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
