"""``python -m coverage_study.replication PAGE``: how often submitters replicate each other.

Two submitters, each with a board of its own gain (3.4 % RMS, arXiv 2312.02741) and some blocks that
scatter about it; the second one's figures are a given part higher. The same tests as
``lem/trust/replication.py``, for many pairs at once.
"""

import re
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

SEED = 20261126
PAIRS = 40_000
GAIN = 0.034
MARGIN = 0.10
BLOCKS = (3, 5, 10)
SCATTERS = (0.005, 0.01, 0.03)
APART = (0.0, 0.05, 0.10, 0.15, 0.20, 0.30)
REGION = re.compile(r"(<!-- replication -->\n).*?(<!-- end -->)", re.DOTALL)

Array = NDArray[np.float64]


def verdicts(a: Array, b: Array, margin: float) -> tuple[Array, Array]:
    """Of pairs (rows) with blocks (columns), as logarithms: whether they agree, and disagree."""
    n, m = a.shape[1], b.shape[1]
    difference = a.mean(axis=1) - b.mean(axis=1)
    va, vb = a.var(axis=1, ddof=1) / n, b.var(axis=1, ddof=1) / m
    df = (va + vb) ** 2 / (va**2 / (n - 1) + vb**2 / (m - 1))
    half = stdtrit(df, 0.95) * np.sqrt(va + vb)
    low, high, most = difference - half, difference + half, np.log1p(margin)
    return (low >= -most) & (high <= most), (low > most) | (high < -most)


def simulated(blocks: int, scatter: float, apart: float, pairs: int = PAIRS) -> tuple[float, float]:
    """Shares of pairs that agree, and that are shown to disagree."""
    rng = np.random.default_rng([SEED, blocks, round(scatter * 1e4), round(apart * 1e4)])

    def one(higher: float) -> Array:
        gain = rng.normal(0.0, GAIN, (pairs, 1))
        return np.log1p(higher) + gain + rng.normal(0.0, scatter, (pairs, blocks))

    agree, disagree = verdicts(one(0.0), one(apart), MARGIN)
    return float(agree.mean()), float(disagree.mean())


def table(pairs: int = PAIRS) -> str:
    """In Markdown: agree / disagree, in per cent."""
    head = [f"+{100 * a:.0f} %" if a else "the same" for a in APART]
    lines = [
        f"| blocks each | scatter of blocks | {' | '.join(head)} |",
        f"| --- | --- | {' | '.join('---:' for _ in head)} |",
    ]
    for blocks in BLOCKS:
        for scatter in SCATTERS:
            cells = []
            for apart in APART:
                agree, disagree = simulated(blocks, scatter, apart, pairs)
                cells.append(f"{100 * agree:.0f} / {100 * disagree:.0f}")
            lines.append(f"| {blocks} | {100 * scatter:g} % | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def filled(text: str, pairs: int = PAIRS) -> str:
    return REGION.sub(lambda m: f"{m[1]}\n{table(pairs)}\n{m[2]}", text)


def main(paths: list[str]) -> int:
    for name in paths:
        path = Path(name)
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
