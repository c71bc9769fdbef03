"""``responses.csv.gz``: every request of a run, so that every figure can be computed anew."""

import csv
import gzip
import io
from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from lem.contract.base import write_atomic
from lem.errors import BadInput, Problem
from lem.workloads.latency import gaps_ns
from lem.workloads.load import Response

MAX_FILE_BYTES = 2**30


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
        lines = csv.reader(io.StringIO(data.decode()))
        if tuple(next(lines, ())) != Row._fields:
            raise ValueError(f"its first line is not {','.join(Row._fields)}")
        return [_row(line) for line in lines]
    except (OSError, EOFError, ValueError, csv.Error) as e:
        raise BadInput([Problem(f"is not a response file: {e}", file=str(path))]) from e


def _row(cells: list[str]) -> Row:
    if len(cells) != len(Row._fields):
        raise ValueError(f"a line has {len(cells)} cells, not {len(Row._fields)}")
    name, status, sent, first, last, inputs, outputs, gaps = cells
    row = Row(
        name,
        status,
        int(sent),
        int(first) if first else None,
        int(last) if last else None,
        int(inputs),
        int(outputs),
        [int(g) for g in gaps.split()],
    )
    times = row.token_ns()
    if len(times) != row.output_tokens or (times[-1] if times else None) != row.last_ns:
        raise ValueError(f"the tokens of {name} do not add up")
    return row
