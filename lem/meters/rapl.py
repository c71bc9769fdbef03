"""CPU packages, memory and platform through the kernel's powercap tree (RAPL).

Packages are class ``cpu``, memory is ``dram``, the platform domain (psys) is ``node`` and stands
beside them, not on top: it contains them. Core and uncore are parts of a package: they are read and
shown (class ``sensor``), compared with their package, and enter no figure.
"""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lem.errors import MeterUnavailable
from lem.meters import sysfs
from lem.meters.energy import series
from lem.meters.protocol import Device, MeterSettings, Pace, Sample

if TYPE_CHECKING:
    from lem.contract.record import EnergyReading, MeterInfo
    from lem.meters.energy.counter import Point

UPDATE_S = 0.001
"""The counters are brought up to date about every millisecond (Intel SDM vol. 3B, 15.10)."""

GAIN = {"cpu": 0.025, "dram": 0.10, "node": 0.05, "sensor": 0.05}
"""Standard uncertainty by class: a judgement, no maker states one. Haswell server packages measure
current; memory is modelled on many machines and follows the truth with an offset that differs by
machine (Desrochers, Paradis, Weaver, MEMSYS 2016, doi 10.1145/2989081.2989088)."""

MOST_POWER_W = 2000.0
"""More than any single domain draws: bounds how fast a counter can wrap."""

STILL_NS = 500_000_000
STILL_READS = 3
"""A domain draws something all the time, so a counter that was read this often and did not move for
longer than this, in a window or across one of its edges, has stopped: what it missed is gone."""

RANGE_PERIOD_S = 1.0

CONTROL_TYPES = ("intel-rapl:", "intel-rapl-mmio:")

PART_PERIOD_S = 1.0
"""Cores and uncore are for comparison only: read this often, and at every edge."""

FIX = (
    "sudo chmod a+r /sys/class/powercap/intel-rapl*/energy_uj (until the next boot). For a group "
    'alone: sudo groupadd -f energy && sudo usermod -aG energy "$USER" && sudo sh -c '
    "'chgrp energy /sys/class/powercap/intel-rapl*/energy_uj && "
    "chmod g+r /sys/class/powercap/intel-rapl*/energy_uj', then log in again; "
    "docs/meters.md has the udev rule that keeps it"
)


class Domain(NamedTuple):
    device: str
    device_class: str
    file: Path
    range_uj: int
    part_of: str | None = None


class Rapl:
    name = "rapl"

    def __init__(self) -> None:
        self._domains: list[Domain] = []
        self._next_range_ns = 0
        self._next_part_ns = 0

    def open(self, settings: MeterSettings) -> list[Device]:
        """The readable domains. Raises :class:`MeterUnavailable`, with the exact fix where only
        permission is missing."""
        root = settings.powercap_root
        found, refused = _domains(root)
        if not found:
            if refused:
                raise MeterUnavailable(f"{refused} may be read by root only", FIX)
            raise MeterUnavailable(
                f"no RAPL domain under {root}",
                "load the module with `sudo modprobe intel_rapl_msr`; virtual machines have none",
            )
        self._domains = found
        what = {
            "cpu": "CPU package (cores, caches, memory controller)",
            "dram": "memory of that package",
            "node": "whole platform; contains the other domains",
        }
        return [
            Device(
                self.name,
                d.device,
                d.device_class,
                "energy_uj",
                "uJ",
                f"part of {d.part_of}" if d.part_of else what[d.device_class],
                UPDATE_S,
                relative_uncertainty=2 * GAIN[d.device_class],
                part_of=d.part_of,
            )
            for d in found
        ]

    def read(self, pace: Pace = "full") -> list[Sample]:
        if pace == "edge":
            return []
        samples = []
        began_ns = time.monotonic_ns()
        parts = pace == "full" or began_ns >= self._next_part_ns
        if parts:
            self._next_part_ns = began_ns + int(PART_PERIOD_S * 1e9)
        for d in self._domains:
            if d.part_of and not parts:
                continue
            before_ns = time.monotonic_ns()
            value = sysfs.number(d.file)
            after_ns = time.monotonic_ns()
            if value is None or value > d.range_uj:
                samples.append(Sample(after_ns, self.name, d.device, "read_error", 1))
            else:
                samples += series.timed(
                    self.name, d.device, "energy_uj", value, before_ns, after_ns
                )
        now_ns = time.monotonic_ns()
        if pace == "full" or now_ns >= self._next_range_ns:
            self._next_range_ns = now_ns + int(RANGE_PERIOD_S * 1e9)
            samples += [
                Sample(now_ns, self.name, d.device, "max_energy_range_uj", d.range_uj)
                for d in self._domains
            ]
        return samples

    def energy(
        self, info: MeterInfo, samples: list[Sample], start_ns: int, end_ns: int
    ) -> EnergyReading:
        """Difference of the counter, going on over wraps where there can have been only one."""
        from lem.meters.energy import counter

        if series.within(samples, "read_error", start_ns, end_ns):
            return counter.untrusted(info, ["meter_lost"])
        flags = series.gap_flags(samples, "energy_uj", start_ns, end_ns)
        span_uj = series.last_value(samples, "max_energy_range_uj", end_ns)
        raw = series.steady_points(samples, "energy_uj", 1e-6, lag_ns=int(UPDATE_S * 1e9))
        if span_uj is None or span_uj <= 0 or len(raw) < 2:
            return counter.untrusted(info, [*flags, "no_coverage"])
        span_j = span_uj * 1e-6
        around = [(a, b) for a, b in pairwise(raw) if b.t_ns >= start_ns and a.t_ns <= end_ns]
        if any((b.t_ns - a.t_ns) / 1e9 * MOST_POWER_W >= span_j for a, b in around):
            return counter.untrusted(info, [*flags, "wrap_ambiguous"])
        if any(b.value < a.value and _fell_back(a, b, span_j) for a, b in around):
            return counter.untrusted(info, [*flags, "counter_backwards"])
        still_ns, reads = series.longest_still_ns(samples, "energy_uj", start_ns, end_ns)
        stopped = reads >= STILL_READS and still_ns > STILL_NS
        if stopped or (around and all(a.value == b.value for a, b in around)):
            return counter.untrusted(info, [*flags, "counter_frozen"])
        points = counter.unwrap(raw, span_j)
        if counter.steepest(points, start_ns, end_ns) > MOST_POWER_W:
            return counter.untrusted(info, [*flags, "counter_implausible"])
        usual_ns = series.period_ns([p.t_ns for p in points]) or 0
        moved = counter.between(points, start_ns, end_ns, reach_ns=2 * usual_ns)
        if moved is None:
            return counter.untrusted(info, [*flags, "no_coverage"])
        budget = {
            "tick": moved.tick,
            "sampling": moved.sampling,
            "gain": GAIN.get(info.device_class, max(GAIN.values())) * moved.amount,
            "offset": 0.0,
        }
        return counter.reading(info, moved.amount, budget, flags)

    def close(self) -> None:
        self._domains = []


