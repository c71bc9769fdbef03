"""What stood on a board before lem changed it: a small document on this machine, written first.

One a board, in :func:`state_folder`. While its lock is held, the process that wrote it lives; the
kernel frees the lock however that process ends. A document whose lock is free was left behind.
"""

import fcntl
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field, ValidationError

from lem.contract.base import Part, write_atomic
from lem.errors import EnvironmentFault

OF_ROOT = Path("/run/lem")
UUID = re.compile(r"GPU-[0-9a-fA-F-]{8,40}", re.ASCII)
MAX_BYTES = 65536
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Journal(Part):
    """Of this machine and this boot alone: never migrated; one that cannot be read is none."""

    schema_version: Literal[1] = 1
    uuid: Annotated[str, Field(pattern=rf"^{UUID.pattern}$")]
    boot_id: str
    pid: int
    written_at: str
    limit_before_mw: Annotated[int, Field(gt=0, le=100_000_000)] | None
    """None where the limit is not changed."""
    limit_set_mw: Annotated[int, Field(gt=0, le=100_000_000)] | None
    clock_locked_mhz: Annotated[int, Field(gt=0)] | None
    """The driver does not tell what clocks were locked to before: they are freed."""


class Left(NamedTuple):
    """A document found, and what is known of its writer."""

    path: Path
    journal: Journal
    in_use: bool | None
    """Whether its process lives; None where this user cannot tell."""
    same_boot: bool

    @property
    def words(self) -> str:
        j = self.journal
        changed = []
        if j.limit_set_mw is not None and j.limit_before_mw is not None:
            before, ours = j.limit_before_mw / 1e3, j.limit_set_mw / 1e3
            changed.append(f"a power limit of {ours:g} W (before: {before:g} W)")
        if j.clock_locked_mhz is not None:
            changed.append(f"an SM clock locked to {j.clock_locked_mhz} MHz")
        return f"{j.uuid}: {' and '.join(changed) or 'nothing'}, set by process {j.pid}"


def write(journal: Journal, path: Path) -> None:
    """Whole and on the disk, or not at all."""
    write_atomic(path, journal.model_dump_json().encode())


def state_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """Where this user's documents are: ``$LEM_STATE``, else root's is ``/run/lem``, anybody else's
    ``$XDG_RUNTIME_DIR/lem`` or ``~/.local/state/lem``."""
    if named := environ.get("LEM_STATE"):
        return Path(named).absolute()
    if os.geteuid() == 0:
        return OF_ROOT
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        return Path(runtime) / "lem"
    return Path("~/.local/state/lem").expanduser()


def boot_id() -> str:
    return BOOT_ID.read_text().strip()


def path_of(folder: Path, uuid: str) -> Path:
    """Raises :class:`EnvironmentFault` for what is no board's UUID: it becomes a file's name."""
    if UUID.fullmatch(uuid) is None:
        raise EnvironmentFault(f"the driver calls a board {uuid[:60]!r}, which is no UUID")
    return folder / f"{uuid}.json"


@contextmanager
def held(folder: Path, uuid: str) -> Iterator[Path]:
    """Within, this board is ours alone to set; the path of its document.

    Raises :class:`EnvironmentFault` where another lem has it, or the folder is not safe.
    """
    path = path_of(folder, uuid)
    handle = _open_lock(folder, path)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            raise EnvironmentFault(
                f"another lem is setting the board {uuid}", "wait until its run has ended"
            ) from e
        yield path
    finally:
        os.close(handle)


def _open_lock(folder: Path, path: Path) -> int:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or not _is_ours(status) or _others_write(status):
            raise EnvironmentFault(
                f"{folder} belongs to somebody else, or others can write to it",
                "what is in it says what to set boards to: make it this user's alone",
            )
        flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        # Root's lock is not for others to hold.
        return os.open(path.with_suffix(".lock"), flags, 0o600)
    except OSError as e:
        raise EnvironmentFault(
            f"{folder} cannot be written to ({e.strerror}), where lem notes what to put back",
            "set LEM_STATE to a folder of this user's alone",
        ) from e


def read(path: Path) -> Journal | None:
    """The document, if there is one that this user may believe: its own, or root's."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as f:
            status = os.fstat(handle)
            plain = stat.S_ISREG(status.st_mode)
            if not plain or status.st_uid not in (0, os.geteuid()) or _others_write(status):
                return None
            journal = Journal.model_validate_json(f.read(MAX_BYTES))
    except (OSError, ValidationError):
        return None
    return journal if f"{journal.uuid}.json" == path.name else None


def left(*folders: Path) -> list[Left]:
    """Every document in these folders (default: this user's and root's), sorted; changes
    nothing."""
    found = []
    here = boot_id()
    for folder in dict.fromkeys(folders or (state_folder(), OF_ROOT)):
        for path in sorted(folder.glob("GPU-*.json")):
            journal = read(path)
            if journal is not None:
                found.append(Left(path, journal, _in_use(path), journal.boot_id == here))
    return found


def _in_use(path: Path) -> bool | None:
    try:
        handle = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(handle)


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid == os.geteuid()


def _others_write(status: os.stat_result) -> bool:
    return bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
