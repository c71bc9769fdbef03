"""Tasks of lm-evaluation-harness: as its own words have them, scored as it scores them."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lem.campaign import harness, harness_script
from lem.campaign.harness import export
from lem.contract.spec import Accuracy
from lem.errors import EnvironmentFault
from lem.workloads import questions
from tests.campaign import given

HERE = Path(__file__).parent
SUMS = [(37 * i, 53 * i) for i in range(12)]
ANSWERS = [
    " 0",
    " 90.",
    " It is 180",
    " 270, I think",
    " 36 0",
    " 450\nQuestion: 5 + 5?\nAnswer: 10",
    " 1",
    "",
    " none",
    " 8,10",
    " 900 or so Question: 7",
    "990\n",
]


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small generated task, which the user trusts."""
    monkeypatch.setenv(harness.TASKS, str(tmp_path))
    rows = [{"question": f"What is {a} + {b}?", "answer": str(a + b)} for a, b in SUMS]
    solved = [{"question": f"What is {i} + {i}?", "answer": str(2 * i)} for i in range(5)]
    for name, lines in (("sums", rows), ("solved", solved)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    text = (HERE / "tasks" / "sums.yaml").read_text().replace("@FOLDER@", str(tmp_path))
    (tmp_path / "sums.yaml").write_text(text)
    return tmp_path


def interpreter() -> str:
    return os.environ.get(harness.PYTHON) or sys.executable


def questions_of(task: Path, **changes: Any) -> list[questions.Question]:
    wanted = Accuracy(task="lem_sums", include_path=task.name, **changes)
    data = export(wanted, task, task / "cache", lambda _: None)
    return questions.parse(data, "task")


@pytest.mark.harness
@pytest.mark.slow
def test_answers_are_scored_as_the_harness_scores_them(task: Path) -> None:
    orders = {"task": "lem_sums", "include_path": str(task), "answers": ANSWERS}
    done = subprocess.run(
        [interpreter(), "-P", str(HERE / "harness_truth.py")],
        input=json.dumps(orders),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    truth = json.loads(done.stdout)
    asked = questions_of(task, limit=len(ANSWERS))
    assert [q.question for q in asked] == truth["contexts"]
    ours = [float(q.correct(a)) for q, a in zip(asked, ANSWERS, strict=True)]
    assert ours == truth["scores"]
    # By hand, so that both cannot be wrong alike: 0, 90, 180, 270, 450, 810, 900 and 990 are right.
    assert ours == [1, 1, 1, 1, 0, 1, 0, 0, 0, 1, 1, 1]


@pytest.mark.harness
@pytest.mark.slow
def test_limit_and_fewshot_are_the_harnesss_own(task: Path) -> None:
    assert len(questions_of(task, limit=3)) == 3
    assert len(questions_of(task)) == len(SUMS)
    (first,) = questions_of(task, limit=1, fewshot=0)
    assert first.question == "Question: What is 0 + 0?\nAnswer:"
    assert (first.output_tokens, first.chat) == (12, False)
    assert first.task is not None and first.task.stop == ["\n", "Question:"]


@pytest.mark.harness
@pytest.mark.slow
def test_what_cannot_be_measured_says_why(task: Path) -> None:
    path = task / "sums.yaml"
    text = path.read_text()
    for old, new, why in (
        ("generate_until\n", "loglikelihood_rolling\n", "whole texts"),
        ("metric: exact_match", "metric: bleu", "bleu"),
        ("function: take_first", "function: majority_vote", "majority_vote"),
        ("do_sample: false", "do_sample: true\n  temperature: 0.7", "samples"),
    ):
        path.write_text(text.replace(old, new))
        with pytest.raises(EnvironmentFault, match=why):
            questions_of(task)
    path.write_text(text)
    with pytest.raises(EnvironmentFault, match="no task named 'other'"):
        export(Accuracy(task="other"), task, task / "cache", lambda _: None)


class Config:
    """A task's configuration, as far as scoring looks at it."""

    def __init__(self, **changes: Any) -> None:
        self.output_type = "generate_until"
        self.process_results = None
        self.repeats = 1
        self.metric_list = [{"metric": "exact_match", "aggregation": "mean"}]
        self.filter_list = None
        self.generation_kwargs = {"until": ["\n"], "do_sample": False}
        for name, value in changes.items():
            setattr(self, name, value)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"output_type": "loglikelihood_rolling"}, "whole texts"),
        ({"process_results": print}, "code of its own"),
        ({"repeats": 4}, "4 times"),
        ({"metric_list": []}, "none"),
        ({"metric_list": [{"metric": "exact_match"}, {"metric": "f1"}]}, "f1"),
        ({"metric_list": [{"metric": "exact_match", "new": 1}]}, "unknown option new"),
        ({"filter_list": [{"filter": [{"function": "custom"}]}]}, "filter custom"),
        ({"generation_kwargs": {"do_sample": True, "temperature": 0.5}}, "samples"),
    ],
)
def test_tasks_of_other_kinds_are_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(harness_script.NotPossible, match=why):
        harness_script.scoring(Config(**changes))
    assert harness_script.scoring(Config()) == {"filters": []}


