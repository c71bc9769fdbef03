"""Other rules for the same campaigns, to show what the rule of ``lem`` is better than."""

from typing import Any

import numpy as np

from coverage_study.campaigns import DRIFT, Array, autoregression
from coverage_study.scenarios import MAX_BLOCKS
from coverage_study.study import PRODUCT, Rule, generator
from lem.stats.layout import fit
from lem.stats.quantiles import dunnett_quantile, t_quantile

LEVEL = 0.95
Widths = Array


def _bonferroni(logs: Array) -> Widths:
    """Half-widths that one block would have: each arm's own t interval, Bonferroni-corrected."""
    found = fit(logs, 0)
    m, n = found.variance.shape[-1], logs.shape[-2]
    q = t_quantile(1 - (1 - LEVEL) / (2 * m), n - 1)
    return np.asarray(q * np.sqrt(found.variance))


def _pooled(logs: Array) -> Widths:
    """The residual mean square of the two-way layout, pooled over arms, with Dunnett's quantile."""
    found = fit(logs, 0)
    m, n = found.variance.shape[-1], logs.shape[-2]
    half = dunnett_quantile(LEVEL, m, float((n - 1) * m)) * np.sqrt(2 * found.mse)
    return np.repeat(half[..., None], m, axis=-1)


def _switched(logs: Array) -> Widths:
    """Pooled, unless a test at 5 % finds one arm's residuals larger than the others'."""
    unlike = fit(logs, 0).unlike < 0.05
    return np.where(unlike[..., None], _bonferroni(logs), _pooled(logs))


def _needed(widths: Any) -> Any:
    def needed(logs: Array, target: float) -> Array:
        n = np.ceil(np.square(widths(logs).max(axis=-1) / target))
        return np.asarray(np.maximum(n, logs.shape[-2]))

    return needed


def _two_stages(name: str, widths: Any, final: bool = True) -> Rule:
    def half_widths(logs: Array, pilot: int | None) -> Array:
        root = np.sqrt(logs.shape[-2])
        if pilot is None:
            return np.asarray(widths(logs) / root)
        first = widths(logs[:, :pilot])
        return np.asarray((np.maximum(first, widths(logs)) if final else first) / root)

    return Rule(name, _needed(widths), half_widths)


RULES = (
    _two_stages("Bonferroni t, pilot's s only (textbook Stein)", _bonferroni, final=False),
    _two_stages("Bonferroni t, wider of pilot and final", _bonferroni),
    _two_stages("pooled, Dunnett, wider of pilot and final", _pooled),
    _two_stages("… and Bonferroni t where a test finds unlike variances", _switched),
    Rule("lem: between own and pooled variance", *PRODUCT[1:]),
)


def one_after_the_other(campaigns: int, seed: int, runs: int = 10) -> float:
    """Coverage of Welch's interval where ``runs`` of A are followed by as many of B, while the
    machine drifts by 3 % over the whole."""
    from scipy.special import stdtrit

    rng = generator(seed, "sequential")
    drift = np.log1p(DRIFT * (np.arange(2 * runs) + 0.5) / (2 * runs))
    logs = drift + np.log1p(0.01 * rng.standard_normal((campaigns, 2 * runs)))
    a, b = logs[:, :runs], logs[:, runs:]
    va, vb = a.var(axis=1, ddof=1) / runs, b.var(axis=1, ddof=1) / runs
    df = (va + vb) ** 2 / ((va**2 + vb**2) / (runs - 1))
    half = stdtrit(df, 0.5 + LEVEL / 2) * np.sqrt(va + vb)
    return float((np.abs(b.mean(axis=1) - a.mean(axis=1)) <= half).mean())


def stop_when_narrow(campaigns: int, seed: int, phi: float, pilot: int = 5) -> tuple[float, float]:
    """Coverage and median number of blocks where one looks after every block and stops as soon as
    the t interval of one comparison is within ± 1 %; ``phi`` is the autocorrelation of the
    within-block log-ratios, of 1.41 % (two runs of 1 %)."""
    rng = generator(seed, f"narrow/{phi}")
    logs = 0.01 * np.sqrt(2) * autoregression(rng, campaigns, MAX_BLOCKS, phi)
    covered = np.zeros(campaigns, dtype=bool)
    blocks = np.full(campaigns, MAX_BLOCKS)
    going = np.ones(campaigns, dtype=bool)
    for n in range(pilot, MAX_BLOCKS + 1):
        half = t_quantile(0.5 + LEVEL / 2, n - 1) * logs[:, :n].std(axis=1, ddof=1) / np.sqrt(n)
        ends = going & ((half <= 0.01) | (n == MAX_BLOCKS))
        covered[ends] = (np.abs(logs[:, :n].mean(axis=1)) <= half)[ends]
        blocks[ends] = n
        going &= ~ends
    return float(covered.mean()), float(np.median(blocks))
