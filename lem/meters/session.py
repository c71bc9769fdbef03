"""Energy of a piece of code or of a command: a sampler around it, with rest before and after.

``with lem.meter() as m: work()``, then ``m.energy_j ± m.uncertainty_j``; ``m.readings`` has every
device. Classes of devices are never added up: which one ``energy_j`` is of stands in
``m.device_class``.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from lem.errors import LemError

if TYPE_CHECKING:
    from lem.contract.record import EnergyReading
    from lem.meters.protocol import MeterSettings
    from lem.meters.sampler import Sampler

REST_TICKS = 4
SETTLE_BEFORE_S = 1.5
SETTLE_AFTER_S = 3.0
SLOW_S = 0.5
"""Meters brought up to date more rarely than this are waited for, on both sides."""
LONGEST_WAIT_S = 5.0


class NotMeasured(LemError):
    """A figure was asked for before the work had ended."""


class Total(NamedTuple):
    """Of one device class. ``uncertainty_j`` is expanded (k = 2); both are None where one of the
    devices has no figure that can be trusted."""

    energy_j: float | None
    uncertainty_j: float | None
    flags: tuple[str, ...]


class Meter:
    """Measures what happens between ``__enter__`` and ``__exit__``, or ``start`` and ``stop``.

    ``meters`` None: all that work on this machine. The devices should idle when it is entered and
    left: it waits then, about one second before and one to three after, until power has settled,
    and takes what they draw meanwhile off. Raises :class:`lem.errors.BadInput` for an unknown
    meter's name and :class:`lem.errors.MeterUnavailable` where one that was named cannot be read
    here.
    """

    def __init__(
        self,
        meters: Sequence[str] | None = None,
        *,
        settings: MeterSettings | None = None,
        interval_s: float = 0.05,
    ) -> None:
        self._named = None if meters is None else list(meters)
        self._settings = settings
        self._interval_s = interval_s
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._sampler: Sampler | None = None
        self._readings: list[EnergyReading] | None = None
        self._counted: set[tuple[str, str]] = set()
        self.unavailable: dict[str, str] = {}
        """Meter → why it cannot be read here, with the fix."""
        self.run_flags: list[str] = []
        """What concerns the whole measurement, such as ``sampler_died``."""
        self.start_ns = 0
        self.end_ns = 0

    def __enter__(self) -> Self:
        self.open()
        self.start_ns = time.monotonic_ns()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.end_ns = time.monotonic_ns()
        self.finish()

    def open(self) -> None:
        """Start the sampler and see the devices at rest. The work begins when this returns; set
        ``start_ns`` then."""
        from lem.errors import MeterUnavailable
        from lem.meters import machine
        from lem.meters.protocol import MeterSettings
        from lem.meters.sampler import Sampler

        settings = self._settings
        if settings is None:
            settings = MeterSettings(process=os.getpid(), **machine.settings())
        self._folder = tempfile.TemporaryDirectory(prefix="lem-meter-", ignore_cleanup_errors=True)
        try:
            trace = Path(self._folder.name) / "trace.csv.gz"
            sampler = Sampler(self._named, settings, trace, self._interval_s)
            self._sampler = sampler.__enter__()
            self.unavailable = sampler.unavailable
            if self._named is not None and self.unavailable:
                raise MeterUnavailable(
                    "; ".join(f"{name}: {why}" for name, why in self.unavailable.items())
                )
            self._wait_for_slow()
            sampler.rest(REST_TICKS, SETTLE_BEFORE_S)
        except BaseException:
            self.close()
            raise

    def finish(self) -> None:
        """The work has ended at ``end_ns``: see the devices at rest again, and compute."""
        from lem.meters import readings
        from lem.meters.sampling import trace

        assert self._sampler is not None and self._folder is not None
        try:
            self._sampler.rest(REST_TICKS, SETTLE_AFTER_S)
            self._wait_for_slow()
            if not self._sampler.alive():
                self.run_flags.append("sampler_died")
            self._sampler.stop()
            samples = trace.read(Path(self._folder.name) / "trace.csv.gz", None)
            infos = self._sampler.infos
            chosen = readings.counted(infos) if self._named is None else infos
            self._counted = {(i.meter, i.device) for i in readings.counted(infos)}
            self._readings = readings.every(chosen, samples, self.start_ns, self.end_ns)
            if not self._readings:
                self.run_flags.append("no_meter")
        finally:
            self.close()

    def close(self) -> None:
        """Stop the sampler and remove its trace. Doing it again does nothing."""
        if self._sampler is not None:
            self._sampler.stop()
        if self._folder is not None:
            self._folder.cleanup()

    @property
    def readings(self) -> list[EnergyReading]:
        """One for each device. Raises :class:`NotMeasured` before the end."""
        if self._readings is None:
            raise NotMeasured("nothing is measured yet", "ask after the with block")
        return self._readings

    @property
    def by_class(self) -> dict[str, Total]:
        """Device class (``gpu``, ``cpu``, …, ``estimated``) → its devices' energy together, by
        one meter where several see the same."""
        classes: dict[str, list[EnergyReading]] = defaultdict(list)
        for r in self.readings:
            if (r.meter, r.device) in self._counted:
                classes[r.device_class].append(r)
        return {name: total(rs) for name, rs in classes.items()}

    @property
    def device_class(self) -> str | None:
        """What ``energy_j`` is of: ``gpu`` where there are GPUs, else the only class that was
        measured, else ``cpu``, else the first; ``estimated`` where nothing measures; None where
        there is nothing at all."""
        classes = list(self.by_class)
        return next((c for c in ("gpu", "cpu") if c in classes), classes[0] if classes else None)

    @property
    def energy_j(self) -> float | None:
        """Energy of the class ``device_class``, all its devices together, in J. None where it
        cannot be trusted; ``flags`` then say why."""
        return self._total().energy_j

    @property
    def uncertainty_j(self) -> float | None:
        """Expanded (k = 2) uncertainty of ``energy_j``, in J."""
        return self._total().uncertainty_j

    @property
    def flags(self) -> list[str]:
        return sorted({*self._total().flags, *self.run_flags})

    @property
    def duration_s(self) -> float:
        return (self.end_ns - self.start_ns) / 1e9

    def _total(self) -> Total:
        name = self.device_class
        return Total(None, None, ()) if name is None else self.by_class[name]

    def __str__(self) -> str:
        if self._readings is None:
            return "not measured yet"
        figure = self._total()
        said = f" [{', '.join(self.flags)}]" if self.flags else ""
        if figure.energy_j is None:
            return f"no figure{said}"
        if not figure.uncertainty_j:
            return f"{figure.energy_j:.6g} J ({self.device_class}){said}"
        # Both to the second digit of the uncertainty (JCGM 100:2008, 7.2.6).
        digits = max(0, 1 - math.floor(math.log10(figure.uncertainty_j)))
        both = f"{figure.energy_j:.{digits}f} ± {figure.uncertainty_j:.{digits}f}"
        return f"{both} J ({self.device_class}){said}"

    def _wait_for_slow(self) -> None:
        assert self._sampler is not None
        periods = [i.update_period_s or 0.0 for i in self._sampler.infos]
        slow = [p for p in periods if p >= SLOW_S]
        if slow:
            time.sleep(min(LONGEST_WAIT_S, 1.5 * max(slow)))


def total(readings: Sequence[EnergyReading]) -> Total:
    """Of several devices."""
    from lem.meters.energy.combine import Term, expanded_j

    flags = tuple(sorted({f for r in readings for f in r.flags}))
    energies = [r.energy_j for r in readings]
    known = [e for e in energies if e is not None]
    if len(known) < len(energies):
        return Total(None, None, flags)
    return Total(math.fsum(known), expanded_j(Term(1.0, r) for r in readings), flags)
