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


def insert_numbers(c: Connection, table: sa.Table, columns: dict[str, NDArray[Any]]) -> None:
    """Insert rows of numbers that come as arrays of equal length by their column's name; NaN is
    NULL. On PostgreSQL the arrays become the bytes that binary COPY reads."""
    size = len(next(iter(columns.values())))
    if c.dialect.name == "sqlite" or size < FEW:
        lists = [or_none(column) for column in columns.values()]
        insert_many(c, table, list(columns), list(zip(*lists, strict=True)))
        return
    missing = {
        n: np.isnan(v) for n, v in columns.items() if v.dtype.kind == "f" and np.isnan(v).any()
    }
    # Rows that have NULL in the same places are of the same length.
    kind = sum(
        (mask << i for i, mask in enumerate(missing.values())), np.zeros(size, dtype=np.int64)
    )
    quoted = c.dialect.identifier_preparer.quote
    names = ", ".join(map(quoted, columns))
    cursor: Any = c.connection.cursor()
    try:
        with cursor.copy(f"COPY {quoted(table.name)} ({names}) FROM STDIN (FORMAT BINARY)") as out:
            out.write(_SIGNATURE)
            for one in np.unique(kind):
                absent = {n for i, n in enumerate(missing) if one >> i & 1}
                of_kind = {n: column[kind == one] for n, column in columns.items()}
                out.write(_tuples(table, of_kind, absent))
            out.write(_END)
    finally:
        cursor.close()


def _tuples(table: sa.Table, columns: dict[str, NDArray[Any]], absent: set[str]) -> bytes:
    """As binary COPY has them: the number of fields; of each its length (−1: NULL) and bytes."""
    kinds = {n: np.dtype(f">{_NUMBERS[type(table.c[n].type)]}") for n in columns}
    fields = [("fields", ">i2")]
    for name, kind in kinds.items():
        fields.append((f"length of {name}", ">i4"))
        if name not in absent:
            fields.append((name, kind.str))
    rows = np.empty(len(next(iter(columns.values()))), dtype=fields)
    rows["fields"] = len(columns)
    for name, kind in kinds.items():
        rows[f"length of {name}"] = -1 if name in absent else kind.itemsize
        if name not in absent:
            rows[name] = columns[name]
    return rows.tobytes()


def or_none(column: NDArray[Any]) -> list[Any]:
    """Its values, with None for NaN."""
    values: list[Any] = column.tolist()
    return [None if v != v else v for v in values] if column.dtype.kind == "f" else values


def copied_out(c: Connection, query: sa.Select[Any]) -> dict[str, NDArray[Any]]:
    """A query's columns, all of them numbers, as arrays by their names; NULL is NaN, and no whole
    number may be NULL. PostgreSQL's binary COPY is read without making Python objects of it:
    a million rows in a second. The query's parameters may only be numbers. Raises TypeError for a
    whole number that is NULL after all."""
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
    fields = [("fields", ">i2")]
    for name, kind in numbers.items():
        fields += [(f"length of {name}", ">i4"), (name, f">{kind}")]
    layout = np.dtype(fields)
    count, rest = divmod(len(data) - len(_SIGNATURE) - len(_END), layout.itemsize)
    table = np.frombuffer(data, layout, count, len(_SIGNATURE))
    sizes = {"fields": len(numbers)} | {f"length of {n}": int(k[1]) for n, k in numbers.items()}
    if rest or not all((table[name] == size).all() for name, size in sizes.items()):
        raise TypeError(f"a whole number among {', '.join(numbers)} is NULL")
    return {name: table[name].astype(kind) for name, kind in numbers.items()}


_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""With no flags and no further header."""
_END = b"\xff\xff"
_NUMBERS = {
    sa.BigInteger: "i8",
    sa.Integer: "i4",
    sa.SmallInteger: "i2",
    sa.Float: "f8",
}
