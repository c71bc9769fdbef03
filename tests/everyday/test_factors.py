import re

import pytest

from lem.everyday import factors

FILES = ("grid_generation", "grid_consumption", "prices", "pue", "equivalents")
UNITS = {
    "grid_generation": {"g CO2e/kWh"},
    "grid_consumption": {"g CO2e/kWh"},
    "prices": {"EUR/kWh", "USD/kWh"},
    "pue": {"1"},
    "equivalents": {"kWh/hour", "kWh/charge", "kWh/litre", "kWh/km", "kWh/year"},
}


@pytest.mark.parametrize("file", FILES)
def test_every_row_says_where_it_is_from(file: str) -> None:
    rows = factors.rows(file)
    keys = [row.get("code") or row["id"] for row in rows]
    assert len(rows) > 1 and len(set(keys)) == len(keys)
    for row in rows:
        assert None not in row and all(value is not None for value in row.values())
        assert row["source"].strip() and row["licence"].strip() and row["read_in"].strip()
        assert re.fullmatch(r"https://[^\s]+", row["url"])
        assert 2000 < int(row["year"]) < 2100
        assert row["unit"] in UNITS[file]


@pytest.mark.parametrize("file", ["prices", "pue", "equivalents"])
def test_every_assumption_is_said(file: str) -> None:
    assert all(row["assumption"].strip() for row in factors.rows(file))


def test_grids() -> None:
    grids = factors.grids()
    assert list(grids)[:2] == ["WORLD", "EU"]
    assert len(grids) >= 42
    names = [grid.name for grid in list(grids.values())[2:]]
    assert names == sorted(names)
    assert all(10 < g.g_per_kwh.low <= g.g_per_kwh.high < 1000 for g in grids.values())


def test_two_publishers_make_a_range() -> None:
    france = factors.grids()["FR"]
    assert (france.g_per_kwh.low, france.g_per_kwh.high) == (33, 44.18)
    assert {one.source.licence for one in france.published} == {"CC-BY-4.0", "ODbL-1.0"}
    world = factors.grids()["WORLD"]
    assert world.g_per_kwh.low == world.g_per_kwh.high == 472.94


def test_overhead_is_from_the_lowest_to_the_highest() -> None:
    assert (factors.overhead().low, factors.overhead().high) == (1.10, 1.58)


def test_water_is_physics() -> None:
    water = next(one for one in factors.equivalents() if one.id == "water")
    assert water.range.low == pytest.approx(4184 * 80 / 3.6e6, rel=5e-4)


def test_a_lamp_is_800_lumens() -> None:
    lamp = next(one for one in factors.equivalents() if one.id == "led")
    assert lamp.range.low == pytest.approx(800 / 100 / 1000)
    assert lamp.range.high == pytest.approx(800 / 60 / 1000, rel=5e-3)


def test_prices_are_of_a_currency() -> None:
    prices = factors.prices()
    assert {price.currency for price in prices.values()} == {"EUR", "USD"}
    assert all(0.03 < price.range.low <= price.range.high < 0.5 for price in prices.values())
