"""How much of what a meter read may be other programs' work. Pure but for :func:`busy_ns`.

RAPL, node and wall meters see the whole machine. The kernel counts the time that its processors
were busy (``/proc/stat``, also inside a container the host's); what is left of it without the run's
processes and the sampler is others'. That time alone says little: on a machine of many cores whose
run keeps one of them busy, the system's own services may be a third of all busy time and yet a
hundredth of the energy. So it is turned into energy, by the smaller of two estimates:

- in proportion: the reading × others' part of the busy time, as if nothing were drawn at rest;
- per core: others' busy time × ``MOST_CORE_W``, more than one more busy core adds.

Above ``SHARED`` of the reading it is flagged, above ``FOREIGN`` it is no figure of this run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lem.meters.energy import counter, series
from lem.meters.protocol import Sample

CLASSES = ("cpu", "dram", "node", "module")
"""Device classes whose energy other programs' CPU work adds to."""

SHARED = 0.05
FOREIGN = 0.20

MOST_CORE_W = 25.0
"""What one more busy core adds to a package at most, with the clocks and the caches that it keeps
awake: a judgement, made on the large side (server packages draw 100 to 400 W with dozens of cores
busy; a desktop core alone at its highest clock 20 to 30 W)."""

_FIELDS = (0, 1, 2, 5, 6)
"""user, nice, system, irq, softirq of ``/proc/stat`` (proc(5)); guest time is within user, waiting
for input is idle, stolen time is another machine's."""


class Load(NamedTuple):
    """CPU seconds between two moments."""

    busy_s: float
    foreign_s: float


def busy_ns(proc_root: Path, ticks_per_s: int) -> int | None:
    """Busy time of all processors since boot; None where ``/proc/stat`` cannot be understood."""
    try:
        with (proc_root / "stat").open("rb") as f:
            words = f.readline(512).split()
        if words[0] != b"cpu":
            return None
        return sum(int(words[1 + i]) for i in _FIELDS) * (10**9 // ticks_per_s)
    except (OSError, ValueError, IndexError):
        return None


def load(
    own: Sequence[Sample], sampler: Sequence[Sample], start_ns: int, end_ns: int, reach_ns: int
) -> Load | None:
    """Busy time and others' part of it. ``own``: the estimate meter's samples, with those of the
    process that sends the load where that is not one of the run's; ``sampler``: the sampler's own
    CPU time. None where the trace does not reach, or a count fell."""
    moved = []
    wanted = [(own, "host_busy_ns"), (own, "cpu_time_ns"), (sampler, "cpu_time_ns")]
    if any(s.quantity == "driver_cpu_ns" for s in own):
        wanted.append((own, "driver_cpu_ns"))
    for samples, quantity in wanted:
        points = series.steady_points(samples, quantity, 1e-9)
        if counter.falls(points, start_ns, end_ns):
            return None
        found = counter.between(points, start_ns, end_ns, reach_ns)
        if found is None:
            return None
        moved.append(found.amount)
    busy_s, *known_s = moved
    return Load(busy_s, max(0.0, busy_s - sum(known_s)))


def share(load: Load, energy_j: float) -> float:
    """About what part of an energy others' CPU work may have drawn, 0 to 1. Too little where a busy
    core of theirs costs more than one of the run's does."""
    if load.busy_s <= 0 or load.foreign_s <= 0:
        return 0.0
    proportion = min(1.0, load.foreign_s / load.busy_s)
    if energy_j <= 0:
        return proportion
    return min(proportion, load.foreign_s * MOST_CORE_W / energy_j)


def flags(part: float) -> list[str]:
    """What a share means."""
    if part > FOREIGN:
        return ["foreign_load"]
    return ["shared_device"] if part > SHARED else []
