"""What one does without lem: the two common ways to read the counter, in as few lines as they take.

Both see the same samples as lem. Times in ns, energy in J; None where they can say nothing.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from lem.meters.protocol import Sample


class Figure(NamedTuple):
    energy_j: float
    uncertainty_j: float | None
    """Expanded (k = 2)."""


def naive(samples: Sequence[Sample], start_ns: int, end_ns: int) -> Figure | None:
    """The counter right after the work less the counter right before it; no uncertainty."""
    counts = [s for s in samples if s.quantity == "energy_mj"]
    before = [s.value for s in counts if s.t_ns <= start_ns]
    after = [s.value for s in counts if s.t_ns >= end_ns]
    if not before or not after:
        return None
    return Figure((after[0] - before[-1]) / 1e3, None)


def bracket(samples: Sequence[Sample], start_ns: int, end_ns: int) -> Figure | None:
    """From the last tick before the work to the first one after it, less the padding on both sides
    at the power that the three ticks beyond it show. The uncertainty is what the polls' gaps cost:
    half a gap × the power after the tick, at each edge."""
    counts = [s for s in samples if s.quantity == "energy_mj"]
    ticks = [
        ((a.t_ns + b.t_ns) / 2, b.value / 1e3, (b.t_ns - a.t_ns) / 2)
        for a, b in pairwise(counts)
        if b.value != a.value
    ]
    before = [t for t in ticks if t[0] <= start_ns][-4:]
    after = [t for t in ticks if t[0] >= end_ns][:4]
    if len(before) < 4 or len(after) < 4:
        return None
    rest = [(p[-1][1] - p[0][1]) / (p[-1][0] - p[0][0]) for p in (before, after)]  # J/ns
    (a_ns, a_j, a_gap), (b_ns, b_j, b_gap) = before[-1], after[0]
    energy_j = b_j - a_j - rest[0] * (start_ns - a_ns) - rest[1] * (b_ns - end_ns)
    return Figure(energy_j, 2 * (rest[0] * a_gap + rest[1] * b_gap) / 3**0.5)
