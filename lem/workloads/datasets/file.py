"""Files that a data set or an arrival process reads. Whatever they hold is hostile until parsed."""

import hashlib
import io
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from lem.contract.base import whole_text
from lem.contract.workload import MAX_REQUEST_TOKENS
from lem.errors import BadInput, Problem

MAX_FILE_BYTES = 2**30
MAX_LINE_BYTES = 2**24
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PIECE_BYTES = 2**20


class DataFile(NamedTuple):
    """A file's content, and what to call it in errors."""

    name: str
    data: bytes

    def bad(self, message: str, line: int | None = None) -> BadInput:
        """The error that says what is wrong with it, and where."""
        return BadInput([Problem(message, file=self.name, line=line)])

    def text(self) -> str:
        """Raises :class:`BadInput` if it is not UTF-8."""
        return self._decoded(self.data.removeprefix(_BYTE_ORDER_MARK), None)

    def lines(self) -> Iterator[tuple[int, str]]:
        """Number and text of each line that is not empty."""
        for number, line in enumerate(io.BytesIO(self.data.removeprefix(_BYTE_ORDER_MARK)), 1):
            if len(line) > MAX_LINE_BYTES:
                raise self.bad("the line is longer than 16 MiB", number)
            if text := self._decoded(line, number).strip():
                yield number, text

    def objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Number and JSON object of each line that is not empty."""
        for number, line in self.lines():
            value = self.json(line, number)
            if not isinstance(value, dict):
                raise self.bad("is not a JSON object", number)
            yield number, value

    def json(self, text: str, line: int | None = None) -> Any:
        """The JSON value of ``text``. NaN, infinity and nesting without end are refused."""
        try:
            return json.loads(text, parse_constant=_refuse)
        except (ValueError, RecursionError) as e:
            raise self.bad(f"is not JSON: {str(e)[:200]}", line) from None

    def tokens(self, value: Any, key: str, line: int | None, least: int = 1) -> int:
        """A number of tokens as the file says it."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.bad(f"{key} must be a whole number of tokens", line)
        if not least <= value <= MAX_REQUEST_TOKENS:
            raise self.bad(f"{key} must be from {least} to {MAX_REQUEST_TOKENS:,} tokens", line)
        return value

    def words(self, value: Any, key: str, line: int | None) -> str:
        """A text as the file says it."""
        if not isinstance(value, str) or not value.strip():
            raise self.bad(f"{key} must be a text that is not empty", line)
        return whole_text(value)

    def _decoded(self, data: bytes, line: int | None) -> str:
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as e:
            where = line if line is not None else data.count(b"\n", 0, e.start) + 1
            raise self.bad(f"is not UTF-8 (byte 0x{data[e.start]:02x})", where) from None


def read(path: Path, name: str, sha256: str | None) -> DataFile:
    """A file's content. Raises :class:`BadInput` if it cannot be read, is too large, or is not the
    one with that SHA-256."""
    with _opened(path, name) as f:
        file = DataFile(name, f.read(MAX_FILE_BYTES + 1))
    if len(file.data) > MAX_FILE_BYTES:
        raise file.bad("is larger than 1 GiB")
    if sha256 is not None and hashlib.sha256(file.data).hexdigest() != sha256:
        raise file.bad("is not the file that the campaign was read with")
    return file


def digest(path: Path, name: str) -> str:
    """A file's SHA-256. Raises :class:`BadInput` if it cannot be read or is too large."""
    return _digest(path, name, None)


def copy(path: Path, name: str, sha256: str, target: Path) -> None:
    """Copy a file. Raises :class:`BadInput` if it is not the one with that SHA-256."""
    with target.open("xb") as f:
        if _digest(path, name, f) != sha256:
            raise DataFile(name, b"").bad("was changed since the campaign was read")


def _digest(path: Path, name: str, into: Any) -> str:
    found = hashlib.sha256()
    size = 0
    with _opened(path, name) as f:
        while piece := f.read(_PIECE_BYTES):
            size += len(piece)
            if size > MAX_FILE_BYTES:
                raise DataFile(name, b"").bad("is larger than 1 GiB")
            found.update(piece)
            if into is not None:
                into.write(piece)
    return found.hexdigest()


def _opened(path: Path, name: str) -> io.BufferedReader:
    """Only a plain file: a pipe or a device would never end."""
    file = DataFile(name, b"")
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as e:
        raise file.bad(f"cannot be read: {e.strerror}") from e
    except ValueError:
        raise file.bad("is no path") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise file.bad("is not a file")
    return os.fdopen(handle, "rb")


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number that can be used here")
