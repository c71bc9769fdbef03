"""What is simulated: noise, trend, arms and presets, each combination one cell of the study."""

from dataclasses import dataclass
from typing import Literal

from lem.config.measure import PRESETS

Noise = Literal["gauss1", "gauss2", "t3", "spikes"]
Trend = Literal["none", "linear", "ar1", "carry"]
Unlike = Literal["like", "baseline3", "arm3", "graded", "baseline1.5"]

TRUTH = {2: (1.0, 0.7), 6: (1.0, 0.7, 0.9, 1.3, 0.5, 1.0)}
"""True figures of the arms, the baseline first."""
MAX_BLOCKS = 40
"""The default cap of a campaign file (measure.max_blocks)."""

NOISE: dict[Noise, str] = {
    "gauss1": "Gaussian 1 %",
    "gauss2": "Gaussian 2 %",
    "t3": "t₃, sd 1 %",
    "spikes": "Gaussian 1 %, spikes",
}
TREND: dict[Trend, str] = {
    "none": "none",
    "linear": "linear 3 %",
    "ar1": "AR(1) φ 0.8",
    "carry": "carry-over 0.1 %",
}
UNLIKE: dict[Unlike, tuple[str, tuple[float, ...]]] = {
    "like": ("all alike", (1, 1, 1, 1, 1, 1)),
    "baseline3": ("baseline × 3", (3, 1, 1, 1, 1, 1)),
    "arm3": ("one arm × 3", (1, 3, 1, 1, 1, 1)),
    "graded": ("graded 0.5 to 2 %", (0.5, 0.8, 1.1, 1.4, 1.7, 2.0)),
    "baseline1.5": ("baseline × 1.5", (1.5, 1, 1, 1, 1, 1)),
}
"""Standard deviation of each arm's noise in units of the scenario's."""


@dataclass(frozen=True)
class Protocol:
    """How many blocks: a fixed number, or a pilot and a target."""

    name: str
    pilot: int
    target: float | None


PROTOCOLS = tuple(
    Protocol(name, preset.blocks, None if preset.fixed else preset.precision)
    for name, preset in PRESETS.items()
)


@dataclass(frozen=True)
class Scenario:
    noise: Noise
    trend: Trend
    arms: int
    protocol: Protocol
    unlike: Unlike = "like"

    @property
    def name(self) -> str:
        parts = (self.noise, self.trend, str(self.arms), self.protocol.name, self.unlike)
        return "/".join(parts)


def alike() -> list[Scenario]:
    """The 16 combinations of noise and trend, for 2 and 6 arms and each preset."""
    return [
        Scenario(noise, trend, arms, protocol)
        for noise in NOISE
        for trend in TREND
        for arms in TRUTH
        for protocol in PROTOCOLS
    ]


def unlike() -> list[Scenario]:
    """Arms of unlike noise. With two arms there is one comparison, and nothing is pooled."""
    return [
        Scenario("gauss1", "none", 6, protocol, kind)
        for kind in UNLIKE
        if kind != "like"
        for protocol in PROTOCOLS
    ]
