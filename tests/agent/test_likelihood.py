"""Questions whose answers are given, in real runs of the test backend."""

import json
from typing import Any

import pytest

from lem.agent.likelihood import check, score
from lem.agent.quality import flags, result
from lem.contract.answers import Answer, Answers
from lem.contract.failure import Failure
from lem.contract.job import Job
from lem.contract.record import Record
from lem.errors import RunFailed
from lem.workloads import questions
from lem.workloads.choices import Given, Rule
from lem.workloads.likelihood import Passage, Scored
from lem.workloads.questions import Question

from .conftest import MakeJob, Place, agent
from .test_quality import MEASURE, staged, window_of


def line(n: int, accepted: int) -> dict[str, Any]:
    """Of "one", "two" and "three" the model finds "two" likeliest."""
    names = ["one", "two", "three"]
    return {
        "question": f"{n}? say two",
        "chat": False,
        "likelihood": {
            "kind": "multiple_choice",
            "given": [{"text": f" {name}", "name": name} for name in names],
            "accepted": [accepted],
            "metric": "acc",
            "metrics": ["acc", "acc_norm"],
        },
    }


LINES = [line(0, 1), line(1, 0), line(2, 1), line(3, 1)]


@pytest.fixture(scope="module")
def listed(place: Place, tmp_path_factory: pytest.TempPathFactory) -> str:
    found = staged(place, tmp_path_factory.mktemp("given"), LINES).questions_list
    assert found is not None
    return found


def test_a_run_scores_every_answer_once_between_the_marks(
    make_job: MakeJob, listed: str, place: Place
) -> None:
    asked = questions.read(place.folder / "requests" / f"{listed}.jsonl.gz", listed)
    assert [len(a.passages) for a in asked] == [3] * 4
    path = make_job(measure=MEASURE | {"meters": ["estimate"]}, questions_list=listed)
    done = agent("run", path)
    assert done.returncode == 0, done.stderr
    record = Record.read(path.parent / "record.json")
    found = record.quality.accuracy
    assert found is not None
    assert (found.outcomes, found.correct, found.metric) == ("1011", 3, "acc")
    assert found.metrics == {"acc": 0.75, "acc_norm": 0.75}
    assert found.scored_by == "forward pass"
    window = record.answering
    assert window is not None
    assert (window.requests, window.output_tokens, window.failed, window.sent) == (4, 0, 0, 4)
    # A token a byte: the question, a blank and the name, three times each.
    assert window.input_tokens == sum(3 * len("0? say two ") + len("onetwothree") for _ in LINES)
    (reading,) = window.energy
    assert reading.energy_j is not None and window.cpu_time_s is not None
    assert reading.energy_j == pytest.approx(10 * window.cpu_time_s, rel=1e-6)
    # Each of the 12 answers burns half a millisecond in the test backend.
    assert window.cpu_time_uncertainty_s is not None
    assert window.cpu_time_s + window.cpu_time_uncertainty_s >= 12 * 0.0005
    correct = record.metrics["energy_per_correct_answer_j"]
    assert isinstance(correct, dict)
    assert correct["estimated"].value == pytest.approx(reading.energy_j / 3)
    answers = Answers.read(path.parent / "answers.json").accuracy
    assert [a.text for a in answers] == ["two"] * 4
    assert answers[0].loglikelihoods == pytest.approx([-4.0, -0.4, -6.0])
    assert answers[0].greedy == [False, True, False]
    assert "likelihood_by_steps" not in record.flags


def test_an_engine_that_tells_no_likelihoods_is_refused_before_anything_is_measured(
    make_job: MakeJob, listed: str
) -> None:
    path = make_job(
        measure=MEASURE | {"meters": ["estimate"]}, questions_list=listed, args={"silent": True}
    )
    assert agent("run", path).returncode == 1
    failure = Failure.read(path.parent / "failure.json")
    assert failure.kind == "unsupported" and "how likely" in failure.message
    assert '"warm_up"' not in (path.parent / "events.ndjson").read_text()


class Engine:
    """Says what it is told to."""

    scored_by = "forced tokens"

    def __init__(self, longest: int | None, told: list[Scored] | None = None) -> None:
        self.longest, self.told = longest, told
        self.calls: list[list[Passage]] = []

    def facts(self) -> dict[str, Any]:
        return {"max_model_len": self.longest}

    def likelihoods(self, pieces: list[Passage]) -> list[Scored] | None:
        self.calls.append(list(pieces))
        if self.told is not None:
            return self.told
        return [Scored(-float(len(p.ids)), False) for p in pieces]


class Meter:
    def __init__(self) -> None:
        self.rests = 0

    def rest(self, settle_s: float) -> None:
        self.rests += 1


