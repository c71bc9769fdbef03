"""Estimators and intervals over blocks. Pure; numpy and SciPy are imported where they are needed,
since together they cost a third of a second."""

from lem.stats.absolute import absolute, mean_of
from lem.stats.campaign import blocks_needed, carry_over, ratios
from lem.stats.estimates import (
    Absolute,
    BlocksNeeded,
    CarryOver,
    Method,
    RatioEstimate,
    Verdict,
)
from lem.stats.shared import with_shared
from lem.stats.verdicts import equivalent, more_blocks, verdict

__all__ = [
    "Absolute",
    "BlocksNeeded",
    "CarryOver",
    "Method",
    "RatioEstimate",
    "Verdict",
    "absolute",
    "blocks_needed",
    "carry_over",
    "equivalent",
    "mean_of",
    "more_blocks",
    "ratios",
    "verdict",
    "with_shared",
]
