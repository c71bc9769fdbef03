"""NVIDIA GPUs through NVML: the energy counter where there is one, else power.

The counter (``nvmlDeviceGetTotalEnergyConsumption``, Volta and newer) counts mJ of the whole board
and moves in ticks, about every 100 ms. Sources of the figures below: NVML API reference;
"Part-time Power Measurements: nvidia-smi's Lack of Attention", arXiv 2312.02741 (over 70 boards).
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lem.errors import MeterUnavailable
from lem.meters import series
from lem.meters.neighbours import Neighbours
from lem.meters.protocol import Device, MeterSettings, Pace, Sample

if TYPE_CHECKING:
    from lem.contract.record import EnergyReading, MeterInfo

TICK_S = 0.1
SLOW_PERIOD_S = 1.0
"""Temperature, clocks, limits and processes are read this often."""

_SLOW = (
    # quantity, NVML function, arguments (names of constants are looked up)
    ("temperature_c", "nvmlDeviceGetTemperature", ("NVML_TEMPERATURE_GPU",)),
    ("sm_clock_mhz", "nvmlDeviceGetClockInfo", ("NVML_CLOCK_SM",)),
    ("memory_clock_mhz", "nvmlDeviceGetClockInfo", ("NVML_CLOCK_MEM",)),
    ("throttle_reasons", "nvmlDeviceGetCurrentClocksThrottleReasons", ()),
    ("power_limit_mw", "nvmlDeviceGetEnforcedPowerLimit", ()),
    ("application_clock_mhz", "nvmlDeviceGetApplicationsClock", ("NVML_CLOCK_SM",)),
)


class Nvml:
    name = "nvml"

    def __init__(self) -> None:
        self._pynvml: Any = None
        self._boards: dict[str, Any] = {}
        self._main: dict[str, str] = {}
        """Board → the quantity its energy comes from."""
        self._next_slow_ns = 0
        self._neighbours: Neighbours | None = None

    def open(self, settings: MeterSettings) -> list[Device]:
        """The boards, ``gpu0`` and so on. Raises :class:`MeterUnavailable`."""
        try:
            import pynvml
        except ImportError as e:
            raise MeterUnavailable(
                "the Python package nvidia-ml-py is not installed", "pip install nvidia-ml-py"
            ) from e
        try:
            pynvml.nvmlInit()
            self._pynvml = pynvml
            count = pynvml.nvmlDeviceGetCount()
        except pynvml.NVMLError as e:
            raise _unavailable(pynvml, e) from e
        indices = tuple(range(count)) if settings.gpus is None else settings.gpus
        if not indices:
            raise MeterUnavailable("no NVIDIA GPU is asked for or present", "give a GPU's index")
        for index in indices:
            if not 0 <= index < count:
                raise MeterUnavailable(
                    f"GPU {index} is not here; NVML sees {count}", "choose from `lem meter list`"
                )
        self._neighbours = Neighbours(settings)
        try:
            return [self._open_board(index) for index in indices]
        except pynvml.NVMLError as e:
            raise _unavailable(pynvml, e) from e

    def _open_board(self, index: int) -> Device:
        nvml = self._pynvml
        device = f"gpu{index}"
        board = self._boards[device] = nvml.nvmlDeviceGetHandleByIndex(index)
        model = nvml.nvmlDeviceGetName(board)
        quantity, unit, what, tick_s = "none", "", "neither energy nor power", None
        for candidate in (
            ("energy_mj", "mJ", "total energy counter of the board", TICK_S),
            ("power_mw", "mW", "power of the board, integrated (no energy counter)", TICK_S),
        ):
            try:
                self._read_main(board, candidate[0])
            except nvml.NVMLError:
                continue
            quantity, unit, what, tick_s = candidate
            break
        self._main[device] = quantity
        return Device(self.name, device, "gpu", quantity, unit, f"{model}: {what}", tick_s)

    def read(self, pace: Pace = "full") -> list[Sample]:
        samples: list[Sample] = []
        for device, board in self._boards.items():
            main = self._main[device]
            if main == "energy_mj" or (main == "power_mw" and pace != "edge"):
                self._add_main(samples, device, board, main)
            if pace != "edge" and main == "energy_mj":
                self._add(samples, device, "power_mw", board, "nvmlDeviceGetPowerUsage", ())
        now_ns = time.monotonic_ns()
        if pace == "full" or (pace == "steady" and now_ns >= self._next_slow_ns):
            self._next_slow_ns = now_ns + int(SLOW_PERIOD_S * 1e9)
            for device, board in self._boards.items():
                self._read_slow(samples, device, board)
        return samples

    def _read_slow(self, samples: list[Sample], device: str, board: Any) -> None:
        for quantity, function, arguments in _SLOW:
            self._add(samples, device, quantity, board, function, arguments)
        nvml = self._pynvml
        try:
            mig = nvml.nvmlDeviceGetMigMode(board)[0]
            samples.append(Sample(time.monotonic_ns(), self.name, device, "mig", mig))
        except nvml.NVMLError:
            pass  # boards without MIG say so this way
        try:
            pids = frozenset(p.pid for p in nvml.nvmlDeviceGetComputeRunningProcesses(board))
        except nvml.NVMLError:
            return
        foreign = self._neighbours.count(pids) if self._neighbours else None
        if foreign is not None:
            t_ns = time.monotonic_ns()
            samples.append(Sample(t_ns, self.name, device, "foreign_processes", foreign))

    def _read_main(self, board: Any, quantity: str) -> int:
        nvml = self._pynvml
        if quantity == "energy_mj":
            return int(nvml.nvmlDeviceGetTotalEnergyConsumption(board))
        return int(nvml.nvmlDeviceGetPowerUsage(board))

    def _add_main(self, samples: list[Sample], device: str, board: Any, quantity: str) -> None:
        before_ns = time.monotonic_ns()
        try:
            value = self._read_main(board, quantity)
        except self._pynvml.NVMLError as e:
            samples.append(Sample(before_ns, self.name, device, "nvml_error", e.value))
            return
        after_ns = time.monotonic_ns()
        samples += series.timed(self.name, device, quantity, value, before_ns, after_ns)

    def _add(
        self,
        samples: list[Sample],
        device: str,
        quantity: str,
        board: Any,
        function: str,
        arguments: tuple[str, ...],
    ) -> None:
        nvml = self._pynvml
        before_ns = time.monotonic_ns()
        try:
            value = getattr(nvml, function)(board, *(getattr(nvml, a) for a in arguments))
        except nvml.NVMLError:
            return
        t_ns = (before_ns + time.monotonic_ns()) // 2
        samples.append(Sample(t_ns, self.name, device, quantity, value))

    def energy(
        self, info: MeterInfo, samples: list[Sample], start_ns: int, end_ns: int
    ) -> EnergyReading:
        """From the counter's ticks, or from power where the board has no counter."""
        from lem.meters import nvml_energy

        return nvml_energy.energy(info, samples, start_ns, end_ns)

    def close(self) -> None:
        if self._pynvml is not None:
            with suppress(self._pynvml.NVMLError):
                self._pynvml.nvmlShutdown()
            self._pynvml = None
            self._boards.clear()


def _unavailable(nvml: Any, error: Any) -> MeterUnavailable:
    value = getattr(error, "value", None)
    if value == nvml.NVML_ERROR_LIBRARY_NOT_FOUND:
        return MeterUnavailable(
            "the NVIDIA driver's library libnvidia-ml.so.1 is not here",
            "install the NVIDIA driver; for a container, start it with --gpus all",
        )
    if value == nvml.NVML_ERROR_NO_PERMISSION:
        return MeterUnavailable(
            "NVML may not be used by this user", "allow this user to open /dev/nvidia*"
        )
    return MeterUnavailable(f"NVML: {error}", "see whether `nvidia-smi` works")


plugin = Nvml
