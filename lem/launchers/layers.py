"""A layer of an image as a stream: uncompressed, hashed as it is read, and bounded."""

import bz2
import gzip
import hashlib
import io
import lzma
import tarfile
import zlib
from typing import IO, cast

from lem.errors import BadInput

CORRUPT = (
    *(tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError),
    *(KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, RecursionError),
)
"""What reading a file that is cut, or made to trip its reader, raises."""
CHUNK_BYTES = 2**20


def uncompressed(file: IO[bytes]) -> io.BufferedIOBase:
    """The file itself, or what its compression holds, by its first bytes."""
    head = file.read(6)
    file.seek(0)
    if head.startswith(b"\x1f\x8b"):
        return cast(io.BufferedIOBase, gzip.GzipFile(fileobj=file))
    if head.startswith(b"BZh"):
        return cast(io.BufferedIOBase, bz2.BZ2File(file))
    if head == b"\xfd7zXZ\x00":
        return cast(io.BufferedIOBase, lzma.LZMAFile(file))
    return cast(io.BufferedIOBase, file)


class Digested(io.RawIOBase):
    """Reads another one from its beginning on, and knows the SHA-256 of what was read."""

    def __init__(self, file: io.BufferedIOBase, limit_bytes: int) -> None:
        self._file = file
        self._limit_bytes = limit_bytes
        self._hash = hashlib.sha256()
        self.count = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Raises :class:`BadInput` beyond the limit."""
        data = self._file.read(CHUNK_BYTES if size < 0 else size)
        self.count += len(data)
        if self.count > self._limit_bytes:
            raise BadInput("the image's layers are larger than any that lem takes")
        self._hash.update(data)
        return data

    def rest(self) -> str:
        """Read on to the end; ``sha256:…`` of all."""
        while self.read(CHUNK_BYTES):
            pass
        return f"sha256:{self._hash.hexdigest()}"


class Bounded(io.RawIOBase):
    """Writes to another one, at most so many bytes."""

    def __init__(self, out: IO[bytes], limit_bytes: int) -> None:
        self._out = out
        self._left = limit_bytes

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        """Raises :class:`BadInput` beyond the limit."""
        chunk = bytes(cast(bytes, data))
        self._left -= len(chunk)
        if self._left < 0:
            raise BadInput("the image's tree is larger than there is room for")
        self._out.write(chunk)
        return len(chunk)
