"""``answers.json``: what a run answered to fixed prompts and to questions, for comparing runs."""

from typing import Annotated, Literal

from pydantic import Field

from lem.contract.base import Document, Part


class Answer(Part):
    id: str
    status: Literal["done", "failed", "timed_out"]
    output_tokens: Annotated[int, Field(ge=0)]
    text: str
    """The answer; of one that is not ``done``, why. Where the likelihood of given answers was
    scored, the one that was chosen."""
    loglikelihoods: list[float] | None = None
    """Of each given answer, in the task's order."""
    greedy: list[bool] | None = None
    """Whether each is what the model would write by itself."""


class Answers(Document):
    """In the order of the lists. Empty where a run was not asked for them."""

    schema_version: Literal[1] = 1
    run_id: str
    agreement: list[Answer] = []
    """Greedy answers to prompts that come with lem."""
    agreement_sha256: str | None = None
    accuracy: list[Answer] = []
    questions_sha256: str | None = None
