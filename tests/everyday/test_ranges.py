import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.everyday.ranges import Range, between

positive = st.floats(1e-9, 1e9)


def test_products_go_from_the_low_ends_to_the_high_ones() -> None:
    assert Range(2, 3) * Range(5, 7) == Range(10, 21)
    assert Range(2, 3) * 10 == Range(20, 30)


def test_a_quotient_is_smallest_where_the_divisor_is_largest() -> None:
    assert Range(6, 12) / Range(2, 3) == Range(2, 6)
    with pytest.raises(ZeroDivisionError):
        Range(1, 2) / Range(0, 1)


def test_a_value_and_its_uncertainty() -> None:
    assert between(10, 2) == Range(8, 12)
    assert between(1, 1.5) == Range(0, 2.5), "energy is never negative"


@pytest.mark.parametrize("ends", [(2, 1), (-1, 1), (math.nan, 1), (0, math.inf)])
def test_what_is_no_range(ends: tuple[float, float]) -> None:
    with pytest.raises(ValueError):
        Range(*ends)


def test_a_negative_factor_is_refused() -> None:
    with pytest.raises(ValueError):
        Range(1, 2) * -1.0


@pytest.mark.parametrize(
    ("given_range", "written"),
    [
        (Range(0.2934, 0.3051), Range(0.29, 0.31)),
        (Range(12.31, 12.39), Range(12, 13)),
        (Range(1234, 5678), Range(1200, 5700)),
        (Range(0.29, 0.29), Range(0.29, 0.29)),
        (Range(0, 0.00456), Range(0, 0.0046)),
        (Range(99.5, 99.6), Range(99, 100)),
    ],
)
def test_rounding_is_outward(given_range: Range, written: Range) -> None:
    assert given_range.outward() == written


@given(positive, positive)
def test_nothing_is_lost_by_rounding(a: float, b: float) -> None:
    exact = Range(min(a, b), max(a, b))
    rounded = exact.outward()
    assert rounded.low <= exact.low * (1 + 1e-11) and rounded.high >= exact.high * (1 - 1e-11)
    assert rounded.low >= exact.low * 0.9 and rounded.high <= exact.high * 1.1 * (1 + 1e-9)


@given(positive, positive, positive, positive, st.floats(0, 1), st.floats(0, 1))
def test_every_product_lies_within(
    a: float, b: float, c: float, d: float, s: float, t: float
) -> None:
    x, y = Range(min(a, b), max(a, b)), Range(min(c, d), max(c, d))
    one = (x.low + s * (x.high - x.low)) * (y.low + t * (y.high - y.low))
    product = x * y
    assert product.low * (1 - 1e-12) <= one <= product.high * (1 + 1e-12)