@pytest.mark.harness
@pytest.mark.slow
def test_tasks_with_given_answers_say_what_is_correct(task: Path) -> None:
    given.write(task)
    path = task / "capitals.yaml"
    wanted = Accuracy(task="lem_capitals", include_path=task.name, limit=2, metric="acc_norm")
    text = path.read_text()
    found = questions.parse(export(wanted, task, task / "cache", lambda _: None), "task")
    rules = [q.likelihood for q in found]
    assert [r.accepted for r in rules if r is not None] == [[0], [2]]
    assert {r.metric for r in rules if r is not None} == {"acc_norm"}
    for old, new, why in (
        ("metric: acc_norm", "metric: f1", "acc_norm is not among them"),
        ("doc_to_text:", "process_results: !function pronouns.rest\ndoc_to_text:", "of its own"),
        ("num_fewshot: 1", "num_fewshot: 1\nrepeats: 3", "3 times"),
    ):
        path.write_text(text.replace(old, new))
        with pytest.raises(EnvironmentFault, match=why):
            export(wanted, task, task / "cache", lambda _: None)
    path.write_text(text)
    sums = Accuracy(task="lem_sums", include_path=task.name, metric="acc")
    with pytest.raises(EnvironmentFault, match="metric is for tasks that score"):
        export(sums, task, task / "cache", lambda _: None)


class Given:
    """A task of two answers, as far as one question of it is looked at."""

    def __init__(self, score: Any, names: Any = ("ab", "abcd"), metrics: Any = ("acc",)) -> None:
        self.config = Config(output_type="multiple_choice")
        self._metric_fn_list = dict.fromkeys(metrics)
        self._names, self.process_results = list(names), score

    def doc_to_choice(self, doc: Any) -> list[str]:
        return self._names


class Instance:
    def __init__(self, idx: int, text: Any) -> None:
        self.doc, self.idx, self.args = {}, idx, ("Q:", text)


def best(doc: Any, told: Any) -> dict[str, float]:
    return {"acc": float(told[1][0] > told[0][0])}


def test_a_task_that_scores_otherwise_than_it_says_is_refused() -> None:
    both = [Instance(1, " abcd"), Instance(0, " ab")]
    line = harness_script.given_answers(Given(best), both, None)
    assert line["likelihood"]["accepted"] == [1]
    assert [g["name"] for g in line["likelihood"]["given"]] == ["ab", "abcd"]
    for task, asked, why in (
        (Given(lambda doc, told: {"acc": float(told[0][1])}), both, "usual rules"),
        (Given(best, metrics=("f1",)), both, "its metrics are f1; acc is not"),
        (Given(best, names=("", "a"), metrics=("acc", "acc_norm")), both, "is empty"),
        (Given(best), [Instance(0, ""), Instance(1, " x")], "is empty"),
        (Given(best), [Instance(0, 7), Instance(1, " x")], "no plain text"),
    ):
        with pytest.raises(harness_script.NotPossible, match=why):
            harness_script.given_answers(task, asked, None)


