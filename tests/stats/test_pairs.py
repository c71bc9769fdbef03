"""Arms beside one of them, also through the baseline."""

import math
import random

import pytest

from lem.stats.pairs import beside


def test_arms_of_different_blocks_are_compared_through_the_baseline() -> None:
    """Blocks drift by a factor of ten between the two; the ratio of what each is to the baseline
    does not. By hand: ln 2 − ln 3, with Welch's interval."""
    base = {0: 1.0, 1: 1.0, 2: 10.0, 3: 10.0}
    table = {
        "base": base,
        "a": {0: 3.0 * 1.01, 1: 3.0 / 1.01},
        "b": {2: 20.0 * 1.01, 3: 20.0 / 1.01},
    }
    found = beside(table, "a", "base", 0.95)
    assert found["b"].log_ratio == pytest.approx(math.log(2 / 3))
    # s² = 2·(ln 1.01)² each, ÷ 2; df = 2; t at 1 − 0.05/2/2 = 6.205 (tables).
    half = 6.2053 * math.sqrt(2 * math.log(1.01) ** 2)
    assert found["b"].half_width == pytest.approx(half, rel=1e-3)
    assert found["base"].log_ratio == pytest.approx(-math.log(3))
    assert "b" not in beside(table, "a", None, 0.95)


def test_readings_without_scatter_have_no_interval_but_are_known_to_be_alike() -> None:
    found = beside({"a": {0: 1.0, 1: 1.0}, "b": {0: 2.0, 1: 2.0}}, "a", None, 0.95)
    assert found["b"].half_width is None
    assert found["b"].alike


def test_all_intervals_hold_together() -> None:
    """Three generations of two arms and a baseline, all the same, 300 times."""
    draw = random.Random(1)
    missed = 0
    for _ in range(300):
        table = {
            "base": {b: math.exp(draw.gauss(0, 0.02)) for b in range(9)},
            **{
                f"{g}{k}": {b: math.exp(draw.gauss(0, 0.02)) for b in range(3 * g, 3 * g + 3)}
                for g in range(3)
                for k in range(2)
            },
        }
        found = beside(table, "00", "base", 0.95)
        assert len(found) == 6
        missed += any(
            f.half_width is not None and abs(f.log_ratio) > f.half_width for f in found.values()
        )
    assert missed <= 0.07 * 300


def test_arms_on_boards_with_none_in_common_have_no_interval_through_the_baseline() -> None:
    """What is seen may be the boards'."""
    draw = random.Random(2)
    table = {
        "base": {b: math.exp(draw.gauss(0, 0.01)) for b in range(8)},
        "a": {b: math.exp(draw.gauss(0, 0.01)) for b in range(4)},
        "b": {b: math.exp(draw.gauss(0.1, 0.01)) for b in range(4, 8)},
    }
    plain = beside(table, "a", "base", 0.95)
    apart = beside(table, "a", "base", 0.95, {b: b // 4 for b in range(8)})
    assert plain["b"].half_width is not None
    assert apart["b"] == (plain["b"].log_ratio, None, False)
    assert apart["base"] == plain["base"], "these ran side by side"
    assert beside(table, "a", "base", 0.95, {b: b % 4 for b in range(8)}) == plain
