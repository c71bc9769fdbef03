"""Files that a campaign names: found, known by content, checked, their folders told to nobody."""

import hashlib
from pathlib import Path

import pytest

from lem.campaign.lock import provisional_staging
from lem.config import CampaignFile, check_files, experiment_id, experiment_of, load, parse
from lem.contract.spec import ExperimentModel
from lem.errors import BadInput

HEAD = """\
version: 1
name: files
models: [{id: org/model}]
backends: {transformers: {}, llama_cpp: {}}
"""
LINE = '{"prompt": "a", "output_tokens": 3}\n'
MODEL = ExperimentModel(id="x", revision=None, content="sha256:1", weights="trained")


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def read(folder: Path, rest: str) -> CampaignFile:
    (folder / "c.yaml").write_text(HEAD + rest)
    return load(folder / "c.yaml")


def workload(path: str, more: str = "") -> str:
    return f"workload: {{requests: 1, dataset: {{kind: jsonl, path: {path}{more}}}}}\n"


def ids(file: CampaignFile) -> list[str]:
    return [experiment_id(experiment_of(d, MODEL, "1", "0" * 64)) for d in file.drafts]


def problems(folder: Path, rest: str) -> list[tuple[int | None, str]]:
    with pytest.raises(BadInput) as e:
        check_files(read(folder, rest))
    return [(p.line, p.message) for p in e.value.problems]


def test_an_experiment_holds_a_files_name_and_hash_and_no_folder(tmp_path: Path) -> None:
    (tmp_path / "secret-folder").mkdir()
    (tmp_path / "secret-folder" / "a.jsonl").write_text(LINE)
    for written in ("secret-folder/a.jsonl", str(tmp_path / "secret-folder" / "a.jsonl")):
        file = read(tmp_path, workload(written))
        (draft, _) = file.drafts
        dumped = experiment_of(draft, MODEL, "1", "0" * 64).model_dump_json()
        assert f'"path":"a.jsonl","sha256":"{sha256(LINE)}"' in dumped
        assert "secret-folder" not in dumped and str(tmp_path) not in dumped
        assert file.files == {sha256(LINE): tmp_path / "secret-folder" / "a.jsonl"}
        check_files(file)


def test_an_id_and_a_digest_go_by_content_not_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(LINE)
    (tmp_path / "b.jsonl").write_text(LINE)
    (tmp_path / "c.jsonl").write_text(LINE * 2)
    a, b, c = (read(tmp_path, workload(f"{n}.jsonl")) for n in "abc")
    assert ids(a) == ids(b) and a.digest == b.digest
    assert set(ids(a)).isdisjoint(ids(c)) and a.digest != c.digest
    pinned = read(tmp_path, workload("a.jsonl", f", sha256: {sha256(LINE)}"))
    assert ids(pinned) == ids(a) and pinned.digest == a.digest


def test_the_same_file_under_two_names_is_one_experiment(tmp_path: Path) -> None:
    for name, text in {"a": LINE, "b": LINE, "c": LINE * 2}.items():
        (tmp_path / f"{name}.jsonl").write_text(text)
    sweep = "sweep: {workload.dataset.path: [./a.jsonl, b.jsonl, c.jsonl]}\n"
    base = "workload: {requests: 1, dataset: {kind: jsonl, path: a.jsonl}}\n"
    file = read(tmp_path, base + sweep)
    assert [d.label for d in file.drafts] == [
        "llama_cpp · path a.jsonl", "llama_cpp · path c.jsonl",
        "transformers · path a.jsonl", "transformers · path c.jsonl",
    ]  # fmt: skip
    assert file.drafts[0].settings == {"workload.dataset.path": "a.jsonl"}
    chosen = read(tmp_path, base + sweep + "exclude: [{workload.dataset.path: ./c.jsonl}]\n")
    assert [d.label for d in chosen.drafts] == ["llama_cpp", "transformers"]


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder, text in {"x": LINE, "y": LINE * 2}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.jsonl").write_text(text)
    rest = workload("x/a.jsonl") + "sweep:\n  workload.dataset.path: [x/a.jsonl, y/a.jsonl]\n"
    ((line, message),) = problems(tmp_path, rest)
    assert line == 7 and "another file of this campaign is called 'a.jsonl'" in message


def test_files_that_are_not_there_or_no_files_are_refused_with_their_line(tmp_path: Path) -> None:
    missing = problems(tmp_path, workload("none.jsonl"))
    assert missing == [(5, "workload.dataset.path: there is no file 'none.jsonl'")]
    swept = (
        workload("c.yaml") + "sweep:\n  workload.dataset.path:\n    - c.yaml\n    - gone.jsonl\n"
    )
    ((line, message),) = problems(tmp_path, swept)
    assert line == 7 and "there is no file 'gone.jsonl'" in message
    ((line, message),) = problems(tmp_path, workload("."))
    assert line == 5 and "'.' is not a file" in message
    ((line, message),) = problems(tmp_path, workload("c.yaml", f", sha256: {'f' * 64}"))
    assert line == 5 and "the file has another SHA-256: " in message
    arrival = "workload:\n  arrival: {kind: trace, path: gone.csv}\n"
    assert problems(tmp_path, arrival) == [
        (6, "workload.arrival.path: there is no file 'gone.csv'")
    ]


def test_content_is_checked_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(LINE + "{}\n")
    rest = "workload:\n  requests: 2\n  dataset:\n    kind: jsonl\n    path: a.jsonl\n"
    assert problems(tmp_path, rest) == [
        (9, "workload.dataset.path: a.jsonl:2: must have either a prompt or messages")
    ]
    check_files(read(tmp_path, rest.replace("requests: 2", "requests: 1")))
    (tmp_path / "a.jsonl").write_text(LINE)
    ((_, message),) = problems(tmp_path, rest)
    assert message == (
        "workload.dataset.path: a.jsonl: gives 1 requests, and workload.requests asks for 2"
        " (workload.requests: 1)"
    )
    (tmp_path / "t.csv").write_text("TIMESTAMP,ContextTokens,GeneratedTokens\nx,1,1\n")
    arrival = "workload:\n  requests: 1\n  arrival: {kind: trace, path: t.csv}\n"
    assert problems(tmp_path, arrival) == [
        (7, "workload.arrival.path: t.csv:2: TIMESTAMP 'x' is no time")
    ]


def test_a_campaign_is_planned_without_staging(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(LINE)
    file = read(tmp_path, workload("a.jsonl"))
    assert len(provisional_staging(file).ready) == 2


def test_files_are_not_looked_for_where_a_text_is_read() -> None:
    file = parse(HEAD + workload("folder/a.jsonl"), "text")
    dataset = file.drafts[0].workload.dataset
    assert (dataset.path, dataset.sha256) == ("a.jsonl", None)  # type: ignore[union-attr]
    check_files(file)


def test_a_campaigns_folder_has_copies_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.jsonl").write_text(LINE)
    file = read(tmp_path, workload("../elsewhere/a.jsonl"))
    assert file.files == {sha256(LINE): tmp_path / "files" / "a.jsonl"}
    (tmp_path / "files" / "a.jsonl").rename(tmp_path / "real")
    (tmp_path / "files" / "a.jsonl").symlink_to(tmp_path / "real")
    with pytest.raises(BadInput, match="there is no file"):
        read(tmp_path, workload("../elsewhere/a.jsonl"))
