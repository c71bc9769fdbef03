"""An image as a tree of files, for Charliecloud."""

import os
import subprocess
from pathlib import Path

from lem.errors import EnvironmentFault
from lem.launchers import flatten
from lem.launchers.converted import Form

TREE = "tree"
PLACES = (
    "run",
    "requests",
    "models",
    "compiled",
    "source",
    "lem-secrets",
    "powercap",
    "tmp",
    "driver",
)
"""Folders that lem mounts over."""


def unpack(archive: flatten.Archive, folder: Path) -> None:
    """Into ``folder/tree``, by GNU tar, which follows no link of the archive's; then lem's own
    places are made."""
    target = folder / TREE
    target.mkdir()
    tar = subprocess.Popen(
        [
            *("tar", "--extract", "--file=-", f"--directory={target}", "--no-same-owner"),
            *("--no-same-permissions", "--delay-directory-restore", "--exclude=./dev/*"),
        ],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
    )
    assert tar.stdin is not None and tar.stderr is not None
    try:
        flatten.flatten(archive, tar.stdin)
        tar.stdin.close()
    except BrokenPipeError:
        pass
    finally:
        why = tar.stderr.read().decode(errors="replace").strip()
        status = tar.wait()
    if status != 0:
        raise EnvironmentFault(f"the image could not be unpacked: {why[-500:]}", kind="disk")
    for name in (*PLACES, "dev", "proc", "sys", "etc", "home"):
        place = target / name
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            place.unlink()
        place.mkdir(exist_ok=True)


FORM = Form("rootfs", unpack)
