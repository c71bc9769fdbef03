"""SGLang: continuous batching with a prefix cache, in processes of its own.

Offline through ``sglang.Engine`` in this process, which starts a scheduler for each GPU; else
through ``python -m sglang.launch_server``. Written against SGLang 0.5.23. See ``docs/backends.md``.
"""

import itertools
import os
import signal
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
from lem.backends.sglang import arguments as sglang_arguments
from lem.backends.streams import IN_FLIGHT, Refused, Streams, whole_answer
from lem.contract.base import Scalar
from lem.contract.job import Job, Rejection
from lem.contract.spec import ModelSpec, Settings
from lem.errors import RunFailed
from lem.workloads.datasets import NLL_CHUNK_TOKENS
from lem.workloads.likelihood import Passage, Scored, mean_nll
from lem.workloads.load import Sink, Source
from lem.workloads.requests import Request, Tokenizer
from lem.workloads.spoken import growing

MISSING = "use its image (lem images build sglang); on bare metal: pip install 'lem-energy[sglang]'"
NO_GPU = (
    "use `gpus: auto` on a machine with an NVIDIA GPU; a CPU build of SGLang's own is asked for "
    "with args.device: cpu"
)
BLIND = "No accelerator"
"""In SGLang's words when it looks for one; its record of arguments does."""
ENDED = "a process of SGLang ended"


class SGLang:
    """The backend; fills :class:`lem.backends.protocol.Backend`."""

    name = "sglang"
    loads: tuple[Load, ...] = ("offline", "served")
    distribution = "sglang"
    libraries: tuple[str, ...] = (
        "torch",
        "sglang-kernel",
        "flashinfer-python",
        "triton",
        "transformers",
    )
    cpu_packages = None

    def prepare(self, model: ModelSpec, source: Path | None, target: Path, trust: bool) -> str:
        return checkpoints.prepare(model, source, target, trust)

    def tokenizer(self, path: Path) -> Tokenizer:
        stay_offline()
        return FastTokenizer(path)

    def gpus_needed(self, engine: Settings, args: Settings) -> int:
        return sglang_arguments.gpus_needed(engine, args)

    def reject(self, job: Job) -> list[Rejection]:
        """SGLang's own record and command line take the arguments, its own class the sampling
        parameters; that needs no weights, but an accelerator. Raises :class:`RunFailed` where
        SGLang sees none (``unsupported``) or is not there (``image``)."""
        try:
            _checked(job)
        except RunFailed as e:
            if e.kind == "image" or BLIND in e.message:
                raise
            return [Rejection(arm_id=job.arm_id, argument=None, message=e.message)]
        return []

    def load(self, job: Job) -> Engine:
        arguments, sampling = _checked(job)
        if arguments.get("device") != "cpu":
            workers.need_gpus(job, "SGLang", NO_GPU)
        if not settings.offline(job):
            from lem.backends.sglang import server

            return server.start(job, arguments, sampling)
        return Scheduler(job, arguments, sampling)


plugin = SGLang


def _checked(job: Job) -> tuple[dict[str, Any], dict[str, Any]]:
    """The engine's arguments and each request's, as SGLang itself takes them."""
    arguments = sglang_arguments.server_arguments(job)
    sampling = sglang_arguments.sampling(job)
    threads = settings.whole(job.engine, "threads")
    if threads is not None:
        # For the processes that SGLang starts; read when its libraries are imported.
        os.environ["OMP_NUM_THREADS"] = str(threads)
    stay_offline()
    with named("bad_argument"), workers.installed("SGLang", MISSING):
        from sglang.srt.server_args import ServerArgs

        try:
            ServerArgs(**arguments)
        except RuntimeError as e:
            if BLIND not in str(e):
                raise
            raise RunFailed(
                "unsupported", f"SGLang checks its arguments only where it sees a GPU: {e}", NO_GPU
            ) from e
        sglang_arguments.command_line(arguments)
        sglang_arguments.check_sampling(sampling, FastTokenizer(Path(job.model)).vocabulary)
        if not settings.offline(job):
            sglang_arguments.check_served(sampling)
    return arguments, sampling


