"""Prepared models: made once, whole or not at all, and nothing from outside the model's folder."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lem.backends import prepared
from lem.errors import RunFailed


def folder_with(path: Path, *names: str) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name in names:
        (path / name).write_text(name)
    return path


def test_a_model_is_made_once(tmp_path: Path) -> None:
    calls: list[Path] = []

    def make(aside: Path) -> dict[str, Any]:
        calls.append(aside)
        (aside / "weights").write_text("w")
        return {"revision": "abc"}

    model = prepared.once(tmp_path, make)
    assert prepared.once(tmp_path, make) == model and len(calls) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model"]
    assert prepared.revision(tmp_path, "model") == "abc"
    assert prepared.revision(tmp_path, "model/weights") == "abc"
    assert model.stat().st_mode & 0o055 == 0o055


def test_half_a_model_is_nothing(tmp_path: Path) -> None:
    def fail(aside: Path) -> dict[str, Any]:
        (aside / "weights").write_text("half")
        raise RunFailed("unsupported", "no")

    with pytest.raises(RunFailed):
        prepared.once(tmp_path, fail)
    assert list(tmp_path.iterdir()) == []
    # As if killed between the rename's parts of an older version: a folder without its note.
    folder_with(tmp_path / "model", "weights")
    assert prepared.note(tmp_path / "model") == {}
    made = prepared.once(tmp_path, lambda aside: {"kind": "x"})
    assert prepared.note(made) == {"kind": "x"}


def test_a_full_disk_has_its_name(tmp_path: Path) -> None:
    def full(aside: Path) -> dict[str, Any]:
        raise OSError(28, "No space left on device")

    with pytest.raises(RunFailed, match="No space left") as e:
        prepared.once(tmp_path, full)
    assert e.value.kind == "disk"


def test_only_what_loading_needs_is_taken(tmp_path: Path) -> None:
    folder = folder_with(
        tmp_path / "m", "config.json", "a.safetensors", "code.py", "evil.bin", ".hidden", "x.exe"
    )
    (folder / "sub").mkdir()
    assert [f.name for f in prepared.files(folder, trust=False)] == ["a.safetensors", "config.json"]
    assert [f.name for f in prepared.files(folder, trust=True)] == [
        "a.safetensors",
        "code.py",
        "config.json",
        "evil.bin",
    ]


@pytest.mark.parametrize(
    ("names", "words"),
    [(["config.json"], "no weights"), (["config.json", "m.bin"], "only pickled weights")],
)
def test_a_folder_without_safe_weights_is_refused(
    tmp_path: Path, names: list[str], words: str
) -> None:
    with pytest.raises(RunFailed, match=words) as e:
        prepared.files(folder_with(tmp_path / "m", *names), trust=False)
    assert e.value.kind == "unsupported" and e.value.hint


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret.json"
    secret.write_text("s")
    folder = folder_with(tmp_path / "m", "a.safetensors")
    (folder / "config.json").symlink_to(secret)
    with pytest.raises(RunFailed, match="leads out"):
        prepared.files(folder, trust=False)


def test_links_of_a_hub_cache_are_followed(tmp_path: Path) -> None:
    blobs = folder_with(tmp_path / "models--x" / "blobs", "b1")
    snapshot = tmp_path / "models--x" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "a.safetensors").symlink_to(blobs / "b1")
    (found,) = prepared.files(snapshot, trust=False)
    target = folder_with(tmp_path / "t")
    prepared.copy(found, target)
    assert (target / "a.safetensors").read_text() == "b1"
    assert not (target / "a.safetensors").is_symlink()


@pytest.mark.parametrize("name", ["../evil.safetensors", "/etc/passwd", "a\\b", "..", ""])
def test_a_weight_index_cannot_point_elsewhere(tmp_path: Path, name: str) -> None:
    folder = folder_with(tmp_path / "m", "a.safetensors")
    index = {"weight_map": {"w": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(RunFailed, match="points out"):
        prepared.files(folder, trust=False)


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x.gguf", "a/../../x.gguf", "a\\..\\x"])
def test_file_names_stay_inside(name: str) -> None:
    with pytest.raises(RunFailed):
        prepared.plain_name(name)
    assert prepared.plain_name("sub/x.gguf") == "sub/x.gguf"


def test_content_is_that_of_the_files(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "m", "a.safetensors", "config.json")
    first = prepared.content(folder)
    assert prepared.content(folder) == first
    (folder / "config.json").write_text("other")
    assert prepared.content(folder) != first
    assert (
        prepared.content(folder / "a.safetensors")
        == "sha256:" + hashlib.sha256(b"a.safetensors").hexdigest()
    )


@pytest.mark.engines
def test_a_hub_that_cannot_be_reached_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    def away(*_: Any, **__: Any) -> Any:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", away)
    with pytest.raises(RunFailed, match="Network is unreachable") as e:
        prepared.from_hub("some/model", None, tmp_path, False)
    assert "local folder" in str(e.value.hint)


@pytest.mark.engines
def test_a_hub_model_is_fetched_at_its_commit_without_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    asked: dict[str, Any] = {}

    class Info:
        sha = "c" * 40

    def snapshot(model_id: str, **how: Any) -> str:
        asked.update(how, id=model_id)
        folder_with(Path(how["local_dir"]), "config.json", "a.safetensors")
        return str(how["local_dir"])

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda *_, **__: Info())
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    commit = prepared.from_hub("some/model", "main", tmp_path / "m", False)
    assert commit == asked["revision"] == "c" * 40
    assert asked["token"] == "hf_secret"
    assert not any(
        p.endswith((".py", ".bin", "*")) and p != "LICENSE*" for p in asked["allow_patterns"]
    )


def test_a_hub_behind_a_closed_port_says_so_in_one_line(tmp_path: Path) -> None:
    """With the hub's real client: what it raises depends on the network library of the day."""
    program = (
        "import sys; from pathlib import Path; from lem.backends import prepared\n"
        "from lem.errors import RunFailed\n"
        "try: prepared.from_hub('some/model', None, Path(sys.argv[1]), False)\n"
        "except RunFailed as e: print(e.kind, e.message, e.hint, sep='|')"
    )
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=True,
    )
    kind, message, hint = done.stdout.strip().split("|")
    assert kind == "engine_error"
    assert message.startswith("some/model could not be fetched from the hub: ")
    assert "needs the network" in hint
