"""A fake of SGLang 0.5.23's ``CompletionRequest``: a part of its fields. Like the original it
passes over those that it does not know."""

from typing import Any

from pydantic import BaseModel


class CompletionRequest(BaseModel):
    model: str
    prompt: list[int]
    frequency_penalty: float = 0.0
    ignore_eos: bool = False
    max_tokens: int = 16
    min_p: float = 0.0
    min_tokens: int = 0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: Any = None
    temperature: float = 1.0
    top_k: int = -1
    top_p: float = 1.0
    cache_salt: str | None = None