class Letters:
    vocabulary = 300
    special_ids: frozenset[int] = frozenset()

    def encode(self, text: str, chat: bool) -> list[int]:
        return list(text.encode())


@pytest.fixture
def job(make_job: MakeJob) -> Job:
    return Job.read(make_job())


def asked(*lines: dict[str, Any]) -> Any:
    found = [Question.model_validate(one) for one in lines]
    return questions.ask(found, Letters(), None)  # type: ignore[arg-type]


def test_what_does_not_fit_has_no_answer_and_is_not_cut(job: Job) -> None:
    some = asked(line(0, 1), line(10**6, 1))
    # "0? say two three" has 16 tokens, "1000000? say two one" 20.
    engine, meter = Engine(longest=17), Meter()
    counts, answers, by = score(job, engine, meter, some)  # type: ignore[arg-type]
    assert [a.status for a in answers] == ["done", "failed"]
    assert answers[1].text == "needs 23 tokens of context, the engine has 17"
    assert (counts.requests, counts.failed, counts.sent) == (1, 1, 2)
    # One to begin with, outside of the window, then all.
    assert [len(c) for c in engine.calls] == [1, 3] and meter.rests == 2
    found = result(some, answers, by)
    # A shorter text is likelier here: "one" is chosen.
    assert found.outcomes == "00" and found.metrics == {"acc": 0.0, "acc_norm": 0.0}
    assert flags(window_of(1.0, 0.1), answers, by) == {"questions_failed", "likelihood_by_steps"}


def test_a_question_of_which_one_answer_does_not_fit_is_not_scored_in_part(job: Job) -> None:
    # "three" makes it one token too long.
    _, answers, _ = score(job, Engine(longest=16), Meter(), asked(line(0, 1)))  # type: ignore[arg-type]
    assert [a.status for a in answers] == ["failed"]


@pytest.mark.parametrize(
    ("engine", "why"),
    [
        (Engine(longest=5), "fits into the engine's context of 5"),
        (Engine(None, [Scored(float("nan"), True)]), "log-probability of nan"),
        (Engine(None, [Scored(0.5, True)]), "log-probability of 0.5"),
        (Engine(None, []), "another number"),
        (object(), "does not tell"),
    ],
)
def test_what_cannot_be_is_found_out_first(job: Job, engine: Any, why: str) -> None:
    if not hasattr(engine, "facts"):
        engine = type("Mute", (), {"facts": lambda self: {}})()
    with pytest.raises(RunFailed, match=why):
        check(job, engine, asked(line(0, 1)))


def test_an_engine_that_does_not_say_what_is_greedy_is_good_for_choices_alone(job: Job) -> None:
    engine = Engine(None, [Scored(-1.0, None)])
    check(job, engine, asked(line(0, 1)))  # type: ignore[arg-type]
    cloze = line(0, 0)
    cloze["likelihood"] |= {
        "kind": "loglikelihood",
        "given": [{"text": " two", "name": "two"}],
        "metrics": ["acc", "perplexity"],
    }
    with pytest.raises(RunFailed, match="by itself"):
        check(job, engine, asked(cloze))  # type: ignore[arg-type]


def test_perplexity_is_left_out_where_a_question_was_not_scored() -> None:
    rule = Rule(
        kind="loglikelihood",
        given=[Given(text=" two", name=" two")],
        accepted=[0],
        metric="acc",
        metrics=["perplexity", "acc"],
    )
    some = questions.ask([Question(question="x", likelihood=rule)] * 2, Letters(), None)  # type: ignore[arg-type]
    told = [
        Answer(
            id="q0", status="done", output_tokens=0, text="", loglikelihoods=[-2.0], greedy=[True]
        ),
        Answer(
            id="q1", status="done", output_tokens=0, text="", loglikelihoods=[-4.0], greedy=[False]
        ),
    ]
    # exp of 3 nats, by hand.
    assert result(some, told).metrics == pytest.approx({"perplexity": 20.085537, "acc": 0.5})
    lost = [told[0], told[1].model_copy(update={"status": "failed"})]
    assert result(some, lost).metrics == {"acc": 0.5}


def test_a_file_is_of_one_kind() -> None:
    """A list of questions that are answered in both ways is none."""
    data = json.dumps(line(0, 1)) + "\n" + json.dumps({"question": "x", "answer": "y"})
    with pytest.raises(Exception, match="among others"):
        questions.parse(data.encode(), "q.jsonl")


def test_an_engine_that_no_whole_question_fits_into_is_refused(job: Job) -> None:
    """Though its shorter answers would fit."""
    with pytest.raises(RunFailed, match=r"no question .* fits into the engine's context of 16"):
        check(job, Engine(longest=16), asked(line(0, 1)))  # type: ignore[arg-type]
    check(job, Engine(longest=17), asked(line(0, 1)))  # type: ignore[arg-type]
