"""NVIDIA GPUs through NVML: the energy counter where there is one, else power.

The counter (``nvmlDeviceGetTotalEnergyConsumption``, Volta and newer) counts mJ of the whole board
and moves in ticks, about every 100 ms. Sources of the figures below: NVML API reference;
"Part-time Power Measurements: nvidia-smi's Lack of Attention", arXiv 2312.02741 (over 70 boards).
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from lem.errors import MeterUnavailable
from lem.meters import series
from lem.meters.process_tree import ProcessTree
from lem.meters.protocol import Device, MeterSettings, Pace, Sample

if TYPE_CHECKING:
    from lem.contract.record import EnergyReading, MeterInfo

GAIN = 0.034
"""Standard uncertainty of a board's gain: 3.4 % RMS over boards (arXiv 2312.02741)."""

SAMPLED_POWER = 0.195
"""Standard uncertainty of energy integrated from polled power, so that U (k = 2) is 39 %, what
naive polling was off by on average (arXiv 2312.02741)."""

TICK_S = 0.1
SLOW_PERIOD_S = 1.0
"""Temperature, clocks, limits and processes are read this often."""

MOST_POWER_W = 3000.0
"""More than any board may draw; used where no power limit can be read."""

THROTTLED = 0x08 | 0x20 | 0x40 | 0x80
"""Clock event reasons of heat or power delivery: HW slowdown, SW thermal, HW thermal, HW power
brake. Running at the configured power limit (SW power cap, 0x04) is normal work."""

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
        self._neighbours: _Neighbours | None = None

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
        self._neighbours = _Neighbours(settings)
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
        from lem.meters import counter

        flags = _conditions(samples, start_ns, end_ns)
        if info.quantity == "none":
            return counter.untrusted(info, [*flags, "no_meter"])
        if series.within(samples, "nvml_error", start_ns, end_ns):
            return counter.untrusted(info, [*flags, "meter_lost"])
        flags += series.gap_flags(samples, info.quantity, start_ns, end_ns)
        if info.quantity == "power_mw":
            return _from_power(info, samples, start_ns, end_ns, flags)
        return _from_counter(info, samples, start_ns, end_ns, flags)

    def close(self) -> None:
        if self._pynvml is not None:
            with suppress(self._pynvml.NVMLError):
                self._pynvml.nvmlShutdown()
            self._pynvml = None
            self._boards.clear()


