"""`lem meter run` with a library that has hardly any functions, made apart from the others."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.meters import played

LEM = [sys.executable, "-m", "lem.cli.main", "meter", "run"]


def test_a_command_is_measured_with_a_library_that_knows_little(tmp_path: Path) -> None:
    """Idle at 70 W, from the 6th second on 300 W for 1.1 s, idle again."""
    library = played.build_least_library(tmp_path)
    t0_ns = time.monotonic_ns()
    begin, end = 6.0, 7.1
    code = f"import time\nwhile time.monotonic_ns() < {t0_ns + int(end * 1e9)}: time.sleep(0.0005)"
    done = subprocess.run(
        [*LEM, "--meter", "nvml", "--json", "--", sys.executable, "-S", "-c", code],
        env=os.environ
        | {
            "LD_LIBRARY_PATH": str(library.parent),
            "XDG_CACHE_HOME": str(tmp_path),
            "T0_NS": str(t0_ns),
            "FROM_S": str(begin),
            "UNTIL_S": str(end),
            "TICK_MS": "73",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    start_s, end_s = ((told[k] - t0_ns) / 1e9 for k in ("start_ns", "end_ns"))
    assert start_s < begin and end_s > end
    truth_j = 70 * (end_s - start_s) + 230 * (end - begin)
    reading = told["readings"][0]
    own = [u for part, u in reading["budget_j"].items() if part != "gain"]
    assert reading["energy_j"] == pytest.approx(truth_j, rel=0.01)
    assert abs(reading["energy_j"] - truth_j) <= 2 * sum(own)
    assert reading["uncertainty_j"] < 0.1 * truth_j