def _domains(root: Path) -> tuple[list[Domain], Path | None]:
    """The domains that can be read, and a counter that may not be, if any.

    The same package's ``intel-rapl-mmio`` zone is another view of the same energy: it is used only
    where the ``intel-rapl`` control type (AMD's too) has no such domain. A class of which one
    domain cannot be read is left out whole: its sum would have a hole.
    """
    found: list[Domain] = []
    incomplete: set[str] = set()
    refused: Path | None = None
    try:
        zones = sorted(p.name for p in root.iterdir() if p.name.startswith(CONTROL_TYPES))
    except OSError:
        return [], None
    # By number, so that package 10 comes after package 2; the MMIO zones last.
    zones.sort(key=lambda z: (z.split(":")[0] != CONTROL_TYPES[0][:-1], _numbers(z)))
    names = {z: sysfs.text(root / z / "name") for z in zones}
    platforms = {names[z] for z in zones if names[z].startswith("psys")}
    for zone in zones:
        control, *numbers = zone.split(":")
        name, parent = names[zone], names.get(f"{control}:{numbers[0]}", "")
        placed = _placed(name, parent, len(numbers) == 1, len(platforms))
        if placed is None or any(d.device == placed[0] for d in found):
            continue
        device, device_class, part_of = placed
        if not _plain(device):
            continue
        file = root / zone / "energy_uj"
        range_uj = sysfs.number(root / zone / "max_energy_range_uj")
        if sysfs.number(file) is not None and range_uj:
            found.append(Domain(device, device_class, file, range_uj, part_of))
            continue
        if sysfs.denied(file):
            refused = file
        if part_of is None:
            incomplete.add(device_class)
    whole = {d.device for d in found if d.device_class not in incomplete}
    return [
        d
        for d in found
        if d.device in whole and (d.part_of in (None, "node") or d.part_of in whole)
    ], refused


def _placed(
    name: str, parent: str, top: bool, platforms: int
) -> tuple[str, str, str | None] | None:
    """Device, class and what it is part of, from a zone's name and its package's; None for what is
    not understood.

    Machines with several psys domains (one a socket) do not say which of them is the whole
    machine's, so there none of them counts.
    """
    if top and name.startswith("package-"):
        return name, "cpu", None
    if top and name.startswith("psys"):
        return (name, "node", None) if platforms == 1 else (name, "sensor", "node")
    package = parent.removeprefix("package-") if parent.startswith("package-") else None
    if name == "dram" and package is not None:
        return f"dram-{package}", "dram", None
    if name in ("core", "uncore") and package is not None:
        return f"{name}-{package}", "sensor", parent
    return None


def _numbers(zone: str) -> list[int]:
    return [int(n) if n.isdecimal() else 0 for n in zone.split(":")[1:]]


def _plain(name: str) -> bool:
    return len(name) <= 64 and all(c.isascii() and (c.isalnum() or c in "-_.") for c in name)


def _fell_back(a: Point, b: Point, span_j: float) -> bool:
    """A smaller value is a wrap only if getting there over the top needs a possible power."""
    gained_j = span_j - a.value + b.value
    return gained_j > MOST_POWER_W * (b.t_ns - a.t_ns + b.half_ns + a.half_ns) / 1e9


plugin = Rapl
