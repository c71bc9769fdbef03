"""Staging, where the agent works in the user's own files and with the user's own token."""

import os
from pathlib import Path

import pytest

from lem import plugins
from lem.agent.stage import _let_everyone_read, stage
from lem.contract.base import CONTRACT_VERSION
from lem.contract.spec import ModelSpec, Synthetic
from lem.contract.stage import StageTask
from lem.contract.workload import RandomDataset, Workload

WORKLOAD = Workload(requests=1, dataset=RandomDataset(input_tokens=1, output_tokens=1))


def test_the_mode_of_a_linked_original_stays(tmp_path: Path) -> None:
    original, target = tmp_path / "private.gguf", tmp_path / "target"
    target.mkdir()
    for file in (original, target / "made.json"):
        file.touch()
        file.chmod(0o600)
    os.link(original, target / "model.gguf")
    _let_everyone_read(target)
    assert original.stat().st_mode & 0o777 == 0o600
    assert (target / "made.json").stat().st_mode & 0o777 == 0o644


class Backend:
    """Notes which of its steps have the token."""

    distribution = "pytest"
    seen: dict[str, str | None] = {}

    def prepare(self, model: ModelSpec, source: Path | None, target: Path, trust: bool) -> str:
        self.seen["prepare"] = os.environ.get("HF_TOKEN")
        return "."

    def tokenizer(self, path: Path) -> "Backend":
        self.seen["tokenizer"] = os.environ.get("HF_TOKEN")
        return self

    vocabulary = 4
    special_ids: frozenset[int] = frozenset()

    def decode(self, ids: list[int]) -> str:
        return ""


def test_only_fetching_has_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr(plugins, "load", lambda *_: Backend)
    StageTask(
        contract_version=CONTRACT_VERSION,
        backend="noting",
        model=ModelSpec(id="x", synthetic=Synthetic()),
        source=None,
        target=str(tmp_path),
        requests_folder=str(tmp_path / "requests"),
        workloads=[WORKLOAD],
        seed=1,
    ).write(tmp_path / "stage.json")
    stage(tmp_path / "stage.json")
    assert Backend.seen == {"prepare": "hf_secret", "tokenizer": None}
