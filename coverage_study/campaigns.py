"""Simulated campaigns: logarithms of what every run would have measured.

All arms of a block run in random order, one run after another, block after block. The planner draws
its orders by hashing (``lem.campaign.plan.order``, uniform by test); here they are drawn by the
generator, which is a thousand times as fast.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from coverage_study.scenarios import NOISE, TRUTH, UNLIKE, Scenario

Array = NDArray[np.float64]
SPIKE = 0.10
SPIKES = 0.02
DRIFT = 0.03
PHI, AR_SD = 0.8, 0.01
HANDED_ON = 0.001


def true_logs(arms: int) -> Array:
    """True log-ratios to the baseline."""
    logs = np.log(np.array(TRUTH[arms], dtype=float))
    return np.asarray(logs[1:] - logs[0])


def orders(rng: np.random.Generator, campaigns: int, blocks: int, arms: int) -> NDArray[np.int64]:
    """(campaigns, blocks, places): which arm runs at which place."""
    return np.argsort(rng.random((campaigns, blocks, arms)), axis=-1)


class Campaigns:
    """``campaigns`` of ``blocks`` blocks each, of which a protocol may use the first few."""

    def __init__(
        self, scenario: Scenario, campaigns: int, blocks: int, rng: np.random.Generator
    ) -> None:
        self.scenario = scenario
        self.arm_at = orders(rng, campaigns, blocks, scenario.arms)
        runs = self.arm_at.reshape(campaigns, -1)
        sd = np.array(UNLIKE[scenario.unlike][1])
        truth = np.log(TRUTH[scenario.arms])
        noise = _noise(scenario.noise, runs.shape, rng) * sd[runs]
        # Nothing draws less than no power: a t₃ can fall that low once in ten million runs.
        by_time = truth[runs] + np.log1p(np.maximum(noise, -0.99))
        if scenario.noise == "spikes":
            by_time += np.log1p(SPIKE) * (rng.random(runs.shape) < SPIKES)
        if scenario.trend == "ar1":
            by_time += np.log1p(AR_SD * autoregression(rng, *runs.shape, PHI))
        if scenario.trend == "carry":
            true = np.array(TRUTH[scenario.arms])[runs]
            share = HANDED_ON * (true[:, :-1] - true[:, 1:]) / true[:, 1:]
            by_time[:, 1:] += np.log1p(share)
        self._by_time = by_time

    def logs(self, blocks: int, which: Any = slice(None), drift_over: Any = None) -> Array:
        """(campaigns, blocks, arms) of the first ``blocks``. A linear drift rises by 3 % over
        ``drift_over`` blocks (one number for each campaign)."""
        arm_at = self.arm_at[which, :blocks]
        values = self._by_time[which, : blocks * self.scenario.arms]
        if self.scenario.trend == "linear":
            place = np.arange(values.shape[1]) + 0.5
            whole = np.asarray(drift_over, dtype=float)[..., None] * self.scenario.arms
            values = values + np.log1p(DRIFT * place / whole)
        by_arm: Array = np.empty(arm_at.shape)
        np.put_along_axis(by_arm, arm_at, values.reshape(arm_at.shape), axis=-1)
        return by_arm


def _noise(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    assert kind in NOISE
    if kind == "t3":
        return np.asarray(rng.standard_t(3, shape) / np.sqrt(3) * 0.01)
    sd = 0.02 if kind == "gauss2" else 0.01
    return np.asarray(sd * rng.standard_normal(shape))


def autoregression(rng: np.random.Generator, series: int, length: int, phi: float) -> Array:
    """Stationary first-order autoregressions of unit variance (series, length)."""
    shocks = rng.standard_normal((series, length))
    shocks[:, 1:] *= np.sqrt(1 - phi**2)
    for i in range(1, length):
        shocks[:, i] += phi * shocks[:, i - 1]
    return shocks
