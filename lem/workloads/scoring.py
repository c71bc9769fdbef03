"""When an answer is correct: by a line of a file of questions, or as lm-evaluation-harness says.

*By a line*: the answer and the accepted one are brought to one form (Unicode NFKC, lower case, each
stretch of white space one blank, no white space or punctuation at either end but a number's own)
and must then be equal. A ``pattern`` is searched for in the answer as it is.

*As a task of the harness says*: the answer is cut at the first stop sequence, goes through the
task's filters, and is held against each accepted answer by ``exact_match`` with the task's own
options. Only the filters and options named here are known; other tasks are refused when they are
staged. That figures come out as the harness's own is tested against it.
"""

import re
import string
import unicodedata
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from lem.contract.base import Part

MOST_CHARACTERS = 1_000_000
"""Of an answer that are looked at."""


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError, MemoryError) as e:
        raise ValueError(f"is no regular expression: {e}") from None
    return pattern


Pattern = Annotated[str, Field(max_length=10_000), AfterValidator(_compiles)]
"""A regular expression of Python's."""


class Filter(Part):
    """One step of a task's ``filter_list``. The other fields are of ``regex`` alone."""

    kind: Literal["regex", "remove_whitespace", "lowercase", "uppercase", "take_first"]
    pattern: Pattern = r"#### (\-?[0-9\.\,]+)"
    """By default the harness's own."""
    group_select: int = 0
    """Which of the matches counts: 0 is the first, −1 the last."""
    fallback: str = "[invalid]"


class Task(Part):
    """How the harness scores an answer."""

    stop: list[Annotated[str, Field(min_length=1)]] = []
    filters: list[Filter] = []
    ignore_case: bool = False
    ignore_punctuation: bool = False
    ignore_numbers: bool = False
    regexes_to_ignore: list[Pattern] = []


def normalised(text: str) -> str:
    """NFKC, lower case, white space as single blanks, none of it and no punctuation at the ends."""
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    start, end = 0, len(plain)
    while start < end and _is_edge(plain[start]) and not _begins_number(plain[start:end]):
        start += 1
    while end > start and _is_edge(plain[end - 1]) and plain[end - 1] != "%":
        end -= 1
    # What is nothing but punctuation is compared as it is.
    return plain[start:end] or plain


def _is_edge(character: str) -> bool:
    return character.isspace() or unicodedata.category(character).startswith("P")


def _begins_number(text: str) -> bool:
    """``-3``, ``.5``: here the sign and the point mean something."""
    return re.match(r"-?\.?[0-9]", text) is not None


def by_line(text: str, accepted: Sequence[str], pattern: str | None) -> bool:
    """Whether ``text`` is one of the accepted answers, or matches the pattern."""
    text = text[:MOST_CHARACTERS]
    if pattern is not None and re.search(pattern, text) is not None:
        return True
    found = normalised(text)
    return any(found == normalised(a) for a in accepted)


def by_task(task: Task, text: str, accepted: Sequence[str]) -> bool:
    """Whether the harness's ``exact_match`` would be 1 for any of the accepted answers."""
    text = filtered(task, text[:MOST_CHARACTERS])
    return any(_matchable(task, text) == _matchable(task, a) for a in accepted)


def filtered(task: Task, text: str) -> str:
    """The answer up to the first stop sequence, after the task's filters."""
    for stop in task.stop:
        text = text.split(stop, 1)[0]
    for step in task.filters:
        text = _step(step, text)
    return text


def _step(step: Filter, text: str) -> str:
    if step.kind == "regex":
        return _extracted(step, text)
    if step.kind == "remove_whitespace":
        return text.strip()
    if step.kind == "lowercase":
        return text.lower()
    if step.kind == "uppercase":
        return text.upper()
    return text  # take_first: there is one answer to each question


def _extracted(step: Filter, text: str) -> str:
    matches = re.findall(step.pattern, text)
    if not -len(matches) <= step.group_select < len(matches):
        return step.fallback
    chosen = matches[step.group_select]
    if isinstance(chosen, tuple):
        chosen = next((part for part in chosen if part), step.fallback)
    return str(chosen).strip()


def _matchable(task: Task, text: str) -> str:
    for pattern in task.regexes_to_ignore:
        text = re.sub(pattern, "", text)
    if task.ignore_case:
        text = text.lower()
    if task.ignore_punctuation:
        text = text.translate(str.maketrans("", "", string.punctuation))
    if task.ignore_numbers:
        text = text.translate(str.maketrans("", "", string.digits))
    return text
