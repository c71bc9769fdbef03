"""transformers' continuous batching: what ``generate_batch`` does, with requests as they arrive.

A request joins the running batch as soon as another has ended. ``generate_batch`` queues all its
prompts at a manager and collects the results; this does the same with the same manager, keeps a few
requests queued so that the manager never has to wait, and takes every token as it comes out.
"""

import gc
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lem.backends.huggingface import FastTokenizer, named
from lem.backends.protocol import ScoredBy
from lem.backends.transformers.facts import facts_of
from lem.backends.transformers.scores import likelihoods_of, nll_of
from lem.contract.base import Scalar
from lem.contract.job import Job
from lem.errors import RunFailed
from lem.workloads import requests
from lem.workloads.likelihood import Passage, Scored
from lem.workloads.load import Sink, Source
from lem.workloads.requests import Request
from lem.workloads.spoken import decoded

ASK_EVERY_S = 0.05
"""How often the source is asked while nothing ends: windows begin and end in that call."""
STOP_TIMEOUT_S = 60.0
NO_END = -1
CPU_REQUESTS = 64
"""Requests in a batch on a CPU, where the campaign doesn't say how many."""


def asked_for(args: dict[str, Any]) -> bool:
    """Whether a campaign's ``args`` ask for continuous batching."""
    return bool(args.get("continuous_batching")) or "continuous_batching_config" in args


def without(args: dict[str, Any]) -> dict[str, Any]:
    """``args`` without what chooses the way of batching: the rest loads the model."""
    own = ("continuous_batching", "continuous_batching_config")
    return {k: v for k, v in args.items() if k not in own}


def config(job: Job) -> Any:
    """transformers' own ``ContinuousBatchingConfig``, which accepts or refuses the settings.

    ``engine.max_batch_size`` is its ``max_requests_per_batch``. Blocks of prompts are not shared
    between requests unless the campaign says so: a list that is used twice would find its prompts
    done already.
    """
    from transformers.generation import ContinuousBatchingConfig

    args = job.args
    chosen = args.get("continuous_batching")
    given = args.get("continuous_batching_config")
    if chosen is not None and not isinstance(chosen, bool):
        raise RunFailed("bad_argument", "args.continuous_batching is true or false")
    if given is not None and (chosen is False or not isinstance(given, dict)):
        raise RunFailed(
            "bad_argument",
            "args.continuous_batching_config is a mapping, and goes with continuous batching",
        )
    settings: dict[str, Any] = {"allow_block_sharing": False} | (given or {})
    size = job.engine.get("max_batch_size")
    if size is not None:
        if "max_requests_per_batch" in settings:
            raise RunFailed(
                "bad_argument",
                "engine.max_batch_size and args.continuous_batching_config.max_requests_per_batch"
                " say the same thing twice",
            )
        settings["max_requests_per_batch"] = size
    return ContinuousBatchingConfig(**settings)


