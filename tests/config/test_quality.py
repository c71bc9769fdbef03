"""What a campaign file says of quality."""

import hashlib
import json
from pathlib import Path

import pytest
import yaml

from lem.config import load, measurement, parse
from lem.config.example import companions, shipped
from lem.errors import BadInput

BASE = {
    "version": 1,
    "name": "x",
    "models": [{"id": "m", "synthetic": {}}],
    "backends": {"transformers": {}},
}
LINES = '{"question": "2 + 2?", "answer": "4"}\n{"question": "3 + 3?", "answer": "6"}\n'


def written(folder: Path, measure: object, **changes: object) -> Path:
    path = folder / "campaign.yaml"
    path.write_text(yaml.safe_dump({**BASE, "measure": measure, **changes}))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(BadInput) as e:
        load(path)
    assert all(p.line for p in e.value.problems)
    return "\n".join(p.message for p in e.value.problems)


def test_documents_have_the_files_name_and_hash_but_no_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "q.jsonl").write_text(LINES)
    found = load(written(tmp_path, {"accuracy": {"path": "secret/q.jsonl", "limit": 1}}))
    told = measurement(found.spec.measure, None, found.accuracy).accuracy
    assert told is not None
    assert (told.path, told.limit) == ("q.jsonl", 1)
    assert told.sha256 == hashlib.sha256(LINES.encode()).hexdigest()


def test_the_questions_are_part_of_what_a_campaign_measures(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text(LINES)
    path = written(tmp_path, {"accuracy": {"path": "q.jsonl"}})
    before = load(path).digest
    (tmp_path / "q.jsonl").write_text(LINES.replace("6", "7"))
    assert load(path).digest != before


def test_a_campaign_without_them_keeps_its_digest(tmp_path: Path) -> None:
    """As computed before there were agreement, accuracy and the margin."""
    text = yaml.safe_dump({**BASE, "measure": {"quality": ["nll"]}})
    head = measurement(parse(text, "x").spec.measure)
    assert head.accuracy is None and head.quality == ["nll"]
    quiet = parse(yaml.safe_dump(BASE), "x").digest
    assert quiet == parse(yaml.safe_dump({**BASE, "measure": {"quality": []}}), "x").digest
    margin = yaml.safe_dump({**BASE, "measure": {"quality_margin": 0.02}})
    assert parse(margin, "x").digest != quiet


@pytest.mark.parametrize(
    ("accuracy", "why"),
    [
        ({}, "needs a path (a file of questions) or a task"),
        ({"path": "q.jsonl", "task": "t"}, "needs a path"),
        ({"path": "q.jsonl", "fewshot": 3}, "fewshot goes with a task"),
        ({"path": "none.jsonl"}, "there is no such file"),
        ({"path": "bad.jsonl"}, "bad.jsonl:2: needs an answer"),
        ({"task": "t", "include_path": "nowhere"}, "there is no folder"),
        ({"path": "q.jsonl", "limit": 0}, "1"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(
    tmp_path: Path, accuracy: dict[str, object], why: str
) -> None:
    (tmp_path / "q.jsonl").write_text(LINES)
    (tmp_path / "bad.jsonl").write_text('{"question": "x", "answer": "y"}\n{"question": "x"}\n')
    assert why in refusal(written(tmp_path, {"accuracy": accuracy}))


def test_settings_under_which_it_could_mean_nothing(tmp_path: Path) -> None:
    (tmp_path / "q.jsonl").write_text(LINES)
    asked = {"accuracy": {"path": "q.jsonl"}}
    eos = {"temperature": 0, "ignore_eos": True}
    assert "keeps answers from ending" in refusal(written(tmp_path, asked, generate=eos))
    warm = {"generate.temperature": [0, 0.7]}
    assert "greedy" in refusal(written(tmp_path, {"quality": ["agreement"]}, sweep=warm))
    assert "twice" in refusal(written(tmp_path, {"quality": ["nll", "nll"]}))


def test_the_examples_questions_come_with_it() -> None:
    (name, text), *rest = companions("accuracy").items()
    assert rest == [] and name == "accuracy.questions.jsonl"
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) == 100 and len({x["question"] for x in lines}) == 100
    assert name in shipped("accuracy")
    assert companions("quickstart") == {}
