"""Whole campaigns through the functions that the product uses: pilot, number of blocks, intervals.

Coverage is joint: a campaign counts as covered where all its intervals hold the truth.
"""

import hashlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from coverage_study.campaigns import Array, Campaigns, true_logs
from coverage_study.scenarios import MAX_BLOCKS, Protocol, Scenario
from lem.stats.intervals import blocks_needed, compare_arms

GOAL = 0.945
MOST_REFUSED = 0.05


class Rule(NamedTuple):
    """A way to choose the number of blocks and to make intervals."""

    name: str
    needed: Callable[[Array, float], Array]
    """Pilot (campaigns, blocks, arms) and target → number of blocks."""
    half_widths: Callable[[Array, int | None], Array]
    """Campaigns and the pilot's length (None where n is fixed) → (campaigns, comparisons)."""


PRODUCT = Rule(
    "lem",
    lambda logs, target: blocks_needed(logs, target),
    lambda logs, pilot: compare_arms(logs, 0, pilot).half_width,
)


class Cell(NamedTuple):
    """What came of one scenario."""

    scenario: Scenario
    campaigns: int
    covered: float
    """Share of the campaigns with intervals in which all hold the truth."""
    refused: float
    """Share of the campaigns with a comparison that was refused an interval."""
    blocks: float
    """Median number of blocks."""
    half_width: float
    """Median half-width (logarithmic) over campaigns and comparisons."""

    @property
    def error(self) -> float:
        """Monte-Carlo standard error of ``covered``."""
        n = self.campaigns * (1 - self.refused)
        return float(np.sqrt(self.covered * (1 - self.covered) / max(n, 1)))

    @property
    def good(self) -> bool:
        return self.covered >= GOAL and self.refused <= MOST_REFUSED


def generator(seed: int, name: str) -> np.random.Generator:
    """The same stream for the same name, whatever else is simulated."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32).tolist())


BATCH = 10_000
"""Campaigns simulated at once: what fits into memory."""


def run(scenario: Scenario, campaigns: int, seed: int, rule: Rule = PRODUCT) -> Cell:
    """Simulates the scenario; the same campaigns for every rule."""
    rng = generator(seed, scenario.name)
    sizes = [min(BATCH, campaigns - done) for done in range(0, campaigns, BATCH)]
    batches = [_batch(scenario, size, rng, rule) for size in sizes]
    blocks, halves, errors = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    given = np.isfinite(halves).all(axis=-1)
    covered = (errors <= halves)[given].all(axis=-1)
    return Cell(
        scenario,
        campaigns,
        float(covered.mean()) if len(covered) else 0.0,
        float(1 - given.mean()),
        float(np.median(blocks)),
        float(np.median(halves[given])),
    )


def _batch(
    scenario: Scenario, campaigns: int, rng: np.random.Generator, rule: Rule
) -> tuple[Array, Array, Array]:
    """Number of blocks, half-widths and errors of each campaign."""
    protocol = scenario.protocol
    most = MAX_BLOCKS if protocol.target is not None else protocol.pilot
    simulated = Campaigns(scenario, campaigns, most, rng)
    n, drift_over = _blocks(simulated, protocol, campaigns, rule)
    halves = np.empty((campaigns, scenario.arms - 1))
    errors = np.empty_like(halves)
    pilot = None if protocol.target is None else protocol.pilot
    for blocks in np.unique(n):
        these = np.flatnonzero(n == blocks)
        logs = simulated.logs(int(blocks), these, drift_over[these])
        halves[these] = rule.half_widths(logs, pilot)
        ratios = (logs[..., 1:] - logs[..., :1]).mean(axis=-2)
        errors[these] = np.abs(ratios - true_logs(scenario.arms))
    return n, halves, errors


def _blocks(
    simulated: Campaigns, protocol: Protocol, campaigns: int, rule: Rule
) -> tuple[Array, Array]:
    """Blocks of each campaign, and over how many a linear drift of 3 % stretches. How long the
    campaign will be depends on the pilot, and the pilot on how steep the drift is: the drift is
    laid over the number of blocks that the pilot would have asked for on a flat course."""
    pilot, target = protocol.pilot, protocol.target
    fixed = np.full(campaigns, float(pilot))
    if target is None:
        return fixed, fixed

    def needed(drift_over: Array) -> Array:
        n = rule.needed(simulated.logs(pilot, drift_over=drift_over), target)
        # A pilot that cannot tell leaves the campaign at the pilot, refused or not.
        return np.clip(np.nan_to_num(n, nan=pilot), pilot, MAX_BLOCKS)

    drift_over = needed(np.full(campaigns, 1e12))
    return needed(drift_over), drift_over
