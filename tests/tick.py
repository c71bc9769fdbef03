"""Small campaigns over the out-of-tree test backend, whose runs take about a second."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from lem.stores.counted import counted
from lem.stores.folder import outcomes
from lem.stores.index_file import FILE_NAME

LEM = [sys.executable, "-m", "lem.cli.main"]


def write_campaign(path: Path, **changes: Any) -> Path:
    """A campaign of three experiments × three blocks, with ``changes`` at the top level."""
    spec: dict[str, Any] = {
        "version": 1,
        "name": "tick",
        "models": [{"id": "nothing", "synthetic": {}}],
        "backends": {"tick": {}},
        "sweep": {"engine.max_batch_size": [1, 4, 16]},
        "workload": {
            "requests": 20,
            "dataset": {"kind": "random", "input_tokens": 8, "output_tokens": 4},
        },
        "measure": {
            "preset": "quick",
            "window_s": 0.1,
            "idle_s": 0.02,
            "settle_s": 0,
            "warm_up_cap_s": 0.05,
        },
        "launcher": "process",
    }
    path.write_text(yaml.safe_dump(spec | changes))
    return path


def lem(*arguments: str | Path, cache: Path, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run the command line as a user would."""
    return subprocess.run(
        [*LEM, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment(cache),
        stdin=subprocess.DEVNULL,
        check=False,
        **options,
    )


def environment(cache: Path) -> dict[str, str]:
    """The environment of such a command, with its own cache."""
    return {**os.environ, "LEM_CACHE": str(cache), "NO_COLOR": "1", "COLUMNS": "120"}


def counted_places(folder: Path) -> list[tuple[int, str]]:
    """Block and arm of every attempt that enters an estimate."""
    return [(o.block, o.arm_id) for o in counted(outcomes(folder))]


def half_written(folder: Path) -> list[Path]:
    """Files that were being written when something died."""
    return [
        p
        for p in folder.rglob("*")
        if p.is_file() and p.name.startswith(".") and p.name not in (".lock", FILE_NAME)
    ]


def processes_of(folder: Path) -> list[int]:
    """Processes that still work for this campaign folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"lem.agent" in line and str(folder).encode() in line:
            found.append(int(entry.name))
    return found
