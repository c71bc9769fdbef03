"""The part of NVIDIA's driver that containers take from the node: engines bring their own CUDA, but
these libraries have to be those of the kernel's module."""

import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

LIBRARIES = (
    "libcuda.so.1",
    "libnvidia-ml.so.1",
    "libnvidia-ptxjitcompiler.so.1",
    "libnvidia-nvvm.so.4",
    "libnvidia-gpucomp.so",
    "libcudadebugger.so.1",
)
PLACE = "/driver"
"""In the container, first on its search path."""
_LINE = re.compile(r"\s*(\S+) \(libc6,(?:x86-64|AArch64)[^)]*\) => (/\S+)")


def libraries(listed: str | None = None) -> dict[str, Path]:
    """Those that the node has: name → file. ``listed``: what ``ldconfig -p`` says."""
    text = _ldconfig() if listed is None else listed
    found: dict[str, Path] = {}
    for line in text.splitlines():
        if (m := _LINE.fullmatch(line)) and (name := _wanted(m[1])) is not None:
            found.setdefault(name, Path(m[2]).resolve())
    return found


def mounts(found: Mapping[str, Path]) -> list[tuple[Path, str, bool]]:
    """Source, target, whether it may be written."""
    return [(path, f"{PLACE}/{name}", False) for name, path in sorted(found.items())]


def search_path(found: Mapping[str, Path], own: str) -> dict[str, str]:
    """The variable with which the container finds them; ``own``: the image's own value of it."""
    return {"LD_LIBRARY_PATH": f"{PLACE}:{own}".rstrip(":")} if found else {}


def _wanted(name: str) -> str | None:
    if name in LIBRARIES:
        return name
    # Has its driver's version in its name, and is looked for by that name.
    return name if name.startswith("libnvidia-gpucomp.so.") else None


def _ldconfig() -> str:
    path = f"{os.environ.get('PATH', os.defpath)}:/sbin:/usr/sbin"
    try:
        done = subprocess.run(
            ["ldconfig", "-p"],
            env={"PATH": path, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
