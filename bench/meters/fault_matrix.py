"""Every fault of the played board, many times over: how many figures were wrong without a word.

    python -m bench.meters.fault_matrix [--plays 80] [--out CSV]

``tests/meters/test_faults.py`` does a few of each; what may not be wrong and what no counter can
tell stands in ``tests/meters/faults.py``.
"""

import argparse
import csv
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.meters import faults, played, virtual_play

HEAD = (
    "Fault",
    "plays",
    "isolated work: no figure",
    "window: no figure",
    "isolated work: wrong",
    "window: wrong",
    "no figure and no reason",
)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.meters.fault_matrix")
    parser.add_argument("--plays", type=int, default=80)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    lines = []
    with tempfile.TemporaryDirectory(prefix="lem-faults-") as name:
        folder = Path(name)
        library = virtual_play.Library(played.build_library(folder), folder / "play.txt")
        for fault in (*faults.FAULTS, *faults.UNDECIDABLE):
            seeds = range(5000, 5000 + options.plays)
            alone, window = (
                list(faults.cases(library, fault, mode, seeds)) for mode in ("isolated", "window")
            )
            known = "" if fault in faults.FAULTS else " *"
            counts = [
                *(sum(c.error_j is None for c in found) for found in (alone, window)),
                *(sum(c.wrong for c in found) for found in (alone, window)),
                sum(c.silent for c in (*alone, *window)),
            ]
            lines.append([fault.name + known, str(2 * options.plays), *map(str, counts)])
            print(" | ".join(lines[-1]), flush=True)
    if options.out is not None:
        with options.out.open("w", newline="") as f:
            csv.writer(f, lineterminator="\n").writerows([HEAD, *lines])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
