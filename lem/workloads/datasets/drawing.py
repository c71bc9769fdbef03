"""Random draws that are the same on every machine and in every version of Python.

CPython documents that ``random.Random`` seeded with an int, and its ``random()``, give the same
numbers in every version; everything here draws by ``random()`` alone.
"""

import hashlib
import math
import random
from statistics import NormalDist

from lem.contract.workload import Length, LogNormal, Uniform

_NORMAL = NormalDist()


def stream(seed: int, *what: str | int) -> random.Random:
    """A source of draws of its own for one purpose, so that drawing more or less elsewhere changes
    nothing here."""
    name = ":".join(map(str, (seed, *what)))
    return random.Random(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8]))


def below(n: int, draw: random.Random) -> int:
    """0 … n − 1, all equally likely."""
    return int(draw.random() * n)


def shuffled(n: int, draw: random.Random) -> list[int]:
    """A permutation of 0 … n − 1 (Fisher–Yates)."""
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = below(i + 1, draw)
        order[i], order[j] = order[j], order[i]
    return order


def length(wanted: Length, draw: random.Random) -> int:
    """A number of tokens; nothing is drawn for one that is always the same."""
    if isinstance(wanted, int):
        return wanted
    if isinstance(wanted, Uniform):
        return wanted.low + below(wanted.high - wanted.low + 1, draw)
    return _log_normal(wanted, draw)


def _log_normal(wanted: LogNormal, draw: random.Random) -> int:
    """By the inverse of the truncated distribution function: what drawing again until it fits
    gives, with a single draw."""

    def share_below(tokens: float) -> float:
        return _NORMAL.cdf(math.log(tokens / wanted.median) / wanted.sigma)

    low, high = share_below(wanted.low - 0.5), share_below(wanted.high + 0.5)
    share = low + draw.random() * (high - low)
    z = _NORMAL.inv_cdf(min(max(share, 1e-300), 1 - 2**-53))
    return min(max(round(wanted.median * math.exp(wanted.sigma * z)), wanted.low), wanted.high)
