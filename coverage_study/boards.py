"""Campaigns whose blocks were spread over boards: the gains differ, and perhaps the ratios too."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from coverage_study.campaigns import SPIKE, SPIKES, Array, Campaigns, autoregression, true_logs
from coverage_study.scenarios import MAX_BLOCKS, NOISE, PROTOCOLS, TRUTH, Noise, Protocol, Scenario
from coverage_study.study import BATCH, GOAL, MOST_REFUSED, PRODUCT, generator
from lem.stats.absolute import COVERAGE
from lem.stats.absolute_boards import absolute_on_boards
from lem.stats.boards import compare_on_boards, grouped
from lem.stats.quantiles import t_quantile
from lem.stats.serial import absolute_intervals

GAIN = 0.034
"""RMS of the boards' gains (arXiv 2312.02741)."""
INTERACTION = 0.005
"""Standard deviation over boards of what an arm's own figure is off by on each."""
BOARDS = (2, 4, 8)
Given = Literal["random", "in turn", "one by one"]
GIVEN: tuple[Given, ...] = ("random", "in turn")


@dataclass(frozen=True)
class Spread:
    noise: Noise
    arms: int
    protocol: Protocol
    boards: int
    given: Given
    """How blocks come to boards."""
    interaction: float

    @property
    def name(self) -> str:
        own = f"boards/{self.boards}/{self.given}/{self.interaction:g}"
        return f"{own}/{self.noise}/{self.arms}/{self.protocol.name}"


def scenarios() -> list[Spread]:
    """Pilots of 5 and of 10 blocks."""
    return [
        Spread(noise, arms, protocol, boards, given, interaction)
        for interaction in (0.0, INTERACTION)
        for boards in BOARDS
        for given in GIVEN
        for noise in NOISE
        for arms in TRUTH
        for protocol in PROTOCOLS
        if protocol.target is not None
    ]


class Spreading(NamedTuple):
    """What came of one scenario, over the campaigns that were spread over two boards or more."""

    scenario: Spread
    spread: float
    """Share of the campaigns that were."""
    these: float
    """All ratios on these very boards covered by the stated intervals."""
    like: float
    """All ratios on boards like these covered by the intervals for those."""
    stated_like: float
    """… by the stated intervals, which are not made for it unless a board is noticed."""
    noticed: float
    """Share in which a board is shown to be apart."""
    refused: float
    absolute: float
    """The baseline's figure covered by its repeatability interval."""
    absolute_refused: float
    blindly: float
    """… if blocks were taken for independent, whatever board they ran on."""
    expanded: float
    """… by mean ± U."""
    blocks: float
    half_width: float
    """Median, logarithmic, as the next one."""
    half_width_like: float
    half_width_absolute: float
    campaigns: int

    def error(self, covered: float) -> float:
        """Monte-Carlo standard error."""
        return float(np.sqrt(covered * (1 - covered) / max(self.campaigns * self.spread, 1)))

    @property
    def short(self) -> list[str]:
        """Which of the claims fall short."""
        claims = {"these boards": self.these, "boards like these": self.like}
        claims |= {"absolute figure": self.absolute, "± U": self.expanded}
        found = [f"{what} {100 * p:.1f} %" for what, p in claims.items() if p < GOAL]
        most = max(self.refused, self.absolute_refused)
        return found + ([f"{100 * most:.1f} % refused"] if most > MOST_REFUSED else [])


def given(
    how: Given, rng: np.random.Generator, campaigns: int, blocks: int, boards: int
) -> NDArray[np.int64]:
    """(campaigns, blocks): the board's number."""
    if how == "random":
        return np.asarray(rng.integers(0, boards, (campaigns, blocks)))
    order = np.arange(blocks)
    order = order % boards if how == "in turn" else order * boards // blocks
    return np.tile(order, (campaigns, 1))


