"""The host's folders that an agent gets: checked before, handed over and taken back where the
invoking user is root, and the file through which secrets pass."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from lem.errors import EnvironmentFault

SECRETS_NAME = "environment"
MIN_FREE_BYTES = 64 * 2**20


def check_writable(folder: Path) -> None:
    """Raises :class:`EnvironmentFault` of kind ``disk`` where nothing can be written."""
    try:
        with tempfile.TemporaryFile(dir=folder) as f:
            f.write(b"x" * 4096)
            f.flush()
        free = shutil.disk_usage(folder).free
    except OSError as e:
        raise EnvironmentFault(
            f"{folder} cannot be written to: {e.strerror}",
            hint="choose another folder with --out",
            kind="disk",
        ) from e
    if free < MIN_FREE_BYTES:
        raise EnvironmentFault(
            f"{folder} has only {free // 2**20} MiB left",
            hint="make room there, or choose another folder with --out",
            kind="disk",
        )


def give(folder: Path, uid: int, gid: int) -> None:
    """Make everything in ``folder`` belong to ``uid``. Links are changed, never followed."""
    os.chown(folder, uid, gid, follow_symlinks=False)
    for _, folders, files, handle in os.fwalk(folder, follow_symlinks=False):
        for name in (*folders, *files):
            with suppress(FileNotFoundError):
                # A file with other names too could be someone else's, linked here.
                found = os.stat(name, dir_fd=handle, follow_symlinks=False)
                if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
                    continue
                os.chown(name, uid, gid, dir_fd=handle, follow_symlinks=False)


@contextmanager
def handed_over(folders: list[Path], uid: int, gid: int) -> Iterator[None]:
    """Within, the folders belong to ``uid``; afterwards to whom they belonged before."""
    before = [(f, f.stat().st_uid, f.stat().st_gid) for f in folders]
    try:
        for folder in folders:
            give(folder, uid, gid)
        yield
    finally:
        for folder, owner, group in before:
            give(folder, owner, group)


def disarm(folder: Path) -> None:
    """Take away set-user-id and set-group-id bits: what an agent left there with its user's rights,
    others on this machine could run with them."""
    for _, _, files, handle in os.fwalk(folder, follow_symlinks=False):
        for name in files:
            with suppress(FileNotFoundError, PermissionError):
                mode = os.stat(name, dir_fd=handle, follow_symlinks=False).st_mode
                if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                    os.chmod(name, mode & 0o777, dir_fd=handle)


@contextmanager
def secrets_folder(
    secrets: Mapping[str, str], uid: int, gid: int, memory: Path = Path("/dev/shm")
) -> Iterator[Path | None]:
    """A folder with one file of ``NAME=value`` lines that only ``uid`` can read, in memory where
    the machine has such a place; None where there are no secrets. Gone afterwards.

    Files, because a container's environment and arguments can be read by anyone who may inspect
    it.
    """
    if not secrets:
        yield None
        return
    for name, value in secrets.items():
        if "=" in name or "\0" in value or len((name + value).splitlines()) != 1:
            raise EnvironmentFault(f"the secret {name.partition('=')[0]!r} has a line break in it")
    place = memory if os.access(memory, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="lem-", dir=place))
    try:
        file = folder / SECRETS_NAME
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as f:
            f.writelines(f"{name}={value}\n" for name, value in secrets.items())
        if os.getuid() == 0:
            give(folder, uid, gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
