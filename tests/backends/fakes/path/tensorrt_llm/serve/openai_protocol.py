"""A fake of TensorRT-LLM 1.2's ``CompletionRequest``: a part of its fields, as strict as the
original (``extra="forbid"``)."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class CompletionRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str
    prompt: list[int]
    frequency_penalty: float | None = 0.0
    ignore_eos: bool = False
    include_stop_str_in_output: bool = False
    max_tokens: int | None = None
    min_p: float = 0.0
    min_tokens: int = 0
    presence_penalty: float | None = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: Any = None
    stream: bool | None = False
    stream_options: Any = None
    temperature: float | None = None
    top_k: int = 0
    top_p: float | None = None
