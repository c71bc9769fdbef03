"""How good the answers are: likelihood of a text, greedy answers to fixed prompts, and questions
with known answers, whose energy is metered.

Questions are a phase of their own, from rest to rest, so that their energy is that of answering
exactly them, its ramp-up and ramp-down included. They and the prompts reach the engine by the same
way as the workload's requests: all at once where the arrival is ``offline``, else from the closed
loop's clients. Under an open-loop arrival, whose rate would make idle time a part of every answer,
they come from :data:`CLIENTS` clients.
"""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from lem.agent import likelihood
from lem.agent.metrics import energy_by_class
from lem.backends.protocol import Backend, Engine, ScoredBy
from lem.contract.answers import Answer, Answers
from lem.contract.base import whole_text
from lem.contract.job import Job
from lem.contract.record import AccuracyResult, Metrics, Quality, Value, Window
from lem.contract.workload import Arrival, Concurrency, Offline
from lem.errors import RunFailed
from lem.meters.sampler import Sampler
from lem.workloads import agreement, choices, datasets, questions, requests
from lem.workloads.likelihood import Scored
from lem.workloads.load import Log, Response
from lem.workloads.questions import Asked
from lem.workloads.requests import Request
from lem.workloads.sources import arriving
from lem.workloads.steady import Counts, count
from lem.workloads.stock import Stock

CLIENTS = 8
"""Of the closed loop in which questions are asked where the workload's arrival is an open one."""
SAMPLE_CHARACTERS = 2000
_CORRECT = "correct"
ANSWER_CHARACTERS = 100_000
Z_95 = 1.959964
"""The normal distribution's 97.5 % quantile."""


class Answered(NamedTuple):
    """The questions' phase."""

    counts: Counts
    asked: Sequence[Asked]
    answers: list[Answer]
    scored_by: ScoredBy | None = None
    """How likelihoods were told, where answers were given and not written."""


def check(job: Job, engine: Engine) -> None:
    """Raises :class:`RunFailed` (``unsupported``) where the engine cannot answer the job's
    questions, before anything is measured."""
    asked = _questions(job)
    if asked and asked[0].passages:
        likelihood.check(job, engine, asked)


def answer_questions(job: Job, engine: Engine, meter: Sampler, log: Log) -> Answered | None:
    """Ask all of the job's questions, the devices at rest before and after; None for none. ``log``:
    a new one.

    Raises :class:`RunFailed` where the engine returned without having answered them.
    """
    asked = _questions(job)
    if asked is None:
        return None
    if asked and asked[0].passages:
        counts, answers, scored_by = likelihood.score(job, engine, meter, asked)
        return Answered(counts, asked, answers, scored_by)
    meter.rest(settle_s=job.measure.settle_s)
    start_ns = time.monotonic_ns()
    responses = _serve(job, engine, [a.request for a in asked], log)
    end_ns = time.monotonic_ns()
    meter.rest(settle_s=job.measure.settle_s)
    return Answered(count(responses, start_ns, end_ns), asked, [_answer(r) for r in responses])


def probe(
    job: Job, backend: Backend, engine: Engine, responses: Sequence[Response], met: Answered | None
) -> tuple[Quality, Answers]:
    """What is not metered: likelihood and answers to the prompts. ``responses``: of the windows;
    ``met``: the questions' phase."""
    prompted: list[Answer] = []
    if job.agreement_list is not None:
        listed = requests.read(_beside(job, job.agreement_list), job.agreement_list)
        prompted = [_answer(r) for r in _serve(job, engine, listed, Log())]
    nll, tokens = None, None
    if "nll" in job.measure.quality:
        ids = backend.tokenizer(Path(job.model)).encode(datasets.nll_text(), chat=False)
        nll = engine.nll(ids)
        tokens = len(ids)
    scored = None if met is None else result(met.asked, met.answers, met.scored_by)
    quality = Quality(
        nll_per_token=nll,
        text_sha256=datasets.NLL_SHA256 if nll is not None else None,
        tokens=tokens if nll is not None else None,
        sample=_sample(responses),
        agreement_sha256=agreement.SHA256 if prompted else None,
        accuracy=scored,
    )
    answers = Answers(
        run_id=job.run_id,
        agreement=prompted,
        agreement_sha256=quality.agreement_sha256,
        accuracy=[] if met is None else met.answers,
        questions_sha256=None if scored is None else scored.questions_sha256,
    )
    return quality, answers


