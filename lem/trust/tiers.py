"""How far a run is to be believed. The server alone decides; a submission cannot say."""

from typing import NamedTuple

SELF_REPORTED, RECOMPUTED, REPLICATED = 1, 2, 3


class Tier(NamedTuple):
    number: int
    name: str
    meaning: str
    does_not_prove: str
    """What badges say beside it."""


_TABLE = (
    Tier(
        SELF_REPORTED,
        "self-reported",
        "A known key signed it, and it is what its record says.",
        "It does not prove that anything was measured: a signature says who sent a figure, not "
        "that it is true.",
    ),
    Tier(
        RECOMPUTED,
        "recomputed",
        "The server derived every figure anew from the raw trace and responses, and no "
        "plausibility rule objects.",
        "It does not prove that the trace is genuine, nor that the model and the engine were those "
        "named: whoever writes a consistent trace by hand passes.",
    ),
    Tier(
        REPLICATED,
        "replicated",
        "Two or more submitters, each invited apart from the others and on other boards, got the "
        "same within a stated margin.",
        "It does not prove that the submitters are independent people, nor that what they agree on "
        "holds for other boards, drivers or machines. Their energy was compared; latencies and "
        "throughput beside it were not.",
    ),
)

TIERS: dict[int, Tier] = {t.number: t for t in _TABLE}
