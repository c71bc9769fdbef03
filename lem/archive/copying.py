"""Many rows into a table at once: COPY on PostgreSQL, one prepared statement on SQLite."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
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
