"""What ``lem results export`` writes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from lem import __version__

if TYPE_CHECKING:
    from lem.analysis.results import Results


class Chunk(NamedTuple):
    data: bytes
    records: int


def chunks_of(results: "Results", kind: str) -> Iterator[Chunk]:
    """The file in pieces, with how many records each is of."""
    from lem.report.boamps import boamps_lines
    from lem.report.export import csv_text, jsonl_lines

    if kind == "parquet":
        return _parquet(results)
    if kind == "csv":
        return (Chunk(t.encode(), int(i > 0)) for i, t in enumerate(csv_text(results.table())))
    lines = jsonl_lines if kind == "jsonl" else boamps_lines
    return (Chunk(t.encode(), 1) for t in lines(results.records()))


def _parquet(results: "Results") -> Iterator[Chunk]:
    from lem.report.parquet import as_kinds, kinds_of, parquet_chunks

    rows = list(results.table())
    columns = kinds_of(rows)
    metadata = {"lem_version": __version__, "uncertainty": "….uncertainty: expanded, k = 2"}
    chunks = parquet_chunks((as_kinds(r, columns) for r in rows), columns, metadata)
    return (Chunk(c, 0 if i else len(rows)) for i, c in enumerate(chunks))
