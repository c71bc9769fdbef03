"""How many runs `sampler: pareto` needs for what random points need more for.

On the points of surface.csv (synthetic, see surface.py): the hypervolume in the plane of ln energy
and ln latency that is dominated by the points measured so far, as a share of the whole grid's.

    python -m bench.choosing [--seeds 50] [--json]
"""

import argparse
import csv
import json
import math
import random
import statistics
from collections.abc import Sequence

from bench.choosing.surface import AXES, FIGURES, FILE
from lem.config.bounds import DEFAULT_GENERATION
from lem.sampling import Choice, Point, Space, draw, propose

Costs = tuple[float, ...]
Cell = tuple[str, ...]


def load() -> dict[Cell, Costs]:
    """Cell → ln energy, ln latency."""
    with FILE.open(newline="") as f:
        return {
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


def pareto(grid: dict[Cell, Costs], runs: int, seed: int) -> list[Cell]:
    """The cells that a campaign would measure: the first generation drawn, the others chosen."""
    space = Space(1, {"engine": {a: Choice(tuple(map(str, v))) for a, v in AXES.items()}})
    cells: list[Cell] = []

    def cell_of(point: Point) -> Cell:
        return tuple(str(point.values[a]) for a in AXES)

    def is_new(point: Point) -> bool:
        cell = cell_of(point)
        if cell in cells:
            return False
        cells.append(cell)
        return True

    for point in draw(space, "sobol", seed):
        is_new(point)
        if len(cells) == DEFAULT_GENERATION:
            break
    while len(cells) < runs:
        measured = [
            (Point(0, "engine", dict(zip(AXES, cell, strict=True))), grid[cell]) for cell in cells
        ]
        n = min(DEFAULT_GENERATION, runs - len(cells))
        propose(space, measured, len(FIGURES), n, seed, is_new)
    return cells


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    grid = load()
    worst = tuple(max(c[i] for c in grid.values()) for i in range(len(FIGURES)))
    whole = hypervolume(list(grid.values()), worst)
    quarter, half = len(grid) // 4, len(grid) // 2
    seeds = range(arguments.seeds)

    def share(cells: Sequence[Cell]) -> float:
        return hypervolume([grid[c] for c in cells], worst) / whole

    found = {
        "random, 25 % of the runs": [
            share(random.Random(s).sample(list(grid), quarter)) for s in seeds
        ],
        "random, 50 % of the runs": [
            share(random.Random(s).sample(list(grid), half)) for s in seeds
        ],
        "pareto, 25 % of the runs": [share(pareto(grid, quarter, s)) for s in seeds],
    }
    summary = {
        name: {
            "mean": statistics.fmean(v),
            "median": statistics.median(v),
            "lowest": min(v),
            "highest": max(v),
        }
        for name, v in found.items()
    }
    wins = sum(
        p >= statistics.median(found["random, 50 % of the runs"])
        for p in found["pareto, 25 % of the runs"]
    )
    if arguments.json:
        print(
            json.dumps({"cells": len(grid), "seeds": len(seeds), "wins": wins, **summary}, indent=1)
        )
        return
    print(f"{len(grid)} cells, {len(seeds)} seeds; hypervolume as a share of the whole grid's")
    for name, s in summary.items():
        print(f"  {name}: " + ", ".join(f"{k} {v:.4f}" for k, v in s.items()))
    print(f"  pareto reaches the median of random at 50 % in {wins} of {len(seeds)} seeds")


if __name__ == "__main__":
    main()
