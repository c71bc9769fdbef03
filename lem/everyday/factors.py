"""What others have published (``data/*.csv``), with source, year, licence and unit."""

import csv
import functools
from dataclasses import dataclass
from importlib.resources import files

from lem.everyday.ranges import Range


@dataclass(frozen=True)
class Source:
    """Where a number is from. ``read_in``: the copy in which it was read, where that is another."""

    name: str
    url: str
    year: int
    """That the number is of."""
    licence: str
    read_in: str


@dataclass(frozen=True)
class Published:
    """One number of one source; ``assumption`` says what it takes for granted."""

    value: float
    unit: str
    assumption: str
    source: Source


@dataclass(frozen=True)
class Grid:
    """Grams of CO₂ equivalent per kWh of one country's electricity, by one or two publishers: of
    what is generated there, and of what is used there, imports included."""

    code: str
    """ISO 3166-1, two letters; ``WORLD`` and ``EU`` beside them."""
    name: str
    published: tuple[Published, ...]

    @property
    def g_per_kwh(self) -> Range:
        """From the lower published figure to the higher. One alone is a range without width: it
        does not say how far off it may be."""
        values = [one.value for one in self.published]
        return Range(min(values), max(values))


@dataclass(frozen=True)
class Factor:
    """A range of one source: a price per kWh, or the kWh of something that people know."""

    id: str
    name: str
    range: Range
    unit: str
    assumption: str
    source: Source

    @property
    def currency(self) -> str:
        """Of a price: ``EUR`` of ``EUR/kWh``."""
        return self.unit.partition("/")[0]


GENERATION = "generated in the country, imports left out; over the life of the plants"
CONSUMPTION = "used in the country, imports traced; over the life of the plants"


@functools.cache
def grids() -> dict[str, Grid]:
    """Code → grid: the world and the EU first, then countries by name."""
    found: dict[str, Grid] = {}
    for file, meaning in (("grid_generation", GENERATION), ("grid_consumption", CONSUMPTION)):
        for row in rows(file):
            one = Published(float(row["g_per_kwh"]), row["unit"], meaning, _source(row))
            before = found[row["code"]].published if row["code"] in found else ()
            found[row["code"]] = Grid(row["code"], row["name"], (*before, one))
    return found


@functools.cache
def prices() -> dict[str, Factor]:
    """Id → what a kWh costs."""
    return _factors("prices")


@functools.cache
def equivalents() -> tuple[Factor, ...]:
    """The kWh of one of each, the smallest first."""
    return tuple(_factors("equivalents").values())


@functools.cache
def overheads() -> tuple[Published, ...]:
    """Power usage effectiveness (PUE): all that a data centre draws ÷ what its computers draw; the
    lowest first."""
    return tuple(
        Published(float(row["value"]), row["unit"], row["assumption"], _source(row))
        for row in sorted(rows("pue"), key=lambda row: float(row["value"]))
    )


def overhead() -> Range:
    """From the lowest published PUE to the highest."""
    values = [one.value for one in overheads()]
    return Range(min(values), max(values))


def rows(name: str) -> list[dict[str, str]]:
    """The rows of ``data/NAME.csv``."""
    path = files("lem.everyday") / "data" / f"{name}.csv"
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def _factors(name: str) -> dict[str, Factor]:
    return {
        row["id"]: Factor(
            row["id"],
            row["name"],
            Range(float(row["low"]), float(row["high"])),
            row["unit"],
            row["assumption"],
            _source(row),
        )
        for row in rows(name)
    }


def _source(row: dict[str, str]) -> Source:
    return Source(row["source"], row["url"], int(row["year"]), row["licence"], row["read_in"])
