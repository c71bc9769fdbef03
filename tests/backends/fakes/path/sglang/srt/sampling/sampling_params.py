"""A fake of SGLang 0.5.23's ``SamplingParams``: its fields, its conversion of temperature 0, and
some of the refusals of its ``verify``."""

from dataclasses import dataclass
from typing import Any


@dataclass(kw_only=True)
class SamplingParams:
    max_new_tokens: int | None = 128
    stop: Any = None
    stop_token_ids: Any = None
    stop_regex: Any = None
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 1 << 30
    min_p: float = 0.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repetition_penalty: float = 1.0
    min_new_tokens: int = 0
    n: int = 1
    beam_width: int | None = None
    json_schema: str | None = None
    regex: str | None = None
    ebnf: str | None = None
    ignore_eos: bool = False
    skip_special_tokens: bool = True
    spaces_between_special_tokens: bool = True
    no_stop_trim: bool = False
    stream_interval: int | None = None
    logit_bias: Any = None
    sampling_seed: int | None = None
    custom_params: Any = None

    def __post_init__(self) -> None:
        if 0 <= self.temperature < 1e-6:
            self.temperature = 1.0
            self.top_k = 1
        if self.top_k == -1:
            self.top_k = 1 << 30

    def verify(self, vocab_size: int) -> None:
        if not 0.0 < self.top_p <= 1.0:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p}.")
        if self.top_k < 1:
            raise ValueError(f"top_k must be -1 (disable) or at least 1, got {self.top_k}.")
