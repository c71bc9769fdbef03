"""What was sent, byte for byte: one tar a submission, ``packs/<first two digits>/<sha256>.tar``.

A pack is written before the transaction that names it commits, so that what is acknowledged is
there. One whose transaction failed is named by no row; :meth:`Packs.sweep` removes it later.
"""

import os
import re
import stat
import tempfile
import time
from collections.abc import Container, Iterator
from contextlib import suppress
from pathlib import Path

from lem.archive.reasons import refused
from lem.archive.refused import Refused

_SHA256 = re.compile(r"[0-9a-f]{64}")
_PACK = re.compile(r"[0-9a-f]{64}\.tar")
SWEEP_AFTER_S = 3600.0
"""A pack without a row may be one whose transaction is still under way."""


class Packs:
    """The packs below a folder, which is made where it is needed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, content_sha256: str) -> Path:
        """Where a pack lies, or would."""
        if not _SHA256.fullmatch(content_sha256):
            raise ValueError("not a SHA-256 in hexadecimal digits")
        return self.folder / content_sha256[:2] / f"{content_sha256}.tar"

    def put(self, content_sha256: str, body: bytes) -> bool:
        """Write a pack so that it outlasts a power cut: aside, fsync, rename, fsync the folders.
        Returns whether it is new; one that is there stays as it is, if it is the same."""
        path = self.path(content_sha256)
        if path.is_file() and path.stat().st_size == len(body) and path.read_bytes() == body:
            os.utime(path)
            _sync_folder(path.parent)
            return False
        new = not path.parent.is_dir()
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(dir=path.parent, prefix=".aside-")
        try:
            with os.fdopen(handle, "wb") as f:
                f.write(body)
                f.flush()
                os.fsync(f.fileno())
            Path(aside).replace(path)
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
        if new:
            _sync_folder(self.folder)
        return True

    def read(self, content_sha256: str, offset: int, length: int) -> bytes:
        """A piece of a pack. Raises :class:`Refused` (``pack_missing``) where it is not whole."""
        try:
            handle = os.open(self.path(content_sha256), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(handle, "rb") as f:
                f.seek(offset)
                data = f.read(length)
        except OSError as e:
            raise _missing() from e
        if len(data) != length:
            raise _missing()
        return data

    def whole(self, content_sha256: str) -> bytes:
        """A pack. Raises :class:`Refused` (``pack_missing``) where it is not there."""
        try:
            return self.path(content_sha256).read_bytes()
        except OSError as e:
            raise _missing() from e

    def delete(self, content_sha256: str) -> None:
        """Remove a pack, if it is there."""
        path = self.path(content_sha256)
        with suppress(FileNotFoundError):
            path.unlink()
            _sync_folder(path.parent)

    def every(self) -> Iterator[str]:
        """The SHA-256 of each pack, in order."""
        if not self.folder.is_dir():
            return
        for folder in sorted(self.folder.iterdir()):
            if folder.is_dir() and not folder.is_symlink():
                for path in sorted(folder.iterdir()):
                    if _PACK.fullmatch(path.name):
                        yield path.stem

    def sweep(self, known: Container[str], older_than_s: float = SWEEP_AFTER_S) -> int:
        """Remove what no row names and what was left half written, if it is old enough to belong to
        no transaction that is under way. Returns how many files went."""
        if not self.folder.is_dir():
            return 0
        before = time.time() - older_than_s
        gone = 0
        for path in self.folder.glob("*/*"):
            if _PACK.fullmatch(path.name) and path.stem in known:
                continue
            if not _PACK.fullmatch(path.name) and not path.name.startswith(".aside-"):
                continue
            with suppress(FileNotFoundError):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and status.st_mtime <= before:
                    path.unlink()
                    gone += 1
        return gone


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _missing() -> Refused:
    return refused("pack_missing")
