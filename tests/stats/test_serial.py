"""Absolute intervals: autocorrelation, slope, merging, refusal."""

import numpy as np
import pytest

from coverage_study.campaigns import autoregression
from lem.stats.serial import REFUSALS, absolute_intervals, autocorrelation, slope


def series(seed: int, phi: float, count: int, blocks: int) -> np.ndarray:
    return 1 + 0.01 * autoregression(np.random.default_rng(seed), count, blocks, phi)


def test_autocorrelation_by_hand() -> None:
    # 1, 2, 3, 4: deviations −1.5, −0.5, 0.5, 1.5; products 0.75 − 0.25 + 0.75 = 1.25; squares 5.
    assert autocorrelation(np.array([[1.0, 2, 3, 4]]))[0][0] == pytest.approx(0.25)


def test_simulated_autoregressions_are_what_they_say() -> None:
    values = autoregression(np.random.default_rng(1), 2000, 400, 0.7)
    assert values.var() == pytest.approx(1, abs=0.02)
    assert (values[:, 1:] * values[:, :-1]).mean() == pytest.approx(0.7, abs=0.02)


def test_independent_blocks_are_rarely_taken_for_resembling() -> None:
    p = absolute_intervals(series(2, 0.0, 8000, 20)).lag1_p
    assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.012)


def test_autocorrelation_of_one_half_is_noticed_at_60_blocks() -> None:
    assert (absolute_intervals(series(3, 0.5, 4000, 60)).lag1_p < 0.05).mean() >= 0.95


@pytest.mark.parametrize("blocks", [3, 5, 8, 14, 20, 30, 59, 60])
@pytest.mark.parametrize("phi", [0.0, 0.3, 0.5])
def test_intervals_cover_up_to_one_half(blocks: int, phi: float) -> None:
    found = absolute_intervals(series(100 + blocks, phi, 4000, blocks))
    given = found.refused == 0
    covered = (np.abs(found.mean - 1) <= found.half_width)[given].mean()
    # Four standard errors of the simulation below the goal of 94.5 %.
    assert covered >= 0.945 - 4 * np.sqrt(0.945 * 0.055 / given.sum())
    assert phi > 0 or given.mean() >= 0.95


def test_plain_t_intervals_would_not() -> None:
    values = series(4, 0.5, 4000, 20)
    half = 2.093 * values.std(axis=1, ddof=1) / np.sqrt(20)
    assert (np.abs(values.mean(axis=1) - 1) <= half).mean() < 0.85


def test_resembling_neighbours_are_merged_and_wandering_ones_refused() -> None:
    found = absolute_intervals(series(5, 0.6, 500, 80))
    assert set(found.merged.tolist()) == {2, 4, 8}
    assert (absolute_intervals(series(5, 0.0, 500, 80)).merged == 1).mean() > 0.9
    steps = np.random.default_rng(6).normal(0, 0.01, (500, 24))
    walk = absolute_intervals(1 + np.cumsum(steps, axis=1))
    assert (walk.refused > 0).mean() > 0.5


def test_a_drift_is_refused_and_its_size_known() -> None:
    drift = np.linspace(0.985, 1.015, 40)
    values = drift + np.random.default_rng(7).normal(0, 0.002, (200, 40))
    found = absolute_intervals(values)
    assert (found.refused == 4).all()
    assert found.slope.mean() == pytest.approx(0.03, abs=0.001)


def test_slopes_are_found_by_chance_as_rarely_as_they_say() -> None:
    for phi in (0.0, 0.5):
        _, p = slope(series(8, phi, 4000, 30))
        assert (p < 0.01).mean() < 0.015


def test_slope_agrees_with_least_squares() -> None:
    values = np.random.default_rng(9).normal(size=12)
    expected = np.polyfit(np.arange(12), values, 1)[0] * 11
    assert slope(values[None])[0][0] == pytest.approx(expected)


def test_too_few_and_too_coarse() -> None:
    assert absolute_intervals(np.array([1.0, 2.0])).refused == 1
    assert absolute_intervals(np.array([1.0])).refused == 1
    assert absolute_intervals(np.full(9, 0.1)).refused == 2
    assert set(REFUSALS) == {1, 2, 3, 4}


def test_many_series_at_once_are_each_on_their_own() -> None:
    values = series(10, 0.6, 6, 45).reshape(2, 3, 45)
    together = absolute_intervals(values)
    for at in np.ndindex(2, 3):
        alone = absolute_intervals(values[at])
        assert together.half_width[at] == pytest.approx(float(alone.half_width), nan_ok=True)
        assert together.merged[at] == alone.merged and together.refused[at] == alone.refused


def test_a_drift_without_any_scatter_is_one() -> None:
    """The remainder of a straight line may be nothing at all, and then so is its error."""
    found = absolute_intervals(np.array([[1.0, 2.0, 3.0, 4.0, 5.0], [5.0, 4.0, 3.0, 2.0, 1.0]]))
    assert (found.refused == 4).all() and (found.slope_p == 0).all()
    assert absolute_intervals(np.full((1, 5), 3.0)).refused.tolist() == [2]
