"""An image as a tree of files, for Charliecloud."""

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from lem.errors import EnvironmentFault
from lem.launchers import flatten
from lem.launchers.converted import Form

TREE = "tree"
SPARE_BYTES = 2**30
"""Left free on the disk."""
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
    places are made. Raises as :func:`lem.launchers.flatten.flatten`."""
    target = folder / TREE
    target.mkdir()
    # Its files have the image's modes below this: whoever the agent is, it is not lem's own umask.
    target.chmod(0o755)
    tar = subprocess.Popen(
        [
            *("tar", "--extract", "--file=-", f"--directory={target}", "--no-same-owner"),
            *("--no-same-permissions", "--delay-directory-restore", "--exclude=./dev/*"),
        ],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        umask=0o022,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
    )
    assert tar.stdin is not None and tar.stderr is not None
    try:
        room = shutil.disk_usage(folder).free - SPARE_BYTES
        flatten.flatten(archive, tar.stdin, max(0, room))
        tar.stdin.close()
    except BrokenPipeError:
        pass
    except BaseException:
        tar.kill()
        raise
    finally:
        # tar waits for the rest as long as this is open, and so would we for tar.
        with suppress(BrokenPipeError):
            tar.stdin.close()
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
