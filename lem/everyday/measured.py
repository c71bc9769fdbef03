"""What a measured figure is of: a token, an answer, a correct answer; and when it can't be.

A run whose answers had their lengths forced, or whose prompts were drawn at random, says what a
token costs and nothing of what an answer does: how long a model's answers are is half of that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

Per = Literal["output_token", "answer", "correct_answer"]

REAL_PROMPTS = frozenset({"prompts", "jsonl", "sharegpt", "long_context"})
"""Data sets of texts that people wrote; the others are token ids drawn at random."""

CUT_SHARE = 0.9
"""Where answers are on average as long as this share of the longest that is allowed, the limit
decides about their length and not the model."""


_SHORTEST_ANSWER = ("min_tokens", "min_new_tokens", "min_length", "min_output_tokens")


class Reason(StrEnum):
    """Why there is no such figure. In words: ``everyday.reasons`` of the catalogue."""

    PROMPTS_RANDOM = "prompts_random"
    LENGTHS_FORCED = "lengths_forced"
    WEIGHTS_RANDOM = "weights_random"
    LIMIT_UNKNOWN = "limit_unknown"
    LENGTH_UNKNOWN = "length_unknown"
    ANSWERS_CUT = "answers_cut"
    SCORED = "scored"
    NO_FIGURE = "no_figure"
    NO_UNCERTAINTY = "no_uncertainty"


class Refused(ValueError):
    """There is no figure of this kind; ``reason`` says why."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True)
class Measured:
    """``value_j`` joules each, ± ``expanded_j`` (k = 2), of the devices in ``energy_class``."""

    value_j: float
    expanded_j: float
    per: Per
    energy_class: str

    @property
    def estimated(self) -> bool:
        """Whether it was modelled and not measured."""
        return self.energy_class == "estimated"


@dataclass(frozen=True)
class Answers:
    """How the answers came about that energy was spent on."""

    dataset: str
    """The data set's ``kind``."""
    weights: str
    generate: Mapping[str, Any]
    """The experiment's settings of how tokens are chosen."""
    at_most_tokens: int | None
    """The longest an answer may be; None where requests differ in it."""
    mean_tokens: float | None


def answers_of(experiment: Mapping[str, Any], mean_tokens: float | None) -> Answers:
    """Of an experiment as its document has it."""
    dataset = experiment["workload"]["dataset"]
    longest = dataset.get("output_tokens")
    return Answers(
        dataset=str(dataset["kind"]),
        weights=str(experiment["model"]["weights"]),
        generate=experiment.get("generate") or {},
        at_most_tokens=longest if isinstance(longest, int) else None,
        mean_tokens=mean_tokens,
    )


def why_no_answers(answers: Answers) -> Reason | None:
    """Why energy per request is not that of an answer; None where it is."""
    if answers.dataset not in REAL_PROMPTS:
        return Reason.PROMPTS_RANDOM
    if answers.weights != "trained":
        return Reason.WEIGHTS_RANDOM
    if forced(answers.generate):
        return Reason.LENGTHS_FORCED
    if answers.at_most_tokens is None:
        return Reason.LIMIT_UNKNOWN
    if answers.mean_tokens is None:
        return Reason.LENGTH_UNKNOWN
    if answers.mean_tokens >= CUT_SHARE * answers.at_most_tokens:
        return Reason.ANSWERS_CUT
    return None


def forced(generate: Mapping[str, Any]) -> bool:
    """Whether answers go on after the model has ended them. ``min_tokens`` and its like are what
    engines call the shortest answer that they allow."""
    return any(bool(generate.get(key)) for key in ("ignore_eos", *_SHORTEST_ANSWER))


def per_token(value_j: float | None, expanded_j: float | None, energy_class: str) -> Measured:
    """Energy per output token. Raises :class:`Refused`."""
    return _measured(value_j, expanded_j, "output_token", energy_class)


def per_answer(
    value_j: float | None, expanded_j: float | None, energy_class: str, answers: Answers
) -> Measured:
    """Energy per request, where that is an answer's. Raises :class:`Refused`."""
    if (reason := why_no_answers(answers)) is not None:
        raise Refused(reason)
    return _measured(value_j, expanded_j, "answer", energy_class)


def per_correct_answer(
    value_j: float | None, expanded_j: float | None, energy_class: str, written: bool
) -> Measured:
    """Energy per question answered correctly; ``written``: whether the model wrote its answers,
    rather than that given ones were scored. Raises :class:`Refused`."""
    if not written:
        raise Refused(Reason.SCORED)
    return _measured(value_j, expanded_j, "correct_answer", energy_class)


def _measured(
    value_j: float | None, expanded_j: float | None, per: Per, energy_class: str
) -> Measured:
    if value_j is None or energy_class == "none":
        raise Refused(Reason.NO_FIGURE)
    if expanded_j is None:
        raise Refused(Reason.NO_UNCERTAINTY)
    return Measured(value_j, expanded_j, per, energy_class)
