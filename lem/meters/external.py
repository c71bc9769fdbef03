"""Power meters outside the machine: a command that prints a number, or a number over HTTP.

Which there are, the machine's owner says (``lem/meters/machine.py``). They are read beside the
sampler, once a period, by ``lem/meters/remote.py``, which is loaded only where there are any.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lem.errors import MeterUnavailable
from lem.meters.energy import series, slow
from lem.meters.protocol import Device, MeterSettings, Pace, Sample

if TYPE_CHECKING:
    from lem.contract.record import EnergyReading, MeterInfo
    from lem.meters.remote import Read
    from lem.meters.sampling import background

MOST_W = 1e6
MOST_J = 1e15
STILL_NS = 60_000_000_000
"""Power with a fractional part that repeats to its last digit for this long is not being measured:
Prometheus goes on showing the last value for minutes after its source has gone."""


class External:
    name = "external"

    def __init__(self) -> None:
        self._pollers: dict[str, tuple[background.Poller, str]] = {}

    def open(self, settings: MeterSettings) -> list[Device]:
        """The configured meters. Raises :class:`MeterUnavailable` where there are none, or one
        gives no number: then its energy would be missing in silence."""
        if not settings.external:
            raise MeterUnavailable(
                "no meter outside the machine is configured",
                "name it in ~/.config/lem/meters.toml (docs/meters.md, external)",
            )
        from lem.meters import remote
        from lem.meters.machine import UNITS
        from lem.meters.sampling import background

        devices = []
        for one in settings.external:
            read = remote.reader(one)
            value, why = read()
            if value is None:
                raise MeterUnavailable(
                    f"{one['name']}: {why}", "try it by hand; it must give one number and no more"
                )
            kind, scale = UNITS[one["unit"]]
            quantity = "power_w" if kind == "power" else "energy_j"
            devices.append(
                Device(
                    self.name,
                    one["name"],
                    one["class"],
                    quantity,
                    quantity.rpartition("_")[2].upper(),
                    one["description"],
                    float(one["period_s"]),
                    relative_uncertainty=one["uncertainty"],
                )
            )
            self._pollers[one["name"]] = (
                background.Poller(_scaled(read, scale, quantity), one["period_s"]),
                quantity,
            )
        return devices

    def read(self, pace: Pace = "full") -> list[Sample]:
        if pace == "edge":
            return []
        samples: list[Sample] = []
        for device, (poller, quantity) in self._pollers.items():
            for before_ns, after_ns, value in poller.take():
                if value is None:
                    samples.append(Sample(after_ns, self.name, device, "read_error", 1))
                else:
                    samples += series.timed(self.name, device, quantity, value, before_ns, after_ns)
        return samples

    def energy(
        self, info: MeterInfo, samples: list[Sample], start_ns: int, end_ns: int
    ) -> EnergyReading:
        """From the meter's counter, or its power integrated. The gain is what the owner stated; an
        unstated one gives an energy without an uncertainty (``uncertainty_unstated``)."""
        from lem.meters.energy import counter

        stated = info.relative_uncertainty
        gain = None if stated is None else stated / 2
        if info.quantity == "power_w":
            if _still(samples, start_ns, end_ns):
                return counter.untrusted(info, ["power_integrated", "counter_frozen"])
            return slow.from_power(info, samples, 1.0, start_ns, end_ns, gain=gain, lossy=True)
        # A request that failed loses nothing: the counter goes on, the gap is flagged.
        good = [s for s in samples if s.quantity != "read_error"]
        return slow.from_counter(
            info,
            good,
            1.0,
            start_ns,
            end_ns,
            gain=gain,
            most_w=MOST_W,
        )

    def close(self) -> None:
        for poller, _ in self._pollers.values():
            poller.stop()
        self._pollers = {}


def _scaled(read: Read, scale: float, quantity: str) -> Callable[[], float | None]:
    most = MOST_W if quantity == "power_w" else MOST_J

    def scaled() -> float | None:
        value, _ = read()
        if value is None or not 0 <= value * scale <= most:
            return None
        return value * scale

    return scaled


def _still(samples: list[Sample], start_ns: int, end_ns: int) -> bool:
    """Whether power stood still, to its last digit, for longer than anything that is measured."""
    read = [s for s in samples if s.quantity == "power_w"]
    if not any(s.value != int(s.value) for s in read):
        return False  # whole watts repeat honestly
    still_ns, reads = series.longest_still_ns(read, "power_w", start_ns, end_ns)
    return reads >= 5 and still_ns > STILL_NS


plugin = External
