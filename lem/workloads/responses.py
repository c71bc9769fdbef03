"""``responses.csv.gz``: every request of a run, so that every figure can be computed anew."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from lem.contract.base import write_atomic
from lem.errors import BadInput, Problem
from lem.workloads.latency import gaps_ns
from lem.workloads.load import Response

MAX_FILE_BYTES = 2**30

WITHOUT_END = 8
"""Columns of the files from before ``end_ns``, the last one."""


class Row(NamedTuple):
    """One request. Times in nanoseconds of the run's monotonic clock; None where there is none."""

    id: str
    status: str
    sent_ns: int
    first_ns: int | None
    last_ns: int | None
    input_tokens: int
    output_tokens: int
    itl_ns: list[int]
    """Gaps between successive tokens: ``output_tokens`` − 1 of them."""
    end_ns: int | None = None
    """When the engine said that the answer is complete; None in files from before this column."""

    def token_ns(self) -> list[int]:
        """The time of every token."""
        return [] if self.first_ns is None else list(accumulate(self.itl_ns, initial=self.first_ns))


def write(path: Path, responses: Iterable[Response]) -> None:
    """Write atomically, one line a request in the order given."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(Row._fields)
    for r in responses:
        t = r.token_ns
        writer.writerow(
            (
                r.request.id,
                r.status,
                r.sent_ns,
                t[0] if t else "",
                t[-1] if t else "",
                len(r.request.input_ids),
                len(t),
                " ".join(map(str, gaps_ns(r))),
                "" if r.end_ns is None else r.end_ns,
            )
        )
    write_atomic(path, gzip.compress(text.getvalue().encode(), mtime=0))


def read(path: Path) -> list[Row]:
    """Read a file of :func:`write`. Raises :class:`BadInput` for anything else."""
    try:
        with gzip.open(path) as f:
            data = f.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise ValueError("larger than 1 GiB")
    except (OSError, EOFError, ValueError, zlib.error) as e:
        raise BadInput([Problem(f"is not a response file: {e}", file=str(path))]) from e
    return list(parse(data, str(path)))


def parse(data: bytes, source: str) -> Iterator[Row]:
    """The rows of such a file's text; ``source`` names it in errors. Raises as :func:`read`."""
    # The gaps of a long answer are one cell; by itself the module takes 128 KiB.
    csv.field_size_limit(MAX_FILE_BYTES)
    try:
        lines = csv.reader(io.StringIO(data.decode()))
        header = tuple(next(lines, ()))
        if header not in (Row._fields, Row._fields[:WITHOUT_END]):
            raise ValueError(f"its first line is not {','.join(Row._fields)}")
        for line in lines:
            yield _row(line, len(header))
    except (ValueError, csv.Error) as e:
        raise BadInput([Problem(f"is not a response file: {e}", file=source)]) from e


def _row(cells: list[str], columns: int) -> Row:
    if len(cells) != columns:
        raise ValueError(f"a line has {len(cells)} cells, not {columns}")
    name, status, sent, first, last, inputs, outputs, gaps, *end = cells
    row = Row(
        name,
        status,
        int(sent),
        int(first) if first else None,
        int(last) if last else None,
        int(inputs),
        int(outputs),
        list(map(int, gaps.split())),
        int(end[0]) if end and end[0] else None,
    )
    told = (
        (0, None) if row.first_ns is None else (1 + len(row.itl_ns), row.first_ns + sum(row.itl_ns))
    )
    if told != (row.output_tokens, row.last_ns):
        raise ValueError(f"the tokens of {name} do not add up")
    if row.end_ns is not None and row.end_ns < (row.last_ns or row.sent_ns):
        raise ValueError(f"{name} ends before its last token")
    return row
