"""How many runs `sampler: pareto` needs for what random points need more for.

On three synthetic grids (surface.csv and others.py): the hypervolume in the plane of ln energy and
ln latency that is dominated by the points measured so far, as a share of the whole grid's. Seeds
begin at 1000: the setting of the sampler was found with the first fifty, on surface.csv.

    python -m bench.choosing [--seeds 50] [--first 1000] [--grid NAME] [--json]
"""

import argparse
import csv
import json
import math
import random
import statistics
from collections.abc import Sequence

from bench.choosing.others import GRIDS, Axes, computed
from bench.choosing.surface import AXES, FIGURES, FILE
from lem.config.bounds import DEFAULT_GENERATION
from lem.sampling import Choice, Point, Space, draw, propose

Costs = tuple[float, ...]
Cell = tuple[str, ...]
RECORDED = "recorded"


def load(name: str = RECORDED) -> tuple[Axes, dict[Cell, Costs]]:
    """Its axes, and cell → ln energy, ln latency."""
    if name != RECORDED:
        axes, *how = GRIDS[name]
        cells = computed(axes, *how)
        return axes, {c: tuple(map(math.log, v)) for c, v in cells.items()}
    with FILE.open(newline="") as f:
        return AXES, {
            tuple(row[a] for a in AXES): tuple(math.log(float(row[g])) for g in FIGURES)
            for row in csv.DictReader(f)
        }


def hypervolume(points: Sequence[Costs], worst: Costs) -> float:
    """Area between the front of ``points`` (both to be lowered) and ``worst``."""
    area, lowest = 0.0, worst[1]
    for x, y in sorted(points):
        if x < worst[0] and y < lowest:
            area += (worst[0] - x) * (lowest - y)
            lowest = y
    return area


def pareto(axes: Axes, grid: dict[Cell, Costs], runs: int, seed: int) -> list[Cell]:
    """The cells that a campaign would measure: the first generation drawn, the others chosen."""
    space = Space(1, {"engine": {a: Choice(tuple(v)) for a, v in axes.items()}})
    cells: list[Cell] = []
    at: dict[Cell, Point] = {}

    def cell_of(point: Point) -> Cell:
        return tuple(str(point.values[a]) for a in axes)

    def is_new(point: Point) -> bool:
        cell = cell_of(point)
        if cell in cells:
            return False
        cells.append(cell)
        at[cell] = point
        return True

    for point in draw(space, "sobol", seed):
        is_new(point)
        if len(cells) == DEFAULT_GENERATION:
            break
    while len(cells) < runs:
        measured = [(at[cell], grid[cell]) for cell in cells]
        n = min(DEFAULT_GENERATION, runs - len(cells))
        propose(space, measured, len(FIGURES), n, seed, is_new)
    return cells


def judged(name: str, seeds: Sequence[int]) -> dict[str, object]:
    """One grid: hypervolumes reached, and how often pareto's is at least that of random points."""
    axes, grid = load(name)
    worst = tuple(max(c[i] for c in grid.values()) for i in range(len(FIGURES)))
    whole = hypervolume(list(grid.values()), worst)
    quarter, half = len(grid) // 4, len(grid) // 2

    def share(cells: Sequence[Cell]) -> float:
        return hypervolume([grid[c] for c in cells], worst) / whole

    def drawn(runs: int, seed: int) -> float:
        return share(random.Random(seed).sample(list(grid), runs))

    found = {
        "random, 25 % of the runs": [drawn(quarter, s) for s in seeds],
        "random, 50 % of the runs": [drawn(half, s) for s in seeds],
        "pareto, 25 % of the runs": [share(pareto(axes, grid, quarter, s)) for s in seeds],
    }
    ours, theirs = found["pareto, 25 % of the runs"], found["random, 50 % of the runs"]
    differences = [a - b for a, b in zip(ours, theirs, strict=True)]
    return {
        "grid": name,
        "cells": len(grid),
        "seeds": len(seeds),
        "reached": {
            n: {
                "mean": statistics.fmean(v),
                "standard_error": statistics.stdev(v) / math.sqrt(len(v)),
                "median": statistics.median(v),
                "lowest": min(v),
            }
            for n, v in found.items()
        },
        "difference": statistics.fmean(differences),
        "difference_standard_error": statistics.stdev(differences) / math.sqrt(len(seeds)),
        "wins": sum(a > b for a, b in zip(ours, theirs, strict=True)),
        "at_least_the_median": sum(a >= statistics.median(theirs) for a in ours),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--grid", choices=[RECORDED, *GRIDS], action="append")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    found = [judged(name, seeds) for name in arguments.grid or [RECORDED, *GRIDS]]
    if arguments.json:
        print(json.dumps(found, indent=1))
        return
    for one in found:
        print(f"{one['grid']}: {one['cells']} cells, {one['seeds']} seeds")
        for name, s in one["reached"].items():  # type: ignore[attr-defined]
            print(f"  {name}: " + ", ".join(f"{k} {v:.4f}" for k, v in s.items()))
        print(
            f"  pareto at 25 % − random at 50 %: {one['difference']:+.4f} ± "
            f"{one['difference_standard_error']:.4f}; ahead in {one['wins']} seeds, at least "
            f"random's median in {one['at_least_the_median']}"
        )


if __name__ == "__main__":
    main()
