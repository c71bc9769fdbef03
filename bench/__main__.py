"""Prints the report as a Markdown table: ``python -m bench [PART]…`` from the clone's root."""

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench import folders, host, orchestration, planning, sampling, slurm, start_up
from bench.archive import report as archive
from bench.measure import Line
from bench.pages import report as pages
from bench.queue import report as queue

PARTS: dict[str, Callable[[Path, archive.Sizes], Iterator[Line]]] = {
    "start": lambda folder, sizes: start_up.lines(folder),
    "plan": lambda folder, sizes: planning.lines(),
    "folder": lambda folder, sizes: folders.lines(folder),
    "docker": lambda folder, sizes: orchestration.lines(folder),
    "host": lambda folder, sizes: host.lines(folder),
    "sampler": lambda folder, sizes: sampling.lines(folder),
    "slurm": lambda folder, sizes: slurm.lines(folder),
    "archive": archive.lines,
    "pages": pages.lines,
    "queue": queue.lines,
}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    for name, default in archive.Sizes._field_defaults.items():
        text = f"of the archive (default: {default})"
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default, help=text)
    options = vars(parser.parse_args(arguments))
    chosen = options.pop("parts")
    sizes = archive.Sizes(**options)
    if unknown := set(chosen) - set(PARTS):
        print(f"no part {', '.join(unknown)}; there are: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    cpus, load = os.cpu_count(), os.getloadavg()[0]
    print(f"Python {platform.python_version()}, {cpus} CPUs, load {load:.1f} at the beginning\n")
    print("| what | found | beside | goal |\n| --- | --- | --- | --- |")
    for name in chosen or PARTS:
        with tempfile.TemporaryDirectory(prefix="lem-bench-") as folder:
            for line in PARTS[name](Path(folder), sizes):
                print(f"| {' | '.join(line)} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
