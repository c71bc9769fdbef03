"""Zeus: one monitor, a window around each piece of work (https://ml.energy/zeus/measure/)."""

import warnings
from pathlib import Path
from typing import Any

import work


def measure(trial: dict[str, Any], do: work.Work) -> tuple[float, None, list[str]]:
    key = "rapl" if "rapl" in trial else "nvml"
    if key not in monitors:
        monitors[key] = monitor_of(trial)
    monitor = monitors[key]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        monitor.begin_window("work", sync_execution=False)
        do()
        result = monitor.end_window("work", sync_execution=False)
    energy = result.cpu_energy[0] if key == "rapl" else result.gpu_energy[0]
    return energy, None, [str(w.message)[:80] for w in said]


def monitor_of(trial: dict[str, Any]) -> Any:
    from zeus.device.cpu import rapl
    from zeus.monitor import ZeusMonitor

    if "rapl" in trial:
        # The one place it looks at; the files below it are played, nothing else is changed.
        rapl.RAPL_DIR = str(Path(trial["rapl"]))
        return ZeusMonitor(gpu_indices=[], cpu_indices=[0])
    return ZeusMonitor(gpu_indices=[0], cpu_indices=[])


if __name__ == "__main__":
    monitors: dict[str, Any] = {}
    work.serve(measure, name="Zeus", version=work.version("zeus"))