def run(scenario: Spread, campaigns: int, seed: int) -> Spreading:
    rng = generator(seed, scenario.name)
    parts: dict[str, list[Array]] = {}
    for done in range(0, campaigns, BATCH):
        for found in _batch(scenario, min(BATCH, campaigns - done), rng):
            for key, value in found.items():
                parts.setdefault(key, []).append(np.asarray(value, dtype=float))
    told = {key: np.concatenate(found) for key, found in parts.items()}
    spread = told.pop("spread") > 0
    told = {key: value[spread] for key, value in told.items()}
    given_, has = told["half_width"] > 0, told["half_width_absolute"] > 0

    def share(key: str, among: Any) -> float:
        return float(told[key][among].mean())

    return Spreading(
        scenario,
        spread=float(spread.mean()),
        these=share("these", given_),
        like=share("like", given_),
        stated_like=share("stated_like", given_),
        noticed=float(told["noticed"].mean()),
        refused=float(1 - given_.mean()),
        absolute=share("absolute", has),
        absolute_refused=float(1 - has.mean()),
        blindly=share("blindly", told["blind"] > 0),
        expanded=float(told["expanded"].mean()),
        blocks=float(np.median(told["blocks"])),
        half_width=float(np.median(told["half_width"][given_])),
        half_width_like=float(np.median(told["half_width_like"][given_])),
        half_width_absolute=float(np.median(told["half_width_absolute"][has])),
        campaigns=campaigns,
    )


