"""Engines that work in processes of their own: what those need, why they end, and how much GPU
memory is in use."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from lem.backends.huggingface import MEMORY_WORDS
from lem.backends.overheard import Overheard
from lem.contract.job import Job
from lem.errors import RunFailed

LINES = 40
LESS_MEMORY = (
    "lower engine.max_batch_size or engine.max_model_len, the engine's share of GPU memory, or use "
    "a smaller dtype"
)
LAST_WORDS_S = 0.3


def need_gpus(job: Job, engine: str, hint: str) -> None:
    """Raises :class:`RunFailed` (``unsupported``) where there is no GPU for the engine."""
    if not job.gpus:
        raise RunFailed("unsupported", f"{engine} runs on GPUs, and this run has none", hint=hint)
    import torch

    if not torch.cuda.is_available():
        raise RunFailed(
            "unsupported",
            f"GPUs were asked for, but the torch beside {engine} sees none",
            hint="check the driver with `lem doctor`; the engine's CUDA version needs a driver at "
            "least as new",
        )


@contextmanager
def installed(engine: str, hint: str) -> Iterator[None]:
    """An engine, or a library of its, that cannot be imported is a fault of the image
    (:class:`RunFailed`, ``image``)."""
    try:
        yield
    except ImportError as e:
        words = " ".join(str(e).split())[:500]
        raise RunFailed("image", f"{engine} cannot be imported: {words}", hint=hint) from e


def failure(heard: Overheard, what: str) -> RunFailed:
    """Why a worker ended, as far as its last words tell it: a worker that dies tells the reason
    there and nowhere else."""
    # They may still be on their way here.
    time.sleep(LAST_WORDS_S)
    said = [line.strip() for line in heard.text.splitlines()[-LINES:]]
    memory = next((li for li in said if any(w in li.lower() for w in MEMORY_WORDS)), None)
    if memory is not None:
        return RunFailed("out_of_memory", memory[:500], hint=LESS_MEMORY)
    reason = next((li for li in reversed(said) if "error" in li.lower()), "")
    return RunFailed("engine_error", f"{what}: {reason}"[:1000] if reason else what)


def descendants(root: Path = Path("/proc")) -> list[int]:
    """Processes that this one started, and those that they started."""
    children: dict[int, list[int]] = {}
    for folder in root.iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError, ValueError, IndexError):
            # The name, in brackets, may hold anything; the parent is the second field after it.
            parent = int(
                (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[1]
            )
            children.setdefault(parent, []).append(int(folder.name))
    found: list[int] = []
    todo = [os.getpid()]
    while todo:
        mine = children.get(todo.pop(), [])
        found += mine
        todo += mine
    return sorted(found)


def gpu_used_bytes(gpus: Sequence[int]) -> int | None:
    """Memory in use on these GPUs by everybody; None where NVML does not tell."""
    try:
        import pynvml as nvml
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return None
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in gpus]
        return sum(int(nvml.nvmlDeviceGetMemoryInfo(h).used) for h in handles)
    except nvml.NVMLError:
        return None
    finally:
        nvml.nvmlShutdown()
