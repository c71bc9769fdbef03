"""Answers to fixed prompts and to questions, in real runs of the test backend."""

import hashlib
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lem.agent.quality import energy_metrics, flags, result, wilson
from lem.contract.answers import Answer, Answers
from lem.contract.base import CONTRACT_VERSION
from lem.contract.record import AccuracyResult, Record, Value, Window
from lem.contract.spec import ModelSpec, Synthetic
from lem.contract.stage import Staged, StageTask
from lem.workloads import agreement, questions
from lem.workloads.questions import Question
from tests.meters import played

from .conftest import MakeJob, Place, agent

QUESTIONS = [{"question": f"{n} + {n}? say {2 * n}", "answer": str(2 * n)} for n in range(10)]
MEASURE = {"windows": 1, "window_s": 0.3, "idle_s": 0.1, "warm_up_cap_s": 0.1}

Ask = Callable[..., tuple[Path, Record, Answers]]


@pytest.fixture(scope="module")
def lists(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Staged:
    """The lists that staging makes, beside the requests."""
    more = {"agreement": True, "questions_limit": 8, "questions_output_tokens": 4}
    return staged(place, tmp_path_factory.mktemp("questions"), QUESTIONS, **more)


def staged(place: Place, folder: Path, asked: list[dict[str, Any]], **more: Any) -> Staged:
    """What staging makes of these questions."""
    text = "".join(json.dumps(q) + "\n" for q in asked)
    (folder / "questions.jsonl").write_text(text)
    task = StageTask(
        contract_version=CONTRACT_VERSION,
        backend="tick",
        model=ModelSpec(id="nothing", synthetic=Synthetic()),
        source=None,
        target=str(place.folder),
        requests_folder=str(place.folder / "requests"),
        workloads=[],
        seed=1,
        questions=str(folder / "questions.jsonl"),
        questions_sha256=sha256_of(text),
        **more,
    )
    task.write(folder / "stage.json")
    done = agent("stage", folder / "stage.json")
    assert done.returncode == 0, done.stderr
    return Staged.read(folder / "staged.json")


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def ask(make_job: MakeJob, lists: Staged) -> Ask:
    def run(environment: dict[str, str] | None = None, **changes: Any) -> Any:
        measure = MEASURE | {"meters": ["estimate"]} | changes.pop("measure", {})
        path = make_job(
            measure=measure,
            agreement_list=lists.agreement_list,
            questions_list=lists.questions_list,
            **changes,
        )
        done = agent("run", path, **(environment or {}))
        assert done.returncode == 0, done.stderr
        folder = path.parent
        return folder, Record.read(folder / "record.json"), Answers.read(folder / "answers.json")

    return run


def test_staging_makes_lists_that_hold_what_was_asked(place: Place, lists: Staged) -> None:
    folder = place.folder / "requests"
    assert lists.questions_list and lists.agreement_list
    asked = questions.read(folder / f"{lists.questions_list}.jsonl.gz", lists.questions_list)
    assert [a.question.accepted for a in asked] == [[str(2 * n)] for n in range(8)]
    assert {a.request.output_tokens for a in asked} == {4}
    # The test tokenizer marks what went through a chat template with token 256.
    assert {a.request.input_ids[0] for a in asked} == {256}


@pytest.mark.parametrize("static", [False, True])
@pytest.mark.parametrize("arrival", ["offline", "concurrency"])
def test_every_question_is_answered_once_between_the_marks(
    ask: Ask, static: bool, arrival: str
) -> None:
    workload = {
        "requests": 30,
        "dataset": {"kind": "random", "input_tokens": 8, "output_tokens": 6},
        "arrival": {"kind": arrival},
    }
    folder, record, answers = ask(
        args={"echo": True, "forget": 3, "static": static},
        workload=workload,
        measure={"quality": ["agreement"]},
    )
    assert [a.id for a in answers.accuracy] == [f"q{n}" for n in range(8)]
    # 0, 3 and 6 are forgotten.
    expected = ["tock " * 4 if n % 3 == 0 else str(2 * n) for n in range(8)]
    assert [a.text for a in answers.accuracy] == expected
    found = record.quality.accuracy
    assert found is not None
    assert (found.correct, found.questions, found.outcomes) == (5, 8, "01101101")
    window = record.answering
    assert window is not None
    assert (window.requests, window.output_tokens) == (8, 32)
    assert window.input_tokens == sum(1 + len(q["question"]) for q in QUESTIONS[:8])
    assert window.output_tokens_uncertainty == window.requests_uncertainty == 0
    assert window.start_ns > record.windows[-1].end_ns
    (reading,) = window.energy
    # The estimate: CPU time of the window × 10 W.
    assert window.cpu_time_s is not None and reading.energy_j is not None
    assert reading.energy_j == pytest.approx(10 * window.cpu_time_s, rel=1e-6)
    each = record.metrics["energy_per_answer_j"]
    correct = record.metrics["energy_per_correct_answer_j"]
    assert isinstance(each, dict) and isinstance(correct, dict)
    assert each["estimated"].value == pytest.approx(reading.energy_j / 8)
    assert correct["estimated"].value == pytest.approx(reading.energy_j / 5)
    # Neither questions nor prompts are among the workload's responses.
    events = (folder / "events.ndjson").read_text()
    assert events.index('"accuracy"') < events.index('"quality"')
    assert len(answers.agreement) == 32
    assert record.quality.agreement_sha256 == answers.agreement_sha256 == agreement.SHA256
    assert {a.output_tokens for a in answers.agreement} == {64}


def test_questions_asked_under_an_open_load_come_from_a_closed_loop(ask: Ask) -> None:
    _, record, _ = ask(args={"echo": True})
    assert record.quality.accuracy is not None
    assert record.quality.accuracy.value == 1


def test_nothing_is_left_behind_where_nothing_was_asked(make_job: MakeJob) -> None:
    path = make_job(measure=MEASURE | {"meters": ["estimate"]})
    assert agent("run", path).returncode == 0
    record = Record.read(path.parent / "record.json")
    assert record.answering is None and record.quality.accuracy is None
    assert not {"energy_per_answer_j", "energy_per_correct_answer_j"} & set(record.metrics)
    assert not (path.parent / "answers.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("static", [False, True])
def test_energy_of_the_questions_is_what_was_played(
    ask: Ask, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, static: bool
) -> None:
    library = played.build_library(tmp_path_factory.mktemp("nvml"))
    what = played.Play([(played.NEVER, 250.0, 250.0)], {"phase_ms": 37})
    config = what.write(tmp_path / "played.txt")
    _, record, _ = ask(
        environment=played.environment(library, config),
        args={"echo": True, "static": static, "token_ms": 20},
        gpus=[0],
        measure={"meters": ["nvml"]},
    )
    window = record.answering
    assert window is not None
    (reading,) = window.energy
    truth = what.energy_j(window.start_ns, window.end_ns)
    free_of_gain = math.hypot(*(u for name, u in reading.budget_j.items() if name != "gain"))
    assert reading.energy_j is not None
    assert abs(reading.energy_j - truth) <= 4 * free_of_gain + 1e-3 * truth
    each = record.metrics["energy_per_answer_j"]
    assert isinstance(each, dict)
    assert each["gpu"].value == pytest.approx(reading.energy_j / 8)
    assert each["gpu"].uncertainty is not None
    assert abs(each["gpu"].value - truth / 8) <= each["gpu"].uncertainty


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        # Newcombe, Statist. Med. 17 (1998) 857, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilsons_interval_is_the_published_one(k: int, n: int, low: float, high: float) -> None:
    assert wilson(k, n, 1.959964) == pytest.approx((low, high), abs=5e-5)
    mirrored = wilson(n - k, n, 1.959964)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=5e-5)


def window_of(energy_j: float | None, u: float | None, *found: str, answered: int = 10) -> Window:
    return Window.model_validate(
        {
            "start_ns": 0,
            "end_ns": 10,
            "requests": answered,
            "input_tokens": 1,
            "output_tokens": 1,
            "energy": [
                {
                    "meter": "nvml",
                    "device": "gpu0",
                    "device_class": "gpu",
                    "energy_j": energy_j,
                    "uncertainty_j": u,
                    "budget_j": {} if u is None else {"gain": u / 2},
                    "flags": list(found),
                }
            ],
        }
    )


def scored(outcomes: str) -> AccuracyResult:
    asked = questions.ask([Question(question="x", answer="1")] * len(outcomes), Tokens(), 1)
    answers = [
        Answer(id=f"q{i}", status="done", output_tokens=1, text=o) for i, o in enumerate(outcomes)
    ]
    return result(asked, answers)


class Tokens:
    vocabulary = 1
    special_ids: frozenset[int] = frozenset()

    def encode(self, text: str, chat: bool) -> list[int]:
        return [0]

    def decode(self, ids: list[int]) -> str:
        return ""


def test_energy_per_correct_answer_and_its_uncertainty() -> None:
    metrics = energy_metrics(window_of(100.0, 4.0), scored("1" * 8 + "0" * 2))
    assert metrics["energy_per_answer_j"] == {"gpu": Value(value=10.0, uncertainty=0.4)}
    correct = metrics["energy_per_correct_answer_j"]
    assert isinstance(correct, dict)
    assert correct["gpu"].value == 12.5
    # Wilson at z = 2, n = 10, p = 0.8, by hand: (1 − 2·√(0.016 + 0.01)) ÷ 1.4 = 0.48394…
    relative = 0.8 / ((1 - 2 * math.sqrt(0.026)) / 1.4) - 1
    assert correct["gpu"].uncertainty == pytest.approx(math.hypot(0.5, 12.5 * relative))


def test_questions_without_an_answer_make_the_others_no_cheaper() -> None:
    """Ten were asked, four answered, three of them correctly."""
    metrics = energy_metrics(window_of(100.0, 4.0, answered=4), scored("1110000000"))
    assert metrics["energy_per_answer_j"] == {"gpu": Value(value=25.0, uncertainty=1.0)}
    correct = metrics["energy_per_correct_answer_j"]
    assert isinstance(correct, dict) and correct["gpu"].value == pytest.approx(100 / 3)
    assert energy_metrics(window_of(1.0, 0.1, answered=0), scored("000")) == {}


def test_all_correct_is_not_certainty() -> None:
    correct = energy_metrics(window_of(100.0, 0.0), scored("1" * 10))["energy_per_correct_answer_j"]
    assert isinstance(correct, dict)
    # p = 1: the lower limit is 1 ÷ (1 + 4/n), so the relative uncertainty is 4/n.
    assert correct["gpu"].uncertainty == pytest.approx(10.0 * 0.4)


def test_no_figure_without_a_correct_answer_or_without_energy() -> None:
    assert set(energy_metrics(window_of(1.0, 0.1), scored("000"))) == {"energy_per_answer_j"}
    assert energy_metrics(window_of(None, None, "counter_frozen"), scored("101")) == {}
    assert energy_metrics(window_of(1.0, 0.1, "foreign_load"), scored("101")) == {}


def test_a_question_without_an_answer_counts_as_wrong_and_is_flagged() -> None:
    asked = questions.ask([Question(question="x", answer="1")] * 2, Tokens(), 1)
    answers = [
        Answer(id="q0", status="done", output_tokens=1, text="1"),
        Answer(id="q1", status="failed", output_tokens=0, text="1"),
    ]
    assert result(asked, answers).outcomes == "10"
    assert flags(window_of(1.0, 0.1), answers) == {"questions_failed"}
    assert flags(window_of(1.0, 0.1, "foreign_load"), answers[:1]) == {"not_attributed"}
