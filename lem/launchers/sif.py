"""An image as one file, for Apptainer."""

import os
import shutil
import subprocess
from pathlib import Path

from lem.errors import BadInput, EnvironmentFault
from lem.launchers import flatten
from lem.launchers.converted import Form

FILE = "image.sif"
BUILD_TIMEOUT_S = 3600.0


def build(program: str, archive: flatten.Archive, folder: Path) -> None:
    """By Apptainer's own reader of Docker archives, as this user. That one holds no layer against
    the image's id, so it is done here.

    Raises :class:`BadInput` as :func:`lem.launchers.flatten.verified`, and where the archive's path
    cannot be told to Apptainer.
    """
    if ":" in str(archive.path):
        raise BadInput(
            f"{archive.path}: {program} takes no archive with ':' in its path",
            hint="put it, or the cache, elsewhere",
        )
    command = words(program, archive.path, folder / FILE)
    with flatten.verified(archive, shutil.disk_usage(folder).free):
        try:
            done = subprocess.run(
                command,
                env={k: v for k, v in os.environ.items() if k in KEPT},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=BUILD_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as e:
            raise EnvironmentFault(f"{program} cannot be run: {e}", kind="image") from e
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip()[-1000:]
        raise EnvironmentFault(f"{program} could not make an image: {last}", kind="image")


KEPT = ("PATH", "HOME", "USER", "TMPDIR", "APPTAINER_TMPDIR", "APPTAINER_CACHEDIR")


def words(program: str, archive: Path, file: Path) -> list[str]:
    return [program, "build", "--disable-cache", str(file), f"docker-archive:{archive}"]


def form(program: str) -> Form:
    return Form("sif", lambda archive, folder: build(program, archive, folder))
