"""Where engines keep what they compile (kernels, graphs), so that not every run pays for it.

What a run leaves there is code that later runs load. So each image, and each interpreter of the
process launcher, has a folder of its own, and in it each prepared model: nothing that one image or
one model's code left is ever loaded by another. See ``docs/security.md``.
"""

import hashlib
import os
import shutil
from collections.abc import Collection
from pathlib import Path

from lem.contract.base import canonical_json
from lem.launchers.folders import give
from lem.launchers.protocol import Prepared

FOLDER = "compiled"
PRIVATE = 0o700
DIGITS = 24

VARIABLES = {
    "VLLM_CACHE_ROOT": "vllm",
    "TORCHINDUCTOR_CACHE_DIR": "torchinductor",
    "TORCH_EXTENSIONS_DIR": "torch-extensions",
    "TRITON_CACHE_DIR": "triton",
    "CUDA_CACHE_PATH": "cuda",
    "FLASHINFER_WORKSPACE_BASE": "flashinfer",
    "DG_JIT_CACHE_DIR": "deep-gemm",
    "CUTE_DSL_CACHE_DIR": "cute-dsl",
    "NUMBA_CACHE_DIR": "numba",
    "SGLANG_CACHE_DIR": "sglang",
}
"""Variable by which an engine or a library is told where to keep it → folder's name."""


def place(cache: Path, prepared: Prepared, model: str) -> Path:
    """The folder for one prepared model (``model``: its folder's name in the cache) in one image or
    with one interpreter. Not made yet."""
    return cache / FOLDER / key(prepared) / model


def key(prepared: Prepared) -> str:
    """The image's id; without an image, a hash of the interpreter's path and all versions."""
    if prepared.image is not None:
        return prepared.image.rpartition(":")[2][:DIGITS]
    what = [prepared.setup.python, prepared.described.model_dump()]
    return "process-" + hashlib.sha256(canonical_json(what)).hexdigest()[:DIGITS]


def make(folder: Path, uid: int, gid: int) -> None:
    """Make the folder where it is missing, for ``uid`` alone.

    The one above all of them is the invoking user's: nobody else's way leads there.
    """
    above = [p for p in folder.parents if FOLDER in p.parts]
    for part in (*reversed(above), folder):
        part.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    if os.getuid() == 0 and folder.stat().st_uid != uid:
        give(folder, uid, gid)


def environment(seen: Path) -> dict[str, str]:
    """The variables for an agent that sees the folder at ``seen``."""
    return {name: str(seen / folder) for name, folder in VARIABLES.items()}


def forget(cache: Path, images: Collection[str]) -> int:
    """Remove the folders of images that are gone, given the ids of those that are there; how many.
    Those of interpreters stay."""
    kept = {i.rpartition(":")[2][:DIGITS] for i in images}
    gone = 0
    for folder in (cache / FOLDER).glob("*"):
        if folder.name not in kept and not folder.name.startswith("process-"):
            shutil.rmtree(folder, ignore_errors=True)
            gone += 1
    return gone
