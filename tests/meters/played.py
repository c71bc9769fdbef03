"""Builds the played NVML, writes what it plays, and knows the true energy."""

import ctypes
import math
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("played_nvml.c")
NEVER = 1e18


def build_library(folder: Path) -> Path:
    """Compile ``libnvidia-ml.so.1`` into ``folder``; its path. A missing compiler is a failure."""
    if shutil.which("gcc") is None:
        pytest.fail("the played NVML needs gcc: apt-get install gcc libc6-dev")
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "libnvidia-ml.so.1"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
    soname = "-Wl,-soname,libnvidia-ml.so.1"
    command = ["gcc", *flags, soname, str(SOURCE), "-lm", "-o", str(library)]
    subprocess.run(command, check=True, timeout=60)
    return library


def preload(library: Path) -> None:
    """Make this process's ``dlopen("libnvidia-ml.so.1")`` find the played one, by its soname."""
    ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


def environment(library: Path, config: Path) -> dict[str, str]:
    """What a child process needs to meet the played NVML."""
    return {"LD_LIBRARY_PATH": str(library.parent), "LEM_PLAYED_NVML": str(config)}


@dataclass(frozen=True)
class Play:
    """A power trace from ``t0_ns`` on: ``segments`` of (until s, from W, to W), each a straight
    line. ``options`` are the faults and properties that played_nvml.c knows, by name."""

    segments: Sequence[tuple[float, float, float]] = ((NEVER, 100.0, 100.0),)
    options: dict[str, float] = field(default_factory=dict)
    pids: Sequence[int] = ()
    t0_ns: int = field(default_factory=time.monotonic_ns)

    def write(self, path: Path) -> Path:
        lines = [f"t0_ns {self.t0_ns}"]
        lines += [f"segment {until!r} {a!r} {b!r}" for until, a, b in self.segments]
        lines += [f"{name} {value!r}" for name, value in self.options.items()]
        lines += [f"pid {pid}" for pid in self.pids]
        aside = path.with_suffix(".new")
        aside.write_text("\n".join(lines) + "\n")
        aside.replace(path)
        return path

    def energy_j(self, start_ns: int, end_ns: int, device: int = 0) -> float:
        """The true energy of a device between two moments, with neither gain nor offset error."""
        scale = 1 + device * self.options.get("device_step", 0.0)
        return scale * (self._until(end_ns) - self._until(start_ns))

    def _until(self, t_ns: int) -> float:
        t = (t_ns - self.t0_ns) / 1e9
        if t < 0:
            return self.segments[0][1] * t
        start, total = 0.0, 0.0
        for until, a, b in self.segments:
            part = min(t, until) - start
            slope = (b - a) / (until - start) if until < NEVER else 0.0
            total += a * part + slope * part * part / 2
            if t <= until:
                return total
            start = until
        return total + self.segments[-1][2] * (t - start)


def bursts(
    low_w: float, high_w: float, period_s: float, duty: float, length_s: float
) -> list[tuple[float, float, float]]:
    """A square wave, as a served model draws: high for ``duty`` of each period."""
    segments: list[tuple[float, float, float]] = []
    for i in range(math.ceil(length_s / period_s)):
        segments.append(((i + duty) * period_s, high_w, high_w))
        segments.append(((i + 1) * period_s, low_w, low_w))
    return segments


def point_here_at(config: Path) -> None:
    """For the library loaded into this process."""
    os.environ["LEM_PLAYED_NVML"] = str(config)
