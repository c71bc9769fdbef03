"""Builds the played AMD SMI library around the real Python package, and knows the true energy."""

import ctypes
import math
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("played_amd.c")

LAYOUT = """
from amdsmi import amdsmi_wrapper as w
p, m, q = w.struct_amdsmi_power_info_t, w.struct_amdsmi_gpu_metrics_t, w.struct_amdsmi_proc_info_t
import ctypes
print("#define LAYOUT_POWER_SIZE", ctypes.sizeof(p))
print("#define LAYOUT_POWER_CURRENT", p.current_socket_power.offset)
print("#define LAYOUT_POWER_AVERAGE", p.average_socket_power.offset)
print("#define LAYOUT_METRICS_SIZE", ctypes.sizeof(m))
print("#define LAYOUT_METRICS_THROTTLE", m.indep_throttle_status.offset)
print("#define LAYOUT_PROCESS_SIZE", ctypes.sizeof(q))
print("#define LAYOUT_PROCESS_PID", q.pid.offset)
vram = w.struct_memory_usage_.vram_mem.offset
print("#define LAYOUT_PROCESS_VRAM", q.memory_usage.offset + vram)
"""


def wrapper() -> Path:
    """The installed package's table of the library's functions."""
    spec = find_spec("amdsmi")
    if spec is None or spec.origin is None:
        pytest.fail("the Python package amdsmi is missing: pip install -r requirements/dev.txt")
    return Path(spec.origin).with_name("amdsmi_wrapper.py")


def build_library(folder: Path) -> Path:
    """``libamd_smi.so`` in ``folder``: first one of stubs, from which the package tells where its
    fields lie, then the one that plays."""
    folder.mkdir(parents=True, exist_ok=True)
    exported = sorted(
        set(re.findall(r"_libraries\['libamd_smi\.so'\]\.(\w+)", wrapper().read_text()))
    )
    library = folder / "libamd_smi.so"
    stubs = [f"int {name}(void) {{ return 2; }}" for name in exported]
    _compile(folder, "\n".join(stubs), library)
    made = subprocess.run(
        [sys.executable, "-c", LAYOUT],
        env=os.environ | {"LD_LIBRARY_PATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    (folder / "played_amd_layout.h").write_text(made.stdout)
    text = SOURCE.read_text()
    played = set(re.findall(r"^int (amdsmi_\w+)\(", text, re.MULTILINE))
    assert played <= set(exported), "the package has no such function"
    rest = [s for s, name in zip(stubs, exported, strict=True) if name not in played]
    _compile(folder, text.replace("\nSTUBS\n", "\n" + "\n".join(rest) + "\n"), library)
    return library


def _compile(folder: Path, text: str, library: Path) -> None:
    source = folder / "made.c"
    source.write_text(text)
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
    soname = "-Wl,-soname,libamd_smi.so"
    aside = library.with_suffix(".new")
    command = ["gcc", *flags, soname, f"-I{folder}", str(source), "-lm", "-o", str(aside)]
    subprocess.run(command, check=True, timeout=60)
    aside.replace(library)


def preload(library: Path) -> None:
    """Make this process's ``dlopen("libamd_smi.so")`` find the played one, by its soname."""
    ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


def environment(library: Path, config: Path) -> dict[str, str]:
    """What a process needs to meet the played library."""
    return {"LD_LIBRARY_PATH": str(library.parent), "LEM_PLAYED_AMD": str(config)}


@dataclass(frozen=True)
class Play:
    """A square wave of power from ``t0_ns`` on: ``high_w`` for ``duty`` of each period. ``options``
    are the faults and properties that played_amd.c knows, by name."""

    low_w: float = 100.0
    high_w: float = 100.0
    period_s: float = 1.0
    duty: float = 0.5
    options: dict[str, float] = field(default_factory=dict)
    t0_ns: int = field(default_factory=time.monotonic_ns)

    def write(self, path: Path) -> Path:
        own = {k: getattr(self, k) for k in ("t0_ns", "low_w", "high_w", "period_s", "duty")}
        aside = path.with_suffix(".new")
        aside.write_text("".join(f"{k} {v!r}\n" for k, v in {**own, **self.options}.items()))
        aside.replace(path)
        return path

    def energy_j(self, start_ns: int, end_ns: int, device: int = 0) -> float:
        """The true energy of a board between two moments."""
        scale = 1 + device * self.options.get("device_step", 0.0)
        return scale * (self._until(end_ns) - self._until(start_ns))

    def _until(self, t_ns: int) -> float:
        whole, rest = divmod((t_ns - self.t0_ns) / 1e9, self.period_s)
        high_s = min(rest, self.duty * self.period_s)
        mean_w = self.duty * self.high_w + (1 - self.duty) * self.low_w
        return (
            whole * self.period_s * mean_w
            + high_s * self.high_w
            + math.fsum((rest, -high_s)) * self.low_w
        )
