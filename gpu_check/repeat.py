"""The same work over and over: how alike the meter's figures are, and whether they drift."""

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from gpu_check import load
from gpu_check.probe import products_in
from gpu_check.watch import watch
from lem.errors import RunFailed


def same_twice(gpu: int, pairs: int, seconds: float) -> dict[str, Any]:
    """A/A: the same matrix products over and over, labelled A and B in turn (ABBA…), each as
    isolated work. The ratio of their energies should be 1; its scatter is what this board's meter
    can tell apart. "windows" are all of them one after another."""
    edges: list[tuple[str, int, int]] = []
    with load.loaded(gpu) as child:
        products = products_in(child, seconds)
        with watch(gpu) as watched:
            watched.sampler.rest()
            for pair in range(pairs):
                for label in ("AB", "BA")[pair % 2]:
                    ((start_ns, end_ns),) = child.products(products)
                    watched.sampler.rest()
                    edges.append((label, start_ns, end_ns))
    energies: dict[str, list[float]] = {"A": [], "B": []}
    in_order: list[float] = []
    flags: set[str] = set()
    uncertainties: list[float] = []
    for label, start_ns, end_ns in edges:
        r = watched.reading(start_ns, end_ns)
        if r.energy_j is None or r.uncertainty_j is None:
            raise RunFailed("meter", f"no energy for a window: {', '.join(r.flags)}")
        flags |= set(r.flags)
        in_order.append(r.energy_j / products)
        without_gain = math.sqrt(sum(u * u for p, u in r.budget_j.items() if p != "gain"))
        uncertainties.append(2 * without_gain / r.energy_j)
        energies[label].append(in_order[-1])
    ratios = [math.log(b / a) for a, b in zip(energies["A"], energies["B"], strict=True)]
    logs = [math.log(e) for e in in_order]
    return {
        "products_per_window": products,
        "window_s": statistics.median((end - start) / 1e9 for _, start, end in edges),
        "energy_per_product_j": energies,
        "stated_without_gain": statistics.median(uncertainties),
        "windows": {"n": len(logs), "cv": _deviation(logs), **_order(logs)},
        "log_ratio_mean": statistics.fmean(ratios),
        "log_ratio_sd": _deviation(ratios),
        "pairs": len(ratios),
        **_order(ratios),
        "flags": sorted(flags),
    }


def _order(values: Sequence[float]) -> dict[str, float | None]:
    return {
        "lag_1": lag_1(values),
        "lag_1_by_chance": 2 / math.sqrt(len(values)),
        "slope_over_all": slope_over_all(values),
    }


def lag_1(values: Sequence[float]) -> float | None:
    """Autocorrelation of neighbours; None for fewer than four, or where all are equal."""
    if len(values) < 4:
        return None
    mean = statistics.fmean(values)
    total = sum((v - mean) ** 2 for v in values)
    together = sum((a - mean) * (b - mean) for a, b in pairwise(values))
    return together / total if total > 0 else None


def slope_over_all(values: Sequence[float]) -> float | None:
    """Change from the first to the last by the least-squares line; None for fewer than three."""
    n = len(values)
    if n < 3:
        return None
    middle, mean = (n - 1) / 2, statistics.fmean(values)
    along = sum((i - middle) * (v - mean) for i, v in enumerate(values))
    return along / sum((i - middle) ** 2 for i in range(n)) * (n - 1)


def _deviation(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None
