import dataclasses
from typing import Any

import pytest

from lem.everyday.measured import (
    Answers,
    Measured,
    Reason,
    Refused,
    answers_of,
    per_answer,
    per_correct_answer,
    per_token,
    why_no_answers,
)

NATURAL = Answers(
    dataset="prompts",
    weights="trained",
    generate={"temperature": 0.0, "ignore_eos": False},
    at_most_tokens=512,
    mean_tokens=210.0,
)


def changed(**fields: Any) -> Answers:
    return dataclasses.replace(NATURAL, **fields)


def test_answers_that_end_by_themselves_are_answers() -> None:
    assert why_no_answers(NATURAL) is None
    assert per_answer(40.0, 2.0, "gpu", NATURAL) == Measured(40.0, 2.0, "answer", "gpu")


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        (changed(dataset="random"), Reason.PROMPTS_RANDOM),
        (changed(dataset="trace"), Reason.PROMPTS_RANDOM),
        (changed(dataset="a kind of a later version"), Reason.PROMPTS_RANDOM),
        (changed(weights="random"), Reason.WEIGHTS_RANDOM),
        (changed(generate={"ignore_eos": True}), Reason.LENGTHS_FORCED),
        (changed(generate={"min_tokens": 100}), Reason.LENGTHS_FORCED),
        (changed(generate={"min_new_tokens": 1}), Reason.LENGTHS_FORCED),
        (changed(at_most_tokens=None), Reason.LIMIT_UNKNOWN),
        (changed(mean_tokens=None), Reason.LENGTH_UNKNOWN),
        (changed(mean_tokens=512.0), Reason.ANSWERS_CUT),
        (changed(mean_tokens=461.0), Reason.ANSWERS_CUT),
    ],
)
def test_what_is_no_answer(answers: Answers, reason: Reason) -> None:
    assert why_no_answers(answers) is reason
    with pytest.raises(Refused) as refused:
        per_answer(40.0, 2.0, "gpu", answers)
    assert refused.value.reason is reason


def test_just_below_the_limit_and_a_minimum_of_none() -> None:
    assert why_no_answers(changed(mean_tokens=460.0)) is None
    assert why_no_answers(changed(generate={"min_tokens": 0, "min_p": 0.1})) is None


def test_tokens_can_be_had_of_forced_lengths() -> None:
    assert per_token(0.4, 0.01, "gpu").per == "output_token"


def test_a_figure_without_uncertainty_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        per_token(0.4, None, "gpu")
    assert refused.value.reason is Reason.NO_UNCERTAINTY


@pytest.mark.parametrize(("value", "energy_class"), [(None, "gpu"), (0.4, "none")])
def test_no_figure(value: float | None, energy_class: str) -> None:
    with pytest.raises(Refused) as refused:
        per_token(value, 0.01, energy_class)
    assert refused.value.reason is Reason.NO_FIGURE


def test_scored_answers_were_not_written() -> None:
    assert per_correct_answer(90.0, 9.0, "gpu", written=True).per == "correct_answer"
    with pytest.raises(Refused) as refused:
        per_correct_answer(90.0, 9.0, "gpu", written=False)
    assert refused.value.reason is Reason.SCORED


def test_estimated_figures_say_so() -> None:
    assert per_token(0.4, 0.2, "estimated").estimated
    assert not per_token(0.4, 0.2, "gpu").estimated


def test_of_an_experiments_document() -> None:
    experiment = {
        "model": {"weights": "trained"},
        "generate": {"ignore_eos": False},
        "workload": {"dataset": {"kind": "prompts", "output_tokens": 512}},
    }
    answers = answers_of(experiment, 210.0)
    assert answers.at_most_tokens == 512 and why_no_answers(answers) is None
    drawn = {**experiment, "workload": {"dataset": {"kind": "prompts", "output_tokens": {}}}}
    assert answers_of(drawn, 210.0).at_most_tokens is None
