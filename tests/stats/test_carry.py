"""The share handed on, over many simulated campaigns."""

import numpy as np
import pytest

from coverage_study.campaigns import orders
from lem.stats.carry import carry_over

TRUTH = {2: np.log([1.0, 0.7]), 6: np.log([1.0, 0.7, 0.9, 1.3, 0.5, 1.0])}


def campaigns(share: float, arms: int, blocks: int, count: int) -> tuple[np.ndarray, ...]:
    """Logarithms, predecessors, and the bias of each log-ratio."""
    rng = np.random.default_rng([arms, blocks, round(1000 * share)])
    arm_at = orders(rng, count, blocks, arms)
    runs = arm_at.reshape(count, -1)
    before = np.concatenate([np.full((count, 1), -1), runs[:, :-1]], axis=1)
    predecessor = np.empty_like(arm_at)
    np.put_along_axis(predecessor, arm_at, before.reshape(arm_at.shape), axis=-1)
    truth = TRUTH[arms]
    pull = np.where(predecessor >= 0, truth[np.maximum(predecessor, 0)] - truth, 0.0)
    logs = truth + share * pull + rng.normal(0, 0.01, pull.shape)
    bias = share * pull.mean(axis=1)
    return logs, predecessor, bias[:, 1:] - bias[:, :1]


@pytest.mark.parametrize(("arms", "blocks"), [(6, 3), (6, 10), (2, 40)])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.05])
def test_the_share_is_found_and_its_bound_holds(arms: int, blocks: int, share: float) -> None:
    logs, predecessor, _ = campaigns(share, arms, blocks, 3000)
    found = carry_over(logs, predecessor)
    spread = found.share.std()
    assert found.share.mean() == pytest.approx(share, abs=4 * spread / np.sqrt(3000) + 0.02 * share)
    assert (share <= found.bound).mean() >= 0.95
    # The stated standard error is the scatter seen.
    assert np.sqrt((found.standard_error**2).mean()) == pytest.approx(spread, rel=0.1)


def test_nothing_is_noticed_by_chance_oftener_than_stated() -> None:
    logs, predecessor, _ = campaigns(0.0, 6, 10, 4000)
    found = carry_over(logs, predecessor)
    noticed = (found.bound - np.abs(found.share) < np.abs(found.share)).mean()
    assert noticed == pytest.approx(0.05, abs=0.015)


def test_bounds_on_the_bias_hold() -> None:
    logs, predecessor, bias = campaigns(0.02, 6, 10, 3000)
    found = carry_over(logs, predecessor)
    # To within what the estimated effects of the arms themselves leave open.
    assert (np.abs(bias) <= found.bias + 2e-4).all(axis=-1).mean() >= 0.95
