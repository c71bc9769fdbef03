"""Files of a campaign on their way: host → container → request list → record."""

import gzip
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tick import lem, write_campaign

from lem.campaign.lock import provisional_staging
from lem.campaign.stage import _copy_files, list_key
from lem.config import parse
from lem.contract.record import Record
from lem.contract.spec import ModelSpec
from lem.contract.workload import Workload
from lem.errors import BadInput

CHATS = "".join(json.dumps({"prompt": f"say {i}", "output_tokens": 3}) + "\n" for i in range(20))
TRACE = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "".join(
    f"2023-11-16 18:15:{i:02}.5,{8 + i},4\n" for i in range(20)
)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def campaign(folder: Path, **changes: Any) -> Path:
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "chats.jsonl").write_text(CHATS)
    (folder / "data" / "azure.csv").write_text(TRACE)
    return write_campaign(
        folder / "c.yaml",
        workload={"requests": 20, "dataset": {"kind": "jsonl", "path": "data/chats.jsonl"}},
        sweep={},
        measure={"preset": "quick", "window_s": 0.1, "idle_s": 0.02, "settle_s": 0,
                 "warm_up_cap_s": 0.05, "blocks": 1},
        **changes,
    )  # fmt: skip


def requests_of(out: Path) -> list[dict[str, Any]]:
    (file,) = (out / "requests").iterdir()
    return [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]


def test_a_file_becomes_the_requests_of_a_run(tmp_path: Path) -> None:
    file, out, cache = campaign(tmp_path / "my-folder"), tmp_path / "out", tmp_path / "cache"
    plan = lem("campaign", "plan", file, "--out", out, cache=cache)
    assert plan.returncode == 0, plan.stderr
    assert not cache.exists()
    done = lem("campaign", "run", file, "--out", out, cache=cache)
    assert done.returncode == 0, done.stderr
    assert [r["text"] for r in requests_of(out)] == [f"say {i}" for i in range(20)]
    record = Record.read(next(out.rglob("record.json")))
    assert record.experiment.workload.dataset.model_dump(exclude_none=True) == {
        "path": "chats.jsonl", "sha256": sha256(CHATS), "kind": "jsonl",
    }  # fmt: skip
    for document in out.rglob("*.json"):
        assert "data/chats" not in document.read_text() and "my-folder" not in document.read_text()
    # The folder has what it takes to go on, wherever it is.
    shutil.rmtree(tmp_path / "my-folder")
    moved = out.rename(tmp_path / "elsewhere")
    again = lem("campaign", "run", moved, cache=cache)
    assert again.returncode == 0 and "nothing to do" in again.stderr, again.stderr


def test_a_renamed_file_is_the_same_campaign_and_a_changed_one_another(tmp_path: Path) -> None:
    file, out, cache = campaign(tmp_path / "my-folder"), tmp_path / "out", tmp_path / "cache"
    assert lem("campaign", "run", file, "--out", out, cache=cache).returncode == 0
    renamed = tmp_path / "my-folder" / "renamed.jsonl"
    shutil.copy(tmp_path / "my-folder" / "data" / "chats.jsonl", renamed)
    text = file.read_text()
    file.write_text(text.replace("data/chats.jsonl", "renamed.jsonl"))
    for option in ((), ("--retry-failed",)):
        same = lem("campaign", "run", file, "--out", out, *option, cache=cache)
        assert same.returncode == 0 and "nothing to do" in same.stderr, same.stderr
    shutil.rmtree(out / "blocks")
    again = lem("campaign", "run", file, "--out", out, cache=cache)
    assert again.returncode == 0 and len(list(out.rglob("record.json"))) == 1, again.stderr
    file.write_text(text)
    (tmp_path / "my-folder" / "data" / "chats.jsonl").write_text(CHATS.replace("say", "tell"))
    changed = lem("campaign", "run", file, "--out", out, cache=cache)
    assert changed.returncode == 2 and "the campaign file has been edited" in changed.stderr


def test_bad_content_is_refused_before_anything_starts(tmp_path: Path) -> None:
    file, cache = campaign(tmp_path / "my-folder"), tmp_path / "cache"
    (tmp_path / "my-folder" / "data" / "chats.jsonl").write_text(CHATS + "{}")
    for command in ("validate", "stage"):
        fine = lem("campaign", command, file, cache=cache, cwd=tmp_path)
        assert fine.returncode == 0, fine.stderr
    (tmp_path / "my-folder" / "data" / "chats.jsonl").write_text("{}")
    for command in ("validate", "run"):
        bad = lem("campaign", command, file, cache=cache, cwd=tmp_path)
        assert bad.returncode == 2
        assert "workload.dataset.path: chats.jsonl:1: must have either a prompt" in bad.stderr
    assert not list(tmp_path.rglob("blocks"))


def workload(**what: Any) -> Workload:
    return Workload.model_validate({"requests": 3, **what})


def test_lists_are_shared_by_what_they_are_made_of() -> None:
    model = ModelSpec(id="a/b")

    def key(**what: Any) -> str:
        return list_key(model, workload(**what))

    def file(name: str, digit: str, **more: Any) -> dict[str, Any]:
        return {"kind": "trace", "path": name, "sha256": digit * 64, **more}

    assert key(dataset=file("a", "1")) == key(dataset=file("b", "1")) != key(dataset=file("a", "2"))
    plain = key()
    assert key(arrival={"kind": "concurrency"}) == key(slo={"ttft_ms": 1.0}) == plain
    timed = key(arrival=file("t", "1"))
    assert timed == key(arrival=file("u", "1", speed=4.0)) != plain
    assert timed != key(arrival=file("t", "2"))


def test_files_are_copied_under_their_hash_and_checked(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(TRACE)
    part = {"kind": "trace", "path": "a.csv", "sha256": sha256(TRACE)}
    both = workload(dataset=part, arrival=part)
    _copy_files([both, workload()], {sha256(TRACE): tmp_path / "a.csv"}, tmp_path / "files")
    assert [(f.name, f.read_text()) for f in (tmp_path / "files").iterdir()] == [
        (sha256(TRACE), TRACE)
    ]
    (tmp_path / "a.csv").write_text("another")
    with pytest.raises(BadInput, match=r"a\.csv: was changed since"):
        _copy_files([both], {sha256(TRACE): tmp_path / "a.csv"}, tmp_path / "again")


def test_a_plan_needs_no_files_content() -> None:
    file = parse(
        "{version: 1, name: x, models: [{id: a/b}], backends: {transformers: {}}, "
        "workload: {dataset: {kind: sharegpt, path: gone.json}}}",
        "x.yaml",
    )
    (ready,) = provisional_staging(file).ready
    assert ready.requests.workload == file.drafts[0].workload
