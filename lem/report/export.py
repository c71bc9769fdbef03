"""Records as text for other programs."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lem.contract.record import Record

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""A spreadsheet runs a cell that begins so as a formula (OWASP, CSV injection)."""


def jsonl_lines(records: Iterable[Record]) -> Iterator[str]:
    """One whole document a line."""
    for record in records:
        yield record.model_dump_json() + "\n"


def csv_text(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """RFC 4180 lines (with bare line feeds) under the union of all columns, in order of first
    appearance; nothing for no rows. Text that a spreadsheet would run gets a leading ``'``."""
    kept = list(rows)
    columns = list(dict.fromkeys(c for row in kept for c in row))
    if kept:
        yield from csv_lines(columns, kept)


def csv_lines(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """As :func:`csv_text`, under these columns, while the rows come."""
    yield _line(columns)
    for row in rows:
        yield _line([row.get(c) for c in columns])


def _line(cells: Iterable[Any]) -> str:
    buffer = io.StringIO()
    # Written with the standard's line end, so that either half of it inside a cell is quoted.
    csv.writer(buffer, lineterminator="\r\n").writerow([_cell(c) for c in cells])
    return buffer.getvalue().removesuffix("\r\n") + "\n"


def _cell(value: Any) -> Any:
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
