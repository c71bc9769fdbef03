"""NVIDIA GPUs through NVML: the energy counter where there is one, else power.

The counter (``nvmlDeviceGetTotalEnergyConsumption``, Volta and newer) counts mJ of the whole board
and moves in ticks, about every 100 ms. Where a GPU and NVIDIA's own CPU share a module (Grace
Hopper), the module's power is a device of its own: it contains the GPU's and is never added to it.
Sources of the figures below: NVML API reference; "Part-time Power Measurements: nvidia-smi's Lack
of Attention", arXiv 2312.02741 (over 70 boards).
"""

from __future__ import annotations

import ctypes
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from lem.errors import MeterUnavailable
from lem.meters import calibration, nvml_board
from lem.meters.energy import series
from lem.meters.neighbours import Neighbours
from lem.meters.protocol import Device, MeterSettings, Pace, Sample

if TYPE_CHECKING:
    from lem.contract.record import EnergyReading, MeterInfo

TICK_S = 0.1
SLOW_PERIOD_S = 1.0
"""Temperature, clocks, limits and processes are read this often."""

_SLOW = (
    # quantity, NVML function, its result, arguments (names of constants)
    ("temperature_c", "nvmlDeviceGetTemperature", ctypes.c_uint, "NVML_TEMPERATURE_GPU"),
    ("sm_clock_mhz", "nvmlDeviceGetClockInfo", ctypes.c_uint, "NVML_CLOCK_SM"),
    ("memory_clock_mhz", "nvmlDeviceGetClockInfo", ctypes.c_uint, "NVML_CLOCK_MEM"),
    ("throttle_reasons", "nvmlDeviceGetCurrentClocksThrottleReasons", ctypes.c_ulonglong, None),
    ("power_limit_mw", "nvmlDeviceGetEnforcedPowerLimit", ctypes.c_uint, None),
    ("application_clock_mhz", "nvmlDeviceGetApplicationsClock", ctypes.c_uint, "NVML_CLOCK_SM"),
    ("mig", "nvmlDeviceGetMigMode", ctypes.c_uint, None),
)


class Nvml:
    name = "nvml"

    def __init__(self) -> None:
        self._pynvml: Any = None
        self._boards: list[_Board] = []
        self._next_slow_ns = 0
        self._neighbours: Neighbours | None = None

    def open(self, settings: MeterSettings) -> list[Device]:
        """The boards, ``gpu0`` and so on, and their modules. A board that is lost has a device
        without a quantity, so that it is not passed over. Raises :class:`MeterUnavailable`."""
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
        self._neighbours = Neighbours(settings, "/dev/nvidia-uvm")
        devices: list[Device] = []
        errors = []
        for index in indices:
            try:
                board = _Board(pynvml, index)
            except pynvml.NVMLError as e:
                errors.append(e)
                what = f"GPU {index} does not answer: {e}"
                devices.append(Device(self.name, f"gpu{index}", "gpu", "none", "", what))
                continue
            self._boards.append(board)
            devices += board.devices(settings)
        if not self._boards:
            raise _unavailable(pynvml, errors[0]) from errors[0]
        return devices

    def read(self, pace: Pace = "full") -> list[Sample]:
        samples: list[Sample] = []
        if pace == "edge":
            for board in self._boards:
                if board.energy is not None:
                    board.add_main(samples, board.energy, "energy_mj")
            return samples
        for board in self._boards:
            board.add_power_and_energy(samples)
        now_ns = time.monotonic_ns()
        if pace == "full" or now_ns >= self._next_slow_ns:
            self._next_slow_ns = now_ns + int(SLOW_PERIOD_S * 1e9)
            for board in self._boards:
                board.add_slow(samples, constants=pace == "full")
            self._add_neighbours(samples)
        return samples

    def _add_neighbours(self, samples: list[Sample]) -> None:
        """Who else is on the boards; that it cannot be told, where the driver gives no list or one
        that contradicts what the run does itself."""
        assert self._neighbours is not None
        nvml = self._pynvml
        computing = self._listed(nvml.nvmlDeviceGetComputeRunningProcesses)
        drawing = self._listed(nvml.nvmlDeviceGetGraphicsRunningProcesses)
        boards = [board.device for board in self._boards]
        foreign = self._neighbours.count({b: computing.get(b) for b in boards})
        t_ns = time.monotonic_ns()

        def add(device: str, quantity: str, value: int) -> None:
            samples.append(Sample(t_ns, self.name, device, quantity, value))

        for device, count in foreign.items():
            if count is None:
                add(device, "foreign_unknown", 1)
            else:
                add(device, "foreign_processes", count)
        for device, pids in computing.items():
            # A run computes: what only draws is a desktop's.
            add(device, "graphics_processes", len(drawing.get(device, frozenset()) - pids))

    def _listed(self, call: Any) -> dict[str, frozenset[int]]:
        """Board → ids of its processes; without the boards whose driver does not say."""
        nvml = self._pynvml
        found = {}
        for board in self._boards:
            # A driver of another age has another list.
            with suppress(nvml.NVMLError, nvml.NVMLLibraryMismatchError):
                found[board.device] = frozenset(p.pid for p in call(board.handle))
        return found

    def energy(
        self, info: MeterInfo, samples: list[Sample], start_ns: int, end_ns: int
    ) -> EnergyReading:
        """From the counter's ticks, or from power where the board has no counter."""
        from lem.meters import nvml_energy

        return nvml_energy.energy(info, samples, start_ns, end_ns)

    def identity(self, device: str) -> str | None:
        """The board's UUID: what is learned about a counter is kept under it."""
        return next((b.uuid for b in self._boards if b.device == device), None)

    def close(self) -> None:
        if self._pynvml is not None:
            with suppress(self._pynvml.NVMLError):
                self._pynvml.nvmlShutdown()
            self._pynvml = None
            self._boards.clear()


