"""Questions with known answers: how their file is read, how lists of them are made, and when an
answer is correct.

A file has a question a line: ``{"question": "…", "answer": "…"}``; ``answer`` may be a list, of
which any will do, and ``pattern`` a regular expression that a correct answer matches somewhere.
``output_tokens`` limits this answer, and ``chat: false`` keeps the question from the model's chat
template.
"""

import gzip
import hashlib
import io
import json
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, NamedTuple, Self

from pydantic import Field, ValidationError, model_validator

from lem.contract.base import Part, canonical_json, path_of
from lem.contract.job import Job
from lem.errors import BadInput, Problem, RunFailed
from lem.workloads import requests, scoring
from lem.workloads.choices import Rule
from lem.workloads.likelihood import Passage, split
from lem.workloads.requests import MAX_LIST_BYTES, Request, Tokenizer
from lem.workloads.scoring import Pattern, Task

MAX_FILE_BYTES = 64 * 2**20
MAX_QUESTIONS = 100_000
MAX_PROBLEMS = 50
OUTPUT_TOKENS = 64
"""At most so many for an answer where neither the line nor the campaign says."""
TASK_OUTPUT_TOKENS = 256
"""The same for a task of lm-evaluation-harness: what its own models then take."""


Accepted = Annotated[str, Field(min_length=1, max_length=100_000)]


class Question(Part):
    """One question, and what counts as a correct answer to it."""

    question: Annotated[str, Field(min_length=1, max_length=1_000_000)]
    answer: Accepted | Annotated[list[Accepted], Field(min_length=1, max_length=1000)] | None = None
    pattern: Pattern | None = None
    output_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    chat: bool = True
    """Whether the model's chat template is used; else the text is all that it reads."""
    task: Task | None = None
    """How lm-evaluation-harness scores it, where the question is from there."""
    likelihood: Rule | None = None
    """The same where answers are given: then nothing is written."""

    @model_validator(mode="after")
    def _has_an_answer(self) -> Self:
        if self.likelihood is not None:
            if self.answer is not None or self.pattern is not None or self.task is not None:
                raise ValueError("has its answers in likelihood alone")
            return self
        if self.answer is None and self.pattern is None:
            raise ValueError("needs an answer, a list of them, or a pattern")
        if self.task is not None and self.answer is None:
            raise ValueError("a task's question needs an answer")
        return self

    @property
    def accepted(self) -> list[str]:
        if self.answer is None:
            return []
        return self.answer if isinstance(self.answer, list) else [self.answer]

    def correct(self, text: str) -> bool:
        """Whether this answer is correct (:mod:`lem.workloads.scoring`)."""
        if self.task is not None:
            return scoring.by_task(self.task, text, self.accepted)
        return scoring.by_line(text, self.accepted, self.pattern)


class Asked(NamedTuple):
    """A question as the engine gets it."""

    request: Request
    question: Question
    passages: tuple[Passage, ...] = ()
    """Its given answers, each after its context, where their likelihood is scored. The request then
    is the longest of them."""


def parse(data: bytes, name: str) -> list[Question]:
    """The questions of a file. Raises :class:`BadInput` with its problems, by line."""
    if len(data) > MAX_FILE_BYTES:
        raise BadInput([Problem(f"is larger than {MAX_FILE_BYTES >> 20} MiB", file=name)])
    try:
        lines = data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError:
        raise BadInput([Problem("is not UTF-8 text", file=name)]) from None
    found: list[Question] = []
    problems: list[Problem] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found.append(Question.model_validate_json(line))
        except ValidationError as e:
            problems += [
                Problem(_said(path_of(one["loc"]), one["msg"]), file=name, line=number)
                for one in e.errors(include_url=False, include_input=False)
            ]
        if len(problems) >= MAX_PROBLEMS:
            break
    if not found and not problems:
        problems.append(Problem("has no question in it", file=name))
    if len({q.likelihood is None for q in found}) > 1:
        problems.append(Problem("has questions with given answers among others", file=name))
    if len(found) > MAX_QUESTIONS:
        problems.append(Problem(f"has more than {MAX_QUESTIONS:,} questions", file=name))
    if problems:
        raise BadInput(problems[:MAX_PROBLEMS])
    return found


