"""What a meter is: one file in this package whose ``plugin`` is a class that fills :class:`Meter`.

``plugins.load("meters", name)()`` gives a meter. This module and the meters import neither pydantic
nor a vendor's library at the top: they run in the sampler's process, which has to stay small.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

if TYPE_CHECKING:
    from lem.contract.record import EnergyReading, MeterInfo


Pace = Literal["full", "steady", "edge"]


class Sample(NamedTuple):
    """One raw reading. ``t_ns`` is the middle of the call on the monotonic clock."""

    t_ns: int
    meter: str
    device: str
    quantity: str
    """Name with unit, such as ``energy_mj``, ``power_mw``, ``energy_uj``, ``cpu_time_ns``."""
    value: float


class Device(NamedTuple):
    """One thing whose energy a meter reads; the same fields as a record's ``MeterInfo``."""

    meter: str
    device: str
    device_class: str
    quantity: str
    unit: str
    description: str
    update_period_s: float | None = None
    calibration: dict[str, Any] | None = None
    relative_uncertainty: float | None = None
    """Expanded (k = 2), of a long window; None: the meter states none here."""
    part_of: str | None = None
    """The device (of this meter) or class that contains this one's energy: shown and compared,
    never counted beside it."""


@dataclass(frozen=True)
class MeterSettings:
    """Where meters look, so that tests can bring their own tree."""

    gpus: tuple[int, ...] | None = None
    """GPU indices to read; None: all."""
    powercap_root: Path = Path("/sys/class/powercap")
    pm_counters_root: Path = Path("/sys/cray/pm_counters")
    hwmon_root: Path = Path("/sys/class/hwmon")
    proc_root: Path = Path("/proc")
    cgroup_root: Path = Path("/sys/fs/cgroup")
    process: int | None = None
    """Root of the process tree whose CPU time is counted; None: the parent of the sampler."""
    driver: int | None = None
    """The process that sends the load, where it is not in that tree: its CPU time is neither the
    run's nor another program's."""
    watts_per_busy_core: float = 10.0
    calibration: dict[str, Any] | None = None
    """A checked calibration file (:class:`lem.contract.spec.Calibration`) as a mapping."""
    ipmi: tuple[str, ...] | None = None
    """The command that prints the node's power; None: ``ipmitool dcmi power reading``, with
    ``sudo -n`` before it where that is needed."""
    external: tuple[dict[str, Any], ...] = ()
    """Power meters outside this machine, as ``lem/meters/machine.py`` reads them."""
    extra: dict[str, str] = field(default_factory=dict)


class Meter(Protocol):
    """Opened and read in the sampler's process; ``energy`` is pure and runs anywhere.

    Imports of vendor libraries happen inside ``open``.
    """

    name: str

    def open(self, settings: MeterSettings) -> list[Device]:
        """Find the devices. Raises :class:`lem.errors.MeterUnavailable` with reason and fix."""

    def read(self, pace: Pace = "full") -> list[Sample]:
        """Read every device once.

        - ``full``: every quantity now.
        - ``steady``: what a regular round reads; slow or dear quantities only now and then.
        - ``edge``: only counters that move in ticks of more than a millisecond, as fast as
          possible; an empty list where there is none.

        Must not raise for one lost device: leave its sample out.
        """

    def energy(
        self, info: MeterInfo, samples: list[Sample], start_ns: int, end_ns: int
    ) -> EnergyReading:
        """Energy of one device between two moments, from its samples (sorted by time, all its
        quantities). Null energy and a flag where it cannot be trusted."""

    def close(self) -> None: ...
