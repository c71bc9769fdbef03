"""``lem meter run --json -- CMD`` against played boards, in real time, as its user runs it.

    python -m bench.meters.real_time [--runs 100] [--decay] [--at-once 2]

Each run has a board of its own with random power, tick (20 to 200 ms) and phase; the command
starts a step of power of random length (0.4 to 3 s), and with ``--decay`` power fades after it. The
truth is the area under the played power between the ``start_ns`` and ``end_ns`` that are reported.
"""

import argparse
import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean, median
from typing import Any, NamedTuple

from tests.meters import played
from tests.meters.power_trace import energy_until

STEP = Path(__file__).parent / "drivers" / "step.py"

HEAD = (
    "Work",
    "runs",
    "without a figure",
    "mean error",
    "mean size of the error",
    "worst",
    "truth inside U without gain",
    "that U, median",
    "flags",
)


class Outcome(NamedTuple):
    error: float | None
    """Relative to the truth; None where no energy was told."""
    inside: bool
    own: float
    """Expanded uncertainty without the gain's part, relative."""
    flags: tuple[str, ...]


def one(library: Path, folder: Path, seed: int, decay: bool) -> Outcome:
    rng = random.Random(f"real time {seed} {decay}")
    home = folder / str(seed)
    home.mkdir()
    idle_w = rng.uniform(30, 140)
    work_w = rng.uniform(200, 690)
    tick_ms = rng.uniform(20, 200)
    trial = {
        "t0_ns": time.monotonic_ns(),
        "idle_w": idle_w,
        "work_w": work_w,
        "tail_w": min(rng.uniform(40, 150), work_w - idle_w) if decay else 0.0,
        "tau_s": rng.uniform(0.1, 0.6) if decay else 0.0,
        "seconds": rng.uniform(0.4, 3),
        "hesitates_s": rng.uniform(0.02, 0.3),
    }
    options = {
        "tick_ms": tick_ms,
        "phase_ms": rng.uniform(0, tick_ms),
        "live": 1,
        "power_average_ms": 1000,
        "power_update_ms": 100,
    }
    what = played.Play(((played.NEVER, idle_w, idle_w),), options, t0_ns=trial["t0_ns"])
    config = what.write(home / "play.txt")
    command = [sys.executable, "-m", "lem.cli.main", "meter", "run", "--meter", "nvml", "--json"]
    done = subprocess.run(
        [*command, "--", sys.executable, "-S", str(STEP), json.dumps(trial)],
        env=os.environ | played.environment(library, config) | {"XDG_CACHE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    lines = done.stdout.splitlines()
    segments, told = json.loads(lines[0]), json.loads(lines[-1])
    at = [energy_until(segments, (told[k] - trial["t0_ns"]) / 1e9) for k in ("start_ns", "end_ns")]
    return judged(told["readings"][0], at[1] - at[0], told["flags"])


def judged(r: dict[str, Any], truth_j: float, flags: Sequence[str]) -> Outcome:
    said = tuple(sorted({*r["flags"], *flags}))
    if r["energy_j"] is None:
        return Outcome(None, True, 0.0, said)
    own = 2 * sum(u * u for part, u in r["budget_j"].items() if part != "gain") ** 0.5
    error_j = r["energy_j"] - truth_j
    return Outcome(error_j / truth_j, abs(error_j) <= own, own / truth_j, said)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.meters.real_time", description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=20261124)
    parser.add_argument("--decay", action="store_true")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--out", type=Path, help="a line is added to this CSV file")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="lem-real-time-") as name:
        folder = Path(name)
        library = played.build_library(folder)
        with ThreadPoolExecutor(options.at_once) as pool:
            seeds = range(options.seed, options.seed + options.runs)
            found = list(pool.map(lambda s: one(library, folder, s, options.decay), seeds))
    errors = [abs(o.error) for o in found if o.error is not None]
    told = [o for o in found if o.error is not None]
    flags = sorted({f for o in found for f in o.flags})
    signed = [o.error for o in told if o.error is not None]
    line = [
        "power decays afterwards" if options.decay else "no decay",
        str(len(found)),
        str(len(found) - len(told)),
        f"{100 * fmean(signed):+.4f} %",
        f"{100 * fmean(errors):.4f} %",
        f"{100 * max(errors):.3f} %",
        f"{100 * fmean(o.inside for o in told):.1f} %",
        f"{100 * median(o.own for o in told):.3f} %",
        ", ".join(flags) or "none",
    ]
    print(" | ".join(line))
    if options.out is not None:
        new = not options.out.exists()
        with options.out.open("a", newline="") as f:
            csv.writer(f, lineterminator="\n").writerows([HEAD, line] if new else [line])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
