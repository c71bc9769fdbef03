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
_ASIDE = ".aside-"
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

    def prepare(self, content_sha256: str, body: bytes) -> Path:
        """Write a pack aside, so that it outlasts a power cut; :meth:`place` puts it where it
        belongs."""
        path = self.path(content_sha256)
        new = not path.parent.is_dir()
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(dir=path.parent, prefix=_ASIDE)
        try:
            with os.fdopen(handle, "wb") as f:
                f.write(body)
                f.flush()
                os.fsync(f.fileno())
        except BaseException:
            Path(aside).unlink(missing_ok=True)
            raise
        if new:
            _sync_folder(self.folder)
        return Path(aside)

    def place(self, content_sha256: str, aside: Path) -> None:
        """Put a prepared pack where it belongs; one that is there already has the same content and
        gives way (another signature, a nonce that was not used in the end)."""
        path = self.path(content_sha256)
        aside.replace(path)
        _sync_folder(path.parent)

    def put(self, content_sha256: str, body: bytes) -> None:
        """Write a pack, in one step."""
        self.place(content_sha256, self.prepare(content_sha256, body))

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

    def strays(self, known: Container[str], older_than_s: float = SWEEP_AFTER_S) -> list[Path]:
        """Packs that no row names and what was left half written, if they are old enough to belong
        to no transaction that is under way."""
        before = time.time() - older_than_s
        found: list[Path] = []
        for path in self.folder.glob("*/*") if self.folder.is_dir() else ():
            pack = _PACK.fullmatch(path.name) is not None
            if (path.stem in known) if pack else not path.name.startswith(_ASIDE):
                continue
            with suppress(FileNotFoundError):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode) and status.st_mtime <= before:
                    found.append(path)
        return found

    def sweep(self, known: Container[str], older_than_s: float = SWEEP_AFTER_S) -> int:
        """Remove :meth:`strays`; returns how many went. For the one that may write alone."""
        strays = self.strays(known, older_than_s)
        for path in strays:
            path.unlink(missing_ok=True)
        return len(strays)


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _missing() -> Refused:
    return refused("pack_missing")
