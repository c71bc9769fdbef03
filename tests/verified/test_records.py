"""The records of conformance runs, and what is said from them."""

import json
from pathlib import Path
from typing import Any

import pytest

from lem import plugins, verified
from lem.errors import BadInput

FOLDER = Path(verified.__file__).parent


def made(**changes: Any) -> verified.Conformance:
    device = {
        "kind": "gpu",
        "name": "NVIDIA H100 80GB HBM3",
        "count": 1,
        "architecture": "x86_64",
        "driver": "575.57",
        "cuda": "12.8",
    }
    record = {
        "schema_version": 1,
        "backend": "sglang",
        "engine_version": "0.5.23",
        "lem_version": "0.1.0",
        "date": "2026-11-20T10:00:00.000+00:00",
        "place": "container",
        "device": device,
        "python": "3.12.3",
        "libraries": {"torch": "2.14.1"},
        "model": "SmolLM2-135M-Instruct",
        "ran": {"offline": "passed"},
        "tests": {"offline: x": "passed"},
    }
    return verified.parse(json.dumps(record | changes).encode())


@pytest.fixture
def with_records(monkeypatch: pytest.MonkeyPatch) -> Any:
    def give(*found: verified.Conformance) -> None:
        monkeypatch.setattr(verified, "records", lambda: found)

    return give


def test_records_that_come_with_lem_can_be_read_and_are_called_what_they_say() -> None:
    assert verified.records(), "no record at all: run scripts/conformance_in_image.sh"
    for file in FOLDER.glob("*.json"):
        record = verified.parse(file.read_bytes(), file.name)
        assert file.stem == verified.name(record)
        assert record.backend in plugins.own("backends")
        assert record.passed and "offline" in record.ran | {"offline": ""}


def test_a_version_counts_for_the_hardware_it_ran_on(with_records: Any) -> None:
    with_records(made())
    assert verified.standing("sglang", "gpu", "0.5.23") == "ran on NVIDIA H100 80GB HBM3"
    assert verified.standing("sglang", "gpu", "0.5.23+cu130") == "ran on NVIDIA H100 80GB HBM3"
    assert verified.standing("sglang", "cpu", "0.5.23") == "never run on hardware"
    assert verified.standing("vllm", "gpu", "0.5.23") == "never run on hardware"
    told = verified.standing("sglang", "gpu", "0.5.24")
    assert told == "never run on hardware (version 0.5.23 was)"


def test_a_cpu_is_no_gpu(with_records: Any) -> None:
    device = made().device.model_dump() | {"kind": "cpu", "name": "AMD EPYC 7B13"}
    with_records(made(device=device))
    assert verified.standing("sglang", "cpu", "0.5.23") == "ran on CPU (x86_64)"
    assert verified.standing("sglang", "gpu", "0.5.23") == "never run on hardware"


def test_a_run_in_which_something_failed_counts_for_nothing(with_records: Any) -> None:
    with_records(made(tests={"offline: x": "passed", "offline: y": "failed"}))
    assert verified.standing("sglang", "gpu", "0.5.23") == "never run on hardware"


@pytest.mark.parametrize(
    "changes",
    [
        {"tests": {}},
        {"ran": {"offline": "maybe"}},
        {"schema_version": 2},
        {"date": "yesterday"},
        {"surprise": 1},
        {"device": {"kind": "gpu"}},
    ],
)
def test_what_is_no_record_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="no conformance record"):
        made(**changes)
