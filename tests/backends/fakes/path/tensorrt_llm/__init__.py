"""A fake of TensorRT-LLM 1.2: ``LLM`` as in its ``tensorrt_llm/llmapi/llm.py``, and
``SamplingParams``.

Kept from the original: the keywords and what they default to, the words of its refusals, that
``generate_async`` has to be called where an event loop runs if its answer is to be waited for
without blocking (``executor/result.py``), that ``outputs[0].token_ids`` grows with every step, that
a stop word's tokens are cut off at the end unless asked for, finish reasons, and ``RequestError``.
"""

import asyncio
import os
from dataclasses import dataclass, field
from typing import Any

from tensorrt_llm.llmapi import RequestError, TorchLlmArgs
from tests.backends.fakes import answers

__version__ = "1.2.1"
sick: set[str] = set()
"""Models whose executor is not healthy, and answers no more."""


@dataclass(slots=True, kw_only=True)
class SamplingParams:
    end_id: int | None = None
    pad_id: int | None = None
    max_tokens: int = 32
    bad: Any = None
    stop: Any = None
    stop_token_ids: list[int] | None = None
    include_stop_str_in_output: bool = False
    n: int = 1
    best_of: int | None = None
    use_beam_search: bool = False
    top_k: int | None = None
    top_p: float | None = None
    seed: int | None = None
    temperature: float | None = None
    min_tokens: int | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    min_p: float | None = None
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    return_context_logits: bool = False
    ignore_eos: bool = False
    detokenize: bool = True
    add_special_tokens: bool = True
    truncate_prompt_tokens: int | None = None
    skip_special_tokens: bool = True

    def __post_init__(self) -> None:
        if self.top_p is not None and not 0 <= self.top_p <= 1:
            raise ValueError(f"require 0 <= top_p <= 1, got top_p={self.top_p}")


@dataclass
class CompletionOutput:
    index: int
    text: str = ""
    token_ids: list[int] = field(default_factory=list)
    finish_reason: str | None = None


class RequestOutput:
    def __init__(self, llm: "LLM", prompt: list[int], params: SamplingParams, cached: int) -> None:
        # Where no loop runs, the original can only be waited for by blocking.
        self._loop: asyncio.AbstractEventLoop | None = None
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None
        self.outputs = [CompletionOutput(0)]
        self.prompt_token_ids = prompt
        self.cached_tokens = 0
        self.context_logits: Any = None
        self.aborted = False
        self._llm = llm
        self._params = params
        self._cached = cached
        self._done = False

    def __aiter__(self) -> "RequestOutput":
        return self

    async def __anext__(self) -> "RequestOutput":
        if self._done:
            raise StopAsyncIteration
        assert self._loop is not None, "The asyncio event loop was not present"
        await self._step()
        return self

    async def _step(self) -> None:
        await asyncio.sleep(answers.STEP_S)
        if self._llm.args.model in sick:
            await asyncio.sleep(60)
        ids, params, output = self.prompt_token_ids, self._params, self.outputs[0]
        if ids[:2] == [7, 7]:
            raise RequestError("Encountered an error when enqueueing the request")
        own_end = None if params.ignore_eos else answers.ends_at(ids)
        n = len(output.token_ids) + 1
        output.token_ids.append(answers.END if n == own_end else answers.token(ids, n - 1))
        if n == own_end or n == params.max_tokens:
            self._done = True
            self.cached_tokens = self._cached
            output.finish_reason = "stop" if n == own_end else "length"
            output.text = " ".join(str(t) for t in output.token_ids if t != answers.END)
            if n == own_end and not params.include_stop_str_in_output:
                output.token_ids = output.token_ids[:-1]
            if params.return_context_logits:
                self.context_logits = self._llm.logits(ids)

    async def aresult(self) -> "RequestOutput":
        while not self._done:
            await self._step()
        return self

    def abort(self) -> None:
        self.aborted = True
        self._llm.aborted.append(self)


class LLM:
    def __init__(
        self,
        model: str,
        tokenizer: Any = None,
        tokenizer_mode: str = "auto",
        skip_tokenizer_init: bool = False,
        trust_remote_code: bool = False,
        tensor_parallel_size: int = 1,
        dtype: str = "auto",
        revision: str | None = None,
        tokenizer_revision: str | None = None,
        **kwargs: Any,
    ) -> None:
        for key in kwargs:
            if key not in TorchLlmArgs.model_fields:
                raise ValueError(f"LLM got invalid argument: {key}")
        if kwargs.get("max_num_tokens") == 1:
            os.write(2, b"[TRT-LLM] [E] torch.OutOfMemoryError: CUDA out of memory.\n")
            raise RuntimeError("Executor worker returned error")
        self.args = TorchLlmArgs(
            model=model,
            trust_remote_code=trust_remote_code,
            tensor_parallel_size=tensor_parallel_size,
            dtype=dtype,
            **kwargs,
        )
        self.aborted: list[RequestOutput] = []
        self.salts: list[str | None] = []
        self.cache = answers.Cache()
        self.down = False

    def generate_async(
        self,
        inputs: list[int],
        sampling_params: SamplingParams | None = None,
        lora_request: Any = None,
        prompt_adapter_request: Any = None,
        streaming: bool = False,
        kv_cache_retention_config: Any = None,
        disaggregated_params: Any = None,
        _postproc_params: Any = None,
        scheduling_params: Any = None,
        cache_salt: str | None = None,
    ) -> RequestOutput:
        if self.down:
            raise RuntimeError("LLM is shutting down")
        if len(inputs) > self.args.max_num_tokens:
            raise ValueError(
                f"The sum of prompt length ({len(inputs)}), query length (0) should not exceed "
                f"max_num_tokens ({self.args.max_num_tokens})"
            )
        self.salts.append(cache_salt)
        cached = self.cache.hit(cache_salt, inputs)
        return RequestOutput(self, inputs, sampling_params or SamplingParams(), cached)

    def _check_health(self) -> bool:
        return self.args.model not in sick

    def logits(self, ids: list[int]) -> Any:
        """Rows whose softmax has the told log-probability at the next token's place."""
        import torch

        rows = torch.full((len(ids), answers.VOCABULARY), 0.0)
        for i in range(1, len(ids)):
            p = torch.tensor(answers.logprob(ids, i)).exp()
            # All others share the rest evenly.
            rows[i - 1] = torch.log((1 - p) / (answers.VOCABULARY - 1))
            rows[i - 1, ids[i]] = torch.log(p)
        return rows + 3.0

    def shutdown(self) -> None:
        self.down = True
