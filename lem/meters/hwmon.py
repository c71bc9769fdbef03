"""Sensors of the kernel's hwmon tree: energy counters (µJ) and power (µW).

Units and file names: the kernel's Documentation/hwmon/sysfs-interface. What a sensor measures
follows from the driver (``name``) and the sensor's label; a sensor of a driver that is not in the
table below is class ``sensor``: it is shown and recorded, and enters no figure.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lem.errors import MeterUnavailable
from lem.meters import sysfs
from lem.meters.energy import series, slow
from lem.meters.protocol import Device, MeterSettings, Pace, Sample

if TYPE_CHECKING:
    from lem.contract.record import EnergyReading, MeterInfo

UPDATE_S = 1.0
"""Assumed where the driver does not say: drivers commonly read their chip once a second at most."""

GAIN = 0.05
"""Standard uncertainty of a sensor's gain: a judgement, drivers state none."""

MOST_POWER_W = 20_000.0

_FILE = re.compile(r"(energy|power)(\d{1,3})_(input|average)", re.ASCII)


class Rule(NamedTuple):
    """Sensors of one driver: their class by label (a whole match), what they are."""

    driver: str
    label: str
    device_class: str
    what: str


RULES = (
    # drivers/hwmon/acpi_power_meter.c: the ACPI power meter, usually the whole machine's input
    Rule("power_meter", ".*", "node", "ACPI power meter of the machine"),
    # Documentation/hwmon/amd_energy.rst: the same counters as RAPL; cores are part of a socket
    Rule("amd_energy", r"Esocket\d+", "cpu", "CPU package"),
    # Documentation/hwmon/ibmpowernv.rst: "System" is the machine's power
    Rule("ibmpowernv", "System", "node", "the whole machine"),
    # Documentation/ABI/testing/sysfs-driver-intel-{i915,xe}-hwmon
    Rule("i915", ".*", "gpu", "Intel graphics card"),
    Rule("xe", "card|", "gpu", "Intel graphics card"),
    # Documentation/gpu/amdgpu/thermal.rst: the socket's power
    Rule("amdgpu", "PPT|slowPPT|", "gpu", "AMD GPU"),
)


class Sensor(NamedTuple):
    device: str
    device_class: str
    quantity: str
    file: Path
    what: str
    update_s: float


class Hwmon:
    name = "hwmon"

    def __init__(self) -> None:
        self._sensors: list[Sensor] = []
        self._next_unplaced_ns = 0

    def open(self, settings: MeterSettings) -> list[Device]:
        """Every sensor that can be read. Raises :class:`MeterUnavailable`, with the fix where only
        permission is missing."""
        found, refused = _sensors(settings.hwmon_root)
        if not found and refused is not None:
            raise MeterUnavailable(
                f"{refused} may not be read by this user", f"sudo chmod a+r {refused}"
            )
        if not found:
            raise MeterUnavailable(
                f"no power or energy sensor under {settings.hwmon_root}",
                "load the driver of the board's sensor (`sudo sensors-detect` names it); "
                "virtual machines have none",
            )
        self._sensors = found
        return [
            Device(
                self.name,
                s.device,
                s.device_class,
                s.quantity,
                "uJ" if s.quantity == "energy_uj" else "uW",
                s.what,
                s.update_s,
                relative_uncertainty=None if s.device_class == "sensor" else 2 * GAIN,
            )
            for s in found
        ]

    def read(self, pace: Pace = "full") -> list[Sample]:
        if pace == "edge":
            return []
        samples: list[Sample] = []
        now_ns = time.monotonic_ns()
        unplaced = pace == "full" or now_ns >= self._next_unplaced_ns
        if unplaced:
            self._next_unplaced_ns = now_ns + int(UPDATE_S * 1e9)
        for s in self._sensors:
            if s.device_class == "sensor" and not unplaced:
                continue
            before_ns = time.monotonic_ns()
            value = sysfs.number(s.file)
            after_ns = time.monotonic_ns()
            if value is None:
                samples.append(Sample(after_ns, self.name, s.device, "read_error", 1))
            else:
                samples += series.timed(self.name, s.device, s.quantity, value, before_ns, after_ns)
        return samples

    def energy(
        self, info: MeterInfo, samples: list[Sample], start_ns: int, end_ns: int
    ) -> EnergyReading:
        """From the counter where the sensor has one, else from power."""
        gain = None if info.device_class == "sensor" else GAIN
        if info.quantity == "power_uw":
            return slow.from_power(info, samples, 1e-6, start_ns, end_ns, gain=gain)
        return slow.from_counter(
            info,
            samples,
            1e-6,
            start_ns,
            end_ns,
            gain=gain,
            lag_s=info.update_period_s or UPDATE_S,
            most_w=MOST_POWER_W,
        )

    def close(self) -> None:
        self._sensors = []


def _sensors(root: Path) -> tuple[list[Sensor], Path | None]:
    """The readable sensors, and one that may not be read, if any. A counter is preferred to power,
    present power to averaged power, of the same number."""
    found: dict[tuple[str, str], Sensor] = {}
    refused: Path | None = None
    try:
        chips = sorted(root.iterdir(), key=lambda p: (len(p.name), p.name))
    except OSError:
        return [], None
    for chip in chips:
        driver = sysfs.text(chip / "name")
        for file in _files(chip):
            kind, number, _ = _FILE.fullmatch(file.name).groups()  # type: ignore[union-attr]
            if sysfs.number(file) is None:
                refused = file if sysfs.denied(file) else refused
                continue
            label = sysfs.text(chip / f"{kind}{number}_label")
            rule = _rule(driver, label)
            device_class, what = (rule.device_class, rule.what) if rule else ("sensor", "unknown")
            device = _plain(f"{chip.name}-{driver or 'chip'}-{label or kind + number}")
            if any(d == device for d, _ in found):
                continue
            key = (device, device_class)
            quantity = "energy_uj" if kind == "energy" else "power_uw"
            update_s = _update_s(chip, kind, number)
            found[key] = Sensor(
                device, device_class, quantity, file, f"{what} ({driver} {label})".strip(), update_s
            )
    sensors = list(found.values())
    # One chip tells the same energy by its counter and by its power: the counter is better.
    counters = {(s.file.parent, s.device_class) for s in sensors if s.quantity == "energy_uj"}
    return [
        s
        for s in sensors
        if s.quantity == "energy_uj"
        or s.device_class == "sensor"
        or (s.file.parent, s.device_class) not in counters
    ], refused


def _files(chip: Path) -> list[Path]:
    """Energy before power, input before average, in the order of their numbers."""
    try:
        named = [(m, p) for p in chip.iterdir() if (m := _FILE.fullmatch(p.name)) is not None]
    except OSError:
        return []
    seen: dict[tuple[str, int], Path] = {}
    for m, path in sorted(named, key=lambda x: (x[0][1], int(x[0][2]), x[0][3] != "input")):
        seen.setdefault((m[1], int(m[2])), path)
    return list(seen.values())


def _rule(driver: str, label: str) -> Rule | None:
    for rule in RULES:
        if rule.driver == driver and re.fullmatch(rule.label, label):
            return rule
    return None


def _update_s(chip: Path, kind: str, number: str) -> float:
    """How old a value may be, from the driver's own files, in milliseconds (what it is averaged
    over, or how often it is brought up to date); else assumed."""
    for name in (f"{kind}{number}_average_interval", "update_interval"):
        value = sysfs.number(chip / name)
        if value is not None and 1 <= value <= 60_000:
            return value / 1000
    return UPDATE_S


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name)[:64]


plugin = Hwmon
