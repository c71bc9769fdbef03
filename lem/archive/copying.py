"""Many rows at once, into a table or out of it: by COPY on PostgreSQL."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

FEW = 50
"""Below this many rows one INSERT is as fast."""


def insert_many(
    c: Connection, table: sa.Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """Insert rows whose values are in the order of ``columns``."""
    if not rows:
        return
    if c.dialect.name == "sqlite" or len(rows) < FEW:
        c.execute(table.insert(), [dict(zip(columns, row, strict=True)) for row in rows])
    else:
        documents = any(isinstance(table.c[name].type, sa.JSON) for name in columns)
        written = (_written(table, columns, row) for row in rows) if documents else rows
        copy(c, table, columns, written, table.name)


def _written(table: sa.Table, columns: Sequence[str], row: Sequence[Any]) -> Sequence[Any]:
    return [
        json.dumps(value) if isinstance(table.c[name].type, sa.JSON) else value
        for name, value in zip(columns, row, strict=True)
    ]


def copy(
    c: Connection, table: sa.Table, columns: Sequence[str], rows: Iterable[Sequence[Any]], into: str
) -> None:
    """PostgreSQL's COPY, into a table that has these columns of ``table``. Names come from the
    schema, never from outside. Binary where no document is among them: a float is then eight bytes,
    not seventeen digits."""
    quoted = c.dialect.identifier_preparer.quote
    types = [_TYPES.get(table.c[name].type.__class__) for name in columns]
    binary = " (FORMAT BINARY)" if all(types) else ""
    statement = f"COPY {quoted(into)} ({', '.join(map(quoted, columns))}) FROM STDIN{binary}"
    cursor: Any = c.connection.cursor()
    try:
        with cursor.copy(statement) as out:
            if binary:
                out.set_types(types)
            for row in rows:
                out.write_row(row)
    finally:
        cursor.close()


_TYPES = {
    sa.BigInteger: "int8",
    sa.Integer: "int4",
    sa.SmallInteger: "int2",
    sa.Float: "float8",
    sa.Text: "text",
    sa.Boolean: "bool",
}


def copied_out(c: Connection, query: sa.Select[Any]) -> dict[str, NDArray[Any]]:
    """A query's columns, all of them numbers, as arrays by their names; NULL is NaN, and no whole
    number may be NULL. PostgreSQL's binary COPY is read without making Python objects of it:
    a million rows in a second. The query's parameters may only be numbers."""
    numbers = {column.name: _NUMBERS[type(column.type)] for column in query.selected_columns}
    if c.dialect.name == "sqlite":
        rows = c.execute(query).all()
        columns = zip(*rows, strict=True) if rows else ((),) * len(numbers)
        return {
            name: np.array(column, dtype=kind)
            for (name, kind), column in zip(numbers.items(), columns, strict=True)
        }
    text = str(query.compile(dialect=c.dialect, compile_kwargs={"literal_binds": True}))
    quoted = c.dialect.identifier_preparer.quote
    shown = ", ".join(
        f"coalesce({quoted(name)}, 'NaN')" if kind == "f8" else quoted(name)
        for name, kind in numbers.items()
    )
    cursor: Any = c.connection.cursor()
    try:
        with cursor.copy(
            f"COPY (SELECT {shown} FROM ({text}) AS q) TO STDOUT (FORMAT BINARY)"
        ) as out:
            data = b"".join(out)
    finally:
        cursor.close()
    # A signature, flags and a length; then of each row the number of its fields and, before each
    # field, its length; at the end -1.
    fields = [("fields", ">i2")]
    for name, kind in numbers.items():
        fields += [(f"length of {name}", ">i4"), (name, f">{kind}")]
    layout = np.dtype(fields)
    table = np.frombuffer(
        data, layout, (len(data) - _HEADER_BYTES - 2) // layout.itemsize, _HEADER_BYTES
    )
    return {name: table[name].astype(kind) for name, kind in numbers.items()}


_HEADER_BYTES = 19
_NUMBERS = {
    sa.BigInteger: "i8",
    sa.Integer: "i4",
    sa.SmallInteger: "i2",
    sa.Float: "f8",
}
