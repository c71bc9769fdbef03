"""Simultaneous intervals and the number of blocks, against SciPy and formulas by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lem.stats.intervals import blocks_needed, compare_arms, own_weight
from lem.stats.layout import fit
from lem.stats.quantiles import dunnett_quantile


def noise(seed: int, *shape: int, sd: float = 0.01) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, sd, shape)


@given(st.integers(0, 2**32 - 1), st.integers(2, 20))
def test_two_arms_get_the_paired_t_interval(seed: int, blocks: int) -> None:
    logs = noise(seed, blocks, 2)
    found = compare_arms(logs)
    expected = stats.ttest_rel(logs[:, 1], logs[:, 0]).confidence_interval(0.95)
    centre, half = float(found.log_ratio[0]), float(found.half_width[0])
    assert (centre - half, centre + half) == pytest.approx(tuple(expected), rel=1e-6, abs=1e-12)


def test_several_arms_by_hand() -> None:
    logs = noise(1, 6, 4)
    found, layout = compare_arms(logs), fit(logs, 0)
    own = np.var(logs[:, 1:] - logs[:, :1], axis=0, ddof=1)
    a = 0.5 + 2 / 36
    pooled = max(2 * float(layout.mse), own.mean())
    df = 5 / (a**2 + (1 - a**2) * (3 + 3) / 12)
    q = dunnett_quantile(0.95, 3, df)
    expected = q * np.sqrt((a * own + (1 - a) * pooled) / 6)
    assert found.half_width == pytest.approx(expected)
    assert found.df == pytest.approx(df)


def test_an_arms_own_variance_weighs_most_where_blocks_are_few() -> None:
    weights = own_weight(np.array([2.0, 3, 5, 10, 1000]))
    assert weights.tolist() == pytest.approx([1, 0.5 + 2 / 9, 0.58, 0.52, 0.5], abs=1e-5)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(2, 6))
def test_what_a_block_shares_cancels(seed: int, arms: int) -> None:
    logs = noise(seed, 5, arms)
    gain = np.random.default_rng(seed).normal(0, 1, (5, 1))
    a, b = compare_arms(logs), compare_arms(logs + gain)
    assert a.log_ratio == pytest.approx(b.log_ratio, abs=1e-9)
    assert a.half_width == pytest.approx(b.half_width, rel=1e-6)


def test_names_of_arms_do_not_matter() -> None:
    logs = noise(2, 7, 5)
    shuffled = logs[:, [3, 0, 4, 1, 2]]
    a, b = compare_arms(logs, baseline=0), compare_arms(shuffled, baseline=1)
    # Columns besides the baseline: 1, 2, 3, 4 there; 3, 4, 1, 2 here.
    assert a.half_width[[2, 3, 0, 1]] == pytest.approx(b.half_width)
    assert a.log_ratio[[2, 3, 0, 1]] == pytest.approx(b.log_ratio)


def test_many_campaigns_at_once_are_each_on_its_own() -> None:
    logs = noise(3, 4, 8, 3)
    logs[2, 5, 1] = np.nan
    together = compare_arms(logs, pilot=5)
    for i in range(4):
        alone = compare_arms(logs[i], pilot=5)
        assert together.half_width[i] == pytest.approx(alone.half_width)
        assert together.half_width_same[i] == pytest.approx(alone.half_width_same)


def test_never_narrower_than_the_pilot_said() -> None:
    logs = noise(4, 12, 2)
    logs[5:] *= 1e-3
    logs[5:] += logs[:5].mean(axis=0)
    pilot = logs[:5, 1] - logs[:5, 0]
    promised = stats.t.ppf(0.975, 4) * np.std(pilot, ddof=1) / np.sqrt(12)
    assert compare_arms(logs, pilot=5).half_width[0] == pytest.approx(promised)
    assert compare_arms(logs).half_width[0] < promised


def test_equivalence_needs_less_than_a_difference() -> None:
    two = compare_arms(noise(5, 6, 2))
    assert float(two.half_width_same[0] / two.half_width[0]) == pytest.approx(
        stats.t.ppf(0.95, 5) / stats.t.ppf(0.975, 5)
    )
    six = compare_arms(noise(5, 6, 6), pilot=4)
    assert (six.half_width_same < six.half_width).all()


def test_refusals() -> None:
    assert compare_arms(noise(6, 1, 3)).refused.tolist() == [1, 1]
    constant = np.repeat(np.log([[1.0, 2.0, 3.0]]), 5, axis=0)
    assert compare_arms(constant).refused.tolist() == [2, 2]
    wild = np.array([[0.0, 900.0], [0.0, -900.0]])
    found = compare_arms(wild)
    assert found.refused.tolist() == [3] and np.isnan(found.half_width).all()
    gaps = noise(7, 6, 3)
    gaps[1:, 2] = np.nan
    found = compare_arms(gaps)
    assert found.refused.tolist() == [0, 1] and np.isfinite(found.half_width[0])


@pytest.mark.parametrize("target", [0.005, 0.01, 0.02, 0.5])
def test_two_arms_need_what_stein_says(target: float) -> None:
    logs = noise(8, 10, 2)
    s = np.std(logs[:, 1] - logs[:, 0], ddof=1)
    expected = max(10, np.ceil((stats.t.ppf(0.975, 9) * s / target) ** 2))
    assert float(blocks_needed(logs, target)) == expected


@pytest.mark.parametrize("arms", [3, 6])
def test_blocks_needed_bring_alike_arms_to_the_target(arms: int) -> None:
    pilots = noise(9, 300, 10, arms)
    target = 0.008
    for pilot, n in zip(pilots, blocks_needed(pilots, target), strict=True):
        layout = fit(pilot, 0)
        if float(layout.unlike) < 0.05:
            continue
        m, a = arms - 1, 0.5 + 2 / n**2
        df = (n - 1) / (a**2 + (1 - a**2) * (m + 3) / (4 * m))
        expected = dunnett_quantile(0.95, m, float(df)) * np.sqrt(2 * layout.mse / n)
        guard = dunnett_quantile(0.95, m, float(layout.df)) * np.sqrt(2 * layout.mse / n)
        assert max(expected, guard) <= target * (1 + 1e-9)
        if n > 10:  # one block less would not do
            a = 0.5 + 2 / (n - 1) ** 2
            df = (n - 2) / (a**2 + (1 - a**2) * (m + 3) / (4 * m))
            less = dunnett_quantile(0.95, m, float(df)) * np.sqrt(2 * layout.mse / (n - 1))
            assert max(less, guard * np.sqrt(n / (n - 1))) > target


def test_median_number_of_blocks_for_one_percent_at_one_percent_of_noise() -> None:
    one = np.median(blocks_needed(noise(10, 2000, 10, 2), 0.01))
    five = np.median(blocks_needed(noise(11, 2000, 10, 6), 0.01))
    assert one <= 12 and five <= 15


def test_very_many_blocks_are_planned_too() -> None:
    pilot = noise(12, 5, 3, sd=0.5)
    n = float(blocks_needed(pilot, 0.01))
    assert 200 < n < 1e6
    assert np.isnan(blocks_needed(np.full((3, 2), np.nan), 0.01))
