"""llama.cpp through ``xllamacpp``: continuous batching over slots, in this process or in
llama.cpp's own server (``server.py``).

See ``docs/backends.md``.
"""

import gc
import queue
import resource
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lem.backends import gguf_metadata, prepared
from lem.backends.llama_cpp import binding
from lem.backends.llama_cpp import parameters as llama_parameters
from lem.backends.llama_cpp import server as llama_server
from lem.backends.llama_cpp.scores import Scorer, letter
from lem.backends.llama_cpp.tokenizer import GgufTokenizer
from lem.backends.protocol import Engine, Load, ScoredBy
from lem.contract.base import Scalar
from lem.contract.job import Job, Rejection
from lem.contract.spec import ModelSpec, Settings
from lem.errors import RunFailed
from lem.workloads.datasets import NLL_CHUNK_TOKENS
from lem.workloads.likelihood import Passage, Scored
from lem.workloads.load import Sink, Source
from lem.workloads.requests import Request, Tokenizer
from lem.workloads.spoken import pieces

FILE = "model.gguf"
ASK_EVERY_S = 0.05
"""How often the source is asked while all slots are busy: windows begin and end in that call."""
FAILURES_IN_A_ROW = 32


class LlamaCpp:
    """The backend; fills :class:`lem.backends.protocol.Backend`."""

    name = "llama_cpp"
    loads: tuple[Load, ...] = ("offline", "served")
    distribution = "xllamacpp"
    libraries: tuple[str, ...] = ()

    def prepare(self, model: ModelSpec, source: Path | None, target: Path, trust: bool) -> str:
        folder = prepared.once(target, lambda aside: _fetch(model, source, aside))
        return f"{folder.name}/{FILE}"

    def tokenizer(self, path: Path) -> Tokenizer:
        return GgufTokenizer(path)

    def gpus_needed(self, engine: Settings, args: Settings) -> int | None:
        """One, but where the model is split: over as many as ``tensor_split`` has shares, or all
        that there are."""
        split = args.get("tensor_split")
        if isinstance(split, list):
            return max(1, len(split))
        return 1 if args.get("split_mode") in (None, "none") else None

    def reject(self, job: Job) -> list[Rejection]:
        """Sets every argument on the engine's own parameters; loads no weights into memory."""
        try:
            llama_parameters.parameters(job, NLL_CHUNK_TOKENS)
            with binding.light(Path(job.model)) as server:
                _check_sampling(server, llama_parameters.sampling(job))
        except RunFailed as e:
            return [Rejection(arm_id=job.arm_id, argument=None, message=e.message)]
        return []

    def load(self, job: Job) -> Engine:
        import xllamacpp

        # Layers that have no GPU to go to would stay on the processor, and nothing would say so.
        asked = bool(job.gpus) or job.args.get("n_gpu_layers") not in (None, 0)
        if asked and not any("CPU" not in d["name"] for d in xllamacpp.get_device_info()):
            raise RunFailed(
                "unsupported",
                "GPUs were asked for, but this build of llama.cpp sees none",
                hint="install xllamacpp's CUDA or ROCm wheel, or leave out the GPUs (`gpus: []`) "
                "and n_gpu_layers",
            )
        metadata = gguf_metadata.read(Path(job.model))
        if job.workload.arrival.kind != "offline":
            return self._served(job, metadata)
        parameters = llama_parameters.parameters(job, llama_parameters.slot_context(job, metadata))
        sampling = llama_parameters.sampling(job)
        with binding.speaking_only_on_failure():
            server = xllamacpp.Server(parameters)
        tokens = metadata.get("tokenizer.ggml.tokens", [])
        engine = Slots(job, server, parameters, sampling, tokens)
        engine.check()
        return engine

    def _served(self, job: Job, metadata: dict[str, Any]) -> Engine:
        """In its own server, after what this process can check was checked."""
        parameters = llama_parameters.parameters(job, llama_parameters.slot_context(job, metadata))
        sampling = llama_parameters.sampling(job)
        with binding.light(Path(job.model)) as light:
            _check_sampling(light, sampling)
            kind = _checked_kind(light, job)
        return llama_server.start(job, sampling, _facts(parameters, kind))