class _Board:
    """What of one board is read, and where."""

    def __init__(self, nvml: Any, index: int) -> None:
        """Raises NVMLError where the board does not answer."""
        self.device = f"gpu{index}"
        self.module = f"module{index}"
        handle = self.handle = nvml.nvmlDeviceGetHandleByIndex(index)
        self._model = _text_or_none(nvml, "nvmlDeviceGetName", handle) or "NVIDIA GPU"
        self.uuid = _text_or_none(nvml, "nvmlDeviceGetUUID", handle)
        self._partitions = nvml_board.mig_devices(nvml, handle)
        self.energy = _working(nvml, nvml_board.energy, handle)
        self._fields = nvml_board.PowerFields(nvml, handle, nvml_board.SCOPE_GPU)
        self._module_fields = nvml_board.PowerFields(nvml, handle, nvml_board.SCOPE_MODULE)
        if not nvml_board.contains(self._module_fields, self._fields):
            self._module_fields.quantities = ()
        self._power = None
        if not self._fields.quantities:
            self._power = _working(nvml, nvml_board.power, handle)
        self._architecture = _number_or_none(nvml, "nvmlDeviceGetArchitecture", handle)
        self._slow = []
        for quantity, function, result, constant in _SLOW:
            arguments = () if constant is None else (getattr(nvml, constant),)
            # MIG's mode has a second result, the mode after the next reset.
            more = (ctypes.c_uint(),) if quantity == "mig" else ()
            with suppress(nvml.NVMLError):
                one = nvml_board.Bound(nvml, handle, function, result(), arguments, more)
                self._slow.append((quantity, one))

    def devices(self, settings: MeterSettings) -> list[Device]:
        gain = None
        quantity, unit, what, tick_s = "none", "", "neither energy nor power", None
        if self.energy is not None:
            quantity, unit, tick_s = "energy_mj", "mJ", TICK_S
            what = "total energy counter of the board"
            gain = calibration.applied(settings.calibration, self.uuid)
            if gain is not None:
                what += f", calibrated {gain['date']}"
        elif self._fields.quantities or self._power is not None:
            quantity, unit, tick_s = "power_mw", "mW", TICK_S
            what = "power of the board, integrated (no energy counter)"
        if self._partitions is not None:
            parts = ", ".join(self._partitions) or "none yet"
            what += f"; the whole board, shared by its partitions (MIG): {parts}"
        what = f"{self._model}: {what}"
        found = [Device("nvml", self.device, "gpu", quantity, unit, what, tick_s, gain)]
        if self._module_fields.quantities:
            what = "power of the module (CPU and GPU together), integrated"
            description = f"{self._model}: {what}"
            found.append(
                Device("nvml", self.module, "module", "power_mw", "mW", description, TICK_S)
            )
        return found

    def add_power_and_energy(self, samples: list[Sample]) -> None:
        if self.energy is not None:
            self.add_main(samples, self.energy, "energy_mj")
        if self._fields.quantities:
            self._add_fields(samples, self._fields, self.device, alone=self.energy is None)
        elif self._power is not None:
            if self.energy is None:
                self.add_main(samples, self._power, "power_mw")
            else:
                self._add(samples, self._power, "power_mw")
        if self._module_fields.quantities:
            self._add_fields(samples, self._module_fields, self.module, alone=True)

    def add_slow(self, samples: list[Sample], constants: bool) -> None:
        for quantity, call in self._slow:
            self._add(samples, call, quantity)
        if constants and self._architecture is not None:
            t_ns = time.monotonic_ns()
            samples.append(Sample(t_ns, "nvml", self.device, "architecture", self._architecture))

    def add_main(self, samples: list[Sample], call: nvml_board.Bound, quantity: str) -> None:
        """What the board's energy comes from: a failure is told, and how long the call took."""
        before_ns = time.monotonic_ns()
        try:
            value = call()
        except nvml_board.CallFailed as e:
            samples.append(Sample(before_ns, "nvml", self.device, "nvml_error", e.code))
            return
        after_ns = time.monotonic_ns()
        samples += series.timed("nvml", self.device, quantity, value, before_ns, after_ns)

    def _add(self, samples: list[Sample], call: nvml_board.Bound, quantity: str) -> None:
        before_ns = time.monotonic_ns()
        try:
            value = call()
        except nvml_board.CallFailed:
            return
        t_ns = (before_ns + time.monotonic_ns()) // 2
        samples.append(Sample(t_ns, "nvml", self.device, quantity, value))

    def _add_fields(
        self, samples: list[Sample], fields: nvml_board.PowerFields, device: str, alone: bool
    ) -> None:
        """``alone``: the device's energy comes from them, so a failure is told."""
        before_ns = time.monotonic_ns()
        try:
            values = fields.read()
        except nvml_board.CallFailed as e:
            if alone:
                samples.append(Sample(before_ns, "nvml", device, "nvml_error", e.code))
            return
        t_ns = (before_ns + time.monotonic_ns()) // 2
        for quantity, value in zip(fields.quantities, values, strict=True):
            if value is not None:
                samples.append(Sample(t_ns, "nvml", device, quantity, value))


def _working(nvml: Any, make: Any, handle: Any) -> nvml_board.Bound | None:
    """The call, where it can be made and succeeds once."""
    try:
        call: nvml_board.Bound = make(nvml, handle)
        call()
    except (nvml.NVMLError, nvml_board.CallFailed):
        return None
    return call


def _number_or_none(nvml: Any, function: str, handle: Any) -> int | None:
    try:
        return int(getattr(nvml, function)(handle))
    except nvml.NVMLError:
        return None


def _text_or_none(nvml: Any, function: str, handle: Any) -> str | None:
    """None where driver or board has no such text. Raises NVMLError where the board is gone."""
    try:
        value = getattr(nvml, function)(handle)
    except nvml.NVMLError as e:
        if e.value == nvml.NVML_ERROR_GPU_IS_LOST:
            raise
        return None
    return value.decode() if isinstance(value, bytes) else str(value)


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
    if value == nvml.NVML_ERROR_GPU_IS_LOST:
        return MeterUnavailable(
            "the GPU has fallen off the bus or is not reachable", "restart the machine"
        )
    return MeterUnavailable(f"NVML: {error}", "see whether `nvidia-smi` works")


plugin = Nvml
