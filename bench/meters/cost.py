"""What measuring costs: time to a first reading, memory, processor time, size on disk.

    python -m bench.meters.cost PEERS_PYTHON OUT.csv

Each tool in fresh processes, on the same played board; medians of seven. Processor time while
measuring is what 20 s more of it cost, so starting and stopping are left out.
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.meters import played

ROUNDS = 7
SHORT_S, LONG_S = 1, 21

FIRST = {
    "lem (`import lem.meters.nvml`, first reading)": (
        "from lem.meters.nvml import Nvml\nfrom lem.meters.protocol import MeterSettings\n"
        "m = Nvml(); m.open(MeterSettings()); m.read('full'); m.close()\n"
    ),
    "Zeus (`ZeusMonitor`, first window)": (
        "from zeus.monitor import ZeusMonitor\nm = ZeusMonitor(gpu_indices=[0], cpu_indices=[])\n"
        "m.begin_window('a', sync_execution=False); m.end_window('a', sync_execution=False)\n"
    ),
    "CodeCarbon (`OfflineEmissionsTracker`, start and stop)": (
        "from codecarbon import OfflineEmissionsTracker as T\n"
        "t = T(country_iso_code='DEU', gpu_ids=[0], save_to_file=False, log_level='critical')\n"
        "t.start(); t.stop()\n"
    ),
    "LLenergyMeasure (nvml sampler, start and stop)": (
        "from llenergymeasure.energy import select_energy_sampler\n"
        "s = select_energy_sampler('nvml', gpu_indices=[0]); s.stop_tracking(s.start_tracking())\n"
    ),
    "AIPerf's collector (one scrape)": (
        "import asyncio\n"
        "from aiperf.gpu_telemetry.pynvml_collector import PyNVMLTelemetryCollector\n"
        "async def f():\n    c = PyNVMLTelemetryCollector()\n    await c.initialize()\n"
        "    await c.collect_and_process_metrics()\n    await c.stop()\n"
        "asyncio.run(f())\n"
    ),
}

LONG = {
    "lem (`import lem.meters.nvml`, first reading)": (
        "import time, lem\nwith lem.meter(['nvml']) as m:\n    time.sleep({s})\n"
    ),
    "Zeus (`ZeusMonitor`, first window)": (
        "import time\nfrom zeus.monitor import ZeusMonitor\n"
        "m = ZeusMonitor(gpu_indices=[0], cpu_indices=[])\n"
        "m.begin_window('a', sync_execution=False); time.sleep({s}); "
        "m.end_window('a', sync_execution=False)\n"
    ),
    "CodeCarbon (`OfflineEmissionsTracker`, start and stop)": (
        "import time\nfrom codecarbon import OfflineEmissionsTracker as T\n"
        "t = T(country_iso_code='DEU', gpu_ids=[0], save_to_file=False, log_level='critical')\n"
        "t.start(); time.sleep({s}); t.stop()\n"
    ),
    "LLenergyMeasure (nvml sampler, start and stop)": (
        "import time\nfrom llenergymeasure.energy import select_energy_sampler\n"
        "s = select_energy_sampler('nvml', gpu_indices=[0])\n"
        "t = s.start_tracking(); time.sleep({s}); s.stop_tracking(t)\n"
    ),
    "AIPerf's collector (one scrape)": (
        "import asyncio\n"
        "from aiperf.gpu_telemetry.pynvml_collector import PyNVMLTelemetryCollector\n"
        "async def f():\n    c = PyNVMLTelemetryCollector()\n    await c.initialize()\n"
        "    await c.start(); await asyncio.sleep({s}); await c.stop()\n"
        "asyncio.run(f())\n"
    ),
}

PACKAGES = {"lem": "lem-energy", "Zeus": "zeus", "CodeCarbon": "codecarbon"} | {
    "LLenergyMeasure": "llenergymeasure",
    "AIPerf's": "aiperf",
}

CLOSURE = """
import re, sys
from importlib.metadata import distribution, PackageNotFoundError
from packaging.requirements import Requirement
seen, wanted = {}, [sys.argv[1]]
while wanted:
    name = wanted.pop()
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in seen: continue
    try: d = distribution(name)
    except PackageNotFoundError: continue
    files = [d.locate_file(f) for f in d.files or [] if f.suffix != ".pyc"]
    seen[key] = sum(f.stat().st_size for f in files if f.is_file())
    for r in map(Requirement, d.requires or []):
        if r.marker is None or r.marker.evaluate({"extra": ""}): wanted.append(r.name)
print(sum(seen.values()), len(seen))
"""

PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20


class Cost(NamedTuple):
    wall_s: float
    cpu_s: float
    """Of the process and of the children it has waited for."""
    peak_mib: float
    """Of the largest of these processes."""


def run(python: str, code: str, environment: dict[str, str]) -> Cost:
    before = time.monotonic()
    process = subprocess.Popen([python, "-c", code], env=environment, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.monotonic() - before
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode} from: {code}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def main(arguments: Sequence[str]) -> int:
    peers_python, out = arguments
    with tempfile.TemporaryDirectory(prefix="lem-meter-cost-") as name:
        folder = Path(name)
        library = played.build_library(folder)
        config = played.Play(options={"power_noise_w": 2, "fields": 3}).write(folder / "play.txt")
        smi = folder / "nvidia-smi"
        smi.write_text("#!/bin/sh\nexit 0\n")
        smi.chmod(0o755)
        environment = os.environ | played.environment(library, config)
        environment |= {
            "HOME": name,
            "XDG_CACHE_HOME": name,
            "PATH": f"{name}:{os.environ['PATH']}",
        }
        environment |= {"PYTHONPATH": str(Path(__file__).parents[2])}
        lines = []
        for tool, code in FIRST.items():
            python = sys.executable if tool.startswith("lem") else peers_python
            lines.append([tool, *_figures(python, tool, code, environment)])
            print(lines[-1], file=sys.stderr, flush=True)
    with Path(out).open("w", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(
            [
                "Tool",
                "start to first reading, whole process",
                "of it beyond an empty Python",
                "processor time while measuring",
                "memory",
                "installed with what it needs",
            ]
        )
        writer.writerows(lines)
    return 0


def _figures(python: str, tool: str, code: str, environment: dict[str, str]) -> list[str]:
    run(python, code, environment)  # compiles what is not compiled yet
    first, empty = [], []
    for _ in range(ROUNDS):
        first.append(run(python, code, environment))
        empty.append(run(python, "pass", environment))
    short = median(run(python, LONG[tool].format(s=SHORT_S), environment).cpu_s for _ in range(3))
    runs = [run(python, LONG[tool].format(s=LONG_S), environment) for _ in range(3)]
    long = median(c.cpu_s for c in runs)
    busy = (long - short) / (LONG_S - SHORT_S)
    package = PACKAGES[tool.split(" ")[0]]
    done = subprocess.run(
        [python, "-c", CLOSURE, package], check=True, capture_output=True, text=True
    )
    size, count = map(int, done.stdout.split())
    wall = [c.wall_s for c in first]
    beyond = [a.wall_s - b.wall_s for a, b in zip(first, empty, strict=True)]
    return [
        f"{1e3 * median(wall):.0f} ms",
        f"{1e3 * median(beyond):.0f} ms",
        f"{100 * max(0.0, busy):.2f} %",
        f"{max(c.peak_mib for c in runs):.0f} MiB",
        f"{size / 1e6:.0f} MB, {count} packages",
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
