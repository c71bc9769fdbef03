"""A synthetic response surface: what an 8-billion-parameter model might cost on an 80 GB GPU.

Nobody measured it. It is a roofline: a step takes as long as the slower of reading the weights and
the cache (2.0 TB/s) and computing (45 % of 312 Tflop/s × the clock that the power limit leaves),
plus a fixed cost; power follows what is busy and is cut by the limit. Weights of 16, 8 and about
4.4 bits; the narrowest cost extra work to unpack. 1 % of scatter is put on both figures.

    python -m bench.choosing.surface        writes bench/choosing/surface.csv
"""

import csv
import itertools
import random
from pathlib import Path

FILE = Path(__file__).with_name("surface.csv")
AXES: dict[str, list[int | str]] = {
    "engine.max_batch_size": [1, 2, 4, 8, 16, 32, 64, 128],
    "engine.quantization": ["float16", "fp8", "int4"],
    "device.power_limit_w": [200, 250, 300, 350, 400],
    "workload.arrival.concurrency": [4, 16, 64],
}
FIGURES = ("energy_per_output_token_j", "tpot_s")
PARAMETERS = 8e9
BYTES = {"float16": 2.0, "fp8": 1.0, "int4": 0.55}
UNPACKING = {"float16": 1.0, "fp8": 0.75, "int4": 1.35}


def costs(batch: int, weights: str, limit_w: int, concurrency: int) -> tuple[float, float]:
    """Joules and seconds per output token."""
    together = min(batch, concurrency)
    clock = (0.55 + 0.45 * (limit_w - 150) / 250) ** 0.6
    reading_s = (PARAMETERS * BYTES[weights] + together * 1500 * 131072) / 2.0e12
    flops = 2 * PARAMETERS * together * UNPACKING[weights]
    computing_s = flops / (0.45 * 312e12 * clock) + 0.0015 / clock + 0.00004 * together
    step_s = (reading_s**3 + computing_s**3) ** (1 / 3)
    wanted_w = 90 + 156 * reading_s / step_s + 260 * min(1.0, computing_s / step_s) * clock**2
    if wanted_w > limit_w:
        step_s *= (wanted_w / limit_w) ** 0.7
    waiting = (1 + 0.02 * max(0, concurrency - batch) / batch) ** 0.5
    return min(limit_w, wanted_w) * step_s / together, step_s * waiting


def main() -> None:
    scatter = random.Random(7)
    with FILE.open("w", newline="") as f:
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow([*AXES, *FIGURES])
        for cell in itertools.product(*AXES.values()):
            figures = (v * (1 + scatter.gauss(0, 0.01)) for v in costs(*cell))  # type: ignore[arg-type]
            writer.writerow([*cell, *(f"{v:.5g}" for v in figures)])


if __name__ == "__main__":
    main()
