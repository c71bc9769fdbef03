"""What is specific to one engine's server: how a request looks on the wire, and how to read the
events of its answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from lem.workloads.requests import Request

COUNT_LIMIT = 2**31


class Piece(NamedTuple):
    """What one event of a streamed answer says."""

    text: str = ""
    output_tokens: int | None = None
    """Of this answer so far, as the server counts them; None where this event says nothing of
    it."""
    input_tokens: int | None = None
    finished: bool = False
    """Whether it gives the reason why the answer ended."""
    error: str | None = None


class Garbled(ValueError):
    """An event that is not what it should be."""


def read_event(event: dict[str, Any]) -> Piece:
    """An event as OpenAI's completions and chat completions stream it.

    Tokens so far are ``usage.completion_tokens`` where the event has it (vLLM, SGLang and
    TensorRT-LLM give it with every chunk if asked by ``stream_options.continuous_usage_stats``,
    others with the last one), else llama.cpp's ``timings.predicted_n``. Raises :class:`Garbled`.
    """
    if (error := event.get("error")) is not None:
        return Piece(error=error_text(error))
    text: list[str] = []
    finished = False
    choices = event.get("choices")
    if not isinstance(choices, list):
        raise Garbled("an event has no choices")
    for choice in choices:
        if not isinstance(choice, dict):
            raise Garbled("a choice is no object")
        finished = finished or choice.get("finish_reason") is not None
        text.append(_text(choice))
    usage = event.get("usage")
    if isinstance(usage, dict):
        outputs, inputs = usage.get("completion_tokens"), usage.get("prompt_tokens")
        return Piece("".join(text), _count(outputs), _count(inputs), finished)
    timings = event.get("timings")
    told = timings.get("predicted_n") if isinstance(timings, dict) else None
    return Piece("".join(text), _count(told), None, finished)


def _text(choice: dict[str, Any]) -> str:
    """A chat model's reasoning is part of what it put out."""
    found = choice.get("text")
    if found is None:
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return ""
        # Some servers give the reasoning under both of its names.
        parts = (delta.get("reasoning_content") or delta.get("reasoning"), delta.get("content"))
        return "".join(_is_text(p) for p in parts if p is not None)
    return _is_text(found)


def _is_text(value: object) -> str:
    if not isinstance(value, str):
        raise Garbled("the text of an event is no text")
    return value


def _count(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < COUNT_LIMIT:
        raise Garbled("a count of tokens is no whole number")
    return value


def error_text(error: object) -> str:
    """The words of an error object."""
    if isinstance(error, dict):
        error = error.get("message") or error
    return " ".join(str(error).split())[:500]


@dataclass(frozen=True)
class Wire:
    """How an engine's server is spoken to. ``headers`` may hold a key: it is never shown."""

    path: str
    """Such as ``/v1/completions``."""
    body: Callable[[Request], dict[str, Any]]
    """The JSON that asks for this request's answer, streamed, with token counts."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    read: Callable[[dict[str, Any]], Piece] = read_event
    """Raises :class:`Garbled` for what it cannot read."""


HIDDEN = "[secret]"
SHORTEST_SECRET = 4
"""Shorter ones are not hidden: they would be found all over ordinary text."""


def holds_key(headers: Mapping[str, str]) -> bool:
    """Whether a server is told a key, which it may repeat: in pieces it could not be hidden."""
    return any(name.lower() == "authorization" for name in headers)


def hide(text: str, headers: Mapping[str, str]) -> str:
    """``text`` without the keys in the headers of a request, should a server repeat one."""
    for name, value in headers.items():
        if name.lower() != "authorization":
            continue
        key = value.partition(" ")[2]
        if len(key) >= SHORTEST_SECRET:
            text = text.replace(key, HIDDEN)
    return text
