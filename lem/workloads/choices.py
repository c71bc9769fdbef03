"""Answers that are given, not written: which of them a model finds likeliest, and whether that is
correct, as lm-evaluation-harness says for its ``multiple_choice`` and ``loglikelihood`` tasks.

The harness makes the contexts and answers and says which are correct (``harness_script.py``); the
rules here are its own for the metrics named, which is tested against it.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from lem.contract.base import Part
from lem.contract.spec import LikelihoodMetric
from lem.workloads.likelihood import Scored

PERPLEXITY = "perplexity"


class Given(Part):
    """One answer whose likelihood is scored."""

    text: Annotated[str, Field(min_length=1, max_length=1_000_000)]
    """As it stands after the context, the delimiter included."""
    name: Annotated[str, Field(max_length=1_000_000)]
    """Without it: what lengths are counted of."""
    context: Annotated[str, Field(max_length=1_000_000)] | None = None
    """What it stands after, where that is not the question."""


class Rule(Part):
    """How the answers of one question are scored."""

    kind: Literal["multiple_choice", "loglikelihood"]
    given: Annotated[list[Given], Field(min_length=1, max_length=1000)]
    accepted: list[Annotated[int, Field(ge=0)]]
    """Places of correct ones in ``given``, from 0. Of a ``loglikelihood`` the only one is."""
    metric: LikelihoodMetric
    """Says whether the question was answered correctly."""
    metrics: Annotated[
        list[LikelihoodMetric | Literal["perplexity"]], Field(min_length=1, max_length=10)
    ]

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        if self.metric not in self.metrics:
            raise ValueError(f"{self.metric} is none of the metrics")
        if any(i >= len(self.given) for i in self.accepted):
            raise ValueError("an accepted answer is none of the given ones")
        if self.kind == "loglikelihood":
            if len(self.given) != 1 or set(self.metrics) - {"acc", PERPLEXITY}:
                raise ValueError("a loglikelihood has one answer, and acc or perplexity")
        elif PERPLEXITY in self.metrics:
            raise ValueError("perplexity is of a loglikelihood")
        if {"acc_norm", "acc_bytes"} & set(self.metrics) and not all(g.name for g in self.given):
            raise ValueError("an empty answer has no length to divide by")
        return self

    @property
    def needs_greedy(self) -> bool:
        """Whether a metric asks for what the model would write by itself."""
        return self.kind == "loglikelihood" or "exact_match" in self.metrics


def chosen(rule: Rule, scored: Sequence[Scored], metric: str) -> int | None:
    """The place of the answer that is chosen by this metric, the first of equal ones; None where
    the model would write none of them."""
    if metric == "exact_match" or rule.kind == "loglikelihood":
        return next((i for i, s in enumerate(scored) if s.greedy), None)

    def rank(i: int) -> float:
        name = rule.given[i].name
        lengths = {"acc_norm": len(name), "acc_bytes": len(name.encode())}
        return scored[i].logprob / lengths.get(metric, 1)

    return max(range(len(scored)), key=rank)


def figures(rule: Rule, scored: Sequence[Scored]) -> dict[str, float]:
    """Each metric's value for this question: 1 or 0, and the log-likelihood for ``perplexity``."""
    if len(scored) != len(rule.given):
        raise ValueError("one figure for each given answer")
    found: dict[str, float] = {}
    for metric in rule.metrics:
        if metric == PERPLEXITY:
            found[metric] = scored[0].logprob
        elif rule.kind == "loglikelihood":
            found[metric] = float(bool(scored[0].greedy))
        elif metric == "exact_match":
            found[metric] = float(any(scored[i].greedy for i in rule.accepted))
        else:
            found[metric] = float(chosen(rule, scored, metric) in rule.accepted)
    return found


def aggregated(questions: Sequence[Mapping[str, float] | None]) -> dict[str, float]:
    """Each metric over all questions, as the harness aggregates it: a mean, of log-likelihoods
    exp(−mean). None is a question that was not scored: it counts as wrong, and there is no
    perplexity."""
    known = [q for q in questions if q is not None]
    found: dict[str, float] = {}
    for metric in known[0] if known else ():
        total = math.fsum(q[metric] for q in known)
        if metric != PERPLEXITY:
            found[metric] = total / len(questions)
        elif len(known) == len(questions):
            found[metric] = _exp(-total / len(known))
    return found


def _exp(x: float) -> float:
    """Of a model that finds a text all but impossible it may be beyond any number."""
    return math.exp(min(x, 700.0))