def _batch(s: Spread, campaigns: int, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """What is known of each campaign, for those of each number of blocks."""
    simulated = Campaigns(Scenario(s.noise, "none", s.arms, s.protocol), campaigns, MAX_BLOCKS, rng)
    which = given(s.given, rng, campaigns, MAX_BLOCKS, s.boards)
    gains = np.log1p(GAIN * rng.standard_normal((campaigns, s.boards)))
    own = s.interaction * rng.standard_normal((campaigns, s.boards, s.arms))
    pilot, target = s.protocol.pilot, s.protocol.target
    assert target is not None

    def logs(blocks: int, these: Any) -> Array:
        on = which[these, :blocks]
        shared = np.take_along_axis(gains[these], on, axis=-1)[..., None]
        mine = np.take_along_axis(own[these], on[..., None], axis=-2)
        return np.asarray(simulated.logs(blocks, these) + shared + mine)

    n = PRODUCT.needed(logs(pilot, slice(None)), target)
    n = np.clip(np.nan_to_num(n, nan=pilot), pilot, MAX_BLOCKS)
    for blocks in np.unique(n).astype(int):
        these = np.flatnonzero(n == blocks)
        yield _one(s, logs(blocks, these), which[these, :blocks], own[these])


def _one(s: Spread, logs: Array, which: NDArray[np.int64], own: Array) -> dict[str, Any]:
    blocks = logs.shape[1]
    found, on = compare_on_boards(logs, which, 0, s.protocol.pilot)
    counts = np.apply_along_axis(np.bincount, 1, which, minlength=s.boards) / blocks
    off = (counts[..., None] * (own[..., 1:] - own[..., :1])).sum(axis=1)
    like = np.abs(found.log_ratio - true_logs(s.arms))
    these = np.abs(found.log_ratio - true_logs(s.arms) - off)
    values = np.exp(logs[..., 0])
    truth = TRUTH[s.arms][0] * (1 + (SPIKE * SPIKES if s.noise == "spikes" else 0.0))
    absolute = absolute_on_boards(values, which)
    blind = absolute_intervals(values).half_width
    error = np.abs(absolute.mean - truth)
    width = np.nan_to_num(found.half_width, nan=-1.0).min(axis=-1)
    return {
        "spread": on.grouped.boards[:, 0] > 1,
        "these": (these <= found.half_width).all(axis=-1),
        "like": (like <= on.half_width).all(axis=-1),
        "stated_like": (like <= found.half_width).all(axis=-1),
        "noticed": on.noticed.any(axis=-1),
        "absolute": error <= absolute.half_width,
        "blindly": error <= blind,
        "blind": np.nan_to_num(blind),
        "expanded": error <= expanded(values, which),
        "blocks": np.full(len(logs), blocks),
        "half_width": np.where(width < 0, 0.0, np.nan_to_num(found.half_width).mean(axis=-1)),
        "half_width_like": np.nan_to_num(on.half_width).mean(axis=-1),
        "half_width_absolute": np.nan_to_num(absolute.half_width),
    }


def expanded(
    values: Array, which: NDArray[np.int64], gain: float = GAIN, student: bool = True
) -> Array:
    """U of each mean, as :func:`lem.stats.absolute.mean_of` has it where every run states the same
    ``gain``; without ``student`` as if the boards' scatter were known as well as of many."""
    by_board = grouped(values, which)
    boards = np.sqrt(by_board.scatter * by_board.concentration)
    k = np.fmax(2, t_quantile(0.5 + COVERAGE / 2, np.maximum(by_board.boards - 1, 1)))
    blocks = 2 * values.std(axis=-1, ddof=1) / np.sqrt(values.shape[-1])
    scatter = np.fmax(blocks, (k if student else 2.0) * boards)
    return np.asarray(np.hypot(scatter, 2 * gain * values.mean(axis=-1)))


CALIBRATION = 0.003
"""Standard uncertainty of a calibrated board's gain."""
DIFFER = 0.03
"""Standard deviation by which boards truly differ in what they draw."""


class Calibrated(NamedTuple):
    """Means of calibrated boards that differ, in turn; blocks of 1 %."""

    blocks: int
    boards: int
    covered: float
    """By mean ± U."""
    with_two: float
    """… had the boards' scatter a factor of 2, whatever their number."""
    error: float


def calibrated(campaigns: int, seed: int) -> list[Calibrated]:
    """Of all numbers of blocks and boards, but where each block has a board of its own."""
    return [
        _calibrated(blocks, boards, campaigns, seed)
        for boards in (2, 3, 4, 8)
        for blocks in LENGTHS
        if blocks > boards
    ]


def _calibrated(blocks: int, boards: int, campaigns: int, seed: int) -> Calibrated:
    rng = generator(seed, f"calibrated/{blocks}/{boards}")
    which = given("in turn", rng, campaigns, blocks, boards)
    differ = DIFFER * rng.standard_normal((campaigns, boards))
    differ += CALIBRATION * rng.standard_normal((campaigns, boards))
    values = 1 + 0.01 * rng.standard_normal((campaigns, blocks))
    values += np.take_along_axis(differ, which, axis=-1)
    error = np.abs(values.mean(axis=-1) - 1)
    covered, with_two = (
        float((error <= expanded(values, which, CALIBRATION, student)).mean())
        for student in (True, False)
    )
    deviation = float(np.sqrt(covered * (1 - covered) / campaigns))
    return Calibrated(blocks, boards, covered, with_two, deviation)


LENGTHS = (5, 10, 20, 40)
AUTOCORRELATIONS = (0.0, 0.5)


class Resembling(NamedTuple):
    """Absolute figures where blocks resemble those before them, whatever the board."""

    blocks: int
    boards: int
    given: Given
    phi: float
    gain: float
    covered: float
    refused: float
    error: float


def resembling(campaigns: int, seed: int) -> list[Resembling]:
    """Blocks of 1 %, of all numbers of blocks and boards and ways to give them."""
    return [
        _resembling(blocks, boards, how, phi, gain, campaigns, seed)
        for gain in (GAIN, 0.0)
        for phi in AUTOCORRELATIONS
        for boards in BOARDS
        for how in (*GIVEN, "one by one")
        for blocks in LENGTHS
    ]


def _resembling(
    blocks: int, boards: int, how: Given, phi: float, gain: float, campaigns: int, seed: int
) -> Resembling:
    rng = generator(seed, f"resembling/{blocks}/{boards}/{how}/{phi}/{gain}")
    which = given(how, rng, campaigns, blocks, boards)
    gains = 1 + gain * rng.standard_normal((campaigns, boards))
    values = 1 + 0.01 * autoregression(rng, campaigns, blocks, phi)
    values *= np.take_along_axis(gains, which, axis=-1)
    found = absolute_on_boards(values, which)
    spread = grouped(values, which).boards > 1
    has = spread & (found.refused == 0)
    covered = float((np.abs(found.mean - 1) <= found.half_width)[has].mean())
    refused = float(1 - has.sum() / spread.sum())
    error = float(np.sqrt(covered * (1 - covered) / has.sum()))
    return Resembling(blocks, boards, how, phi, gain, covered, refused, error)
