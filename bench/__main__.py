"""Prints the report as a Markdown table: ``python -m bench [PART]…`` from the clone's root."""

import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import folders, host, orchestration, planning, sampling, start_up
from bench.measure import Line

PARTS: dict[str, Callable[[Path], Iterator[Line]]] = {
    "start": start_up.lines,
    "plan": lambda folder: planning.lines(),
    "folder": folders.lines,
    "docker": orchestration.lines,
    "host": host.lines,
    "sampler": sampling.lines,
}


def main(chosen: list[str]) -> int:
    if unknown := set(chosen) - set(PARTS):
        print(f"no part {', '.join(unknown)}; there are: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    cpus, load = os.cpu_count(), os.getloadavg()[0]
    print(f"Python {platform.python_version()}, {cpus} CPUs, load {load:.1f} at the beginning\n")
    print("| what | found | beside | goal |\n| --- | --- | --- | --- |")
    for name in chosen or PARTS:
        with tempfile.TemporaryDirectory(prefix="lem-bench-") as folder:
            for line in PARTS[name](Path(folder)):
                print(f"| {' | '.join(line)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
