"""One campaign's events on disk: a line for each batch, only ever appended to.

A line is ``[fence, number, [event, …]]``; the events of the server itself have the fence 0. A line
that was half written when something died is cut off when the file is opened again.
"""

import os
import re
from array import array
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter, ValidationError

from lem.contract.live import Flag, LiveEvent, State

CAP_BYTES = 64 * 2**20
"""Beyond it only what is rare is kept, beyond a quarter more nothing that a runner sends."""
RARE = frozenset({"campaign", "plan", "state", "begin", "phase", "window", "end", "table"})
FULL = "log_full"
STRIDE = 64
"""The place of every so many lines is remembered."""
OVER = ("done", "failed", "cancelled")
SERVER = 0
"""The fence of what the server itself says."""
MOST_SAID = 2000
"""Lines of the server: of more only those that a campaign has ended."""
_SCAN_BYTES = 2**20
_HEAD = re.compile(rb"\[(\d{1,16}),(\d{1,16}),\[")
_EVENTS: TypeAdapter[list[LiveEvent]] = TypeAdapter(list[LiveEvent])


class Superseded(Exception):
    """A lease that is over: a later one has begun, or the campaign has ended."""


class Line(NamedTuple):
    seq: int
    """Its number in the file, from 1."""
    events: bytes
    """JSON, on one line."""


class Lines(NamedTuple):
    lines: list[Line]
    offset: int
    """Where the next one begins."""


class Log:
    """Not for several threads at once. Raises :class:`OSError` where the disk fails; what could not
    be written whole is then not there at all."""

    def __init__(self, path: Path, cap_bytes: int = CAP_BYTES) -> None:
        self.last = 0
        """Number of the last line; 0 where there is none."""
        self.over = False
        """Whether the server has said that the campaign has ended."""
        self._cap = cap_bytes
        self._next: dict[int, int] = {}
        """Fence → number of the batch that comes next."""
        self._places = array("Q")
        self._size = 0
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if self._scan():
                os.ftruncate(self._file, self._size)
        except BaseException:
            os.close(self._file)
            raise
        self._full = self._size >= self._cap

    def close(self) -> None:
        os.close(self._file)

    @property
    def size(self) -> int:
        return self._size

    def next(self, fence: int) -> int:
        """The number of the batch that is waited for."""
        return self._next.get(fence, 0)

    def take(self, fence: int, number: int, events: Sequence[LiveEvent]) -> Line | None:
        """Append a batch; None where it was there already, comes too early, or holds nothing that
        is kept. Raises :class:`Superseded` for a fence below one that was seen, and once the
        campaign is over: whoever was told of the end has left."""
        self.catch_up()
        if fence != SERVER and (self.over or fence < max(self._next, default=0)):
            raise Superseded
        wanted = self.next(fence)
        if fence == SERVER and wanted >= MOST_SAID and not any(map(_is_end, events)):
            return None
        # What is not kept leaves gaps that are no loss.
        if number < wanted or (number > wanted and not self._full):
            return None
        kept = [e for e in events if fence == SERVER or not _is_servers(e)]
        line = self._line(fence, number, kept)
        if fence != SERVER and (self._full or self._size + len(line) > self._cap):
            kept = [e for e in kept if e.k in RARE]
            if not self._full:
                kept.append(_full(events))
            self._full = True
            line = self._line(fence, number, kept)
            if not kept or self._size + len(line) > self._cap + self._cap // 4:
                self._next[fence] = number + 1
                return None
        self._write(line)
        self._next[fence] = number + 1
        self._learn(fence, kept)
        return Line(self.last, _payload(line))

    def _line(self, fence: int, number: int, events: list[LiveEvent]) -> bytes:
        return b"[%d,%d,%s]\n" % (fence, number, _EVENTS.dump_json(events))

    def _write(self, line: bytes) -> None:
        try:
            written = os.write(self._file, line)
            if written != len(line):
                raise OSError("the disk is full")
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._note(self._size)
        self._size += len(line)

    def _note(self, offset: int) -> None:
        if self.last % STRIDE == 0:
            self._places.append(offset)
        self.last += 1

    def find(self, after: int) -> int:
        """Where the line after the ``after``-th begins."""
        if after >= self.last:
            return self._size
        place = after // STRIDE
        offset, seq, want = self._places[place], place * STRIDE, _SCAN_BYTES
        while seq < after:
            data = os.pread(self._file, want, offset)
            found = 0
            while seq < after and (end := data.find(b"\n", found) + 1):
                found, seq = end, seq + 1
            offset += found
            want = want if found else 2 * want
        return offset

    def read(self, after: int, offset: int, limit: int) -> Lines:
        """The lines after the ``after``-th, which end at ``offset``: as many as fit into ``limit``
        bytes, at least one where there is one. Safe beside a thread that appends."""
        want = limit
        while True:
            data = os.pread(self._file, min(want, self._size - offset), offset)
            end = data.rfind(b"\n") + 1
            if end or len(data) < want:
                break
            want *= 4
        lines = data[:end].split(b"\n")[:-1]
        return Lines(
            [Line(after + i, _payload(text)) for i, text in enumerate(lines, 1)], offset + end
        )

    def catch_up(self) -> bool:
        """Learn what another process has appended; whether it has."""
        if os.fstat(self._file).st_size <= self._size:
            return False
        before = self.last
        self._scan()
        return self.last > before

    def _scan(self) -> bytes:
        """Learn what is there; what is left at the end of a line that is not whole."""
        rest = b""
        while data := os.pread(self._file, _SCAN_BYTES, self._size + len(rest)):
            lines = (rest + data).split(b"\n")
            rest = lines.pop()
            for line in lines:
                self._seen(line)
                self._note(self._size)
                self._size += len(line) + 1
        return rest

    def _seen(self, line: bytes) -> None:
        head = _HEAD.match(line)
        if head is None:
            return
        fence, number = int(head[1]), int(head[2])
        self._next[fence] = max(self._next.get(fence, 0), number + 1)
        if fence == SERVER:
            with suppress(ValidationError):
                self._learn(fence, _EVENTS.validate_json(_payload(line)))

    def _learn(self, fence: int, events: list[LiveEvent]) -> None:
        for event in events:
            if fence == SERVER and isinstance(event, State):
                self.over = event.state in OVER


def _payload(line: bytes) -> bytes:
    """``[…]`` with the events, of a line."""
    return line[line.index(b"[", 1) : line.rindex(b"]")]


def _is_servers(event: LiveEvent) -> bool:
    """A state that only the server knows."""
    return isinstance(event, State) and event.state not in ("staging", "running")


def _is_end(event: LiveEvent) -> bool:
    return isinstance(event, State) and event.state in OVER


def _full(events: Sequence[LiveEvent]) -> Flag:
    text = "there is no room for more in the recording: only beginnings and ends follow"
    return Flag(at=events[-1].at if events else 0, flag=FULL, message=text)