plugin = LlamaCpp


def _fetch(model: ModelSpec, source: Path | None, aside: Path) -> dict[str, Any]:
    note: dict[str, Any] = {"kind": "gguf"}
    if model.synthetic is not None:
        raise _no_gguf("a synthetic model is made as safetensors")
    if source is not None and source.is_dir():
        if model.gguf_file is None:
            raise _no_gguf(f"{source.name} is a folder")
        source = source / prepared.plain_name(model.gguf_file)
    elif source is None:
        if model.gguf_file is None:
            raise _no_gguf(f"{model.id} is a hub model without gguf_file")
        note["revision"] = prepared.file_from_hub(model.id, model.revision, model.gguf_file, aside)
        source = aside / model.gguf_file
    gguf_metadata.read(source)
    if source != aside / FILE:
        prepared.copy(source, aside, FILE)
    return note


def _no_gguf(why: str) -> RunFailed:
    return RunFailed(
        "unsupported",
        f"llama.cpp loads GGUF files, and {why}",
        hint="name a GGUF file (model.gguf_file for one inside a hub model or folder), or exclude "
        "this model for llama_cpp",
    )


class Slots:
    """A loaded model with slots; fills :class:`lem.backends.protocol.Engine`."""

    atomic_batches = False
    scored_by: ScoredBy = "forced tokens"

    def __init__(
        self,
        job: Job,
        server: Any,
        parameters: Any,
        sampling: dict[str, Any],
        tokens: list[str],
    ) -> None:
        self._server = server
        self._parameters = parameters
        self._sampling = sampling
        self._slots = int(parameters.n_parallel)
        self._job = job
        self._stop = False
        self._vocabulary, self._letter = len(tokens), letter(tokens)

    def check(self) -> None:
        """Answer one request, so that what the engine refuses is refused now."""
        self._kind = _checked_kind(self._server, self._job)
        _check_sampling(self._server, self._sampling)

    def serve(self, source: Source, sink: Sink) -> None:
        ended: queue.Queue[Callable[[], bool]] = queue.Queue()
        open_requests, failures, dry = 0, 0, False
        self._stop = False
        with ThreadPoolExecutor(self._slots) as pool:
            try:
                while True:
                    if not dry:
                        taken = source.take(self._slots - open_requests, open_requests)
                        dry = taken is None
                        for request in taken or ():
                            open_requests += 1
                            pool.submit(self._answer, request, sink, ended)
                    if dry and not open_requests:
                        return
                    try:
                        ok = ended.get(timeout=None if dry else ASK_EVERY_S)()
                    except queue.Empty:
                        continue
                    open_requests -= 1
                    failures = 0 if ok else failures + 1
                    if failures >= FAILURES_IN_A_ROW:
                        raise RunFailed("engine_error", f"{failures} requests in a row failed")
            finally:
                self._stop = True

    def _answer(
        self, request: Request, sink: Sink, ended: "queue.Queue[Callable[[], bool]]"
    ) -> None:
        """One request, from a thread of its own; its end is told through ``ended``."""
        try:
            refused = self._stream(request, sink)
        except BaseException as e:  # noqa: BLE001 - raised again in the thread that serves
            ended.put(_raising(e))
            return
        ended.put(lambda: refused is None)

    def _stream(self, request: Request, sink: Sink) -> str | None:
        """Send one request and tell its tokens; returns why it failed, if it did."""
        text: list[str] = []
        seen = 0
        refused: str | None = None
        whole = False

        def chunk(piece: dict[str, Any]) -> bool:
            nonlocal seen, refused, whole
            if "error" in piece:
                refused = str(piece["error"].get("message", piece["error"]))
                return True
            total = piece.get("timings", {}).get("predicted_n", seen + 1)
            if "usage" in piece:
                total = piece["usage"]["completion_tokens"]
                whole = True
            # A token that is only part of a character comes out with the next one.
            if total > seen:
                sink.token(request.id, total - seen)
                seen = total
            text.append(piece["choices"][0]["text"])
            return self._stop

        sink.answering(request.id, pieces(text))
        self._server.handle_completions(
            {
                **self._sampling,
                "prompt": request.input_ids,
                "n_predict": request.output_tokens,
                "stream": True,
                "timings_per_token": True,
                "cache_prompt": bool(self._parameters.cache_prompt),
            },
            chunk,
        )
        if refused is None and not whole:
            refused = "the answer broke off"
        if refused is not None:
            sink.failed(request.id, refused)
        else:
            sink.done(request.id, "".join(text))
        return refused

    def facts(self) -> dict[str, Scalar]:
        return {
            **_facts(self._parameters, self._kind),
            "peak_memory_bytes.cpu": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }

    def nll(self, token_ids: list[int]) -> float | None:
        if self._parameters.n_ctx // self._slots <= NLL_CHUNK_TOKENS:
            return None
        return self._scorer().nll(token_ids, self._slots)

    def likelihoods(self, pieces: Sequence[Passage]) -> list[Scored]:
        return self._scorer().likelihoods(pieces, self._slots)

    def _scorer(self) -> Scorer:
        return Scorer(self._server.handle_completions, self._letter, self._vocabulary)

    def close(self) -> None:
        self._stop = True
        self._server = None
        gc.collect()