class ContinuousBatches:
    """A loaded model; fills :class:`lem.backends.protocol.Engine`."""

    atomic_batches = False
    scored_by: ScoredBy = "forward pass"

    def __init__(
        self,
        job: Job,
        model: Any,
        tokenizer: FastTokenizer,
        device: str,
        generation: dict[str, Any],
        longest: int | None,
    ) -> None:
        from transformers import GenerationConfig

        self._model = model
        self._tokenizer = tokenizer
        self._device = device
        self._longest = longest
        own = model.generation_config
        ends = own.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        self._ends = [e for e in ends if e is not None]
        self._given_ends: int | list[int] = self._ends or NO_END
        if job.generate.get("ignore_eos", False):
            # Never chosen, so that every answer goes on to its full length, as everywhere.
            generation = generation | {"suppress_tokens": self._ends or None}
            self._given_ends = NO_END
        self._generation = GenerationConfig(
            bos_token_id=own.bos_token_id,
            eos_token_id=self._given_ends,
            pad_token_id=own.pad_token_id,
            **generation,
        )
        self._refuse_what_is_dropped()
        self._config = config(job)
        self._hints = _hints(job)
        if device == "cpu":
            _fit_cpu(self._config, self._hints)
        self._manager: Any = None
        self._paused = False
        with named("bad_argument"):
            self._manager = self._start()
        self._slots = int(self._manager.continuous_batching_config.max_requests_per_batch)

    def _refuse_what_is_dropped(self) -> None:
        """The manager leaves out, with a warning, what it cannot do for a batch that changes."""
        for processor in self._model._get_logits_processor(self._generation):
            if getattr(processor, "supports_continuous_batching", None) is False:
                raise RunFailed(
                    "bad_argument",
                    f"{type(processor).__name__} isn't supported by continuous batching",
                    hint="leave the setting of generate out, or use static batches",
                )

    def _start(self) -> Any:
        manager = self._model.init_continuous_batching(
            generation_config=self._generation,
            continuous_batching_config=self._config,
            workload_hints=self._hints,
        )
        manager.warmup()
        manager.start()
        return manager

    def check(self) -> None:
        """Generate one token, so that arguments that only a step looks at fail now."""
        first = min(set(range(self._tokenizer.vocabulary)) - self._tokenizer.special_ids)
        self._add(Request("check", [first, first], 1, ""))
        result = self._manager.get_result(timeout=None)
        if result is None or result.error is not None:
            said = "it stopped" if result is None else str(result.error)
            raise RunFailed("bad_argument", f"continuous batching: {self._why(said)}")

    def serve(self, source: Source, sink: Sink) -> None:
        open_requests: dict[str, _Open] = {}
        spare = max(1, self._slots // 4)
        dry = False
        self._resume()
        while True:
            if not dry:
                room = self._slots + spare - len(open_requests)
                taken = source.take(max(0, room), len(open_requests))
                dry = taken is None
                for request in taken or ():
                    if (why := self._too_long(request)) is not None:
                        sink.failed(request.id, why)
                        continue
                    known = open_requests[request.id] = _Open(request)
                    sink.answering(request.id, decoded(known.tokens, self._tokenizer.decode))
                    self._add(request)
            if not open_requests:
                if dry:
                    return
                if not taken:
                    time.sleep(ASK_EVERY_S)
                continue
            for result in self._results():
                self._tell(result, open_requests, sink)

    def _add(self, request: Request) -> None:
        added = self._manager.add_request(
            input_ids=request.input_ids,
            request_id=request.id,
            max_new_tokens=request.output_tokens,
            streaming=True,
            record_timestamps=True,
            eos_token_id=self._given_ends,
        )
        if added is None:
            raise RunFailed("engine_error", self._why("the manager takes no more requests"))

    def _results(self) -> list[Any]:
        """What came out since, waiting a moment for the first."""
        first = self._manager.get_result(timeout=ASK_EVERY_S)
        if first is None:
            if not self._manager.is_running():
                raise RunFailed("engine_error", self._why("its thread has ended"))
            return []
        found = [first]
        while (more := self._manager.get_result(timeout=0)) is not None:
            found.append(more)
        return found

    def _tell(self, result: Any, open_requests: "dict[str, _Open]", sink: Sink) -> None:
        known = open_requests.get(result.request_id)
        if known is None:
            return
        request = known.request
        if result.error is not None:
            del open_requests[request.id]
            sink.failed(request.id, str(result.error))
            return
        total = len(result.generated_tokens)
        for at_ns in _newest(result.timestamps or [], total - known.told):
            sink.token(request.id, 1, at_ns)
        known.told, known.ids = total, result.generated_tokens
        if result.is_finished():
            del open_requests[request.id]
            # The answer was whole with its last token, however late that is heard of here.
            ended_ns = round(result.timestamps[-1] * 1e9) if result.timestamps else None
            sink.done(request.id, self._tokenizer.decode(result.generated_tokens), ended_ns)

    def _too_long(self, request: Request) -> str | None:
        needed = len(request.input_ids) + request.output_tokens
        if self._longest is None or needed <= self._longest:
            return None
        return f"needs {needed} tokens of context, the model has {self._longest}"

    def _why(self, otherwise: str) -> str:
        fatal = self._manager.background_thread_status.fatal_error
        return f"{type(fatal).__name__}: {fatal}" if fatal is not None else otherwise

    def facts(self) -> dict[str, Scalar]:
        used = self._manager.continuous_batching_config
        graphs = used.use_cuda_graph
        return {
            **facts_of(self._model, self._device),
            "batching": "continuous",
            "kv_cache": "paged",
            "kv_cache_blocks": used.num_blocks,
            "kv_cache_page_tokens": _page_tokens(used),
            "prefix_caching": bool(used.allow_block_sharing),
            "scheduler": used.scheduler_type,
            "max_batch_tokens": used.max_batch_tokens,
            "cuda_graphs": any(graphs) if isinstance(graphs, tuple) else bool(graphs),
            "asynchronous": bool(used.use_async_batching),
            "compile": used.varlen_compile_config is not None
            or used.decode_compile_config is not None,
            "max_batch_size": self._slots,
            "max_model_len": self._longest,
        }

    def nll(self, token_ids: list[int]) -> float | None:
        self._stop()
        return nll_of(self._model, token_ids, self._device, self._longest)

    def likelihoods(self, pieces: Sequence[Passage]) -> list[Scored]:
        """By the model without the manager, which is started again when there is something to
        generate: between two calls it would only take time."""
        self._stop()
        return likelihoods_of(self._model, pieces, self._device, self._slots)

    def _resume(self) -> None:
        if self._paused:
            with named("engine_error"):
                self._manager = self._start()
            self._paused = False

    def _stop(self) -> None:
        self._paused = True
        if self._manager is not None and self._manager.is_running():
            self._manager.stop(block=True, timeout=STOP_TIMEOUT_S, hard_stop=True)

    def close(self) -> None:
        self._stop()
        self._manager = self._model = None
        gc.collect()


class _Open:
    """A request that is being answered."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.told = 0
        """How many tokens the sink was told of."""
        self.ids: list[int] = []

    def tokens(self) -> list[int]:
        return self.ids


def _page_tokens(settings: Any) -> int:
    """Tokens in a page of the cache; ``block_size`` up to transformers 5.17 at least."""
    return int(settings.page_size if hasattr(settings, "page_size") else settings.block_size)


def _fit_cpu(settings: Any, hints: Any) -> None:
    """A cache for what the run needs. transformers itself would take nine tenths of the memory that
    is free, which on a CPU is the machine's own."""
    if settings.num_blocks is not None or settings.max_memory_percent is not None:
        return
    if settings.max_requests_per_batch is None:
        settings.max_requests_per_batch = min(hints.num_requests, CPU_REQUESTS)
    longest = hints.max_prompt_length + hints.max_generated_length
    pages = -(-longest // _page_tokens(settings)) + 1
    settings.num_blocks = pages * settings.max_requests_per_batch


def _newest(stamps: list[float], n: int) -> list[int]:
    """Times in ns of the ``n`` newest tokens. perf_counter's clock is CLOCK_MONOTONIC on Linux, the
    one that all times are on.

    A request that had to give up its part of the KV cache goes on as a new one, whose prompt holds
    the tokens so far: its stamps begin anew, so their number is not that of its tokens.
    """
    if n <= 0:
        return []
    known = stamps[-n:] or [time.perf_counter()]
    return [round(s * 1e9) for s in [known[0]] * (n - len(known)) + known]


def _hints(job: Job) -> Any:
    """What ``generate_batch`` tells its manager of the work that is coming."""
    from transformers.generation.continuous_batching.utils import WorkloadHints

    listed: Sequence[Request] = requests.read(Path(job.requests), job.requests_sha256)
    return WorkloadHints(
        max_prompt_length=max(len(r.input_ids) for r in listed),
        max_generated_length=max(r.output_tokens for r in listed),
        num_requests=len(listed),
    )
