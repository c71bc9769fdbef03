"""Static batches by transformers' ``generate``: each runs to its end before the next begins."""

import gc
from collections.abc import Callable, Sequence
from typing import Any

from lem.backends.huggingface import FastTokenizer, named
from lem.backends.protocol import ScoredBy
from lem.backends.settings import number
from lem.backends.transformers.facts import facts_of
from lem.backends.transformers.scores import likelihoods_of, nll_of
from lem.contract.base import Scalar
from lem.contract.job import Job
from lem.workloads.likelihood import Passage, Scored
from lem.workloads.load import More, Sink, Source
from lem.workloads.requests import Request
from lem.workloads.spoken import decoded


class StaticBatches:
    """A loaded model; fills :class:`lem.backends.protocol.Engine`."""

    atomic_batches = True
    scored_by: ScoredBy = "forward pass"

    def __init__(
        self,
        job: Job,
        model: Any,
        tokenizer: FastTokenizer,
        device: str,
        arguments: dict[str, Any],
        longest: int | None,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._device = device
        self._arguments = arguments
        self._ignore_eos = bool(job.generate.get("ignore_eos", False))
        self._batch = int(number(job.engine, "max_batch_size") or 1)
        self._longest = longest
        ends = model.generation_config.eos_token_id
        self._ends = frozenset(ends if isinstance(ends, list) else [ends]) - {None}
        self._pad = int(model.generation_config.pad_token_id or 0)

    def check(self) -> None:
        """Generate one token, so that arguments that only ``generate`` looks at fail now."""
        first = min(set(range(self._tokenizer.vocabulary)) - self._tokenizer.special_ids)
        request = Request("check", [first, first], 1, "")
        with named("bad_argument"):
            self._generate([request], _Ticks([request], _Deaf(), frozenset()))

    def serve(self, source: Source, sink: Sink) -> None:
        while (taken := source.take(self._batch, 0)) is not None:
            batch = self._fitting(taken, sink)
            if not batch:
                continue
            ticks = _Ticks(batch, sink, frozenset() if self._ignore_eos else self._ends)
            ticks.show(self._tokenizer.decode)
            with named("engine_error"):
                self._generate(batch, ticks)
            for request, ids in zip(batch, ticks.ids, strict=True):
                sink.done(request.id, self._tokenizer.decode(ids))

    def _fitting(self, requests: list[Request], sink: Sink) -> list[Request]:
        fitting = []
        for r in requests:
            needed = len(r.input_ids) + r.output_tokens
            if self._longest is not None and needed > self._longest:
                sink.failed(
                    r.id, f"needs {needed} tokens of context, the model has {self._longest}"
                )
            else:
                fitting.append(r)
        return fitting

    def _generate(self, batch: list[Request], ticks: "_Ticks") -> None:
        import torch

        width = max(len(r.input_ids) for r in batch)
        rows = [[self._pad] * (width - len(r.input_ids)) + r.input_ids for r in batch]
        mask = [[0] * (width - len(r.input_ids)) + [1] * len(r.input_ids) for r in batch]
        new = max(r.output_tokens for r in batch)
        with torch.inference_mode():
            self._model.generate(
                input_ids=torch.tensor(rows, device=self._device),
                attention_mask=torch.tensor(mask, device=self._device),
                max_new_tokens=new,
                min_new_tokens=new if self._ignore_eos else None,
                streamer=ticks,
                **self._arguments,
            )

    def facts(self) -> dict[str, Scalar]:
        return {
            **facts_of(self._model, self._device),
            "batching": "static",
            "kv_cache": str(self._arguments.get("cache_implementation", "dynamic")),
            "compile": _compiles(self._arguments, self._device),
            "max_batch_size": self._batch,
            "max_model_len": self._longest,
        }

    def nll(self, token_ids: list[int]) -> float | None:
        return nll_of(self._model, token_ids, self._device, self._longest)

    def likelihoods(self, pieces: Sequence[Passage]) -> list[Scored]:
        return likelihoods_of(self._model, pieces, self._device, self._batch)

    def close(self) -> None:
        import torch

        self._model = None
        gc.collect()
        if self._device == "cuda":
            torch.cuda.empty_cache()


class _Ticks:
    """The streamer that ``generate`` hands every new token to, one per row of the batch.

    ``generate`` waits for the device at each step anyway (to see whether it may stop), so looking
    at the tokens here costs a copy of a few bytes.
    """

    def __init__(self, batch: list[Request], sink: Sink, ends: frozenset[int]) -> None:
        self.ids: list[list[int]] = [[] for _ in batch]
        self._batch = batch
        self._sink = sink
        self._ends = ends
        self._open = list(range(len(batch)))
        self._prompt_seen = False

    def show(self, decode: Callable[[list[int]], str]) -> None:
        """Let the sink know where the answers can be read while they are generated."""
        for request, ids in zip(self._batch, self.ids, strict=True):
            self._sink.answering(request.id, decoded(ids.copy, decode))

    def put(self, value: Any) -> None:
        if not self._prompt_seen:
            self._prompt_seen = True
            return
        tokens = value.tolist()
        still_open = []
        for row in self._open:
            request, ids = self._batch[row], self.ids[row]
            self._sink.token(request.id)
            ids.append(tokens[row])
            if len(ids) < request.output_tokens and tokens[row] not in self._ends:
                still_open.append(row)
        self._open = still_open

    def end(self) -> None:
        pass


class _Deaf:
    """A sink for work that is not measured."""

    def token(self, request_id: str, n: int = 1, at_ns: int | None = None) -> None:
        pass

    def answering(self, request_id: str, more: More) -> None:
        pass

    def done(self, request_id: str, text: str, at_ns: int | None = None) -> None:
        pass

    def failed(self, request_id: str, message: str, at_ns: int | None = None) -> None:
        pass

    def timed_out(self, request_id: str, message: str, at_ns: int | None = None) -> None:
        pass

    def written(self, request_id: str, at_ns: int) -> None:
        pass

    def retold(self, request_id: str, token_ns: list[int]) -> None:
        pass


def _compiles(arguments: dict[str, Any], device: str) -> bool:
    """``generate`` compiles the forward pass by itself for a static cache on an accelerator."""
    static = "static" in str(arguments.get("cache_implementation", ""))
    return static and device != "cpu" and not arguments.get("disable_compile", False)
