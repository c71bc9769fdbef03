"""Figures that others published, beside what is measured here: without an interval, never ranked.

They come from a file, JSON Lines or CSV, whose fields are those of :class:`External`. A source's
address is shown and never fetched.
"""

import csv
import io
import json
import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import urlsplit

import sqlalchemy as sa
from pydantic import AfterValidator, Field, ValidationError

from lem.archive.queries.answer import Metric
from lem.archive.reasons import refused
from lem.archive.schema import EXTERNAL
from lem.contract.base import Part, path_of, wrong
from lem.errors import BadInput, Problem

MAX_FILE_BYTES = 64 * 2**20
MAX_LINE_BYTES = 64 * 2**10
MAX_PROBLEMS = 20


def _plain(text: str) -> str:
    if text != text.strip():
        raise wrong("begins or ends with a space")
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") for c in text):
        raise wrong("has control characters")
    return text


def _address(text: str) -> str:
    try:
        parts = urlsplit(text)
        well = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
    except ValueError:
        well = False
    if not well or re.search(r"[^\x21-\x7e]|[<>\"'`\\]", text):
        raise wrong("is not a plain http or https address")
    return text


def _day(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise wrong("is not a day, as 2026-05-04") from None
    return text


def _finite(value: float) -> float:
    if not math.isfinite(value) or not 0 < value <= 1e15:
        raise wrong("is not a number above 0")
    return value


Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_plain)]


class External(Part):
    """One figure. All fields but ``note`` must be given; unknown ones are refused."""

    source: Text
    """Who published it, and where it is found there."""
    url: Annotated[str, Field(max_length=500), AfterValidator(_address)]
    licence: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 .()+-]{0,79}$")]
    """An SPDX expression, such as ``CC-BY-4.0``, or the licence's name."""
    published: Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), AfterValidator(_day)]
    """The day of publication."""
    model: Text
    device_model: Text
    metric: Metric
    """Its unit is in its name."""
    value: Annotated[float, AfterValidator(_finite)]
    note: Annotated[str, Field(max_length=300), AfterValidator(_plain)] = ""
    """What else must be known of it: engine, load, what was counted."""


FIELDS = tuple(External.model_fields)
_IDENTITY = ("source", "model", "device_model", "metric", "note")


class Listed(External):
    """As a server lists it."""

    id: int


class Added(NamedTuple):
    """``already``: were there, every field the same."""

    new: int
    already: int


def read(path: Path) -> list[External]:
    """The figures of a file: ``.csv`` is CSV, anything else JSON Lines.

    Raises :class:`BadInput` with every problem and its line (the first 20); of a file with a
    problem nothing is taken.
    """
    try:
        with path.open("rb") as f:
            data = f.read(MAX_FILE_BYTES + 1)
    except OSError as e:
        raise BadInput([Problem(f"cannot be read: {e.strerror}", file=str(path))]) from e
    return parse(data, str(path), as_csv=path.suffix.lower() == ".csv")


def parse(data: bytes, source: str = "", *, as_csv: bool = False) -> list[External]:
    """As :func:`read`, from bytes."""
    if len(data) > MAX_FILE_BYTES:
        raise BadInput([Problem(f"larger than {MAX_FILE_BYTES >> 20} MiB", file=source)])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise BadInput([Problem("is not UTF-8", file=source)]) from e
    found: list[External] = []
    problems: list[Problem] = []
    seen: dict[tuple[str, ...], int] = {}
    for line, raw in (_csv if as_csv else _json_lines)(text, source):
        if isinstance(raw, str):
            problems.append(Problem(raw, file=source, line=line))
        else:
            try:
                record = External.model_validate(raw)
            except ValidationError as e:
                problems += [Problem(_words(error), file=source, line=line) for error in e.errors()]
            else:
                key = _key(record)
                if key in seen:
                    text = f"the same figure as in line {seen[key]}"
                    problems.append(Problem(text, file=source, line=line))
                seen.setdefault(key, line)
                found.append(record)
        if len(problems) >= MAX_PROBLEMS:
            break
    if problems:
        raise BadInput(problems[:MAX_PROBLEMS])
    if not found:
        raise BadInput([Problem("holds no figures", file=source)])
    return found


def add(connection: sa.Connection, records: list[External]) -> Added:
    """Store those that are not there yet; the caller raises ``data_version`` if any are new.

    Raises ``Refused`` (``external_differs``) where the same figure is there with other values:
    a corrected figure says so in its note, and both are shown.
    """
    new: list[dict[str, Any]] = []
    for record in records:
        same = sa.and_(*(EXTERNAL.c[name] == getattr(record, name) for name in _IDENTITY))
        there = connection.execute(sa.select(EXTERNAL).where(same)).mappings().first()
        if there is None:
            new.append(record.model_dump())
        elif External(**{name: there[name] for name in FIELDS}) != record:
            differing = [name for name in FIELDS if there[name] != getattr(record, name)]
            raise refused(
                "external_differs",
                f"{record.source}, {record.model} on {record.device_model}, {record.metric}: "
                f"is there already with another {', '.join(differing)}",
                hint="say in its note what was corrected; both are shown then",
            )
    if new:
        connection.execute(sa.insert(EXTERNAL), new)
    return Added(len(new), len(records) - len(new))


def listed(connection: sa.Connection, after: int = 0, limit: int = 100) -> list[Listed]:
    """Those after this id, in the order in which they came."""
    rows = connection.execute(
        sa.select(EXTERNAL).where(EXTERNAL.c.id > after).order_by(EXTERNAL.c.id).limit(limit)
    )
    return [Listed(**row) for row in rows.mappings()]


def exported(connection: sa.Connection) -> Iterator[External]:
    """All of them, in an order that does not depend on when they came."""
    rows = connection.execute(sa.select(*(EXTERNAL.c[name] for name in FIELDS))).mappings()
    yield from sorted((External(**row) for row in rows), key=_key)


def _key(record: External) -> tuple[str, ...]:
    return tuple(getattr(record, name) for name in _IDENTITY)


def _json_lines(text: str, source: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    for line, written in enumerate(text.split("\n"), 1):
        if not written.strip():
            continue
        if len(written) > MAX_LINE_BYTES:
            yield line, "is too long"
            continue
        try:
            raw = json.loads(written, object_pairs_hook=_once)
        except (ValueError, RecursionError) as e:
            yield line, f"is not JSON: {e}"
            continue
        yield line, raw if isinstance(raw, dict) else "is not a JSON object"


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _csv(text: str, source: str) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(rows, [])
        missing = [name for name in FIELDS if name != "note" and name not in header]
        unknown = [name for name in header if name not in FIELDS]
        if missing or unknown or len(set(header)) != len(header):
            yield (
                1,
                f"the first line must name the columns {', '.join(FIELDS)}, each once"
                + (f"; missing: {', '.join(missing)}" if missing else "")
                + (f"; unknown: {', '.join(unknown)[:200]}" if unknown else ""),
            )
            return
        for row in rows:
            if not row:
                continue
            if len(row) != len(header):
                yield rows.line_num, f"has {len(row)} cells; the header has {len(header)}"
                continue
            raw: dict[str, Any] = dict(zip(header, row, strict=True))
            if not re.fullmatch(r"[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?", raw["value"]):
                yield rows.line_num, "value: is not a plain number, as 0.25 or 1.5e-3"
                continue
            yield rows.line_num, {**raw, "value": float(raw["value"])}
    except csv.Error as e:
        yield rows.line_num, f"is not CSV: {e}"


def _words(error: Any) -> str:
    return f"{path_of(error['loc'])}: {error['msg']}"
