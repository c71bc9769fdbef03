"""CPU packages, memory and platform through the kernel's powercap tree (RAPL).

Packages are class ``cpu``, memory is ``dram``, the platform domain (psys) is ``node`` and stands
beside them, not on top: it contains them. Core and uncore are parts of a package and are not read.
"""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lem.errors import MeterUnavailable
from lem.meters import series
from lem.meters.protocol import Device, MeterSettings, Pace, Sample

if TYPE_CHECKING:
    from lem.contract.record import EnergyReading, MeterInfo
    from lem.meters.counter import Point

UPDATE_S = 0.001
"""The counters are brought up to date about every millisecond (Intel SDM vol. 3B, 15.10)."""

GAIN = {"cpu": 0.025, "dram": 0.10, "node": 0.05}
"""Standard uncertainty by class: a judgement, no maker states one. Haswell server packages measure
current; memory is modelled on many machines and follows the truth with an offset that differs by
machine (Desrochers, Paradis, Weaver, MEMSYS 2016, doi 10.1145/2989081.2989088)."""

MOST_POWER_W = 2000.0
"""More than any single domain draws: bounds how fast a counter can wrap."""

RANGE_PERIOD_S = 1.0

FIX = (
    "sudo chmod a+r /sys/class/powercap/intel-rapl*/energy_uj (until the next boot; "
    "docs/meters.md has the lasting rule for a group)"
)


class Domain(NamedTuple):
    device: str
    device_class: str
    file: Path
    range_uj: int


class Rapl:
    name = "rapl"

    def __init__(self) -> None:
        self._domains: list[Domain] = []
        self._next_range_ns = 0

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
                what[d.device_class],
                UPDATE_S,
            )
            for d in found
        ]

    def read(self, pace: Pace = "full") -> list[Sample]:
        if pace == "edge":
            return []
        samples = []
        for d in self._domains:
            before_ns = time.monotonic_ns()
            value = _number(d.file)
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
        from lem.meters import counter

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
        if around and all(a.value == b.value for a, b in around) and _long(start_ns, end_ns):
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

    Top-level zones of the ``intel-rapl`` control type (AMD's too) and their memory. The same
    package's ``intel-rapl-mmio`` zone is another view of the same energy. A class of which one
    domain cannot be read is left out whole: its sum would have a hole.
    """
    found: list[Domain] = []
    incomplete: set[str] = set()
    refused: Path | None = None
    try:
        zones = sorted(z for z in root.iterdir() if z.name.startswith("intel-rapl:"))
    except OSError:
        return [], None
    names: dict[str, str] = {}
    for zone in zones:
        names[zone.name] = _text(zone / "name")
    for zone in zones:
        name = names[zone.name]
        _, *numbers = zone.name.split(":")
        parent = names.get(f"intel-rapl:{numbers[0]}", "")
        if name.startswith("package-") and len(numbers) == 1:
            device, device_class = name, "cpu"
        elif name == "psys" and len(numbers) == 1:
            device, device_class = name, "node"
        elif name == "dram":
            device, device_class = f"dram-{parent.removeprefix('package-') or numbers[0]}", "dram"
        else:
            continue
        if any(d.device == device for d in found) or not _plain(device):
            continue
        file = zone / "energy_uj"
        range_uj = _number(zone / "max_energy_range_uj")
        if _number(file) is None:
            if _denied(file):
                refused = file
            incomplete.add(device_class)
        elif range_uj:
            found.append(Domain(device, device_class, file, range_uj))
        else:
            incomplete.add(device_class)
    return [d for d in found if d.device_class not in incomplete], refused


def _plain(name: str) -> bool:
    return len(name) <= 64 and all(c.isascii() and (c.isalnum() or c in "-_.") for c in name)


def _fell_back(a: Point, b: Point, span_j: float) -> bool:
    """A smaller value is a wrap only if getting there over the top needs a possible power."""
    gained_j = span_j - a.value + b.value
    return gained_j > MOST_POWER_W * (b.t_ns - a.t_ns + b.half_ns + a.half_ns) / 1e9


def _long(start_ns: int, end_ns: int) -> bool:
    return end_ns - start_ns > 500_000_000


def _text(file: Path) -> str:
    try:
        return file.read_text("ascii", "replace")[:64].strip()
    except OSError:
        return ""


def _number(file: Path) -> int | None:
    try:
        handle = os.open(file, os.O_RDONLY)  # a third of the cost of a file object
        try:
            value = int(os.read(handle, 32))
        finally:
            os.close(handle)
    except (OSError, ValueError):
        return None
    return value if 0 <= value < 2**63 else None


def _denied(file: Path) -> bool:
    try:
        file.open("rb").close()
    except PermissionError:
        return True
    except OSError:
        return False
    return False


plugin = Rapl