class Scheduler:
    """A loaded model in SGLang's own processes; fills :class:`lem.backends.protocol.Engine`."""

    atomic_batches = False
    scored_by: ScoredBy = "prompt log-probabilities"

    def __init__(self, job: Job, arguments: dict[str, Any], sampling: dict[str, Any]) -> None:
        self._sampling = sampling
        self._gpus = job.gpus
        self._numbers = itertools.count()
        self._joined = bool(arguments.get("incremental_streaming_output", False))
        self._input_tokens = self._cached_tokens = 0
        self._lock = threading.Lock()
        before = workers.gpu_used_bytes(job.gpus)
        others = set(workers.descendants())
        self._quit = signal.getsignal(signal.SIGQUIT)
        try:
            with listening() as heard:
                self._engine = _start(arguments, heard)
        except BaseException:
            signal.signal(signal.SIGQUIT, self._quit)
            raise
        # Before the loop runs in a thread of its own: this one call runs it here.
        self._info: dict[str, Any] = self._engine.get_server_info()
        self._facts = sglang_arguments.facts(self._info)
        model = self._engine.tokenizer_manager.model_config
        self._facts["dtype"] = str(model.dtype).removeprefix("torch.")
        self._facts["max_model_len"] = self._context = int(model.context_len)
        self._facts["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS")
        self._slots = int(str(self._facts["max_batch_size"]))
        self._workers = sorted(set(workers.descendants()) - others)
        self._before = before
        self._streams = Streams(self._engine.loop)

    def serve(self, source: Source, sink: Sink) -> None:
        self._streams.serve(source, sink, IN_FLIGHT * self._slots, self._answer)

    async def _answer(self, request: Request, sink: Sink) -> str:
        name = f"lem-{next(self._numbers)}"
        seen, text = 0, ""
        meta: dict[str, Any] = {}
        manager = self._engine.tokenizer_manager
        try:
            stream = await self._engine.async_generate(
                input_ids=request.input_ids,
                sampling_params={**self._sampling, "max_new_tokens": request.output_tokens},
                stream=True,
                rid=name,
                cache_salt=salt(request),
            )
            sink.answering(request.id, growing(lambda: text))
            async for chunk in stream:
                meta = chunk["meta_info"]
                total = int(meta["completion_tokens"])
                if total > seen:
                    sink.token(request.id, total - seen)
                    seen = total
                text = text + chunk["text"] if self._joined else chunk["text"]
        except ValueError as e:
            # A request that SGLang will not take: too long, say.
            raise Refused(str(e)) from e
        except BaseException:
            manager.abort_request(name)
            raise
        reason = meta.get("finish_reason")
        if not isinstance(reason, dict) or reason.get("type") == "abort":
            told = reason.get("message") if isinstance(reason, dict) else "the answer broke off"
            raise Refused(str(told))
        whole_answer(request, seen, self._sampling["ignore_eos"])
        with self._lock:
            self._input_tokens += int(meta.get("prompt_tokens") or 0)
            self._cached_tokens += int(meta.get("cached_tokens") or 0)
        return text

    def facts(self) -> dict[str, Scalar]:
        found = dict(self._facts)
        with self._lock:
            found |= hit_rate(self._input_tokens, self._cached_tokens)
        found["peak_memory_bytes.cpu"] = resident_bytes([os.getpid(), *self._workers])
        now = workers.gpu_used_bytes(self._gpus)
        if self._gpus and now is not None and self._before is not None:
            found["peak_memory_bytes.gpu"] = now - self._before
        return found

    def nll(self, token_ids: list[int]) -> float | None:
        if self._context <= NLL_CHUNK_TOKENS:
            return None
        return mean_nll(self.likelihoods, token_ids)

    def likelihoods(self, pieces: Sequence[Passage]) -> list[Scored]:
        """From the log-probabilities of the prompt that SGLang gives with ``return_logprob``."""
        with named("engine_error"):
            told = self._streams.together(
                [partial(self._score, p.ids) for p in pieces], IN_FLIGHT * self._slots
            )
        return [
            sglang_arguments.scored(one["meta_info"], p)
            for one, p in zip(told, pieces, strict=True)
        ]

    async def _score(self, ids: list[int]) -> dict[str, Any]:
        found: dict[str, Any] = await self._engine.async_generate(
            input_ids=ids,
            sampling_params={"max_new_tokens": 1, "temperature": 0},
            return_logprob=True,
            logprob_start_len=0,
            top_logprobs_num=1,
            rid=f"lem-{next(self._numbers)}",
        )
        return found

    def close(self) -> None:
        self._streams.close()
        try:
            self._engine.shutdown()
        finally:
            signal.signal(signal.SIGQUIT, self._quit)


class Quit:
    """What a process of SGLang's that ended raises here. SGLang sends its settings to its own
    processes, this among them, so it has to be one that can be sent; there it is not used."""

    def __init__(self, heard: Overheard | None = None) -> None:
        self._heard = heard

    def __reduce__(self) -> tuple[type["Quit"], tuple[()]]:
        return Quit, ()

    def __call__(self, number: int, frame: object) -> None:
        if self._heard is not None:
            raise workers.failure(self._heard, ENDED)


def _start(arguments: dict[str, Any], heard: Overheard) -> Any:
    import sglang

    try:
        with named("engine_error"):
            return sglang.Engine(**arguments, custom_sigquit_handler=Quit(heard))
    except RunFailed as e:
        failure = workers.failure(heard, e.message)
        raise (e if failure.kind == e.kind else failure) from e
