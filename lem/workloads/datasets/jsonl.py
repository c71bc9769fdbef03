"""A line a request: ``{"prompt": "…"}`` or ``{"messages": [{"role", "content"}, …]}``.

Both go through the model's chat template where it has one. ``output_tokens`` of a line counts
before the data set's. Other keys mean nothing here.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from lem.contract.workload import JsonlDataset
from lem.workloads.datasets.chat import encoded, shown, too_few
from lem.workloads.datasets.file import DataFile
from lem.workloads.requests import Message, Request, Tokenizer

MAX_MESSAGES = 10_000
ROLES = ("system", "user", "assistant")


class Line(NamedTuple):
    number: int
    messages: list[Message]
    output_tokens: int


def lines(file: DataFile, output_tokens: int | None) -> Iterator[Line]:
    """What each line asks for. Raises :class:`lem.errors.BadInput` at the first bad one."""
    for number, value in file.objects():
        messages = _messages(file, number, value)
        wanted = value.get("output_tokens", output_tokens)
        if wanted is None:
            raise file.bad(
                "has no output_tokens, and neither has workload.dataset: how long is the answer?",
                number,
            )
        tokens = file.tokens(wanted, "output_tokens", number)
        yield Line(number, messages, tokens)


def requests(
    dataset: JsonlDataset, n: int, tokenizer: Tokenizer, file: DataFile
) -> Iterator[Request]:
    """The first ``n`` lines that are short enough, in the file's order."""
    made = left_out = 0
    for line in lines(file, dataset.output_tokens):
        ids = encoded(line.messages, tokenizer, file, line.number)
        if dataset.max_input_tokens is not None and len(ids) > dataset.max_input_tokens:
            left_out += 1
            continue
        yield Request(f"r{made}", ids, line.output_tokens, shown(line.messages))
        made += 1
        if made == n:
            return
    raise too_few(file, made, n, left_out, "requests")


def check(dataset: JsonlDataset, n: int, file: DataFile) -> None:
    """All that can be said of the file without the model's tokenizer."""
    found = 0
    for _ in lines(file, dataset.output_tokens):
        found += 1
        if found == n and dataset.max_input_tokens is None:
            return
    if found < n:
        raise too_few(file, found, n, 0, "requests")


def _messages(file: DataFile, line: int, value: dict[str, Any]) -> list[Message]:
    prompt, messages = value.get("prompt"), value.get("messages")
    if (prompt is None) == (messages is None):
        raise file.bad("must have either a prompt or messages", line)
    if prompt is not None:
        return [{"role": "user", "content": file.words(prompt, "prompt", line)}]
    if not isinstance(messages, list) or not 0 < len(messages) <= MAX_MESSAGES:
        raise file.bad(f"messages must be a list of 1 to {MAX_MESSAGES:,}", line)
    found: list[Message] = []
    for i, one in enumerate(messages):
        if not isinstance(one, dict) or one.get("role") not in ROLES:
            raise file.bad(f"messages.{i} must have the role {', '.join(ROLES)}", line)
        content = file.words(one.get("content"), f"messages.{i}.content", line)
        found.append({"role": one["role"], "content": content})
    if found[-1]["role"] != "user":
        raise file.bad("the last message must be the user's: it is what is answered", line)
    return found
