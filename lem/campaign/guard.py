"""What protects a campaign folder while it is being run: one host at a time, a clean end, typed
errors of the disk."""

import errno
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from lem.errors import BadInput, EnvironmentFault, Interrupted


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Only one lem at a time may run a campaign folder; the kernel frees it when we end."""
    with typed_disk_errors(folder):
        flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        handle = os.open(folder / ".lock", flags, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            if e.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise EnvironmentFault(
                    f"{folder} is on a file system without locks ({e.strerror}), so that two hosts "
                    "could run it at once",
                    hint="choose another folder with --out; Lustre has locks where it is mounted "
                    "with flock",
                    kind="disk",
                ) from e
            raise EnvironmentFault(
                f"another lem is running this campaign in {folder}",
                hint="wait for it, or watch it: lem campaign status --follow",
            ) from e
        yield
    finally:
        os.close(handle)


OWN = (
    *(".lock", "blocks", "files", "requests", "campaign.lock.json"),
    *("cluster", "cluster/claims", "cluster/logs", "cluster/accounted", "cluster/jobs.json"),
)
"""What lem writes and mounts in a campaign folder."""


def check_links(folder: Path) -> None:
    """Raise :class:`BadInput` where a part of the folder is a link: a folder that came from
    somebody else could lead lem, or the container, to other places of this machine."""
    for name in OWN:
        if (folder / name).is_symlink():
            raise BadInput(
                f"{folder / name} is a link, which may lead out of the campaign's folder",
                hint="put what it leads to in its place; the folder itself may be a link",
            )


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM, and SIGHUP (its terminal was closed) where that is not ignored, end a campaign as
    cleanly as Ctrl-C does."""

    def stop(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    ends = [signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup leaves it
        ends.append(signal.SIGHUP)
    try:
        before = {number: signal.signal(number, stop) for number in ends}
    except ValueError:  # not the main thread: the caller handles signals
        yield
        return
    try:
        yield
    except KeyboardInterrupt as e:
        raise Interrupted("interrupted") from e
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def typed_disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EnvironmentFault(
                f"no room left on the disk of {folder}",
                hint="make room, then run again: it goes on where it stopped",
                kind="disk",
            ) from e
        if e.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise EnvironmentFault(
                f"{folder} cannot be written to ({e.strerror})",
                hint="choose another folder with --out",
                kind="disk",
            ) from e
        raise
