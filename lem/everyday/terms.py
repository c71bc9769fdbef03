"""A measured figure in everyday terms: each a range, for a million answers or tokens."""

from dataclasses import dataclass

from lem.everyday.factors import Factor, equivalents
from lem.everyday.measured import Measured
from lem.everyday.ranges import Range, between

MILLION = 1_000_000
JOULES_PER_KWH = 3_600_000.0
MOST_OVERHEAD = 3.0
"""The highest PUE that is taken: beyond it, a mistyped number is likelier."""


@dataclass(frozen=True)
class Scenario:
    """What is assumed of the place where it runs."""

    overhead: Range
    """PUE; 1 is no overhead at all."""
    g_per_kwh: Range
    price: Range
    """Per kWh."""
    currency: str

    def __post_init__(self) -> None:
        if self.overhead.low < 1 or self.overhead.high > MOST_OVERHEAD:
            raise ValueError(f"a PUE lies between 1 and {MOST_OVERHEAD:g}")


@dataclass(frozen=True)
class Equivalent:
    factor: Factor
    number: Range
    """How many of them use as much electricity."""


@dataclass(frozen=True)
class Terms:
    """Of a million of what ``measured.per`` says.

    ``device_kwh`` is what the meter saw, value ± U (k = 2). All else holds the overhead's range,
    too, and then the range of its own factor.
    """

    measured: Measured
    device_kwh: Range
    place_kwh: Range
    """With cooling and what else a data centre's PUE holds; not with the host computer, where the
    meter did not see it."""
    co2e_kg: Range
    cost: Range
    currency: str
    equivalents: tuple[Equivalent, ...]


def in_terms(measured: Measured, scenario: Scenario) -> Terms:
    """``measured`` in everyday terms under ``scenario``.

    The low ends are (value − U) × each low factor, the high ends (value + U) × each high one.
    """
    device = between(measured.value_j, measured.expanded_j) * (MILLION / JOULES_PER_KWH)
    place = device * scenario.overhead
    return Terms(
        measured=measured,
        device_kwh=device,
        place_kwh=place,
        co2e_kg=place * scenario.g_per_kwh * 0.001,
        cost=place * scenario.price,
        currency=scenario.currency,
        equivalents=tuple(Equivalent(one, place / one.range) for one in equivalents()),
    )
