"""What of a record decides how many blocks a campaign needs."""

from collections.abc import Iterator

from lem.contract.record import MeterInfo, Record, Value
from lem.stores.outcomes import Cost

DECIDING = ("energy_per_output_token_j", "cpu_time_per_output_token_s")
"""Metrics that a comparison is about when nothing else is asked for."""


def costs_of(record: Record) -> tuple[Cost, ...]:
    """The deciding figures of a record of which a logarithm can be taken, in a fixed order."""
    return tuple(sorted(_costs(record)))


def _costs(record: Record) -> Iterator[Cost]:
    meters = meters_of(record)
    for metric in DECIDING:
        found = record.metrics.get(metric, {})
        if isinstance(found, Value):
            found = {"": found}
        if isinstance(found, dict):
            for part, value in found.items():
                if value.value > 0:
                    yield Cost(metric, part, meters.get(part, ""), value.value)


def meters_of(record: Record) -> dict[str, str]:
    """Device class → names of the meters that read it, joined by `` + ``."""
    meters: dict[str, set[str]] = {}
    for info in record.meters:
        meters.setdefault(info.device_class, set()).add(_method(info))
    return {c: " + ".join(sorted(m)) for c, m in sorted(meters.items())}


def _method(info: MeterInfo) -> str:
    """The meter's name. A device's power, integrated, is another method than its counter: the two
    may differ by tens of per cent, so they are not compared as one."""
    return f"{info.meter} (power)" if info.quantity.startswith("power_") else info.meter
