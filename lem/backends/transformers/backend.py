"""Hugging Face transformers: ``generate`` with static batches, or ``generate_batch``.

A static batch of ``engine.max_batch_size`` requests is padded on the left and runs to its end
before the next one begins; ``args.continuous_batching: true`` batches continuously
(``continuous.py``; else ``static.py``). See ``docs/backends.md``.
"""

from pathlib import Path
from typing import Any

from lem.backends import checkpoints, doors
from lem.backends.huggingface import FastTokenizer, named, stay_offline
from lem.backends.protocol import CPU_TORCH, Engine, Load
from lem.backends.settings import number
from lem.backends.transformers import continuous as batching
from lem.backends.transformers.continuous import ContinuousBatches
from lem.backends.transformers.static import StaticBatches
from lem.contract.job import Job, Rejection
from lem.contract.spec import ModelSpec, Settings
from lem.errors import RunFailed
from lem.workloads.requests import Tokenizer

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
GUESSES = ("prompt_lookup_num_tokens", "assistant_early_exit")
"""Arguments of ``generate`` by which tokens are guessed ahead: several then come in a step."""
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
    cpu_packages = f'{CPU_TORCH} "lem-energy[transformers]"'

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
                if batching.asked_for(job.args):
                    batching.config(job)
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
        continuous = batching.asked_for(job.args)
        with named("bad_argument"):
            if continuous:
                batching.config(job)
            model = _build(job, device)
            arguments = _settle_generation(model, job)
        tokenizer = FastTokenizer(Path(job.model))
        kind = ContinuousBatches if continuous else StaticBatches
        engine = kind(job, model, tokenizer, device, arguments, _longest(job, model))
        engine.check()
        return engine


plugin = Transformers


def _build(job: Job, device: str) -> Any:
    """The model on ``device``, in evaluation mode; ``meta``: without weights."""
    stay_offline()
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    threads = number(job.engine, "threads")
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
    asked = number(job.engine, "max_model_len")
    if asked is not None and longest is not None and asked > longest:
        raise RunFailed(
            "bad_argument", f"engine.max_model_len is {asked}, but the model has {longest}"
        )
    return model.eval()


def _longest(job: Job, model: Any) -> int | None:
    """Tokens of context that a request may take; None where the model sets no limit."""
    asked = number(job.engine, "max_model_len")
    return int(asked) if asked else getattr(model.config, "max_position_embeddings", None)


def _here(job: Job) -> dict[str, Any]:
    return {"local_files_only": True, "trust_remote_code": job.trust_remote_code}


def _model_arguments(job: Job) -> dict[str, Any]:
    """``engine.*`` under transformers' names, and ``args.*`` untouched."""
    engine, arguments = job.engine, batching.without(job.args)
    doors.check(job.args, NOT_ARGUMENTS)
    for name, own in (("dtype", "dtype"), ("dtype", "torch_dtype")):
        if engine.get(name) is not None and own in arguments:
            raise RunFailed(
                "bad_argument", f"engine.{name} and args.{own} say the same thing twice"
            )
    if (number(engine, "tensor_parallel_size") or 1) > 1 and "device_map" not in arguments:
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
    temperature = float(number(generate, "temperature") or 0)
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
    if (number(arguments, "num_beams") or 1) > 1:
        raise RunFailed("unsupported", "generate.num_beams: a beam search's tokens have no times")
    if (number(arguments, "num_return_sequences") or 1) > 1:
        raise RunFailed(
            "unsupported", "generate.num_return_sequences: a request has one answer to count"
        )
    if guesses := [name for name in GUESSES if generate.get(name) is not None]:
        raise RunFailed(
            "unsupported",
            f"generate.{guesses[0]}: lem counts one token of each row a step, and there several "
            "come at once",
            hint="of the engines here vLLM guesses ahead: args.speculative_config, method ngram",
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