def _facts(parameters: Any, kind: str) -> dict[str, Scalar]:
    """What llama.cpp uses; ``kind`` is the type of the file's weights."""
    import xllamacpp

    devices = [d for d in xllamacpp.get_device_info() if "CPU" not in d["name"]]
    on_gpu = bool(devices) and parameters.n_gpu_layers != 0
    return {
        "device": ", ".join(d["name"] for d in devices) if on_gpu else "cpu",
        "dtype": kind,
        "quantization": kind,
        "attention": "llama.cpp",
        "compile": False,
        "build": str(xllamacpp.BUILD_INFO.get("commit")),
        "system": " ".join(xllamacpp.get_system_info().split()),
        **llama_parameters.facts(parameters),
    }


def _checked_kind(server: Any, job: Job) -> str:
    """The type of the file's weights, which must be the one asked for, if one is."""
    kind = str(binding.get(server, "/props").get("model_ftype"))
    wanted = job.engine.get("quantization")
    if wanted is not None and str(wanted).lower() != kind.lower():
        raise RunFailed(
            "bad_argument",
            f"engine.quantization is {wanted}, but the file's weights are {kind}",
        )
    return kind


def _raising(error: BaseException) -> Callable[[], bool]:
    def again() -> bool:
        if isinstance(error, RunFailed):
            raise error
        raise RunFailed("engine_error", f"{type(error).__name__}: {error}") from error

    return again


def _check_sampling(server: Any, sampling: dict[str, Any]) -> None:
    """llama.cpp passes over names it does not know, so compare with its own list first."""
    known = set(binding.get(server, "/props")["default_generation_settings"]["params"])
    known |= {"logit_bias", "grammar", "stop", "n_keep", "json_schema"}
    for name in sampling:
        if name not in known:
            raise RunFailed(
                "bad_argument",
                f"generate.{name}: llama.cpp has no such setting; it has "
                + ", ".join(sorted(known - {"stream", "n_predict", "max_tokens"})),
            )
    answer = server.handle_completions({**sampling, "prompt": [0, 0], "n_predict": 1})
    if "error" in answer:
        raise RunFailed("bad_argument", str(answer["error"].get("message", answer["error"])))
