"""Traces and responses as they may be sent: the same numbers, digit by digit, and no other texts.

What is read is a file that may be anything; what is written is made anew, line by line.
"""

import csv
import re
import zlib
from collections.abc import Iterator

from lem.errors import BadInput
from lem.meters.sampling import trace
from lem.submit.pack import inflated
from lem.submit.veil import Veil, is_plain

MAX_TRACE_TEXT = 2**29
MAX_RESPONSES_TEXT = 2**28
MAX_RESPONSE_LINE = 8 * 2**20
_GZIP = 16 + zlib.MAX_WBITS

HEADERS = (
    "id,status,sent_ns,first_ns,last_ns,input_tokens,output_tokens,itl_ns",
    "id,status,sent_ns,first_ns,last_ns,input_tokens,output_tokens,itl_ns,end_ns",
)
STATUSES = ("done", "failed", "timed_out")
_OWN = re.compile(r"r\d{1,7}(?:#\d{1,7})?", re.ASCII)
_WHOLE = re.compile(r"\d{1,19}", re.ASCII)
_WHOLE_OR_NONE = re.compile(r"(?:\d{1,19})?", re.ASCII)
_GAPS = re.compile(r"(?:-?\d{1,19}(?: -?\d{1,19})*)?", re.ASCII)
_CELLS = (_WHOLE, _WHOLE_OR_NONE, _WHOLE_OR_NONE, _WHOLE, _WHOLE, _GAPS, _WHOLE_OR_NONE)


def public_trace(data: bytes, veil: Veil) -> bytes:
    """The trace's lines with the devices' public names, as gzip; numbers as they were written.

    A trace that ends early gives what it holds whole lines of, as its own reader has it. Raises
    :class:`BadInput` for anything that is no trace.
    """
    out = _Gzip()
    lines = _lines(_as_far_as_it_goes(data), MAX_TRACE_TEXT, trace.MAX_LINE_BYTES)
    if next(lines, "") != trace.HEADER:
        raise BadInput("is not a lem trace")
    out.add(trace.HEADER)
    named: dict[tuple[str, str], str] = {}
    for number, line in enumerate(lines, 2):
        found = trace.LINE.fullmatch(line)
        if found is None:
            raise BadInput(f"line {number} is not a sample")
        meter, own = found[2], found[3]
        if (device := named.get((meter, own))) is None:
            device = veil.device(own)
            if device == own and not is_plain(meter, own):
                # Read, and in no record: a sensor of a run that has no figures, say.
                device = f"{meter}-{len(veil.devices) + len(named)}"
            named[meter, own] = device
        if device != own:
            line = f"{found[1]},{meter},{device},{found[4]},{found[5]}"
        out.add(line)
    return out.end()


def public_responses(data: bytes) -> bytes:
    """The responses' lines, as gzip. Raises :class:`BadInput` for what is no response file.

    Requests keep the names that lem gives them (``r17``: its place in the list, from which follows
    whether its turn had come); where any has another name, ordinals stand for all of them.
    """
    out = _Gzip()
    own = all(_OWN.fullmatch(name) for name in _request_names(data))
    lines = _lines(inflated(data), MAX_RESPONSES_TEXT, MAX_RESPONSE_LINE)
    header = next(lines, "")
    if header not in HEADERS:
        raise BadInput("is not a response file")
    out.add(header)
    columns = header.count(",") + 1
    ordinals: dict[str, int] = {}
    for number, cells in enumerate(csv.reader(lines), 2):
        if len(cells) != columns or cells[1] not in STATUSES:
            raise BadInput(f"line {number} is not a response")
        if not all(p.fullmatch(c) for p, c in zip(_CELLS, cells[2:], strict=False)):
            raise BadInput(f"line {number} is not a response: a number is none")
        ordinal = ordinals.setdefault(cells[0], len(ordinals))
        out.add(",".join([cells[0] if own else f"r{ordinal}", *cells[1:]]))
    return out.end()


def _request_names(data: bytes) -> Iterator[str]:
    """The first cell of each line but the first."""
    lines = _lines(inflated(data), MAX_RESPONSES_TEXT, MAX_RESPONSE_LINE)
    next(lines, "")
    return (cells[0] for cells in csv.reader(lines) if cells)


class _Gzip:
    """Lines to gzip without name and time, bit by bit."""

    def __init__(self) -> None:
        self._compress = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
        self._lines: list[str] = []
        self._data: list[bytes] = []

    def add(self, line: str) -> None:
        self._lines.append(line)
        if len(self._lines) >= 4096:
            self._flush()

    def _flush(self) -> None:
        text = "".join(f"{line}\n" for line in self._lines)
        self._lines.clear()
        self._data.append(self._compress.compress(text.encode("ascii")))

    def end(self) -> bytes:
        self._flush()
        return b"".join([*self._data, self._compress.flush()])


def _lines(pieces: Iterator[bytes], most: int, most_in_line: int) -> Iterator[str]:
    """Whole lines; the piece after the last line break is dropped."""
    rest, total = b"", 0
    for piece in pieces:
        total += len(piece)
        if total > most:
            raise BadInput(f"holds more than {most >> 20} MiB of text")
        *whole, rest = (rest + piece).split(b"\n")
        if len(rest) > most_in_line:
            raise BadInput("has a line that is too long")
        for line in whole:
            yield line.decode("utf-8", "replace")


def _as_far_as_it_goes(data: bytes) -> Iterator[bytes]:
    """A trace's writer may have been killed: what it had written whole is a trace."""
    try:
        yield from inflated(data)
    except BadInput as e:
        if str(e) != "ends early":
            raise