def fake(folder: Path, body: str) -> Path:
    """An interpreter that does as told."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


LINE = '{"question": "x", "answer": "y"}'


def test_what_was_made_once_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = fake(tmp_path, f"cat >/dev/null; echo once >>{tmp_path}/log; echo '{LINE}'")
    monkeypatch.setenv(harness.PYTHON, str(python))
    wanted = Accuracy(task="gsm8k", limit=1)
    said: list[str] = []
    for _ in range(2):
        assert export(wanted, None, tmp_path / "cache", said.append) == f"{LINE}\n".encode()
    assert (tmp_path / "log").read_text() == "once\n"
    assert said == ["asking lm-evaluation-harness for the task gsm8k"]
    # Own tasks may change under the same name.
    monkeypatch.setenv(harness.TASKS, str(tmp_path))
    export(wanted, tmp_path, tmp_path / "cache", said.append)
    export(wanted, tmp_path, tmp_path / "cache", said.append)
    assert (tmp_path / "log").read_text() == "once\n" * 3


def test_tasks_of_a_campaign_run_only_where_the_user_names_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their YAML is code (``!function``, templates), and the harness runs on the host."""
    python = fake(tmp_path, f"cat >/dev/null; touch {tmp_path}/ran; echo '{LINE}'")
    monkeypatch.setenv(harness.PYTHON, str(python))
    own, trusted = tmp_path / "own", tmp_path / "trusted"
    for folder in (own, trusted / "inner", tmp_path / "trusted-not"):
        folder.mkdir(parents=True)
    (trusted / "link").symlink_to(own)
    for named in (None, "", str(trusted), f"{tmp_path}/other:{trusted}"):
        monkeypatch.delenv(harness.TASKS, raising=False)
        if named is not None:
            monkeypatch.setenv(harness.TASKS, named)
        for folder in (own, trusted / "link", trusted / "..", tmp_path / "trusted-not"):
            with pytest.raises(EnvironmentFault, match="programs that would run") as e:
                export(Accuracy(task="t"), folder, tmp_path / "cache", lambda _: None)
            assert str(folder.resolve()) in (e.value.hint or "")
    assert not (tmp_path / "ran").exists()
    for folder in (trusted, trusted / "inner"):
        assert export(Accuracy(task="t"), folder, tmp_path / "cache", lambda _: None)
    assert (tmp_path / "ran").exists()


def test_the_harness_gets_no_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python = fake(tmp_path, f"cat >/dev/null; env >{tmp_path}/env; echo '{LINE}'")
    monkeypatch.setenv(harness.PYTHON, str(python))
    for name in ("AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "LEM_API_KEY", "PYTHONPATH"):
        monkeypatch.setenv(name, "hunter2")
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    export(Accuracy(task="t"), None, tmp_path / "cache", lambda _: None)
    found = (tmp_path / "env").read_text()
    assert "hunter2" not in found and "HF_TOKEN=hf_x" in found and "HOME=" in found


@pytest.mark.parametrize(
    ("body", "message", "hint"),
    [
        ("exit 3", "has no lm_eval", harness.PYTHON),
        ("echo 'it is a group' >&2; exit 4", "cannot be used: it is a group", None),
        ("echo boom >&2; exit 1", "could not make gsm8k: boom", None),
    ],
)
def test_its_failures_are_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, message: str, hint: str | None
) -> None:
    monkeypatch.setenv(harness.PYTHON, str(fake(tmp_path, f"cat >/dev/null; {body}")))
    with pytest.raises(EnvironmentFault, match=message) as e:
        export(Accuracy(task="gsm8k"), None, tmp_path, lambda _: None)
    assert hint is None or hint in (e.value.hint or "")
    assert not list(tmp_path.glob("*.jsonl"))


def test_an_interpreter_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(harness.PYTHON, str(tmp_path / "none"))
    with pytest.raises(EnvironmentFault, match="cannot be started"):
        export(Accuracy(task="gsm8k"), None, tmp_path, lambda _: None)
