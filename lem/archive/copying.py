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
        copy(c, table.name, columns, written)


def _written(table: sa.Table, columns: Sequence[str], row: Sequence[Any]) -> Sequence[Any]:
    return [
        json.dumps(value) if isinstance(table.c[name].type, sa.JSON) else value
        for name, value in zip(columns, row, strict=True)
    ]


def copy(c: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """PostgreSQL's COPY. Names come from the schema, never from outside. Returns how many."""
    quoted = c.dialect.identifier_preparer.quote
    statement = f"COPY {quoted(table)} ({', '.join(map(quoted, columns))}) FROM STDIN"
    n = 0
    cursor: Any = c.connection.cursor()
    try:
        with cursor.copy(statement) as out:
            for row in rows:
                out.write_row(row)
                n += 1
    finally:
        cursor.close()
    return n
