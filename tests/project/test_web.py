"""What the pages' scripts are tested against is what the archive answers."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("script", ["explore_fixture.py", "compare_fixture.py", "live_fixture.py"])
def test_the_fixtures_of_the_browsers_tests_are_what_the_queries_answer(script: str) -> None:
    command = [sys.executable, ROOT / "scripts" / script, "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
