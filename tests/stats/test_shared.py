"""An error that all blocks share, in an interval."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.stats import RatioEstimate, more_blocks, with_shared

BARE = RatioEstimate(
    1.1,
    1.1 * math.exp(-0.03),
    1.1 * math.exp(0.03),
    10,
    0.04,
    0.95,
    1,
    half_width_log=0.03,
    half_width_same_log=0.025,
)


def test_half_widths_are_added_in_squares() -> None:
    wide = with_shared(BARE, 0.02)
    assert wide.half_width_log == pytest.approx(math.hypot(0.03, 1.959964 * 0.02))
    assert wide.half_width_same_log == pytest.approx(math.hypot(0.025, 1.644854 * 0.02))
    assert wide.low == pytest.approx(1.1 * math.exp(-math.hypot(0.03, 1.959964 * 0.02)))
    assert (wide.ratio, wide.sd_log, wide.n) == (1.1, 0.04, 10)


def test_several_comparisons_hold_together() -> None:
    """Bonferroni: 2.5758 is the normal quantile of 1 − 0.05 ÷ 5 ÷ 2."""
    wide = with_shared(replace(BARE, comparisons=5), 0.02)
    assert wide.shared_half_log == pytest.approx(2.575829 * 0.02)


def test_nothing_shared_changes_nothing() -> None:
    assert with_shared(BARE, 0.0) is BARE


def test_without_an_interval_there_is_still_none() -> None:
    none = RatioEstimate(0.9, None, None, 1, None, 0.95, 1, reason="one block")
    assert with_shared(none, 0.02) == replace(none, shared_log=0.02)


@given(
    st.floats(0.5, 2),
    st.floats(0.001, 0.3),
    st.floats(1e-4, 0.1),
    st.floats(0.005, 0.3),
    st.floats(0, 0.05),
)
def test_so_many_blocks_would_be_enough_and_one_fewer_would_not(
    ratio: float, half: float, u: float, margin: float, bias: float
) -> None:
    """Scatter and bias fall as 1 ÷ √n, what is shared does not."""
    same = 0.8 * half
    wide = with_shared(replace(BARE, ratio=ratio, half_width_log=half, half_width_same_log=same), u)
    more = more_blocks(wide, margin, bias)
    centre = math.log(ratio)
    room = min(centre - math.log1p(-margin), math.log1p(margin) - centre)

    def decided(n: int) -> bool:
        x2 = 10 / n
        outside = math.hypot(half * math.sqrt(x2), wide.shared_half_log) < abs(centre)
        inside = math.hypot(same * math.sqrt(x2), wide.shared_half_same_log)
        return outside or inside + bias * math.sqrt(x2) < room

    if more is None:
        assert not decided(10_000)
        return
    assert decided(10 + more + 1)
    assert more == 1 or not decided(10 + more - 1)
