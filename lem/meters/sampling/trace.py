"""``trace.csv.gz``: every raw reading of a run, so that anyone can recompute its record.

Columns ``t_ns,meter,device,quantity,value``. The writer ends a deflate block at every flush, so a
crash costs what came after the last one; the reader takes a file that ends early for what it has.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from lem.errors import BadInput, Problem
from lem.meters.protocol import Sample

HEADER = "t_ns,meter,device,quantity,value"
MAX_TEXT_BYTES = 2**30
"""Of a trace from elsewhere. An hour at 20 Hz with eight GPUs is about 150 MB of text."""
MAX_LINE_BYTES = 512
_CHUNK_BYTES = 1 << 18
_GZIP = 16 + zlib.MAX_WBITS
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}", re.ASCII)
LINE = re.compile(
    r"(\d{1,19}),([A-Za-z0-9_.:-]{1,64}),([A-Za-z0-9_.:-]{1,64}),([A-Za-z0-9_.:-]{1,64}),"
    r"(-?\d{1,20}(?:\.\d{1,20})?(?:e[+-]?\d{1,3})?)",
    re.ASCII,
)


class TooMuchText(BadInput):
    """More than was allowed for."""


class TraceWriter:
    """Appends samples to a new file. Not safe across threads; the sampler has one."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=0)
        self._compress = zlib.compressobj(1, zlib.DEFLATED, _GZIP)
        self._lines: list[str] = [HEADER]
        self._names: set[str] = set()
        self.flush()

    def add(self, samples: Iterable[Sample]) -> None:
        """Keep samples for the next flush. Raises ValueError for names that would break a line."""
        for s in samples:
            if not math.isfinite(s.value):
                continue
            for name in s[1:4]:
                if name not in self._names:
                    self._learn(name)
            whole = abs(s.value) < 2**63 and s.value == int(s.value)
            value = int(s.value) if whole else float(s.value)
            self._lines.append(f"{s.t_ns},{s.meter},{s.device},{s.quantity},{value!r}")

    def _learn(self, name: str) -> None:
        if _NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} cannot stand in a trace")
        self._names.add(name)

    def flush(self) -> None:
        """Everything added so far can be read back, even if the process is killed now."""
        if not self._lines:
            return
        text = "\n".join(self._lines) + "\n"
        self._lines.clear()
        data = self._compress.compress(text.encode()) + self._compress.flush(zlib.Z_SYNC_FLUSH)
        _write_all(self._file.write, data)

    def close(self) -> None:
        if self._file.closed:
            return
        self.flush()
        _write_all(self._file.write, self._compress.flush(zlib.Z_FINISH))
        self._file.close()


def read(path: Path, max_text_bytes: int | None = MAX_TEXT_BYTES) -> list[Sample]:
    """All samples of a trace, in order of time. Raises :class:`BadInput` as :func:`iterate` does.

    ``max_text_bytes``: None for a trace that was written by this program just now: however long
    the work took, it is over, and its figure must not be lost."""
    return sorted(iterate(path, max_text_bytes), key=lambda s: s.t_ns)


def iterate(path: Path, max_text_bytes: int | None = MAX_TEXT_BYTES) -> Iterator[Sample]:
    """The samples as they were written.

    A file that ends early gives what it holds whole lines of. Raises :class:`BadInput` where it is
    missing, no gzip, has another header, a line that is no sample, or more text than
    ``max_text_bytes``.
    """
    return parse(_inflate(_pieces(path), str(path), max_text_bytes), str(path))


def parse(text: Iterable[bytes], source: str) -> Iterator[Sample]:
    """The samples in a trace's text, which comes in pieces; ``source`` names it in errors. Raises
    as :func:`iterate`."""
    # Hours of samples share a few names: a string of its own for each would double the memory.
    known = dict[str, str]().setdefault
    for number, line in enumerate(_lines(text, source), 1):
        if number == 1:
            if line != HEADER:
                raise BadInput([Problem("is not a lem trace", file=source, line=1)])
            continue
        found = LINE.fullmatch(line)
        if found is None:
            raise BadInput([Problem("is not a sample", file=source, line=number)])
        t_ns, meter, device, quantity, value = found.groups()
        yield Sample(
            int(t_ns),
            known(meter, meter),
            known(device, device),
            known(quantity, quantity),
            float(value),
        )


def _lines(pieces: Iterable[bytes], source: str) -> Iterator[str]:
    """Whole lines; the piece after the last line break is dropped."""
    rest = b""
    for text in pieces:
        *whole, rest = (rest + text).split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise BadInput([Problem("has a line that is too long", file=source)])
        for line in whole:
            yield line.decode("ascii", "replace")


def inflated(data: bytes, source: str, max_text_bytes: int | None) -> Iterator[bytes]:
    """The text of gzipped bytes in pieces of bounded size. Raises :class:`BadInput` where they are
    no gzip, or hold more text than ``max_text_bytes``."""
    return _inflate([data], source, max_text_bytes)


def _pieces(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as f:
            while data := f.read(_CHUNK_BYTES):
                yield data
    except OSError as e:
        raise BadInput([Problem(f"cannot be read: {e.strerror}", file=str(path))]) from e


def _inflate(pieces: Iterable[bytes], source: str, max_text_bytes: int | None) -> Iterator[bytes]:
    inflate = zlib.decompressobj(_GZIP)
    total = 0
    try:
        for piece in pieces:
            data = piece
            while data and not inflate.eof:
                text = inflate.decompress(data, _CHUNK_BYTES)
                data = inflate.unconsumed_tail
                total += len(text)
                if max_text_bytes is not None and total > max_text_bytes:
                    raise TooMuchText([Problem("holds too much text", file=source)])
                yield text
    except zlib.error as e:
        raise BadInput([Problem(f"is damaged: {e}", file=source)]) from e


def _write_all(write: Callable[[memoryview], int | None], data: bytes) -> None:
    """An unbuffered file may take less than it is given."""
    view = memoryview(data)
    while view:
        view = view[write(view) or 0 :]
