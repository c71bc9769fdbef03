"""Builds the played NVML, writes what it plays, and knows the true energy."""

import ctypes
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.meters.power_trace import NEVER, Segments, bursts, energy_until, step

__all__ = ["NEVER", "Board", "Play", "Segments", "bursts", "energy_until", "step"]

FOLDER = Path(__file__).parent


def build_library(folder: Path) -> Path:
    """Compile ``libnvidia-ml.so.1`` into ``folder``; its path. A missing compiler is a failure."""
    return _compile(folder, "played_nvml.c", "played_trace.c")


def build_least_library(folder: Path) -> Path:
    """One that has hardly any functions; ``least_nvml.c`` says what it plays."""
    return _compile(folder, "least_nvml.c")


def _compile(folder: Path, *sources: str) -> Path:
    if shutil.which("gcc") is None:
        pytest.fail("the played NVML needs gcc: apt-get install gcc libc6-dev")
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "libnvidia-ml.so.1"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
    soname = "-Wl,-soname,libnvidia-ml.so.1"
    files = [str(FOLDER / source) for source in sources]
    command = ["gcc", *flags, soname, *files, "-lm", "-o", str(library)]
    subprocess.run(command, check=True, timeout=60)
    return library


def preload(library: Path) -> None:
    """Make this process's ``dlopen("libnvidia-ml.so.1")`` find the played one, by its soname."""
    ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


def environment(library: Path, config: Path) -> dict[str, str]:
    """What a child process needs to meet the played NVML."""
    return {"LD_LIBRARY_PATH": str(library.parent), "LEM_PLAYED_NVML": str(config)}


@dataclass(frozen=True)
class Board:
    """What one board plays otherwise than the rest."""

    segments: Segments = ()
    options: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Play:
    """A power trace from ``t0_ns`` on, and what is wrong with the counter that shows it.

    ``options`` by name (times in s after ``t0_ns``; see ``defaults`` in played_trace.c):

    - the tick: ``tick_ms`` ``phase_ms`` ``jitter_ms``, another from ``tick_change_s`` on
      (``second_tick_ms``), ``late_ms`` (a tick shows what was true so long ago);
    - the sensor: ``gain`` ``offset_w`` ``duty`` (sees only this last share of each period)
      ``noise_w`` (each tick's power, adds up) ``noise_mj`` (each value) ``quantum_mj`` ``seed``;
    - the counter: ``start_mj`` ``wrap_mj`` ``freeze_s`` ``thaw_s`` ``thaw_loses`` (what it slept
      through is lost) ``backwards_s`` ``back_mj`` ``jump_s`` ``jump_mj`` ``second_scale_s``
      ``second_scale`` (counts in another unit from then on);
    - the board: ``lost_s``; ``unsupported_s`` to ``supported_s`` no counter; ``no_energy``
      ``no_power``; ``error_s`` to ``error_end_s`` gives ``error_code``; each call takes
      ``call_us``, and a share ``slow_share`` of them ``slow_us`` more;
    - power: ``power_average_ms`` ``power_update_ms`` ``power_noise_w``; ``fields`` (1: number 185,
      2: 186, 4: 83, 8: for the module too, which draws ``module_w`` more) with
      ``instant_window_ms`` every ``instant_update_ms``; ``field_type`` (0 a double, 1 unsigned,
      3 unsigned long long) and ``ignores_scope``, as some drivers do;
    - several: ``devices``, ``device_step`` (each next one counts so much more), ``serial`` (other
      boards than those of another number: it stands in their UUIDs), ``mig``,
      ``mig_devices``; ``graphics_pid`` (a process that draws);
    - settings: ``limit_w`` ``most_limit_w``; ``held_w`` (the limit enforced is never above it);
      ``set_error`` (what the calls that set something give), ``ignores_set`` (they succeed and
      nothing changes), ``no_limit`` ``no_lock`` ``no_clock_list`` (not supported);
      ``clock_held_mhz`` (the SM clock is never above it). What is set lasts, for all processes, in
      a file beside the played one (:func:`settings`);
    - ``live``: the file is read again when it changes.
    """

    segments: Segments = ((NEVER, 100.0, 100.0),)
    options: Mapping[str, float] = field(default_factory=dict)
    pids: Sequence[int] = ()
    t0_ns: int = field(default_factory=time.monotonic_ns)
    boards: Mapping[int, Board] = field(default_factory=dict)

    def write(self, path: Path) -> Path:
        lines = [f"t0_ns {self.t0_ns}"]
        for device in range(int(self.options.get("devices", 1))):
            lines += [f"device {device} segment {_numbers(s)}" for s in self.trace(device)]
        lines += [f"{name} {value!r}" for name, value in self.options.items()]
        for device, board in self.boards.items():
            lines += [f"device {device} {name} {v!r}" for name, v in board.options.items()]
        lines += [f"pid {pid}" for pid in self.pids]
        aside = path.with_suffix(".new")
        aside.write_text("\n".join(lines) + "\n")
        aside.replace(path)
        return path

    def trace(self, device: int) -> Segments:
        own = self.boards.get(device)
        return own.segments if own and own.segments else self.segments

    def energy_j(self, start_ns: int, end_ns: int, device: int = 0) -> float:
        """The true energy of a device between two moments, with neither gain nor offset error."""
        scale = 1 + device * self.options.get("device_step", 0.0)
        until = [
            energy_until(self.trace(device), (t - self.t0_ns) / 1e9) for t in (start_ns, end_ns)
        ]
        return scale * (until[1] - until[0])


def _numbers(values: Sequence[float]) -> str:
    return " ".join(repr(float(v)) for v in values)


def settings(config: Path) -> list[tuple[int, int]]:
    """What was set of each of four boards: power limit (mW) and locked clock (MHz), 0 for neither.
    Nothing where nothing was ever set."""
    file = config.with_name(config.name + ".set")
    if not file.exists():
        return []
    numbers = [int(n) for n in file.read_text().split()]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def restart(config: Path) -> None:
    """What was set is lost."""
    config.with_name(config.name + ".set").unlink(missing_ok=True)
