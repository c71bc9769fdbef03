"""Estimates against published tables, SciPy's own tests, and a simulation of coverage."""

import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from lem.stats import absolute, ratio_to_baseline, standard_deviation, t_quantile

POSITIVE = st.floats(1e-6, 1e6)


@pytest.mark.parametrize(
    ("p", "df", "expected"),
    # NIST/SEMATECH e-Handbook of Statistical Methods, table 1.3.6.7.2.
    [(0.975, 1, 12.706), (0.975, 2, 4.303), (0.975, 4, 2.776), (0.975, 9, 2.262), (0.95, 5, 2.015)],
)
def test_t_quantiles_are_those_of_the_published_table(p, df, expected):
    assert t_quantile(p, df) == pytest.approx(expected, abs=5e-4)


def test_interval_of_three_blocks_by_hand():
    # ln-ratios 0.1, 0.2, 0.3: mean 0.2, s = 0.1, t(0.975, 2) = 4.303.
    estimate = ratio_to_baseline([(math.exp(d), 1.0) for d in (0.1, 0.2, 0.3)])
    half = 4.30265 * 0.1 / math.sqrt(3)
    assert estimate.ratio == pytest.approx(math.exp(0.2))
    assert estimate.low == pytest.approx(math.exp(0.2 - half), rel=1e-5)
    assert estimate.high == pytest.approx(math.exp(0.2 + half), rel=1e-5)
    assert estimate.sd_log == pytest.approx(0.1)
    assert estimate.n == 3 and estimate.reason is None


@given(st.lists(st.tuples(POSITIVE, POSITIVE), min_size=3, max_size=20), st.integers(1, 6))
def test_interval_agrees_with_scipys_paired_t_test(pairs, comparisons):
    logs = [math.log(a / b) for a, b in pairs]
    estimate = ratio_to_baseline(pairs, 0.95, comparisons)
    if estimate.low is None:
        assert estimate.reason
        return
    expected = scipy_stats.ttest_1samp(logs, 0).confidence_interval(1 - 0.05 / comparisons)
    assert math.log(estimate.low) == pytest.approx(expected.low, rel=1e-6, abs=1e-9)
    assert math.log(estimate.high) == pytest.approx(expected.high, rel=1e-6, abs=1e-9)


@given(st.lists(st.tuples(POSITIVE, POSITIVE), min_size=2, max_size=8), st.floats(0.1, 10))
def test_a_gain_error_of_the_whole_block_cancels(pairs, gain):
    plain = ratio_to_baseline(pairs)
    gained = ratio_to_baseline([(a * gain, b * gain) for a, b in pairs])
    assert gained.ratio == pytest.approx(plain.ratio, rel=1e-9)


def test_swapping_arm_and_baseline_inverts_the_interval():
    pairs = [(2.0, 1.0), (2.1, 1.02), (1.9, 0.99)]
    one, other = ratio_to_baseline(pairs), ratio_to_baseline([(b, a) for a, b in pairs])
    assert other.ratio == pytest.approx(1 / one.ratio)
    assert (other.low, other.high) == (pytest.approx(1 / one.high), pytest.approx(1 / one.low))


def test_one_block_gives_a_ratio_and_no_interval():
    estimate = ratio_to_baseline([(3.0, 2.0)])
    assert estimate.ratio == pytest.approx(1.5)
    assert (estimate.low, estimate.high, estimate.sd_log) == (None, None, None)
    assert "2 blocks" in (estimate.reason or "")


def test_identical_readings_give_no_interval_of_width_nothing():
    estimate = ratio_to_baseline([(3.0, 2.0)] * 4)
    assert estimate.low is None and "coarse" in (estimate.reason or "")


def test_wild_scatter_gives_no_interval_instead_of_an_overflow():
    estimate = ratio_to_baseline([(1e200, 1e-200), (1e-200, 1e200)])
    assert estimate.low is None and "disagree" in (estimate.reason or "")


@pytest.mark.parametrize(
    "pairs", [[], [(0.0, 1.0)], [(1.0, -1.0)], [(math.nan, 1.0)], [(math.inf, 1.0)]]
)
def test_figures_without_a_logarithm_are_refused(pairs):
    with pytest.raises(ValueError):
        ratio_to_baseline(pairs)


@pytest.mark.parametrize(("blocks", "arms"), [(3, 1), (5, 1), (5, 5)])
def test_intervals_cover_the_truth_as_often_as_they_say(blocks, arms):
    """4,000 simulated campaigns with Gaussian noise of 1 % and a drift that blocks share."""
    rng = numpy.random.default_rng(20260504)
    campaigns, truth, covered = 4000, 0.8, 0
    for _ in range(campaigns):
        drift = rng.normal(0, 0.05, blocks)
        base = numpy.exp(drift + rng.normal(0, 0.01, blocks))
        hit = True
        for _ in range(arms):
            arm = truth * numpy.exp(drift + rng.normal(0, 0.01, blocks))
            estimate = ratio_to_baseline(
                list(zip(arm.tolist(), base.tolist(), strict=True)), 0.95, arms
            )
            assert estimate.low is not None and estimate.high is not None
            hit = hit and estimate.low <= truth <= estimate.high
        covered += hit
    # Four standard deviations of a binomial share around 95 %; Bonferroni may only exceed it.
    slack = 4 * math.sqrt(0.95 * 0.05 / campaigns)
    assert covered / campaigns >= 0.95 - slack
    if arms == 1:
        assert covered / campaigns <= 0.95 + slack


def test_expanded_uncertainty_by_hand():
    # s of 10, 12, 14 is 2, u_A = 2/√3; runs state U = 3, so u_B = 1.5.
    a = absolute([10.0, 12.0, 14.0], [3.0, 3.0, 3.0])
    assert a.mean == pytest.approx(12)
    assert a.u_a == pytest.approx(2 / math.sqrt(3))
    assert a.u_b == pytest.approx(1.5)
    assert a.expanded == pytest.approx(2 * math.sqrt(4 / 3 + 2.25))
    assert a.provisional


def test_the_meters_part_does_not_shrink_by_averaging():
    assert absolute([1.0] * 50, [0.1] * 50).expanded == pytest.approx(0.1)


def test_no_uncertainty_is_made_up():
    assert absolute([1.0, 2.0], [0.1, None]).expanded is None
    assert absolute([1.0], [0.1]).u_a is None
    assert absolute([1.0], [0.1]).expanded == pytest.approx(0.1)
    assert not absolute([1.0] * 60, [0.1] * 60).provisional
    with pytest.raises(ValueError):
        absolute([], [])


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_standard_deviation_is_numpys(values):
    assert standard_deviation(values) == pytest.approx(numpy.std(values, ddof=1), abs=1e-6)
