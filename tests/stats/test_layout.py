"""The two-way layout against least squares, with and without gaps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import stats

from lem.stats.layout import fit

FINITE = st.floats(-5, 5)


def least_squares(logs: np.ndarray) -> tuple[float, int]:
    """Residual sum of squares and degrees of freedom of block + arm, without lem's code."""
    blocks, arms = logs.shape
    rows, values = [], []
    for b in range(blocks):
        for a in range(arms):
            if np.isfinite(logs[b, a]):
                row = np.zeros(blocks + arms)
                row[b] = row[blocks + a] = 1
                rows.append(row)
                values.append(logs[b, a])
    design, y = np.array(rows), np.array(values)
    left = y - design @ np.linalg.pinv(design) @ y
    return float(left @ left), len(y) - int(np.linalg.matrix_rank(design))


@given(arrays.arrays(float, st.tuples(st.integers(2, 7), st.integers(2, 5)), elements=FINITE))
def test_pooled_variance_is_that_of_least_squares(logs: np.ndarray) -> None:
    found = fit(logs, 0)
    square, df = least_squares(logs)
    assert float(found.df) == df
    assert float(found.mse) * df == pytest.approx(square, abs=1e-9)


def test_two_arms_pool_to_half_the_variance_of_their_difference() -> None:
    logs = np.random.default_rng(1).normal(size=(9, 2))
    found = fit(logs, 0)
    difference = np.var(logs[:, 1] - logs[:, 0], ddof=1)
    assert float(found.mse) == pytest.approx(difference / 2)
    assert float(found.variance[0]) == pytest.approx(difference)
    assert float(found.unlike) == 1


def test_gaps_are_fitted_by_least_squares() -> None:
    logs = np.random.default_rng(2).normal(size=(8, 4))
    logs[[0, 3, 3, 7], [1, 2, 3, 0]] = np.nan
    found = fit(logs, 0)
    square, df = least_squares(logs)
    assert float(found.df) == df == 17
    assert float(found.mse) == pytest.approx(square / df)
    assert found.pairs.tolist() == [6, 6, 6]
    both = np.isfinite(logs[:, 2]) & np.isfinite(logs[:, 0])
    assert found.log_ratio[1] == pytest.approx((logs[both, 2] - logs[both, 0]).mean())


def test_many_campaigns_at_once_are_each_on_its_own() -> None:
    logs = np.random.default_rng(3).normal(size=(2, 3, 6, 4))
    logs[1, 2, 4, 1] = np.nan
    together = fit(logs, 1)
    for at in np.ndindex(2, 3):
        alone = fit(logs[at], 1)
        for name in together._fields:
            assert getattr(together, name)[at] == pytest.approx(getattr(alone, name), nan_ok=True)


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1))
def test_blocks_and_arms_do_not_matter_for_the_scatter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    logs = rng.normal(size=(5, 4))
    moved = logs + rng.normal(size=(5, 1)) * 10 + rng.normal(size=4) * 10
    a, b = fit(logs, 0), fit(moved, 0)
    assert float(a.mse) == pytest.approx(float(b.mse), rel=1e-6)
    assert float(a.unlike) == pytest.approx(float(b.unlike), rel=1e-5)


def test_unlike_variances_are_found_as_often_as_chance_says_and_oftener_where_they_are() -> None:
    rng = np.random.default_rng(4)
    logs = rng.normal(size=(8000, 10, 6))
    chance = (fit(logs, 0).unlike < 0.05).mean()
    # Bonferroni over six arms: at most 5 %, and nearly that.
    assert 0.03 < chance < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 8000)
    logs[..., 0] *= 3
    # The baseline's contrast has variance 9 + 1/5 instead of 1 + 1/5; the rest is as before.
    power = stats.f.sf(stats.f.isf(0.05 / 6, 9, 36) / (9.2 / 1.2), 9, 36)
    assert (fit(logs, 0).unlike < 0.05).mean() == pytest.approx(power, abs=0.02)


def test_the_test_of_one_arm_is_an_f_test() -> None:
    # Three arms, the second far noisier: p is 3 times that of its contrast against what remains.
    logs = np.random.default_rng(5).normal(size=(7, 3)) * [1, 8, 1]
    contrast = logs[:, 1] - logs[:, [0, 2]].mean(axis=1)
    own = np.var(contrast, ddof=1) * 2 / 3
    rest = np.var(logs[:, 0] - logs[:, 2], ddof=1) / 2
    expected = 3 * stats.f.sf(own / rest, 6, 6)
    assert float(fit(logs, 0).unlike) == pytest.approx(expected)
