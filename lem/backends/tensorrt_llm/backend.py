"""TensorRT-LLM: continuous ("in-flight") batching, with its PyTorch backend.

Offline through ``tensorrt_llm.LLM`` in this process, which starts a worker for each GPU; else
through ``trtllm-serve``. Written against TensorRT-LLM 1.2.1. See ``docs/backends.md``.
"""

import asyncio
import itertools
import os
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lem.backends import checkpoints, settings, workers
from lem.backends.huggingface import FastTokenizer, named, stay_offline
from lem.backends.overheard import Overheard, listening
from lem.backends.peak_memory import resident_bytes
from lem.backends.prefix_cache import hit_rate, salt
from lem.backends.protocol import Engine, Load, ScoredBy
from lem.backends.streams import IN_FLIGHT, Refused, Streams, whole_answer
from lem.backends.tensorrt_llm import arguments
from lem.contract.base import Scalar
from lem.contract.job import Job, Rejection
from lem.contract.spec import ModelSpec, Settings
from lem.errors import RunFailed
from lem.workloads.datasets import NLL_CHUNK_TOKENS
from lem.workloads.likelihood import Passage, Scored, mean_nll
from lem.workloads.load import Sink, Source
from lem.workloads.requests import Request, Tokenizer

MISSING = (
    "use its image (lem images build tensorrt_llm); on bare metal: pip install "
    "'lem-energy[tensorrt_llm]' beside CUDA and Open MPI, as TensorRT-LLM's own guide says"
)
NO_GPU = "use `gpus: auto` on a machine with an NVIDIA GPU (Ampere or newer)"
ENDED = ("timeout", "cancelled")
"""Finish reasons of answers that are not whole."""
SCORED_AT_A_TIME = 8


class TensorRTLLM:
    """The backend; fills :class:`lem.backends.protocol.Backend`."""

    name = "tensorrt_llm"
    loads: tuple[Load, ...] = ("offline", "served")
    distribution = "tensorrt_llm"
    libraries: tuple[str, ...] = (
        "torch",
        "tensorrt",
        "flashinfer-python",
        "transformers",
        "mpi4py",
    )
    cpu_packages = None

    def prepare(self, model: ModelSpec, source: Path | None, target: Path, trust: bool) -> str:
        return checkpoints.prepare(model, source, target, trust)

    def tokenizer(self, path: Path) -> Tokenizer:
        stay_offline()
        return FastTokenizer(path)

    def gpus_needed(self, engine: Settings, args: Settings) -> int:
        return arguments.gpus_needed(engine, args)

    def reject(self, job: Job) -> list[Rejection]:
        """TensorRT-LLM's own classes take the arguments; no weights are loaded."""
        try:
            _checked(job)
        except RunFailed as e:
            if e.kind == "image":
                raise
            return [Rejection(arm_id=job.arm_id, argument=None, message=e.message)]
        return []

    def load(self, job: Job) -> Engine:
        own, sampling = _checked(job)
        workers.need_gpus(job, "TensorRT-LLM", NO_GPU)
        if not settings.offline(job):
            from lem.backends.tensorrt_llm import server

            return server.start(job, own, sampling)
        return InFlight(job, own, sampling)


plugin = TensorRTLLM


def _checked(job: Job) -> tuple[dict[str, Any], dict[str, Any]]:
    """The engine's arguments and each request's, as TensorRT-LLM itself takes them."""
    own, sampling = arguments.engine_arguments(job), arguments.sampling(job)
    threads = settings.whole(job.engine, "threads")
    if threads is not None:
        # For the workers that TensorRT-LLM starts; read when its libraries are imported.
        os.environ["OMP_NUM_THREADS"] = str(threads)
    stay_offline()
    with named("bad_argument"), workers.installed("TensorRT-LLM", MISSING):
        arguments.check(own, sampling)
        if not settings.offline(job):
            arguments.check_served(sampling)
    return own, sampling


