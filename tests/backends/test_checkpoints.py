"""Models from GGUF files and from nothing."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lem import plugins
from lem.backends import checkpoints, prepared
from lem.contract.spec import ModelSpec, Synthetic
from lem.contract.workload import RandomDataset, Workload
from lem.errors import RunFailed
from lem.workloads import datasets
from lem.workloads.requests import Request

from .conformance import make_job
from .conftest import TINY

pytestmark = pytest.mark.engines


def backend() -> Any:
    return plugins.load("backends", "transformers")()


def test_a_synthetic_model_has_the_shape_it_was_given(tiny: Path) -> None:
    config = json.loads((tiny / "config.json").read_text())
    assert config["model_type"] == "llama"
    assert (config["hidden_size"], config["num_hidden_layers"]) == (32, 2)
    assert (config["num_attention_heads"], config["vocab_size"]) == (2, 400)
    assert (tiny / "model.safetensors").is_file()
    tokenizer = backend().tokenizer(tiny)
    assert tokenizer.vocabulary == 400 and tokenizer.special_ids == {0}
    text = "Call me Ishmael. — 日本 🎉"
    assert tokenizer.decode(tokenizer.encode(text, False)) == text


def test_a_synthetic_model_is_the_same_each_time(tiny: Path, tmp_path: Path) -> None:
    again = tmp_path / backend().prepare(ModelSpec(synthetic=TINY), None, tmp_path, False)
    for name in ("model.safetensors", "tokenizer.json"):
        assert (again / name).read_bytes() == (tiny / name).read_bytes()
    other = TINY.model_copy(update={"seed": 2})
    different = (
        tmp_path / "2" / backend().prepare(ModelSpec(synthetic=other), None, tmp_path / "2", False)
    )
    assert (different / "model.safetensors").read_bytes() != (
        tiny / "model.safetensors"
    ).read_bytes()


def test_a_vocabulary_larger_than_the_text_can_teach_is_filled_up(tmp_path: Path) -> None:
    spec = Synthetic(hidden_size=8, layers=1, heads=1, vocab_size=20_000)
    path = tmp_path / backend().prepare(ModelSpec(synthetic=spec), None, tmp_path, False)
    tokenizer = backend().tokenizer(path)
    assert tokenizer.vocabulary == 20_000
    assert tokenizer.decode([19_999])
    workload = Workload(requests=2, dataset=RandomDataset(input_tokens=50, output_tokens=1))
    assert all(len(r.input_ids) == 50 for r in datasets.make(workload, tokenizer, 1))


@pytest.mark.parametrize("architecture", ["qwen3", "gpt2", "mistral"])
def test_other_architectures(tmp_path: Path, architecture: str) -> None:
    spec = TINY.model_copy(update={"architecture": architecture})
    path = tmp_path / backend().prepare(ModelSpec(synthetic=spec), None, tmp_path, False)
    assert json.loads((path / "config.json").read_text())["model_type"] == architecture
    job = make_job("transformers", path, tmp_path, [Request("r0", [5], 1, "")])
    assert backend().reject(job) == []
    backend().load(job).close()


def test_an_unknown_architecture_is_refused_in_the_librarys_words(tmp_path: Path) -> None:
    spec = TINY.model_copy(update={"architecture": "lama"})
    with pytest.raises(RunFailed, match="Unrecognized model") as e:
        backend().prepare(ModelSpec(synthetic=spec), None, tmp_path, False)
    assert e.value.kind == "bad_argument"


def test_a_large_synthetic_model_is_made_where_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Path
) -> None:
    monkeypatch.setattr(checkpoints, "ON_DISK_BYTES", 10)
    path = tmp_path / backend().prepare(ModelSpec(synthetic=TINY), None, tmp_path, False)
    assert (path / checkpoints.DESCRIPTION).is_file()
    assert not (path / "model.safetensors").exists()
    requests = [Request("r0", [5], 1, "")]
    job = make_job("transformers", path, tmp_path, requests, engine={"dtype": "bfloat16"})
    assert backend().reject(job) == []
    engine = backend().load(job)
    facts = engine.facts()
    assert facts["dtype"] == "bfloat16"
    saved = backend().load(make_job("transformers", tiny, tmp_path, requests))
    assert facts["parameters"] == saved.facts()["parameters"]


def test_a_local_folder_is_taken_as_it_is(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(tiny, folder)
    (folder / prepared.NOTE).unlink()
    target = tmp_path / "target"
    path = target / backend().prepare(ModelSpec(id=str(folder)), folder, target, False)
    assert (path / "model.safetensors").read_bytes() == (tiny / "model.safetensors").read_bytes()
    shutil.rmtree(folder)
    assert backend().prepare(ModelSpec(id=str(folder)), folder, target, False) == path.name
    backend().load(make_job("transformers", path, tmp_path, [Request("r0", [5], 1, "")])).close()


@pytest.mark.slow
def test_a_gguf_file_becomes_plain_safetensors(smollm2_safetensors: Path) -> None:
    names = {p.name for p in smollm2_safetensors.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= names
    config = json.loads((smollm2_safetensors / "config.json").read_text())
    assert config["dtype"] == "bfloat16" and "quantization_config" not in config
    # 134,515,008 weights of two bytes, and a header.
    size = (smollm2_safetensors / "model.safetensors").stat().st_size
    assert 0 <= size - 134_515_008 * 2 < 100_000


def test_a_file_that_is_no_gguf(tmp_path: Path) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(b"nothing")
    with pytest.raises(RunFailed) as e:
        backend().prepare(ModelSpec(id="x"), file, tmp_path / "t", False)
    assert e.value.kind in ("unsupported", "bad_argument")


def test_a_gguf_name_cannot_leave_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    with pytest.raises(RunFailed) as e:
        backend().prepare(ModelSpec(id="m", gguf_file="../x.gguf"), folder, tmp_path / "t", False)
    assert e.value.kind == "bad_argument"