def result(
    asked: Sequence[Asked], answers: Sequence[Answer], scored_by: ScoredBy | None = None
) -> AccuracyResult:
    """How many of the questions were answered correctly. A question without an answer was not."""
    figures = [_figures(q, a) for q, a in zip(asked, answers, strict=True)]
    rule = asked[0].question.likelihood
    outcomes = [
        f is not None and f[_CORRECT if rule is None else rule.metric] == 1 for f in figures
    ]
    n, correct = len(outcomes), sum(outcomes)
    low, high = wilson(correct, n, Z_95)
    return AccuracyResult(
        questions_sha256=questions.digest([q.question for q in asked]),
        questions=n,
        correct=correct,
        value=correct / n,
        low=low,
        high=high,
        outcomes="".join("1" if o else "0" for o in outcomes),
        scored_by=scored_by,
        metric=None if rule is None else rule.metric,
        metrics={} if rule is None else choices.aggregated(figures),
    )


def _figures(asked: Asked, answer: Answer) -> dict[str, float] | None:
    """Each metric's value for this question; None where it has no answer."""
    if answer.status != "done":
        return None
    rule = asked.question.likelihood
    if rule is None:
        return {_CORRECT: float(asked.question.correct(answer.text))}
    told = answer.loglikelihoods or []
    greedy: Sequence[bool | None] = answer.greedy or [None] * len(told)
    return choices.figures(rule, [Scored(p, g) for p, g in zip(told, greedy, strict=True)])


def wilson(successes: int, n: int, z: float) -> tuple[float, float]:
    """Wilson's score interval for a share (J. Am. Stat. Assoc. 22 (1927) 209), ``z`` standard
    deviations to either side."""
    p = successes / n
    centre = p + z * z / (2 * n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    # At the ends they are exactly 0 and 1; rounding must not move them.
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == n else (centre + half) / scale
    return max(0.0, low), min(1.0, high)


def energy_metrics(window: Window, scored: AccuracyResult) -> Metrics:
    """Energy per answer and per correct answer by device class; each is left out where there was
    none. A question without an answer is no cheap answer: it is in neither number.

    The questions are a sample of those one could ask. So the share of correct ones is uncertain, by
    Wilson's interval at k = 2, whose longer side is taken; it and the energy's uncertainty have no
    cause in common.
    """
    n, answered, correct = scored.questions, window.requests, scored.correct
    energy = energy_by_class([window.energy])
    metrics: Metrics = {}
    if answered:
        metrics["energy_per_answer_j"] = {
            c: Value(value=v.value / answered, uncertainty=_scaled(v.uncertainty, 1 / answered))
            for c, v in energy.items()
        }
    if correct:
        low, _ = wilson(correct, n, 2.0)
        relative = correct / n / low - 1
        metrics["energy_per_correct_answer_j"] = {
            c: Value(
                value=v.value / correct,
                uncertainty=None
                if v.uncertainty is None
                else math.hypot(v.uncertainty, v.value * relative) / correct,
            )
            for c, v in energy.items()
        }
    return {name: values for name, values in metrics.items() if values}


def flags(window: Window, answers: Sequence[Answer], scored_by: ScoredBy | None = None) -> set[str]:
    """What a run is flagged with because of its questions."""
    found = {f for r in window.energy for f in r.flags}
    if "foreign_load" in found:
        # The class has no figure here; what the run says of its windows is not touched by it.
        found = (found - {"foreign_load"}) | {"not_attributed"}
    if any(a.status != "done" for a in answers):
        found.add("questions_failed")
    if scored_by == "forced tokens":
        found.add("likelihood_by_steps")
    return found


def _questions(job: Job) -> list[Asked] | None:
    listed = job.questions_list
    return None if listed is None else questions.read(_beside(job, listed), listed)


def _serve(job: Job, engine: Engine, listed: Sequence[Request], log: Log) -> list[Response]:
    """Each request once; the responses in the list's order."""
    source = arriving(_arrival(job), Stock(list(listed)), log, limit=len(listed))
    engine.serve(source, log)
    found = [log.responses.get(r.id) for r in listed]
    answered = [r for r in found if r is not None and r.status != "open"]
    if len(answered) < len(listed):
        raise RunFailed("engine_error", "the engine stopped before all questions were answered")
    return answered


def _arrival(job: Job) -> Arrival:
    arrival = job.workload.arrival
    return (
        arrival if isinstance(arrival, Offline | Concurrency) else Concurrency(concurrency=CLIENTS)
    )


def _beside(job: Job, sha256: str) -> Path:
    return Path(job.requests).parent / f"{sha256}.jsonl.gz"


def _answer(response: Response) -> Answer:
    return Answer(
        id=response.request.id,
        status="done"
        if response.status == "done"
        else "timed_out"
        if response.status == "timed_out"
        else "failed",
        output_tokens=len(response.token_ns),
        text=whole_text(response.text[:ANSWER_CHARACTERS]),
    )


def _sample(responses: Sequence[Response]) -> str | None:
    found = next((r.text for r in responses if r.status == "done" and r.text.strip()), None)
    return None if found is None else whole_text(found[:SAMPLE_CHARACTERS])


def _scaled(uncertainty: float | None, factor: float) -> float | None:
    return None if uncertainty is None else uncertainty * factor
