"""Hugging Face transformers: ``generate`` with static batches, or ``generate_batch``.

A static batch of ``engine.max_batch_size`` requests is padded on the left and runs to its end
before the next one begins; ``args.continuous_batching: true`` batches continuously
(``transformers_continuous.py``). See ``docs/backends.md``.
"""

import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lem.backends import checkpoints, doors, transformers_continuous
from lem.backends.huggingface import FastTokenizer, named, stay_offline
from lem.backends.protocol import Engine, Load, ScoredBy
from lem.backends.transformers_continuous import ContinuousBatches
from lem.backends.transformers_facts import facts_of
from lem.backends.transformers_scores import likelihoods_of, nll_of
from lem.contract.base import Scalar
from lem.contract.job import Job, Rejection
from lem.contract.spec import ModelSpec, Settings
from lem.errors import RunFailed
from lem.workloads.likelihood import Passage, Scored
from lem.workloads.load import Sink, Source
from lem.workloads.requests import Request, Tokenizer

OWN_GENERATE = ("temperature", "ignore_eos")
NOT_ARGUMENTS = frozenset(
    {
        "adapter_kwargs",
        "allow_all_kernels",
        "cache_dir",
        "code_revision",
        "config",
        "force_download",
        "generation_config",
        "gguf_file",
        "kernel_config",
        "key_mapping",
        "local_files_only",
        "offload_folder",
        "pretrained_model_name_or_path",
        "proxies",
        "revision",
        "state_dict",
        "subfolder",
        "token",
        "trust_remote_code",
        "use_auth_token",
        "use_safetensors",
        "weights_only",
    }
)
"""Arguments of ``from_pretrained`` that would load something else, run code that nobody said to
trust, or write files."""
NOT_GENERATE = frozenset({"custom_generate", "trust_remote_code", "assistant_model"})
"""Arguments of ``generate`` that would run code of a folder, or another model."""
NO_SERVER = (
    "transformers' own server takes prompts as text alone, so its token counts would not be those "
    "of the request list: transformers is driven offline only"
)


class Transformers:
    """The backend; fills :class:`lem.backends.protocol.Backend`."""

    name = "transformers"
    loads: tuple[Load, ...] = ("offline",)
    distribution = "transformers"
    libraries = ("torch", "tokenizers", "safetensors", "accelerate", "huggingface_hub", "numpy")

    def prepare(self, model: ModelSpec, source: Path | None, target: Path, trust: bool) -> str:
        return checkpoints.prepare(model, source, target, trust)

    def tokenizer(self, path: Path) -> Tokenizer:
        stay_offline()
        return FastTokenizer(path)

    def gpus_needed(self, engine: Settings, args: Settings) -> int | None:
        """One, but with ``device_map``: those that are named, or all that there are."""
        size = engine.get("tensor_parallel_size")
        if isinstance(size, int):
            return size
        return None if args.get("device_map") is not None else 1

    def reject(self, job: Job) -> list[Rejection]:
        """Builds the model without weights (on the ``meta`` device) and checks generation."""
        try:
            with named("bad_argument"):
                model = _build(job, "meta")
                _settle_generation(model, job)
                if transformers_continuous.asked_for(job.args):
                    transformers_continuous.config(job)
        except RunFailed as e:
            return [Rejection(arm_id=job.arm_id, argument=None, message=e.message)]
        return []

    def load(self, job: Job) -> Engine:
        import torch

        if job.workload.arrival.kind != "offline":
            raise RunFailed("unsupported", NO_SERVER, hint="use arrival: {kind: offline}")
        device = "cuda" if job.gpus else "cpu"
        if job.gpus and not torch.cuda.is_available():
            raise RunFailed(
                "unsupported",
                "GPUs were asked for, but this torch sees none",
                hint="use a CUDA build of torch and a driver it works with, or `gpus: []`",
            )
        torch.manual_seed(job.seed)
        continuous = transformers_continuous.asked_for(job.args)
        with named("bad_argument"):
            if continuous:
                transformers_continuous.config(job)
            model = _build(job, device)
            arguments = _settle_generation(model, job)
        tokenizer = FastTokenizer(Path(job.model))
        engine: StaticBatches | ContinuousBatches
        if continuous:
            longest = _longest(job, model)
            engine = ContinuousBatches(job, model, tokenizer, device, arguments, longest)
        else:
            engine = StaticBatches(job, model, tokenizer, device, arguments)
        engine.check()
        return engine


plugin = Transformers


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
    ) -> None:
        engine = job.engine
        self._model = model
        self._tokenizer = tokenizer
        self._device = device
        self._arguments = arguments
        self._ignore_eos = bool(job.generate.get("ignore_eos", False))
        self._batch = int(_number(engine, "max_batch_size") or 1)
        self._longest = _longest(job, model)
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


