import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.charts.model import Axis
from lem.charts.scales import Scale, linear_choices, log_choices, scale, tick_text

LOG, LINEAR = Axis("energy", "J", log=True), Axis("energy", "J")


def test_a_logarithmic_scale_has_equal_ratios_in_equal_distances() -> None:
    found = Scale(1, 100, 100, 300, True)
    assert found.at(10) == 200
    assert found.at(0.1) == 100 and found.at(1e9) == 300


def test_a_linear_scale_begins_at_zero() -> None:
    found = scale(LINEAR, [20, 50], (), 0, 100)
    assert found.at(0) == 0 and found.at(25) == pytest.approx(100 * 25 / found.high, abs=0.06)
    assert scale(Axis("x", "J", zero=False), [20, 50], (), 0, 100).low > 10
    below = scale(LINEAR, [-5, 50], (), 0, 100)
    assert below.low < -5


def test_an_absurd_interval_does_not_crush_the_values() -> None:
    wide = scale(LOG, [1, 2], [(1e-9, 1e9)], 0, 100)
    assert wide.low > 0.05 and wide.high < 40
    assert wide.cuts((1e-9, 1e9)) == (True, True) and wide.cuts((0.5, 3)) == (False, False)
    honest = scale(LOG, [1, 2], [(0.5, 4)], 0, 100)
    assert honest.cuts((0.5, 4)) == (False, False)
    assert scale(LOG, [1, 2], [(-1, 4)], 0, 100).cuts((-1, 4)) == (True, False)


def test_shares_are_not_magnified() -> None:
    share = Axis("share", "", share=True)
    assert scale(share, [0.7], (), 0, 100).high == 1.0
    assert scale(share, [0.02], [(0.01, 0.03)], 0, 100).low == 0.0


@given(st.floats(1e-9, 1e9), st.floats(1.0, 1e12), st.floats(60, 900), st.booleans())
def test_ticks_lie_within_and_have_room(
    low: float, factor: float, pixels: float, log: bool
) -> None:
    found = scale(LOG if log else LINEAR, [low, low * factor], (), 0, pixels)
    ticks = found.ticks(50)
    assert ticks and all(found.low <= t <= found.high for t in ticks)
    at = [found.at(t) for t in ticks]
    if len(ticks) > 2:
        assert all(b - a >= 50 for a, b in itertools.pairwise(at))


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=3),
    st.lists(st.tuples(st.floats(), st.floats()), max_size=2),
    st.booleans(),
    st.booleans(),
)
def test_no_value_of_a_file_is_too_much(
    values: list[float], intervals: list[tuple[float, float]], log: bool, zero: bool
) -> None:
    found = scale(Axis("x", "J", log=log, zero=zero), values, intervals, 0, 860)
    ticks = found.ticks(50)
    assert all(0 <= found.at(v) <= 860 for v in (*values, *ticks))


def test_ticks_are_round() -> None:
    assert [0, 20, 40, 60, 80, 100] in list(linear_choices(0, 100))
    assert [1, 2, 5, 10, 20, 50, 100] in list(log_choices(1, 100))
    assert [1, 10, 100, 1000, 10_000] in list(log_choices(1, 10_000))


def test_wanted_ticks_are_taken_where_they_have_room() -> None:
    found = Scale(1, 64, 0, 300, True)
    assert found.ticks(50, (1, 4, 16, 64)) == [1, 4, 16, 64]
    assert found.ticks(50, (1, 1.01, 64)) != [1, 1.01, 64]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.05, "0.05"), (2000, "2,000"), (3e6, "3M"), (-2.5, "−2.5"), (1234.5, "1234.5"), (0, "0"),
     (0.1 + 0.2, "0.3"), (1e-7, "1e−07"), (2.5e10, "25G")],
)  # fmt: skip
def test_what_stands_at_a_tick(value: float, text: str) -> None:
    assert tick_text(value, LINEAR) == text


def test_shares_are_in_per_cent() -> None:
    assert tick_text(0.25, Axis("s", "", share=True)) == "25 %"
    assert tick_text(math.nextafter(0.3, 1), Axis("s", "", share=True)) == "30 %"
