"""The files that a run was submitted with, out of its submission's pack."""

import csv
import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from lem.archive.queries.among import among
from lem.archive.queries.answer import Packs
from lem.archive.queries.runs import runs_query
from lem.archive.refused import Refused
from lem.archive.schema import BLOB, RUN, SUBMISSION
from lem.contract.base import MAX_DOCUMENT_BYTES
from lem.contract.record import Record
from lem.contract.submission import Manifest, Submitted
from lem.errors import BadInput
from lem.submit.pack import unpacked

MAX_TRACE_BYTES = 96 * 2**20
"""Unpacked. It is read in pieces: whoever may send a trace could else have the server hold some
gigabytes for each reader."""
MAX_SAMPLES = 1_500_000
MAX_LINE_BYTES = 1000
MAX_SERIES = 500
KEPT_BYTES = 256 * 1024
"""Of a record's text that is kept parsed: what anybody may send has no bound but 64 MiB."""
MOST_KEPT = 8
"""Submissions at once: a manifest may name thousands of files."""
Key = tuple[str, str, str]
"""Meter, device, quantity."""


def run_row(connection: sa.Connection, run: str) -> sa.Row[Any]:
    """A run by its public id. Raises :class:`Refused` (404)."""
    submission, _, number = run.partition("-")
    query = runs_query().where(
        SUBMISSION.c.content_sha256 == submission, RUN.c.number == int(number)
    )
    found = connection.execute(query).first()
    if found is None:
        raise Refused("no_such_run", "there is no such run here", 404)
    return found


class Place(NamedTuple):
    """In a pack, in bytes."""

    offset: int
    length: int


class Submissions:
    """Of each its row's id and what its manifest says of its runs, asked for once."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._known: dict[str, tuple[int, list[Submitted] | None]] = {}
        self._places: dict[tuple[int, bytes], Place | None] = {}

    def of(self, content_sha256: str) -> tuple[int, list[Submitted] | None]:
        if content_sha256 not in self._known:
            if len(self._known) >= MOST_KEPT:
                self._known.clear()
            query = sa.select(SUBMISSION.c.id, SUBMISSION.c.manifest).where(
                SUBMISSION.c.content_sha256 == content_sha256
            )
            key, manifest = self._connection.execute(query).one()
            sent = None if manifest is None else _sent(bytes(manifest))
            self._known[content_sha256] = key, sent
        return self._known[content_sha256]

    def place(self, key: int, sha256: bytes) -> Place | None:
        """Of a file, in the pack of the submission whose row has this id."""
        if (key, sha256) not in self._places:
            self._find([(key, sha256)])
        return self._places[key, sha256]

    def expect(self, rows: Iterable[sa.Row[Any]]) -> None:
        """Look once for the places of the records of all these runs."""
        wanted = []
        for row in rows:
            try:
                key, sent = self.of(row._mapping["content_sha256"])
            except BadInput:
                continue  # whoever asks for it is told
            if sent is not None and (sha256 := sent[row._mapping["number"]].record) is not None:
                wanted.append((key, bytes.fromhex(sha256)))
        self._find(wanted)

    def _find(self, wanted: Sequence[tuple[int, bytes]]) -> None:
        if not wanted:
            return
        b = BLOB.c
        query = sa.select(b.submission_id, b.sha256, b.offset, b.length).where(
            among(b.submission_id, {key for key, _ in wanted}),
            among(b.sha256, {sha256 for _, sha256 in wanted}),
        )
        self._places |= dict.fromkeys(wanted)
        for key, sha256, offset, length in self._connection.execute(query):
            self._places[key, bytes(sha256)] = Place(offset, length)


class Members:
    """Of one run. ``row``: as :func:`run_row` gives it."""

    def __init__(
        self,
        connection: sa.Connection,
        packs: Packs,
        row: sa.Row[Any],
        submissions: Submissions | None = None,
    ) -> None:
        self._connection, self._packs = connection, packs
        self._submissions = submissions or Submissions(connection)
        self._submission: str = row._mapping["content_sha256"]
        self._id, sent = self._submissions.of(self._submission)
        self._sent = None if sent is None else sent[row._mapping["number"]]

    def hashes(self) -> dict[str, str | None]:
        """Kind → SHA-256."""
        names = ("record", "trace", "responses")
        return {name: getattr(self._sent, name, None) for name in names}

    def read(self, kind: Literal["record", "trace", "responses"]) -> bytes:
        """Gzip, as it was sent. Raises :class:`Refused` (404)."""
        found = self.place(kind)
        return self._packs.read(self._submission, found.offset, found.length)

    def place(self, kind: Literal["record", "trace", "responses"]) -> Place:
        """Where it lies in the pack. Raises :class:`Refused` (404)."""
        sha256 = self.hashes()[kind]
        found: Place | None = None
        if sha256 is not None:
            found = self._submissions.place(self._id, bytes.fromhex(sha256))
        if found is None:
            raise Refused("no_such_file", f"this run has no {kind} here", 404)
        return found

    def record(self) -> Record:
        """The public record. Raises :class:`Refused` (404)."""
        text = unpacked(self.read("record"), MAX_DOCUMENT_BYTES)
        return _record(text) if len(text) <= KEPT_BYTES else Record.parse(text)


@lru_cache(maxsize=64)
def _record(text: bytes) -> Record:
    """The pages of one campaign look at the same ones."""
    return Record.parse(text)


@lru_cache(maxsize=8)
def _sent(manifest: bytes) -> list[Submitted]:
    """Many runs are asked for of one submission."""
    return Manifest.parse(manifest).content.runs


def series_of(pieces: Iterable[bytes]) -> dict[Key, tuple[Sequence[int], Sequence[float]]]:
    """The readings of a trace's text by series: times in nanoseconds, values. Lines that are none
    are left out, as are those beyond ``MAX_SERIES`` series. Raises :class:`Refused` (413) for more
    than ``MAX_TRACE_BYTES`` or ``MAX_SAMPLES``."""
    found: dict[Key, tuple[array[int], array[float]]] = {}
    samples = 0
    for text_line in islice(_lines(pieces), 1, None):
        line = _fields(text_line)
        if len(line) != 5:
            continue
        try:
            at, value = int(line[0]), float(line[4])
        except ValueError:
            continue
        key = (line[1], line[2], line[3])
        if not math.isfinite(value) or not -(2**63) <= at < 2**63:
            continue
        if key not in found and len(found) >= MAX_SERIES:
            continue
        samples += 1
        if samples > MAX_SAMPLES:
            raise Refused("too_large", f"the trace has more than {MAX_SAMPLES} readings", 413)
        times, values = found.setdefault(key, (array("q"), array("d")))
        times.append(at)
        values.append(value)
    return dict(found)


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    """Lines of a text that comes in pieces; too long ones are cut."""
    rest, size = b"", 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_TRACE_BYTES:
            raise Refused("too_large", f"the trace has more than {MAX_TRACE_BYTES} bytes", 413)
        *lines, rest = (rest[:MAX_LINE_BYTES] + piece).split(b"\n")
        for line in lines:
            yield line[:MAX_LINE_BYTES].decode("utf-8", "replace").rstrip("\r")
    if rest:
        yield rest[:MAX_LINE_BYTES].decode("utf-8", "replace")


def _fields(line: str) -> list[str]:
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader([line]))
    except (csv.Error, StopIteration):
        return []


def evenly(n: int, most: int) -> list[int]:
    """At most so many of n places, evenly spread, with the first and the last."""
    if n <= most:
        return list(range(n))
    return [round(i * (n - 1) / (most - 1)) for i in range(most)]
