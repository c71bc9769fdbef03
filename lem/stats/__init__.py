"""Estimators and intervals over blocks. Pure; numpy and SciPy are imported where they are needed,
since together they cost a third of a second."""

from lem.stats.absolute import absolute, mean_of, not_averaged
from lem.stats.campaign import blocks_needed, carry_over, ratios
from lem.stats.estimates import (
    Absolute,
    Between,
    BlocksNeeded,
    CarryOver,
    Method,
    OnBoards,
    OneBoard,
    RatioEstimate,
    Verdict,
)
from lem.stats.shared import with_shared
from lem.stats.verdicts import equivalent, more_blocks, verdict

__all__ = [
    "Absolute",
    "Between",
    "BlocksNeeded",
    "CarryOver",
    "Method",
    "OnBoards",
    "OneBoard",
    "RatioEstimate",
    "Verdict",
    "absolute",
    "blocks_needed",
    "carry_over",
    "equivalent",
    "mean_of",
    "more_blocks",
    "not_averaged",
    "ratios",
    "verdict",
    "with_shared",
]
