"""What reading a meter costs: the first reading of a process, and the sampler while it runs.

Driven by the played NVML of the tests (needs gcc), beside the same with nvidia-ml-py alone.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Line, in_turn, median_ms

ROUNDS = 15
SECONDS = 20
WAKING = "import time\nwhile True: time.sleep(0.1)"
FIRST = (
    "import lem.meters.nvml as n; from lem.meters.protocol import MeterSettings; m = n.Nvml();"
    "m.open(MeterSettings()); assert m.read('edge')"
)
BARE = (
    "import pynvml as n; n.nvmlInit(); h = n.nvmlDeviceGetHandleByIndex(0);"
    "n.nvmlDeviceGetTotalEnergyConsumption(h)"
)


def lines(folder: Path) -> Iterator[Line]:
    if shutil.which("gcc") is None:
        yield Line("meters", "not measured: the played NVML needs gcc")
        return
    from tests.meters import played

    library = played.build_library(folder)
    config = played.Play([(played.NEVER, 90.0, 90.0)]).write(folder / "played.txt")
    variables = {**os.environ, **played.environment(library, config), "LEM_CACHE": str(folder)}

    def timed(code: str) -> None:
        subprocess.run([sys.executable, "-c", code], env=variables, check=True)

    names = {"lem": FIRST, "nvidia-ml-py alone": BARE, "nothing": "pass"}
    actions = {name: (lambda code=code: timed(code)) for name, code in names.items()}
    for action in actions.values():
        action()
    taken = in_turn(actions, ROUNDS)
    beyond = {
        name: [a - b for a, b in zip(taken[name], taken["nothing"], strict=True)] for name in names
    }
    yield Line(
        "import lem.meters.nvml, open, first reading",
        median_ms(beyond["lem"]),
        f"nvidia-ml-py alone: {median_ms(beyond['nvidia-ml-py alone'])}; both beyond Python alone",
        "≤ 100 ms",
    )
    os.environ.update(variables)
    yield Line(
        "a Python process that wakes up 10 times a second and does nothing",
        f"{100 * _waking():.2f} % of a core",
        "what the lines below contain at least, on this machine",
    )
    for interval_s in (0.1, 0.05):
        yield _sampler(folder, ["nvml"], interval_s)
    yield _sampler(folder, ["estimate"], 0.1)


def _waking() -> float:
    process = subprocess.Popen([sys.executable, "-S", "-c", WAKING])
    try:
        time.sleep(1)
        return _busy(process.pid)
    finally:
        process.kill()
        process.wait()


def _sampler(folder: Path, meters: list[str], interval_s: float) -> Line:
    from lem.meters.protocol import MeterSettings
    from lem.meters.sampler import Sampler

    with Sampler(meters, MeterSettings(), folder / "trace.csv.gz", interval_s) as sampler:
        assert sampler._process is not None
        pid = sampler._process.pid
        time.sleep(3)  # its counter's period is learned meanwhile
        busy = _busy(pid)
        status = Path(f"/proc/{pid}/status").read_text()
    memory = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return Line(
        f"the sampler, {'+'.join(meters)} at {1 / interval_s:g} Hz",
        f"{100 * busy:.2f} % of a core, {int(memory) / 1024:.1f} MiB",
        "",
        "≤ 0.1 % at 10 Hz, ≤ 20 MB",
    )


def _busy(pid: int) -> float:
    """How much of one core a process takes."""
    start, cpu = time.perf_counter(), _cpu_s(pid)
    time.sleep(SECONDS)
    return (_cpu_s(pid) - cpu) / (time.perf_counter() - start)


def _cpu_s(pid: int) -> float:
    """CPU time to the nanosecond (the scheduler's own account)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
