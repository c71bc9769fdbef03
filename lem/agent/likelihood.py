"""Questions whose answers are given: the engine says how likely it finds each.

Nothing is written. Each given answer is read after its context, whole, also where several have the
context in common; the devices are at rest before and after. What is between is the energy of the
questions.
"""

import time
from collections.abc import Sequence

from lem.backends.protocol import Engine, ScoredBy, Scoring
from lem.contract.answers import Answer
from lem.contract.job import Job
from lem.errors import RunFailed
from lem.meters.sampler import Sampler
from lem.workloads.choices import chosen
from lem.workloads.likelihood import Scored, checked
from lem.workloads.questions import Asked
from lem.workloads.steady import Counts

CHARACTERS = 100_000


def check(job: Job, engine: Engine, asked: Sequence[Asked]) -> None:
    """Score one answer, so that an engine that cannot is refused before anything is measured.

    Raises :class:`RunFailed` (``unsupported``).
    """
    longest = _longest(engine)
    trial = next((a.passages[0] for a in asked if _fit(a, longest)), None)
    if trial is None:
        raise RunFailed(
            "unsupported",
            f"no question of measure.accuracy fits into the engine's context of {longest} tokens",
            hint="raise engine.max_model_len, or ask with fewer solved examples (fewshot)",
        )
    scoring = _scoring(job, engine)
    found = scoring.likelihoods([trial])
    if found is None:
        raise _unable(job)
    (one,) = checked(found, [trial])
    rules = [r for a in asked if (r := a.question.likelihood) is not None]
    if one.greedy is None and any(r.needs_greedy for r in rules):
        raise RunFailed(
            "unsupported",
            f"{job.backend} does not say whether an answer is what the model would write by "
            "itself, and a metric of measure.accuracy asks for that",
            hint="see docs/backends.md",
        )


def score(
    job: Job, engine: Engine, meter: Sampler, asked: Sequence[Asked]
) -> tuple[Counts, list[Answer], ScoredBy]:
    """Score all questions that fit into the engine's context. The others have no answer: cut, they
    would be other questions, and engines of one campaign would answer different ones."""
    scoring, longest = _scoring(job, engine), _longest(engine)
    fitting = [_fit(a, longest) for a in asked]
    passages = [p for a, fits in zip(asked, fitting, strict=True) if fits for p in a.passages]
    # The first time takes longer (kernels are compiled, a server is told to stop writing).
    checked(scoring.likelihoods(passages[:1]), passages[:1])
    meter.rest(settle_s=job.measure.settle_s)
    start_ns = time.monotonic_ns()
    found = scoring.likelihoods(passages)
    end_ns = time.monotonic_ns()
    meter.rest(settle_s=job.measure.settle_s)
    left = iter(checked(found, passages))
    answers = [
        _answer(a, [next(left) for _ in a.passages]) if fits else _too_long(a, longest)
        for a, fits in zip(asked, fitting, strict=True)
    ]
    done = sum(fitting)
    counts = Counts(
        start_ns,
        end_ns,
        requests=done,
        input_tokens=sum(len(p.ids) for p in passages),
        output_tokens=0,
        failed=len(asked) - done,
        sent=len(asked),
    )
    return counts, answers, scoring.scored_by


def _answer(asked: Asked, scored: list[Scored]) -> Answer:
    rule = asked.question.likelihood
    assert rule is not None
    place = chosen(rule, scored, rule.metric)
    greedy = [s.greedy for s in scored]
    return Answer(
        id=asked.request.id,
        status="done",
        output_tokens=0,
        text="" if place is None else rule.given[place].name[:CHARACTERS],
        loglikelihoods=[s.logprob for s in scored],
        greedy=[bool(g) for g in greedy] if None not in greedy else None,
    )


def _too_long(asked: Asked, longest: int | None) -> Answer:
    needed = max(len(p.ids) for p in asked.passages) + 1
    text = f"needs {needed} tokens of context, the engine has {longest}"
    return Answer(id=asked.request.id, status="failed", output_tokens=0, text=text)


def _fit(asked: Asked, longest: int | None) -> bool:
    """Whether all its answers do, with room for a token after them, which most engines want."""
    return longest is None or all(len(p.ids) < longest for p in asked.passages)


def _longest(engine: Engine) -> int | None:
    found = engine.facts().get("max_model_len")
    return found if isinstance(found, int) else None


def _scoring(job: Job, engine: Engine) -> Scoring:
    if not isinstance(engine, Scoring):
        raise _unable(job)
    return engine


def _unable(job: Job) -> RunFailed:
    return RunFailed(
        "unsupported",
        f"the task of measure.accuracy scores how likely given answers are, and {job.backend} "
        "does not tell that as this experiment drives it",
        hint="docs/backends.md says which do; or ask a task that has the model write its answer",
    )