def _said(where: str, message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def digest(questions: Sequence[Question]) -> str:
    """SHA-256 of what is asked and accepted, whatever the model and its tokenizer."""
    what = [q.model_dump(exclude_none=True) for q in questions]
    return hashlib.sha256(canonical_json(what)).hexdigest()


def ask(
    questions: Iterable[Question], tokenizer: Tokenizer, output_tokens: int | None
) -> list[Asked]:
    """The questions as token ids, ``q0``, ``q1``, … ``output_tokens``: for those that name no
    limit of their own."""

    def most(question: Question) -> int:
        usual = OUTPUT_TOKENS if question.task is None else TASK_OUTPUT_TOKENS
        return question.output_tokens or output_tokens or usual

    return [
        _given(f"q{i}", q, tokenizer)
        if q.likelihood is not None
        else Asked(
            Request(
                id=f"q{i}",
                input_ids=tokenizer.encode(q.question, chat=q.chat),
                output_tokens=most(q),
                text=q.question,
            ),
            q,
        )
        for i, q in enumerate(questions)
    ]


def _given(name: str, question: Question, tokenizer: Tokenizer) -> Asked:
    """One whose answers are given. Raises :class:`BadInput` where one has no token."""
    assert question.likelihood is not None
    passages = tuple(
        split(tokenizer, question.question if g.context is None else g.context, g.text)
        for g in question.likelihood.given
    )
    longest = max((p.ids for p in passages), key=len)
    return Asked(Request(name, longest, 1, question.question), question, passages)


def dump(asked: Iterable[Asked]) -> tuple[bytes, str]:
    """The list as gzipped JSON lines, and the SHA-256 of the lines (not of the gzip)."""
    lines = "".join(
        json.dumps(
            {
                "id": a.request.id,
                "input_ids": a.request.input_ids,
                "output_tokens": a.request.output_tokens,
                "question": a.question.model_dump(exclude_none=True),
            }
            | ({"passages": a.passages} if a.passages else {}),
            sort_keys=True,
            ensure_ascii=False,
        )
        + "\n"
        for a in asked
    ).encode()
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as f:
        f.write(lines)
    return buffer.getvalue(), hashlib.sha256(lines).hexdigest()


def read(path: Path, sha256: str) -> list[Asked]:
    """Read a list and check its hash. Raises :class:`RunFailed` if it is not the one asked for."""
    try:
        with gzip.open(path) as f:
            data = f.read(MAX_LIST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as e:
        raise RunFailed("contract", f"the list of questions cannot be read: {e}") from e
    if len(data) > MAX_LIST_BYTES or hashlib.sha256(data).hexdigest() != sha256:
        raise RunFailed(
            "contract",
            "the list of questions is not the one this run was planned with",
            hint="remove the campaign's requests folder and run again",
        )
    found = []
    for line in data.splitlines():
        raw = json.loads(line)
        question = Question.model_validate(raw["question"])
        request = Request(raw["id"], raw["input_ids"], raw["output_tokens"], question.question)
        told = raw.get("passages", ())
        passages = tuple(Passage(list(ids), int(start)) for ids, start in told)
        found.append(Asked(request, question, passages))
    return found


def every_request(job: Job) -> list[Request]:
    """All that a run will send: the workload's requests, prompts and questions. For engines that
    must know the longest one beforehand."""
    folder = Path(job.requests).parent
    found = requests.read(Path(job.requests), job.requests_sha256)
    if (prompts := job.agreement_list) is not None:
        found += requests.read(folder / f"{prompts}.jsonl.gz", prompts)
    if (asked := job.questions_list) is not None:
        found += [a.request for a in read(folder / f"{asked}.jsonl.gz", asked)]
    return found
