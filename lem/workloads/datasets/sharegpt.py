"""Conversations in ShareGPT's file format.

A JSON list (or JSON lines) of conversations, each a list of messages under ``conversations``,
``conversation``, ``items`` or ``messages``; a message says who under ``from`` or ``role``, and what
under ``value`` or ``content``.

What of a conversation counts: a system message before it, then question and answer in turn, from
the first question on and for as long as they take turns; messages of tools end it. Of the
questions, those with at least 4 tokens in question and answer (of the answer only where its length
is the file's), within the limits on length. The first one that is not ends the conversation.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from lem.contract.base import whole_text
from lem.contract.workload import ShareGptDataset
from lem.workloads.datasets.chat import encoded, shown, too_few
from lem.workloads.datasets.drawing import shuffled, stream
from lem.workloads.datasets.file import DataFile
from lem.workloads.requests import Message, Request, Tokenizer

LEAST_TOKENS = 4
"""Shorter questions and answers are left out, as the usual benchmarks do."""

_LISTS = ("conversations", "conversation", "items", "messages")
_ROLES = {
    "human": "user", "user": "user",
    "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant", "bing": "assistant",
    "bard": "assistant", "model": "assistant",
    "system": "system",
}  # fmt: skip


class Conversation(NamedTuple):
    system: str | None
    turns: list[tuple[str, str]]
    """Question and answer."""


def conversations(file: DataFile) -> list[Conversation]:
    """Those of a file in which a question is answered, in its order."""
    found = []
    for number, entry in _entries(file):
        if not isinstance(entry, dict):
            raise file.bad(f"conversation {number} is not a JSON object")
        messages: Any = next((entry[k] for k in _LISTS if entry.get(k) is not None), [])
        if not isinstance(messages, list):
            raise file.bad(f"conversation {number} has no list of messages")
        conversation = _turns(messages)
        if conversation.turns:
            found.append(conversation)
    if not found:
        raise file.bad(
            "has no conversation with a question and its answer; a conversation is "
            '{"conversations": [{"from": "human", "value": "…"}, {"from": "gpt", "value": "…"}]}'
        )
    return found


def requests(
    dataset: ShareGptDataset, n: int, tokenizer: Tokenizer, file: DataFile, seed: int
) -> Iterator[Request]:
    """``n`` requests of conversations in shuffled order, each conversation's one after another."""
    found = conversations(file)
    made = left_out = 0
    for index in shuffled(len(found), stream(seed, "sharegpt")):
        if made == n:
            return
        fitting = _fitting(found[index], dataset, tokenizer, file)
        after = None
        asked = False
        for request in fitting:
            if made == n:
                return
            asked, name = True, f"r{made}"
            yield request._replace(id=name, after=after)
            made, after = made + 1, name
        left_out += not asked
    if made < n:
        raise too_few(file, made, n, left_out, "requests")


def check(dataset: ShareGptDataset, n: int, file: DataFile) -> None:
    """All that can be said of the file without the model's tokenizer."""
    found = sum(min(len(c.turns), dataset.turns or 1) for c in conversations(file))
    if found < n:
        raise too_few(file, found, n, 0, "requests")


def _fitting(
    conversation: Conversation, dataset: ShareGptDataset, tokenizer: Tokenizer, file: DataFile
) -> Iterator[Request]:
    messages: list[Message] = []
    if conversation.system is not None:
        messages.append({"role": "system", "content": conversation.system})
    for question, answer in conversation.turns[: dataset.turns or 1]:
        output_tokens = dataset.output_tokens or _count(answer, tokenizer)
        too_short = dataset.output_tokens is None and output_tokens < LEAST_TOKENS
        if too_short or _count(question, tokenizer) < LEAST_TOKENS:
            return
        messages.append({"role": "user", "content": question})
        ids = encoded(messages, tokenizer, file, None)
        if _longer(len(ids), dataset.max_input_tokens) or _longer(
            len(ids) + output_tokens, dataset.max_total_tokens
        ):
            return
        yield Request("", ids, output_tokens, shown(messages))
        messages.append({"role": "assistant", "content": answer})


def _count(text: str, tokenizer: Tokenizer) -> int:
    return sum(i not in tokenizer.special_ids for i in tokenizer.encode(text, chat=False))


def _longer(tokens: int, limit: int | None) -> bool:
    return limit is not None and tokens > limit


def _entries(file: DataFile) -> Iterator[tuple[int, Any]]:
    if file.data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return file.objects()
    whole = file.json(file.text())
    if not isinstance(whole, list):
        raise file.bad("is neither a JSON list of conversations nor JSON lines")
    return iter(enumerate(whole, 1))


def _turns(messages: list[Any]) -> Conversation:
    system: str | None = None
    turns: list[tuple[str, str]] = []
    question: str | None = None
    for message in messages:
        role, text = _said(message)
        if role == "system" and not turns and question is None:
            system = text
        elif role == "user" and question is None:
            question = text
        elif role == "assistant" and question is not None:
            turns.append((question, text))
            question = None
        elif role != "assistant" or turns:
            # Not taking turns any more. (An answer before the first question is passed over.)
            break
    return Conversation(system, turns)


def _said(message: Any) -> tuple[str | None, str]:
    """Role and text; no role for what is not a message of either side."""
    if not isinstance(message, dict):
        return None, ""
    role = message.get("from", message.get("role"))
    text = message.get("value", message.get("content"))
    if not isinstance(role, str) or not isinstance(text, str) or not text.strip():
        return None, ""
    return _ROLES.get(role.strip().lower()), whole_text(text)