def _from_counter(
    info: MeterInfo, samples: list[Sample], start_ns: int, end_ns: int, flags: list[str]
) -> EnergyReading:
    from lem.meters import counter

    points = series.tick_points(samples, "energy_mj", 1e-3)
    if counter.falls(points, start_ns, end_ns):
        return counter.untrusted(info, [*flags, "counter_backwards"])
    ticks_ns = [b.t_ns - a.t_ns for a, b in pairwise(points)]
    tick_ns = int(median(ticks_ns)) if len(ticks_ns) > 2 else int(TICK_S * 1e9)
    still_ns, reads = series.longest_still_ns(samples, "energy_mj", start_ns, end_ns)
    if reads >= 5 and still_ns > max(500_000_000, 5 * tick_ns):
        return counter.untrusted(info, [*flags, "counter_frozen"])
    limit_mw = series.last_value(samples, "power_limit_mw", end_ns)
    most_w = 3 * limit_mw / 1e3 if limit_mw else MOST_POWER_W
    if counter.steepest(points, start_ns, end_ns) > most_w:
        return counter.untrusted(info, [*flags, "counter_implausible"])
    moved = counter.between(points, start_ns, end_ns, reach_ns=3 * tick_ns // 2)
    if moved is None:
        return counter.untrusted(info, [*flags, "no_coverage"])
    if _disagrees(samples, moved.amount, start_ns, end_ns):
        return counter.untrusted(info, [*flags, "counter_disagrees"])
    budget = {
        "tick": moved.tick,
        "sampling": moved.sampling,
        "gain": GAIN * moved.amount,
        # NVIDIA states none; what there is of it is inside the gain's figure.
        "offset": 0.0,
    }
    return counter.reading(info, moved.amount, budget, flags)


def _from_power(
    info: MeterInfo, samples: list[Sample], start_ns: int, end_ns: int, flags: list[str]
) -> EnergyReading:
    from lem.meters import counter

    power = [(s.t_ns, s.value / 1e3) for s in series.of(samples, "power_mw")]
    usual_ns = series.period_ns([t for t, _ in power]) or 0
    found = series.integrate(power, start_ns, end_ns, reach_ns=2 * usual_ns)
    if found is None:
        return counter.untrusted(info, [*flags, "no_coverage"])
    energy_j, coarseness_j = found
    budget = {
        "tick": 0.0,
        "sampling": coarseness_j,
        "gain": GAIN * energy_j,
        # What polling misses, it misses in every window alike: not a matter of chance.
        "model": SAMPLED_POWER * energy_j,
        "offset": 0.0,
    }
    return counter.reading(info, energy_j, budget, [*flags, "power_integrated"])


def _disagrees(samples: list[Sample], energy_j: float, start_ns: int, end_ns: int) -> bool:
    """Whether counter and integrated power differ by more than a factor of two over ≥ 10 s.

    Part-time sampling makes honest boards differ by tens of per cent, so only what must be another
    unit or another device is a verdict.
    """
    if end_ns - start_ns < 10_000_000_000:
        return False
    power = [(s.t_ns, s.value / 1e3) for s in series.of(samples, "power_mw")]
    found = series.integrate(power, start_ns, end_ns, reach_ns=500_000_000)
    return found is not None and found[0] > 0 and not 0.5 < energy_j / found[0] < 2


def _conditions(samples: list[Sample], start_ns: int, end_ns: int) -> list[str]:
    """Flags of what was going on around the counter."""
    flags = []
    reasons = series.within(samples, "throttle_reasons", start_ns, end_ns)
    if any(int(r) & THROTTLED for r in reasons):
        flags.append("throttled")
    if any(series.within(samples, "foreign_processes", start_ns, end_ns)):
        flags.append("foreign_gpu_process")
    if any(series.within(samples, "mig", start_ns, end_ns)):
        flags.append("shared_device")
    if series.changes(samples, "power_limit_mw"):
        flags.append("power_limit_changed")
    if series.changes(samples, "application_clock_mhz"):
        flags.append("clocks_changed")
    return flags


class _Neighbours:
    """How many of the processes that NVML lists for a GPU are not the run's own.

    NVML gives process ids of the host. Inside a container they mean nothing, so there the run's
    own CUDA processes (those that hold /dev/nvidia-uvm) are counted instead, and what is listed
    beyond them is foreign.
    """

    def __init__(self, settings: MeterSettings) -> None:
        root = os.getppid() if settings.process is None else settings.process
        self._proc = settings.proc_root
        self._tree = ProcessTree(root, settings.proc_root)
        self._known: tuple[frozenset[int], int | None] = (frozenset(), 0)
        try:
            # The first process id namespace of a Linux machine has this fixed number.
            here = (self._proc / "self/ns/pid").readlink().name
            self._on_host = here == "pid:[4026531836]"
        except OSError:
            self._on_host = True

    def count(self, pids: frozenset[int]) -> int | None:
        """None where the run's tree cannot be read. Looked up only when the list changes."""
        if pids != self._known[0]:
            self._known = (pids, self._count(pids))
        return self._known[1]

    def _count(self, pids: frozenset[int]) -> int | None:
        if self._tree.cpu_time_ns() is None:
            return None
        own = self._tree.members()
        if self._on_host:
            return len(pids - own)
        return max(0, len(pids) - sum(self._uses_cuda(pid) for pid in own))

    def _uses_cuda(self, pid: int) -> bool:
        try:
            for link in (self._proc / str(pid) / "fd").iterdir():
                if link.readlink() == Path("/dev/nvidia-uvm"):
                    return True
        except OSError:
            pass  # the process or the file has just gone
        return False


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