class InFlight:
    """A loaded model in TensorRT-LLM's workers; fills :class:`lem.backends.protocol.Engine`."""

    atomic_batches = False
    scored_by: ScoredBy = "prompt log-probabilities"

    def __init__(self, job: Job, own: dict[str, Any], sampling: dict[str, Any]) -> None:
        self._model = Path(job.model)
        self._gpus = job.gpus
        self._sampling = sampling
        self._input_tokens = self._cached_tokens = 0
        self._told = False
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._before = workers.gpu_used_bytes(job.gpus)
        others = set(workers.descendants())
        with listening() as heard:
            self._llm = _start(own, heard)
        self._workers = sorted(set(workers.descendants()) - others)
        self._facts = arguments.facts(self._llm.args, self._model)
        self._slots = int(str(self._facts["max_batch_size"]))
        self._streams = Streams()

    def serve(self, source: Source, sink: Sink) -> None:
        room = IN_FLIGHT * self._slots
        self._streams.serve(source, sink, room, self._answer, self._healthy)

    def _healthy(self) -> bool:
        check = getattr(self._llm, "_check_health", None)
        return bool(check()) if check is not None else True

    def _parameters(self, **more: Any) -> Any:
        """A fresh one for each request: the engine writes into it."""
        from tensorrt_llm import SamplingParams

        return SamplingParams(**self._sampling, **more)

    async def _answer(self, request: Request, sink: Sink) -> str:
        seen = 0
        result: Any = None
        try:
            # Within the running loop: only then can the answer be waited for without a thread.
            result = self._llm.generate_async(
                request.input_ids,
                # An end token that the checkpoint names beside the first is a stop word: it counts.
                self._parameters(max_tokens=request.output_tokens, include_stop_str_in_output=True),
                streaming=True,
                cache_salt=salt(request),
            )
            async for step in result:
                total = len(step.outputs[0].token_ids)
                if total > seen:
                    sink.token(request.id, total - seen)
                    seen = total
        except asyncio.CancelledError:
            if result is not None:
                result.abort()
            raise
        except Exception as e:
            # A request that is too long, say, or that the executor refused; the engine goes on.
            if isinstance(e, ValueError) or type(e).__name__ == "RequestError":
                raise Refused(str(e)) from e
            raise
        output = result.outputs[0]
        if output.finish_reason in ENDED or output.finish_reason is None:
            raise Refused(f"the answer ended early: {output.finish_reason}")
        whole_answer(request, seen, self._sampling["ignore_eos"])
        with self._lock:
            cached = getattr(result, "cached_tokens", None)
            if cached is not None:
                self._told = True
                self._input_tokens += len(request.input_ids)
                self._cached_tokens += int(cached)
        return str(output.text)

    def facts(self) -> dict[str, Scalar]:
        found = dict(self._facts)
        found["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS")
        with self._lock:
            if self._told:
                found |= hit_rate(self._input_tokens, self._cached_tokens)
        found["peak_memory_bytes.cpu"] = resident_bytes([os.getpid(), *self._workers])
        now = workers.gpu_used_bytes(self._gpus)
        if now is not None and self._before is not None:
            found["peak_memory_bytes.gpu"] = now - self._before
        return found

    def nll(self, token_ids: list[int]) -> float | None:
        longest = self._facts["max_model_len"]
        if isinstance(longest, int) and longest <= NLL_CHUNK_TOKENS:
            return None
        return mean_nll(self.likelihoods, token_ids)

    def likelihoods(self, pieces: Sequence[Passage]) -> list[Scored] | None:
        """From the logits of the prompt (``return_context_logits``): TensorRT-LLM's own
        ``prompt_logprobs`` are of the likeliest tokens at each place, which need not be the
        text's. A few at a time: the logits of a prompt are large."""
        with named("engine_error"):
            found = self._streams.together(
                [partial(self._score, p) for p in pieces], min(self._slots, SCORED_AT_A_TIME)
            )
        if any(one is None for one in found):
            print("TensorRT-LLM gave no logits of the prompt: no likelihood", file=sys.stderr)
            return None
        return found

    async def _score(self, piece: Passage) -> Scored | None:
        from tensorrt_llm import SamplingParams

        result = self._llm.generate_async(
            piece.ids,
            SamplingParams(max_tokens=1, top_k=1, return_context_logits=True),
            # Of a prompt found in the cache there would be no logits.
            cache_salt=f"scored-{next(self._numbers)}",
        )
        await result.aresult()
        return None if result.context_logits is None else _scored(result.context_logits, piece)

    def close(self) -> None:
        self._streams.close()
        self._llm.shutdown()


def _start(own: dict[str, Any], heard: Overheard) -> Any:
    from tensorrt_llm import LLM

    try:
        with named("engine_error"):
            return LLM(**own)
    except RunFailed as e:
        failure = workers.failure(heard, e.message)
        raise (e if failure.kind == e.kind else failure) from e


def _scored(logits: Any, piece: Passage) -> Scored:
    """``logits`` has a row for each token of the prompt, which is about the next one. Raises
    :class:`RunFailed` where it has not."""
    import torch

    if logits.shape[0] != len(piece.ids):
        raise RunFailed(
            "engine_error",
            f"logits of {logits.shape[0]} tokens came for a prompt of {len(piece.ids)}",
        )
    rows = logits[piece.start - 1 : -1].float()
    ids = torch.tensor(piece.scored, device=rows.device)
    total = -float(torch.nn.functional.cross_entropy(rows, ids, reduction="sum").item())
    return Scored(total, bool((rows.argmax(dim=-1) == ids).all().item()))
