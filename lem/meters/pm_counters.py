"""Node, CPU, memory and accelerators of HPE Cray EX and XC machines, from sysfs.

``/sys/cray/pm_counters`` holds one line a file: value, unit, and a time stamp in µs of the node
controller's own clock. The controller brings them up to date ten times a second (``raw_scan_hz``)
and counts that in ``freshness``; ``generation`` changes with the power cap, ``startup`` when it was
started anew. Source: HPE Cray System Management documentation, "User Access to Compute Node Power
Data" (cray-hpe.github.io/docs-csm).
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lem.errors import MeterUnavailable
from lem.meters.energy import series, slow
from lem.meters.protocol import Device, MeterSettings, Pace, Sample

if TYPE_CHECKING:
    from lem.contract.record import EnergyReading, MeterInfo

SCAN_HZ = 10.0

QUANTUM_J = 1.0
"""Whole joules."""

GAIN = {"node": 0.025, "cpu": 0.05, "dram": 0.05, "gpu": 0.05}
"""Standard uncertainty by class: a judgement. The sensors sit before the last converters, so they
read more than a device's own sensor by those converters' losses (arXiv 2604.06056)."""

MOST_POWER_W = 50_000.0

_ACCELERATOR = re.compile(r"accel(\d{1,3})_energy")
_VALUE = re.compile(r"(\d{1,18})\s+J(?:\s+\d{1,20}\s+us)?", re.ASCII)
_STATE = ("freshness", "generation", "startup")


class PmCounters:
    name = "pm_counters"

    def __init__(self) -> None:
        self._root = Path()
        self._files: dict[str, Path] = {}

    def open(self, settings: MeterSettings) -> list[Device]:
        """Raises :class:`MeterUnavailable` where the kernel has no such folder."""
        self._root = settings.pm_counters_root
        try:
            names = sorted(p.name for p in self._root.iterdir())
        except OSError:
            names = []
        known = {"energy": "node", "cpu_energy": "cpu", "memory_energy": "dram"}
        known |= {n: "gpu" for n in names if _ACCELERATOR.fullmatch(n)}
        found = []
        for file, device_class in known.items():
            if file in names and _joules(self._root / file) is not None:
                device = "node" if file == "energy" else file.removesuffix("_energy")
                self._files[device] = self._root / file
                found.append((device, device_class))
        if not found:
            raise MeterUnavailable(
                f"no power-management counters under {self._root}",
                "they exist on HPE Cray machines only; in a container mount the folder read-only",
            )
        what = {
            "node": "the whole node; contains the other counters",
            "cpu": "CPU domain of the node",
            "dram": "memory domain of the node",
            "gpu": "accelerator module, before its converters",
        }
        period_s = 1 / self._scan_hz()
        return [
            Device(
                self.name,
                device,
                device_class,
                "energy_j",
                "J",
                what[device_class],
                period_s,
                relative_uncertainty=2 * GAIN[device_class],
            )
            for device, device_class in found
        ]

    def _scan_hz(self) -> float:
        found = _first_number(self._root / "raw_scan_hz")
        return float(found) if found is not None and 1 <= found <= 1000 else SCAN_HZ

    def read(self, pace: Pace = "full") -> list[Sample]:
        if pace == "edge":
            return []
        samples: list[Sample] = []
        state = [(name, _first_number(self._root / name)) for name in _STATE]
        state_ns = time.monotonic_ns()
        for device, file in self._files.items():
            before_ns = time.monotonic_ns()
            value = _joules(file)
            after_ns = time.monotonic_ns()
            if value is None:
                samples.append(Sample(after_ns, self.name, device, "read_error", 1))
            else:
                samples += series.timed(self.name, device, "energy_j", value, before_ns, after_ns)
            samples += [
                Sample(state_ns, self.name, device, name, number)
                for name, number in state
                if number is not None
            ]
        return samples

    def energy(
        self, info: MeterInfo, samples: list[Sample], start_ns: int, end_ns: int
    ) -> EnergyReading:
        """From the counter's steps, with its one-joule resolution and the age of a value."""
        from lem.meters.energy import counter

        if len(set(_around(samples, "startup", start_ns, end_ns))) > 1:
            return counter.untrusted(info, ["meter_lost"])
        still_ns, reads = series.longest_still_ns(samples, "freshness", start_ns, end_ns)
        if reads >= 5 and still_ns > max(slow.STILL_NS, int(5e9 / SCAN_HZ)):
            return counter.untrusted(info, ["counter_frozen"])
        generations = set(_around(samples, "generation", start_ns, end_ns))
        return slow.from_counter(
            info,
            samples,
            1.0,
            start_ns,
            end_ns,
            gain=GAIN.get(info.device_class, max(GAIN.values())),
            quantum_j=QUANTUM_J,
            lag_s=info.update_period_s or 1 / SCAN_HZ,
            most_w=MOST_POWER_W,
            flags=["power_limit_changed"] if len(generations) > 1 else [],
        )

    def close(self) -> None:
        self._files = {}


def _around(samples: list[Sample], quantity: str, start_ns: int, end_ns: int) -> list[float]:
    return series.within(samples, quantity, start_ns - 10**9, end_ns + 10**9)


def _text(file: Path) -> str | None:
    try:
        handle = os.open(file, os.O_RDONLY)
        try:
            return os.read(handle, 128).decode("ascii", "replace").strip()
        finally:
            os.close(handle)
    except OSError:
        return None


def _joules(file: Path) -> int | None:
    """The value of an energy file; None where it is not of the form "value J time us"."""
    found = _VALUE.fullmatch(_text(file) or "")
    return int(found[1]) if found else None


def _first_number(file: Path) -> int | None:
    word = ((_text(file) or "").split() or [""])[0]
    return int(word) if word.isascii() and word.isdecimal() and len(word) < 19 else None


plugin = PmCounters
