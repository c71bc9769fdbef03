"""What the pages' scripts are tested against is what the archive answers."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_fixture_of_the_browsers_tests_is_what_the_queries_answer() -> None:
    script = ROOT / "scripts/explore_fixture.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
