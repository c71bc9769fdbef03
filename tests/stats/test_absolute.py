"""An absolute figure's two numbers."""

import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.stats import absolute, mean_of, not_averaged
from lem.stats.absolute import standard_deviation


def test_expanded_uncertainty_by_hand() -> None:
    # s of 10, 12, 14 is 2, u_A = 2/√3; runs state U = 3, so u_B = 1.5.
    a = absolute([10.0, 12.0, 14.0], [3.0, 3.0, 3.0])
    assert a.mean == pytest.approx(12)
    assert a.u_a == pytest.approx(2 / math.sqrt(3))
    assert a.u_b == pytest.approx(1.5)
    assert a.expanded == pytest.approx(2 * math.sqrt(4 / 3 + 2.25))
    assert a.few_blocks


def test_the_meters_part_does_not_shrink_by_averaging() -> None:
    assert absolute([1.0] * 50, [0.1] * 50).expanded == pytest.approx(0.1)


def test_no_uncertainty_is_made_up() -> None:
    assert absolute([1.0, 2.0], [0.1, None]).expanded is None
    assert absolute([1.0], [0.1]).u_a is None
    assert absolute([1.0], [0.1]).expanded == pytest.approx(0.1)
    assert not absolute([1.0] * 60, [0.1] * 60).few_blocks
    with pytest.raises(ValueError):
        absolute([], [])


def test_the_mean_alone_is_the_same_without_an_interval() -> None:
    values, own = [1.0, 1.2, 0.9, 1.1], [0.1, 0.1, 0.2, 0.1]
    whole, alone = absolute(values, own), mean_of(values, own)
    assert (alone.mean, alone.u_a, alone.u_b, alone.expanded) == (
        whole.mean, whole.u_a, whole.u_b, whole.expanded
    )  # fmt: skip
    assert whole.low is not None and alone.low is None and alone.high is None


def test_the_repeatability_interval_is_no_narrower_than_students() -> None:
    values = (5 + numpy.random.default_rng(1).normal(0, 0.05, 12)).tolist()
    a = absolute(values, [None] * 12)
    assert a.low is not None and a.high is not None and a.reason is None
    half = 2.201 * standard_deviation(values) / math.sqrt(12)
    assert a.high - a.mean == pytest.approx(a.mean - a.low) and a.high - a.mean > half
    assert a.lag1 is not None and a.slope is not None


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([1.0, 2.0], "3 blocks"),
        ([2.0] * 8, "coarse"),
        ([1 + 0.01 * i + 0.001 * (i % 3) for i in range(20)], "drift"),
    ],
)
def test_without_an_interval_there_is_a_reason(values: list[float], reason: str) -> None:
    a = absolute(values, [None] * len(values))
    assert (a.low, a.high) == (None, None) and reason in (a.reason or "")


def test_the_slope_is_a_share_of_the_mean() -> None:
    assert absolute([99.0, 100.0, 101.0, 102.0, 98.0], [None] * 5).slope == pytest.approx(0)
    rising = [100 + 2 * i for i in range(6)]
    assert absolute(rising, [None] * 6).slope == pytest.approx(10 / 105)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_standard_deviation_is_numpys(values: list[float]) -> None:
    assert standard_deviation(values) == pytest.approx(numpy.std(values, ddof=1), abs=1e-6)


def test_boards_make_blocks_alike_by_hand() -> None:
    """Two boards, 3 and 1 blocks: means 2.1 and 2.5, apart by s = 0.4 ÷ √2; Σ (nₖ/n)² = 10/16."""
    found = absolute([2.0, 2.1, 2.5, 2.2], [0.1] * 4, boards=["a", "a", "b", "a"])
    assert found.mean == pytest.approx(2.2) and found.boards == 2
    assert found.u_a == pytest.approx(0.4 / math.sqrt(2) * math.sqrt(10) / 4)
    assert found.u_b == pytest.approx(0.05), "a meter's error is not averaged over boards"
    # Student's t of one degree of freedom at 95 %.
    assert found.k_a == pytest.approx(12.7062, abs=1e-4)
    assert found.expanded == pytest.approx(math.hypot(12.7062 * found.u_a, 0.1), rel=1e-5)
    assert found.low is not None and found.high - found.mean > 12 * found.u_a


def test_one_board_is_as_none_named() -> None:
    values, stated = [2.0, 2.1, 2.5, 2.2], [0.1] * 4
    assert absolute(values, stated, boards=["a"] * 4) == absolute(values, stated)
    assert mean_of(values, stated, boards=["a"] * 4).boards is None
    with pytest.raises(ValueError, match="one board"):
        absolute(values, stated, boards=["a"])


def test_of_boards_that_overlap_nothing_is_averaged() -> None:
    values = [2.0, 2.1, 2.5, 2.2]
    found = not_averaged(absolute(values, [0.1] * 4), values)
    assert found.u_a == pytest.approx(standard_deviation(values))
    assert found.low is None and "overlap" in (found.reason or "")
