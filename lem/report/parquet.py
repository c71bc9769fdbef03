"""Rows as Apache Parquet, written while they come."""

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Literal

from lem.contract.base import canonical_json
from lem.errors import EnvironmentFault

Kind = Literal["text", "whole", "number", "boolean"]
ROW_GROUP = 20_000


def parquet_chunks(
    rows: Iterable[Mapping[str, Any]], columns: Mapping[str, Kind], metadata: Mapping[str, str]
) -> Iterator[bytes]:
    """The file in pieces. ``metadata``: texts in the file's own key-value metadata.

    Raises :class:`EnvironmentFault` where pyarrow is not installed, before the first piece.
    """
    arrow, parquet = _pyarrow()
    schema = arrow.schema(
        [arrow.field(name, _type(arrow, kind)) for name, kind in columns.items()],
        metadata={k.encode(): v.encode() for k, v in metadata.items()},
    )
    return _chunks(arrow, parquet, schema, rows)


def _chunks(
    arrow: Any, parquet: Any, schema: Any, rows: Iterable[Mapping[str, Any]]
) -> Iterator[bytes]:
    sink = _Sink()
    source = iter(rows)
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        while group := list(islice(source, ROW_GROUP)):
            columns = [arrow.array([row.get(f.name) for row in group], type=f.type) for f in schema]
            writer.write_table(arrow.Table.from_arrays(columns, schema=schema))
            yield sink.taken()
    yield sink.taken()


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._at += len(part)
        return len(part)

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def kinds_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Kind]:
    """Column → what its values are, in the order of first appearance. Where rows differ in that,
    it is text (:func:`as_text`)."""
    found: dict[str, set[type]] = {}
    for row in rows:
        for name, value in row.items():
            own = found.setdefault(name, set())
            if value is not None:
                own.add(type(value) if not isinstance(value, int) or _fits(value) else str)
    return {name: _kind(types) for name, types in found.items()}


def as_kinds(row: Mapping[str, Any], columns: Mapping[str, Kind]) -> dict[str, Any]:
    """The row with values of the columns' kinds."""
    return {
        name: value if kind != "text" or value is None else as_text(value)
        for name, kind in columns.items()
        if (value := row.get(name)) is not None
    }


def as_text(value: Any) -> str:
    """Text as it is, anything else as JSON."""
    return value if isinstance(value, str) else canonical_json(value).decode()


def _fits(value: int) -> bool:
    return -(2**63) <= value < 2**63


def _kind(types: set[type]) -> Kind:
    if types == {bool}:
        return "boolean"
    if types == {int}:
        return "whole"
    return "number" if types and types <= {int, float} else "text"


def _type(arrow: Any, kind: Kind) -> Any:
    made = {"text": arrow.string, "whole": arrow.int64, "number": arrow.float64}
    return arrow.bool_() if kind == "boolean" else made[kind]()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise EnvironmentFault(
            "Parquet files need pyarrow", hint='pip install "lem-energy[parquet]"'
        ) from None
    return pyarrow, pyarrow.parquet
