"""AMD GPUs through AMD SMI: the energy accumulator where it moves, else power.

Source of the interface: AMD SMI's C header and Python package (github.com/ROCm/amdsmi, package
``amdsmi`` on PyPI). ``amdsmi_get_energy_count`` gives an accumulator and the µJ in one unit of it
(``counter_resolution``, 15.3 on boards so far); the key was ``power`` before ROCm 6.1,
``energy_accumulator`` since. The accumulator was seen to stand still on MI100 and MI210
(ROCm/amdsmi issues 22 and 38) and to go back (issue 115).
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lem.errors import MeterUnavailable
from lem.meters.energy import series, slow
from lem.meters.neighbours import Neighbours
from lem.meters.protocol import Device, MeterSettings, Pace, Sample

if TYPE_CHECKING:
    from lem.contract.record import EnergyReading, MeterInfo

GAIN = 0.034
"""Standard uncertainty of a board's gain: a judgement. AMD states none; this is what was found over
NVIDIA's boards (arXiv 2312.02741), for want of a survey of AMD's."""

SAMPLED_POWER = 0.10
"""Standard uncertainty of energy integrated from polled power: a judgement."""

UPDATE_S = 0.1
"""Assumed until the counter has been seen to move."""

SLOW_PERIOD_S = 1.0
MOST_POWER_W = 3000.0
MOST_RESOLUTION_UJ = 1e6

HOT = 0xFFFF << 32
"""Bits 32 to 47 of ``indep_throttle_status``: temperatures, VRHOT, PROCHOT (the kernel's
drivers/gpu/drm/amd/pm/swsmu/inc/amdgpu_smu.h, SMU_THROTTLER_*_BIT). Bits below are power and
current limits, which are normal work."""


class Amd:
    name = "amd"

    def __init__(self) -> None:
        self._smi: Any = None
        self._boards: dict[str, Any] = {}
        self._main: dict[str, str] = {}
        self._next_slow_ns = 0
        self._neighbours: Neighbours | None = None

    def open(self, settings: MeterSettings) -> list[Device]:
        """The boards, ``gpu0`` and so on. Raises :class:`MeterUnavailable`."""
        smi = self._smi = _library()
        try:
            smi.amdsmi_init()
            handles = list(smi.amdsmi_get_processor_handles())
        except smi.AmdSmiException as e:
            raise MeterUnavailable(
                f"AMD SMI: {_said(e)}",
                "see whether `amd-smi list` works; for a container, give it /dev/kfd and /dev/dri",
            ) from e
        indices = tuple(range(len(handles))) if settings.gpus is None else settings.gpus
        if not handles or not indices:
            raise MeterUnavailable("AMD SMI sees no GPU", "see whether `amd-smi list` shows one")
        for index in indices:
            if not 0 <= index < len(handles):
                raise MeterUnavailable(
                    f"GPU {index} is not here; AMD SMI sees {len(handles)}",
                    "choose from `lem meter list`",
                )
        self._neighbours = Neighbours(settings, "/dev/kfd")
        return [self._open_board(index, handles[index]) for index in indices]

    def _open_board(self, index: int, board: Any) -> Device:
        device = f"gpu{index}"
        self._boards[device] = board
        quantity, unit, what, relative = "none", "", "neither energy nor power", None
        if self._energy_uj(board) is not None:
            quantity, unit, what = "energy_uj", "uJ", "energy accumulator of the socket"
            relative = 2 * GAIN
        elif self._power_w(board) is not None:
            quantity, unit, what = "power_w", "W", "power of the socket, integrated"
            relative = 2 * math.hypot(GAIN, SAMPLED_POWER)
        self._main[device] = quantity
        return Device(
            self.name,
            device,
            "gpu",
            quantity,
            unit,
            f"{self._model(board)}: {what}",
            UPDATE_S,
            relative_uncertainty=relative,
        )

    def _model(self, board: Any) -> str:
        with contextlib.suppress(self._smi.AmdSmiException, KeyError, TypeError):
            return str(self._smi.amdsmi_get_gpu_asic_info(board)["market_name"])[:80]
        return "AMD GPU"

    def _energy_uj(self, board: Any) -> float | None:
        """None where the board gives none, or something that is no count."""
        try:
            said = self._smi.amdsmi_get_energy_count(board)
        except self._smi.AmdSmiException:
            return None
        count = said.get("energy_accumulator", said.get("power"))
        resolution_uj = said.get("counter_resolution")
        if not isinstance(count, int) or not 0 <= count < 2**63:
            return None
        if not isinstance(resolution_uj, float) or not 0 < resolution_uj <= MOST_RESOLUTION_UJ:
            return None
        return count * resolution_uj

    def _power_w(self, board: Any) -> float | None:
        """MI300 tells its current power, older boards an average; the other one is "N/A"."""
        try:
            said = self._smi.amdsmi_get_power_info(board)
        except self._smi.AmdSmiException:
            return None
        for key in ("current_socket_power", "average_socket_power"):
            watts = said.get(key)
            if isinstance(watts, int) and 0 < watts < MOST_POWER_W:
                return float(watts)
        return None

    def read(self, pace: Pace = "full") -> list[Sample]:
        samples: list[Sample] = []
        if pace == "edge" or self._smi is None:
            return samples
        for device, board in self._boards.items():
            main = self._main[device]
            if main == "energy_uj":
                self._add(samples, device, main, self._energy_uj, board, needed=True)
            if main != "none":
                self._add(
                    samples, device, "power_w", self._power_w, board, needed=main == "power_w"
                )
        now_ns = time.monotonic_ns()
        if pace == "full" or now_ns >= self._next_slow_ns:
            self._next_slow_ns = now_ns + int(SLOW_PERIOD_S * 1e9)
            for device, board in self._boards.items():
                self._add(samples, device, "temperature_c", self._temperature_c, board)
                self._add(samples, device, "throttle_reasons", self._throttle, board)
                self._add(samples, device, "power_limit_w", self._limit_w, board)
            samples += self._foreign()
        return samples

    def _add(
        self,
        samples: list[Sample],
        device: str,
        quantity: str,
        read: Any,
        board: Any,
        needed: bool = False,
    ) -> None:
        before_ns = time.monotonic_ns()
        value = read(board)
        after_ns = time.monotonic_ns()
        if value is not None:
            samples += series.timed(self.name, device, quantity, value, before_ns, after_ns)
        elif needed:
            samples.append(Sample(after_ns, self.name, device, "read_error", 1))

    def _temperature_c(self, board: Any) -> float | None:
        smi = self._smi
        for kind in ("HOTSPOT", "EDGE"):
            with contextlib.suppress(smi.AmdSmiException, AttributeError):
                said = smi.amdsmi_get_temp_metric(
                    board,
                    getattr(smi.AmdSmiTemperatureType, kind),
                    smi.AmdSmiTemperatureMetric.CURRENT,
                )
                if isinstance(said, int) and 0 < said < 200:
                    return float(said)
        return None

    def _throttle(self, board: Any) -> float | None:
        """The package's own function tells only whether any bit is set, a power limit's too; so
        the structure that it reads is looked at."""
        import ctypes

        with contextlib.suppress(AttributeError, TypeError, ctypes.ArgumentError):
            library = self._smi.amdsmi_wrapper
            metrics = library.amdsmi_gpu_metrics_t()
            if library.amdsmi_get_gpu_metrics_info(board, ctypes.byref(metrics)) != 0:
                return None
            bits = int(metrics.indep_throttle_status)
            if bits != 2**64 - 1:  # "not available"
                # A trace holds 53 bits exactly: the reasons that are looked for, moved down.
                return float((bits & HOT) >> 32)
        return None

    def _limit_w(self, board: Any) -> float | None:
        """µW since ROCm 6.4, W before."""
        with contextlib.suppress(self._smi.AmdSmiException, AttributeError, TypeError):
            said = self._smi.amdsmi_get_power_cap_info(board).get("power_cap")
            if isinstance(said, int) and said > 0:
                return said / 1e6 if said > 1e5 else float(said)
        return None

    def _foreign(self) -> list[Sample]:
        """Processes on the boards that are not the run's; that it cannot be told, where the driver
        gives no list or one that contradicts what the run does itself."""
        assert self._neighbours is not None
        smi = self._smi
        listed: dict[str, frozenset[int] | None] = dict.fromkeys(self._boards)
        for device, board in self._boards.items():
            with contextlib.suppress(smi.AmdSmiException, AttributeError, TypeError, KeyError):
                # Processes that only hold the device file open use none of it.
                listed[device] = frozenset(
                    int(p["pid"])
                    for p in smi.amdsmi_get_gpu_process_list(board)
                    if int(p["memory_usage"]["vram_mem"]) > 0
                )
        t_ns = time.monotonic_ns()
        return [
            Sample(t_ns, self.name, device, "foreign_unknown", 1)
            if count is None
            else Sample(t_ns, self.name, device, "foreign_processes", count)
            for device, count in self._neighbours.count(listed).items()
        ]

    def energy(
        self, info: MeterInfo, samples: list[Sample], start_ns: int, end_ns: int
    ) -> EnergyReading:
        """From the accumulator, or from power where the board has none that can be read."""
        from lem.meters.energy import counter

        flags = []
        if any(series.during(samples, "throttle_reasons", start_ns, end_ns)):
            flags.append("throttled")
        if any(series.during(samples, "foreign_processes", start_ns, end_ns)):
            flags.append("foreign_gpu_process")
        if any(series.during(samples, "foreign_unknown", start_ns, end_ns)):
            flags.append("neighbours_unknown")
        if series.changes(samples, "power_limit_w"):
            flags.append("power_limit_changed")
        if info.quantity == "none":
            return counter.untrusted(info, [*flags, "no_meter"])
        if info.quantity == "power_w":
            gain = math.hypot(GAIN, SAMPLED_POWER)
            return slow.from_power(info, samples, 1.0, start_ns, end_ns, gain=gain, flags=flags)
        return slow.from_counter(
            info,
            samples,
            1e-6,
            start_ns,
            end_ns,
            gain=GAIN,
            most_w=MOST_POWER_W,
            flags=flags,
        )

    def close(self) -> None:
        if self._smi is not None:
            with contextlib.suppress(self._smi.AmdSmiException):
                self._smi.amdsmi_shut_down()
            self._smi = None
            self._boards.clear()


def _library() -> Any:
    """The Python package. It is large, and without ROCm's library it prints a note and fails in its
    own way, so the library is looked for first, where the package would look."""
    import importlib.util

    spec = importlib.util.find_spec("amdsmi") if "amdsmi" not in sys.modules else None
    if sys.modules.get("amdsmi") is None and (spec is None or spec.origin is None):
        raise MeterUnavailable(
            "the Python package amdsmi is not installed",
            "pip install the amdsmi of your ROCm version: /opt/rocm/share/amd_smi, or amdsmi==… "
            "from PyPI",
        )
    if spec is not None and spec.origin is not None and not _loads(Path(spec.origin).parent):
        raise MeterUnavailable(
            "AMD's library libamd_smi.so is not here",
            "install ROCm's amd-smi-lib; for a container, mount /opt/rocm",
        )
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            import amdsmi
    except (ImportError, KeyError, OSError, AttributeError) as e:
        raise MeterUnavailable(
            f"the Python package amdsmi does not go with the library: {_said(e)}",
            "pip install the amdsmi of your ROCm version",
        ) from e
    return amdsmi


def _loads(package: Path) -> bool:
    import ctypes

    rocm = os.environ.get("ROCM_HOME", os.environ.get("ROCM_PATH", "/opt/rocm"))
    for place in (f"{rocm}/lib/libamd_smi.so", "libamd_smi.so", package / "libamd_smi.so"):
        with contextlib.suppress(OSError):
            ctypes.CDLL(str(place))
            return True
    return False


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


plugin = Amd
