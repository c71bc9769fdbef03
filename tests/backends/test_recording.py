"""What the conformance suite writes of itself."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lem import plugins, verified

from . import recording

SUITE = """
from backends.test_conformance_fake import TestFake as Fake


class TestReal(Fake):
    def test_{outcome}(self):
        assert {passes}
"""


class Backend:
    name = "llama_cpp"
    distribution = "pydantic"
    libraries: tuple[str, ...] = ("typing-extensions", "not-there")


BOARD = {"name": "NVIDIA L4", "driver": "575.57", "index": 0}


@pytest.mark.parametrize(
    ("boards", "engine", "kind"),
    [
        ([], {"device": "cpu"}, "cpu"),
        ([BOARD], {"device": "cuda"}, "gpu"),
        # A GPU that the engine left alone proves nothing.
        ([BOARD], {"device": "cpu"}, "cpu"),
        ([BOARD], {}, "cpu"),
        ([BOARD], {"device": "unknown"}, "cpu"),
    ],
)
def test_a_gpu_counts_where_the_engine_used_it(
    boards: list[dict[str, Any]], engine: dict[str, Any], kind: str
) -> None:
    results = {("offline", "prefill_alone"): True, ("served", "likelihood_of_english"): False}
    made = recording.record(Backend(), results, engine, boards)  # type: ignore[arg-type]
    record = verified.parse(json.dumps(made).encode())
    assert record.device.kind == kind
    assert record.device.name == ("NVIDIA L4" if kind == "gpu" else record.device.name)
    assert record.ran == {
        "nll": "failed",
        "offline": "passed",
        "prefill": "passed",
        "served": "failed",
    }
    assert not record.passed and set(record.libraries) == {"typing-extensions"}


def test_somebody_else_s_server_is_named_with_the_version_that_it_tells() -> None:
    results = {("served", "answers_are_readable"): True}
    openai = plugins.load("backends", "openai")()
    for told, version, file in (
        ({"engine_version": "0.32.0"}, "vLLM 0.32.0", "openai-vllm-0.32.0-cpu-"),
        ({}, "vLLM unknown", "openai-vllm-unknown-cpu-"),
    ):
        made = recording.record(openai, results, told, [], "vLLM")
        record = verified.parse(json.dumps(made).encode())
        assert record.engine_version == version
        assert verified.name(record).startswith(file)


@pytest.mark.parametrize("passes", [True, False])
def test_a_session_leaves_its_record(tmp_path: Path, passes: bool) -> None:
    """In a session of its own, over the suite on the engine without a model."""
    root = Path(__file__).resolve().parents[2]
    folder = tmp_path / "tests"
    folder.mkdir()
    (folder / "conftest.py").write_text(
        "from backends import recording\n"
        "class Known:\n    name = 'fake'\n    distribution = 'pydantic'\n    libraries = ()\n"
        "recording.plugins.load = lambda family, name: Known\n"
        "def pytest_configure(config):\n    recording.register(config)\n"
    )
    outcome = "good" if passes else "bad"
    (folder / "test_it.py").write_text(SUITE.format(outcome=outcome, passes=passes))
    file = tmp_path / "record.json"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-c", "/dev/null", "-o",
         f"pythonpath={root} {root}/tests", "--import-mode=importlib", str(folder)],
        env={**os.environ, recording.VARIABLE: str(file)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode == 0) is passes, done.stdout[-2000:]
    record = verified.parse(file.read_bytes())
    assert record.backend == "fake" and record.passed is passes
    assert record.tests[f"offline: {outcome}"] == ("passed" if passes else "failed")
    assert record.ran["prefill"] == "passed" and record.device.kind == "cpu"
    assert len(record.tests) > 10
