"""CPU time of the run's processes, and energy modelled from it where nothing measures.

CPU time is read from the run's own control group where it has one (a container whose first process
is the run), else by walking the run's process tree; never the whole host's. Energy is CPU time
times an assumed power of one busy core: an estimate, ±50 % (k = 2), that leaves out memory, GPU and
idle power. Ratios of it are ratios of CPU time.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lem.errors import MeterUnavailable
from lem.meters.energy import foreign, series
from lem.meters.process_tree import ProcessTree, cpu_clock_ns
from lem.meters.protocol import Device, MeterSettings, Pace, Sample

if TYPE_CHECKING:
    from lem.contract.record import EnergyReading, MeterInfo

RELATIVE_UNCERTAINTY = 0.5
"""Expanded (k = 2), of the watts per busy core: a judgement, not a calibration."""

READ_PERIOD_S = 1.0
"""Walking the process tree costs a fifth of a millisecond and more: once a second, and at edges."""

BUSY_PERIOD_S = 2.0
"""The kernel counts every interrupt for ``/proc/stat``: a millisecond on large machines."""

DEVICE = "processes"

REACH_NS = 1_500_000_000
"""How far beyond its last reading CPU time is carried on."""


class Estimate:
    name = "estimate"

    def __init__(self) -> None:
        self._tree: ProcessTree | None = None
        self._group: Path | None = None
        self._watts_per_core = 0.0
        self._proc_root = Path("/proc")
        self._driver: int | None = None
        self._next_ns = 0
        self._next_busy_ns = 0

    def open(self, settings: MeterSettings) -> list[Device]:
        """One device, the run's processes. Raises :class:`MeterUnavailable` where /proc has no
        such process."""
        root = os.getppid() if settings.process is None else settings.process
        real = settings.proc_root == Path("/proc")
        own_pid = os.getpid() if os.getpid() != root else None
        self._tree = ProcessTree(
            root,
            settings.proc_root,
            without=own_pid if real else None,
            ticks_per_s=os.sysconf("SC_CLK_TCK"),
            clock=cpu_clock_ns if real else None,
        )
        if self._tree.cpu_time_ns() is None:
            raise MeterUnavailable(
                f"process {root} has no CPU time under {settings.proc_root}",
                "mount /proc, or name a process that runs",
            )
        self._group = own_group(settings, root)
        self._watts_per_core = settings.watts_per_busy_core
        self._proc_root = settings.proc_root
        self._driver = settings.driver
        source = "control group" if self._group else "process tree"
        return [
            Device(
                self.name,
                DEVICE,
                "estimated",
                "cpu_time_ns",
                "ns",
                f"CPU time of the run's {source}; energy assumes "
                f"{settings.watts_per_busy_core:g} W per busy core",
                1e-6 if self._group else 1e-3,
                relative_uncertainty=RELATIVE_UNCERTAINTY,
            )
        ]

    def read(self, pace: Pace = "full") -> list[Sample]:
        if pace == "edge" or self._tree is None:
            return []
        before_ns = time.monotonic_ns()
        if pace == "steady" and before_ns < self._next_ns:
            return []
        self._next_ns = before_ns + int(READ_PERIOD_S * 1e9)
        used_ns = self._used_ns()
        busy_ns = self._busy_ns(pace, before_ns)
        after_ns = time.monotonic_ns()
        if used_ns is None:
            return []
        samples = [
            *series.timed(self.name, DEVICE, "cpu_time_ns", used_ns, before_ns, after_ns),
            Sample(after_ns, self.name, DEVICE, "watts_per_core", self._watts_per_core),
        ]
        if busy_ns is not None:
            samples.append(Sample(after_ns, self.name, DEVICE, "host_busy_ns", busy_ns))
        if self._driver is not None and (driver_ns := cpu_clock_ns(self._driver)) is not None:
            driver = series.timed(
                self.name, DEVICE, "driver_cpu_ns", driver_ns, before_ns, after_ns
            )
            samples += driver
        return samples

    def _busy_ns(self, pace: Pace, now_ns: int) -> int | None:
        if pace == "steady" and now_ns < self._next_busy_ns:
            return None
        self._next_busy_ns = now_ns + int(BUSY_PERIOD_S * 1e9)
        return foreign.busy_ns(self._proc_root, os.sysconf("SC_CLK_TCK"))

    def _used_ns(self) -> int | None:
        if self._group is not None:
            used_ns = group_cpu_time_ns(self._group)
            # The sampler is in the same group; it is not part of the run.
            return None if used_ns is None else used_ns - time.process_time_ns()
        return self._tree.cpu_time_ns() if self._tree else None

    def energy(
        self, info: MeterInfo, samples: list[Sample], start_ns: int, end_ns: int
    ) -> EnergyReading:
        """CPU time between the two moments × watts per busy core, flagged ``estimated``."""
        from lem.meters.energy import counter

        period_ns = int(READ_PERIOD_S * 1e9)
        gaps = series.gap_flags(samples, "cpu_time_ns", start_ns, end_ns, period_ns)
        flags = ["estimated", *gaps]
        watts = series.last_value(samples, "watts_per_core", end_ns)
        points = series.steady_points(samples, "cpu_time_ns", 1e-9)
        if counter.falls(points, start_ns, end_ns):
            return counter.untrusted(info, [*flags, "counter_backwards"])
        used = counter.between(points, start_ns, end_ns, reach_ns=REACH_NS)
        if used is None or watts is None:
            return counter.untrusted(info, [*flags, "no_coverage"])
        energy_j = used.amount * watts
        budget = {
            "model": energy_j * RELATIVE_UNCERTAINTY / 2,
            "sampling": used.uncertainty * watts,
        }
        return counter.reading(info, energy_j, budget, flags)

    def close(self) -> None:
        self._tree = None


def own_group(settings: MeterSettings, root: int) -> Path | None:
    """The file with the run's own control group's CPU time, or None where there is no such group.

    A run that the process launcher starts shares its group with the user's shell, so the group
    counts only where the run is all there is: its root is process 1 of a container, and the group
    is not the host's topmost (version 1: no ``release_agent``; version 2: a ``cgroup.type``).
    """
    if root != 1:
        return None
    top = settings.cgroup_root
    if (top / "cpu.stat").is_file() and (top / "cgroup.type").exists():
        file = top / "cpu.stat"
    elif (top / "cpuacct/cpuacct.usage").is_file() and not (top / "cpuacct/release_agent").exists():
        file = top / "cpuacct/cpuacct.usage"
    else:
        return None
    return file if group_cpu_time_ns(file) is not None else None


def group_cpu_time_ns(file: Path) -> int | None:
    """CPU time of a control group since it was made; None where the file cannot be understood."""
    try:
        text = file.read_text("ascii", "replace")[:4096]
        if file.name == "cpuacct.usage":
            return int(text)
        fields = dict(line.split(" ", 1) for line in text.splitlines())
        return int(fields["usage_usec"]) * 1000
    except (OSError, ValueError, KeyError):
        return None


plugin = Estimate
