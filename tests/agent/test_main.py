"""The agent's verbs."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lem.agent.__main__ import SECRETS_FILE, take_secrets
from lem.contract.base import CONTRACT_VERSION
from lem.contract.job import Job, Rejections
from lem.contract.stage import Described, StageTask
from lem.workloads import requests

from .conftest import MakeJob, Place, agent


def test_describe_prints_one_document_and_nothing_else(tick_version: str) -> None:
    done = agent("describe", "tick")
    assert done.returncode == 0
    found = Described.parse(done.stdout.encode())
    assert (found.backend, found.engine_version) == ("tick", tick_version)
    assert found.contract_version == CONTRACT_VERSION


def test_an_unknown_backend_is_refused_with_those_there_are() -> None:
    done = agent("describe", "tock")
    assert done.returncode == 1 and done.stdout == ""
    assert "no backend named 'tock'" in done.stderr and "transformers" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [(), ("run",), ("fly", "x"), ("run", "a", "b")])
def test_wrong_arguments_show_the_usage(arguments: tuple[str, ...]) -> None:
    done = agent(*arguments)
    assert done.returncode == 2
    assert "python -m lem.agent" in done.stderr


@pytest.mark.parametrize("verb", ["run", "stage", "validate"])
def test_a_missing_document_is_said_to_be(verb: str, tmp_path: Path) -> None:
    done = agent(verb, tmp_path / "nowhere.json")
    assert done.returncode == 1
    assert "nowhere.json" in done.stderr


def test_stage_makes_the_model_and_the_request_list(place: Place) -> None:
    staged = place.staged
    assert (place.folder / staged.path).is_file()
    (made,) = staged.requests
    file = place.folder / "requests" / f"{made.sha256}.jsonl.gz"
    listed = requests.read(file, made.sha256)
    assert len(listed) == made.requests == 30
    assert sum(len(r.input_ids) for r in listed) == made.input_tokens == 30 * 8
    assert {r.output_tokens for r in listed} == {6}
    assert staged.weights == "random"
    assert staged.content.startswith("sha256:")


def test_staging_again_gives_the_same(place: Place) -> None:
    before = (place.folder / "run" / "staged.json").read_text()
    assert agent("stage", place.folder / "run" / "stage.json").returncode == 0
    assert (place.folder / "run" / "staged.json").read_text() == before


def test_staging_for_another_contract_is_refused(place: Place, tmp_path: Path) -> None:
    task = StageTask.read(place.folder / "run" / "stage.json")
    task.model_copy(update={"contract_version": 99}).write(tmp_path / "stage.json")
    done = agent("stage", tmp_path / "stage.json")
    assert done.returncode == 1
    assert "contract versions" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "staged.json").exists()


def test_validate_gives_the_engines_own_word(make_job: MakeJob, tmp_path: Path) -> None:
    good, bad = make_job("good"), make_job("bad", args={"colour": 1, "token_ms": 2})
    lines = [Job.read(p).model_dump_json() for p in (good, bad)]
    (tmp_path / "jobs.ndjson").write_text("\n".join(lines) + "\n")
    done = agent("validate", tmp_path / "jobs.ndjson")
    assert done.returncode == 0, done.stderr
    (rejection,) = Rejections.read(tmp_path / "rejections.json").rejections
    assert rejection.argument == "args.colour"
    assert rejection.arm_id == "a" * 64


def test_validate_refuses_what_is_no_job(tmp_path: Path) -> None:
    (tmp_path / "jobs.ndjson").write_text("{}\n")
    done = agent("validate", tmp_path / "jobs.ndjson")
    assert done.returncode == 1 and "Traceback" not in done.stderr


SECRET = "hf_" + hashlib.sha256(b"secret").hexdigest()


def test_secrets_come_by_file_and_go_nowhere(place: Place, tmp_path: Path) -> None:
    """Staging is the only verb that gets any."""
    (tmp_path / "secrets").write_text(f"HF_TOKEN={SECRET}\nWITH=a=b\n")
    task = StageTask.read(place.folder / "run" / "stage.json")
    task.model_copy(update={"target": str(tmp_path / "model")}).write(tmp_path / "stage.json")
    (tmp_path / "model").mkdir()
    done = agent("stage", tmp_path / "stage.json", **{SECRETS_FILE: str(tmp_path / "secrets")})
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "secrets").exists()
    assert SECRET not in done.stdout + done.stderr
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or SECRET.encode() not in file.read_bytes(), file


def test_secrets_are_put_into_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    file = tmp_path / "secrets"
    file.write_text(f"LEM_TEST_TOKEN={SECRET}\n\nLEM_TEST_PAIR=a=b\njunk\n=nothing\n")
    monkeypatch.setenv(SECRETS_FILE, str(file))
    for name in ("LEM_TEST_TOKEN", "LEM_TEST_PAIR"):
        monkeypatch.setenv(name, "before")
    take_secrets()
    assert os.environ["LEM_TEST_TOKEN"] == SECRET
    assert os.environ["LEM_TEST_PAIR"] == "a=b"
    assert SECRETS_FILE not in os.environ
    take_secrets()


def test_the_agent_imports_nothing_beyond_pydantic() -> None:
    program = (
        "import sys, json, lem.agent.__main__, lem.agent.run, lem.agent.stage\n"
        "print(json.dumps(sorted({m.partition('.')[0] for m in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    allowed = {
        *sys.stdlib_module_names,
        *("lem", "pydantic", "pydantic_core", "annotated_types", "typing_extensions"),
        *("typing_inspection", "_distutils_hack", "sitecustomize", "usercustomize"),
    }
    found = {m for m in json.loads(done.stdout) if not m.startswith("_")}
    assert {m for m in found - allowed if "editable" not in m} == set()
