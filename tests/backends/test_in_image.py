"""Engines that the tests' own environment does not have pass the suite in their images."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from lem import containers
from lem.launchers import image

ROOT = Path(__file__).parents[2]


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("backend", "made", "tests"), [("vllm", "vllm", 35), ("openai", "vllm", 30)]
)
def test_the_engine_passes_the_suite_in_its_image(backend: str, made: str, tests: int) -> None:
    """``openai`` drives the server of vLLM's image, started as if by somebody else."""
    with containers.connect() as engine:
        built = image.ensure(engine, made, "cpu", None, print)
    done = subprocess.run(
        ["scripts/conformance_in_image.sh", backend],
        cwd=ROOT,
        env={**os.environ, "IMAGE": built.id, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=1500,
        check=False,
    )
    print(done.stdout[-20_000:], done.stderr[-5_000:])
    assert done.returncode == 0
    summary = done.stdout.strip().splitlines()[-1]
    passed = re.search(r"(\d+) passed", summary)
    assert passed is not None and int(passed[1]) >= tests
    assert "skipped" not in summary and "failed" not in summary
