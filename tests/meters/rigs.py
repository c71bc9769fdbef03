"""One rig for each meter: something to measure, whose true energy is known."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lem.meters.protocol import MeterSettings
from tests.meters import played

RAPL_RANGE_UJ = 262_143_328_850


@dataclass
class Rig:
    """``truth_j(device, start, end)`` gives the energy and how far the rig itself may be off."""

    meter: str
    settings: MeterSettings
    devices: set[str]
    truth_j: Callable[[str, int, int], tuple[float, float]]
    work: Callable[[], None] = lambda: time.sleep(1.5)
    ticking: bool = False
    environment: dict[str, str] = field(default_factory=dict)
    uncounted: set[str] = field(default_factory=set)
    """Devices that are read and compared, and enter no figure."""
    flags: set[str] = field(default_factory=set)
    """What the readings of this rig may be flagged with."""


@contextmanager
def clockwork(
    update: Callable[[float], None], period_s: float, t0_ns: int
) -> Iterator[Callable[[], float]]:
    """Calls ``update`` with the seconds since ``t0_ns`` from a thread. Gives the longest time in
    seconds between two calls so far: a thread is no clock."""
    over = threading.Event()
    stalest_s = 0.0

    def run() -> None:
        nonlocal stalest_s
        last_ns = time.monotonic_ns()
        while not over.is_set():
            update((time.monotonic_ns() - t0_ns) / 1e9)
            now_ns = time.monotonic_ns()
            stalest_s = max(stalest_s, (now_ns - last_ns) / 1e9)
            last_ns = now_ns
            over.wait(period_s)

    update(0.0)
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield lambda: stalest_s
    finally:
        over.set()
        thread.join()


def put(file: Path, text: str) -> None:
    """Replace a file's contents in one write, as the kernel does."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT)
    os.write(handle, f"{text:<40}\n".encode())
    os.close(handle)


@contextmanager
def nvml(library: Path, folder: Path) -> Iterator[Rig]:
    """Two boards under a bursty load, ticking every 100 ms out of phase."""
    play = played.Play(
        segments=played.bursts(90.0, 410.0, period_s=0.73, duty=0.6, length_s=60),
        options={"devices": 2, "device_step": 0.25, "phase_ms": 37},
    )
    config = play.write(folder / "played.txt")
    yield Rig(
        "nvml",
        MeterSettings(),
        {"gpu0", "gpu1"},
        lambda device, a, b: (play.energy_j(a, b, int(device[3:])), 0.0),
        ticking=True,
        environment=played.environment(library, config),
    )


def powercap(root: Path, start_uj: dict[str, int] | None = None) -> Path:
    """A powercap tree as a two-domain server has it: package, core, memory, platform, and the
    same package again through MMIO. Zone → counter's start can be given."""
    zones = {
        "intel-rapl": None,
        "intel-rapl:0": ("package-0", RAPL_RANGE_UJ),
        "intel-rapl:0:0": ("core", RAPL_RANGE_UJ),
        "intel-rapl:0:1": ("dram", 65_712_999_613),
        "intel-rapl:1": ("psys", RAPL_RANGE_UJ),
        "intel-rapl-mmio:0": ("package-0", RAPL_RANGE_UJ),
    }
    for zone, contents in zones.items():
        folder = root / zone
        folder.mkdir(parents=True, exist_ok=True)
        if contents is not None:
            name, span_uj = contents
            (folder / "name").write_text(f"{name}\n")
            (folder / "max_energy_range_uj").write_text(f"{span_uj}\n")
            (folder / "energy_uj").write_text(f"{(start_uj or {}).get(zone, 1_000_000)}\n")
    return root


@contextmanager
def rapl(library: Path, folder: Path) -> Iterator[Rig]:
    """Counters brought up to date by a thread; the package's wraps after about a second."""
    zones = {
        "package-0": ("intel-rapl:0", 80.0),
        "core-0": ("intel-rapl:0:0", 55.0),
        "dram-0": ("intel-rapl:0:1", 12.0),
        "psys": ("intel-rapl:1", 150.0),
    }
    starts = {"intel-rapl:0": RAPL_RANGE_UJ - 80_000_000}
    root = powercap(folder / "powercap", starts)
    t0_ns = time.monotonic_ns()

    def update(t_s: float) -> None:
        for zone, power in zones.values():
            span_uj = int((root / zone / "max_energy_range_uj").read_text())
            value = starts.get(zone, 1_000_000) + int(power * t_s * 1e6)
            put(root / zone / "energy_uj", str(value % span_uj))

    with clockwork(update, 0.001, t0_ns) as stalest_s:

        def truth(device: str, start_ns: int, end_ns: int) -> tuple[float, float]:
            power = zones[device][1]
            return power * (end_ns - start_ns) / 1e9, 2 * power * stalest_s()

        settings = MeterSettings(powercap_root=root)
        yield Rig("rapl", settings, set(zones), truth, uncounted={"core-0"})


BURNER = """
import os, resource, subprocess, sys, time
def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end: pass
def used():
    own, kids = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + kids.ru_utime + kids.ru_stime
print(used(), flush=True)
for line in sys.stdin:
    burn(0.4)
    code = "import time\\nwhile time.process_time() < 0.3: pass"
    subprocess.run([sys.executable, "-c", code])
    print(used(), flush=True)
"""


@contextmanager
def estimate(library: Path, folder: Path) -> Iterator[Rig]:
    """A process that burns 0.4 s, and has a child burn 0.3 s, each time it is asked; the truth is
    the kernel's own account to it (getrusage)."""
    burner = subprocess.Popen(
        [sys.executable, "-c", BURNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert burner.stdin is not None and burner.stdout is not None
    used = [float(burner.stdout.readline())]

    def work() -> None:
        assert burner.stdin is not None and burner.stdout is not None
        burner.stdin.write("go\n")
        burner.stdin.flush()
        used.append(float(burner.stdout.readline()))

    watts = 7.5
    try:
        yield Rig(
            "estimate",
            MeterSettings(process=burner.pid, watts_per_busy_core=watts),
            {"processes"},
            # Between two readings of /proc: a clock tick for each of the two processes, and what
            # the burner does to answer.
            lambda device, a, b: ((used[-1] - used[-2]) * watts, 0.04 * watts),
            work,
        )
    finally:
        burner.stdin.close()
        burner.wait(10)
        burner.stdout.close()


RIGS: dict[str, Callable[[Path, Path], AbstractContextManager[Rig]]] = {
    "nvml": nvml,
    "rapl": rapl,
    "estimate": estimate,
}