def _build(job: Job, device: str) -> Any:
    """The model on ``device``, in evaluation mode; ``meta``: without weights."""
    stay_offline()
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    threads = _number(job.engine, "threads")
    if threads is not None:
        import torch

        torch.set_num_threads(int(threads))
    path = Path(job.model)
    arguments = _model_arguments(job)
    spec = checkpoints.read_synthetic(path)
    if spec is not None:
        config = AutoConfig.from_pretrained(str(path), local_files_only=True)
        model = checkpoints.build_synthetic(config, spec.seed, device, **arguments)
    elif device == "meta":
        arguments["device_map"] = "meta"
        model = AutoModelForCausalLM.from_pretrained(str(path), **_here(job), **arguments)
    else:
        model = AutoModelForCausalLM.from_pretrained(str(path), **_here(job), **arguments)
        if "device_map" not in arguments:
            model = model.to(device)
    longest = getattr(model.config, "max_position_embeddings", None)
    asked = _number(job.engine, "max_model_len")
    if asked is not None and longest is not None and asked > longest:
        raise RunFailed(
            "bad_argument", f"engine.max_model_len is {asked}, but the model has {longest}"
        )
    return model.eval()


def _longest(job: Job, model: Any) -> int | None:
    """Tokens of context that a request may take; None where the model sets no limit."""
    asked = _number(job.engine, "max_model_len")
    return int(asked) if asked else getattr(model.config, "max_position_embeddings", None)


def _here(job: Job) -> dict[str, Any]:
    return {"local_files_only": True, "trust_remote_code": job.trust_remote_code}


def _model_arguments(job: Job) -> dict[str, Any]:
    """``engine.*`` under transformers' names, and ``args.*`` untouched."""
    engine, arguments = job.engine, transformers_continuous.without(job.args)
    doors.check(job.args, NOT_ARGUMENTS)
    for name, own in (("dtype", "dtype"), ("dtype", "torch_dtype")):
        if engine.get(name) is not None and own in arguments:
            raise RunFailed(
                "bad_argument", f"engine.{name} and args.{own} say the same thing twice"
            )
    if (_number(engine, "tensor_parallel_size") or 1) > 1 and "device_map" not in arguments:
        raise RunFailed(
            "unsupported",
            "engine.tensor_parallel_size: one process of transformers cannot split its layers",
            hint='spread them over the GPUs with args.device_map: "auto"',
        )
    if engine.get("quantization") is not None:
        raise RunFailed(
            "unsupported",
            f"engine.quantization: {engine['quantization']} has no name in transformers",
            hint="say it in transformers' own words with args.quantization_config",
        )
    if "torch_dtype" not in arguments:
        arguments.setdefault("dtype", engine.get("dtype") or "auto")
    return arguments


def _settle_generation(model: Any, job: Job) -> dict[str, Any]:
    """What is passed to every ``generate``.

    Defaults that a model's ``generation_config.json`` hides (sampling, penalties) would make this
    engine do something else than the others, so of that file only the special tokens stay.
    """
    from transformers import GenerationConfig

    generate = dict(job.generate)
    if closed := sorted(NOT_GENERATE & set(generate)):
        raise RunFailed("bad_argument", f"generate.{closed[0]} is not for campaigns to set")
    temperature = float(_number(generate, "temperature") or 0)
    own = model.generation_config
    ends = own.eos_token_id if own.eos_token_id is not None else model.config.eos_token_id
    pad = own.pad_token_id
    if pad is None:
        pad = (ends[0] if isinstance(ends, list) else ends) or 0
    model.generation_config = GenerationConfig(
        bos_token_id=own.bos_token_id, eos_token_id=ends, pad_token_id=pad
    )
    arguments: dict[str, Any] = {k: v for k, v in generate.items() if k not in OWN_GENERATE}
    if temperature > 0:
        arguments = {"top_k": 0, "top_p": 1.0} | arguments
        arguments |= {"do_sample": True, "temperature": temperature}
    else:
        arguments["do_sample"] = False
    if (_number(arguments, "num_beams") or 1) > 1:
        raise RunFailed("unsupported", "generate.num_beams: a beam search's tokens have no times")
    if (_number(arguments, "num_return_sequences") or 1) > 1:
        raise RunFailed(
            "unsupported", "generate.num_return_sequences: a request has one answer to count"
        )
    check = GenerationConfig(eos_token_id=ends, pad_token_id=pad, max_new_tokens=1)
    unknown = check.update(**arguments)
    check.validate()
    # What generate does first, without the part that needs weights. These two are not public, so
    # where a version lacks them the check after loading has to do.
    if hasattr(model, "_validate_model_kwargs"):
        model._validate_model_kwargs(unknown)
    if hasattr(model, "_get_logits_processor"):
        model._get_logits_processor(check, input_ids_seq_length=1)
    return arguments


def _compiles(arguments: dict[str, Any], device: str) -> bool:
    """``generate`` compiles the forward pass by itself for a static cache on an accelerator."""
    static = "static" in str(arguments.get("cache_implementation", ""))
    return static and device != "cpu" and not arguments.get("disable_compile", False)


def _number(settings: Any, name: str) -> int | float | None:
    value = settings.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RunFailed("bad_argument", f"{name} is {value!r}, not a number")
    return value
