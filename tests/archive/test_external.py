"""Figures of others: a strict schema, each problem with its line, nothing stored in part."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from lem.archive import external
from lem.archive.queue.tables import METADATA
from lem.archive.refused import Refused
from lem.errors import BadInput

ROOT = Path(__file__).parents[2]
GOOD: dict[str, Any] = {
    "source": "Somebody's table 3",
    "url": "https://example.org/table",
    "licence": "CC-BY-4.0",
    "published": "2025-03-04",
    "model": "a/b",
    "device_model": "Some board",
    "metric": "energy_per_request_j",
    "value": 12.5,
}


@pytest.fixture
def connection() -> Iterator[sa.Connection]:
    engine = sa.create_engine("sqlite://")
    METADATA.create_all(engine)
    with engine.begin() as c:
        yield c
    engine.dispose()


def lines(*records: Any) -> bytes:
    return "\n".join(json.dumps(r) for r in records).encode()


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_the_examples_are_read_and_say_that_they_are_none(ending: str) -> None:
    found = external.read(ROOT / f"docs/data/external-example.{ending}")
    assert [f.value for f in found] == [1, 100]
    assert all("nothing was measured" in f.source and "example.org" in f.url for f in found)


def test_both_forms_say_the_same() -> None:
    one, other = (external.read(ROOT / f"docs/data/external-example.{e}") for e in ("jsonl", "csv"))
    assert one == other


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"value": 0}, "value"),
        ({"value": -1.0}, "value"),
        ({"value": float("nan")}, "value"),
        ({"value": "12"}, "value"),
        ({"value": True}, "value"),
        ({"metric": "joules"}, "metric"),
        ({"published": "2025-02-30"}, "2026-05-04"),
        ({"published": "4.3.2025"}, "published"),
        ({"url": "javascript:alert(1)"}, "http"),
        ({"url": "https://user:pass@example.org/"}, "http"),
        ({"url": 'https://example.org/"><script>'}, "http"),
        ({"url": "https://[::1"}, "http"),
        ({"licence": ""}, "licence"),
        ({"source": "\u202eevil"}, "control"),
        ({"model": "x" * 201}, "model"),
        ({"uncertainty": 1}, "uncertainty"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said) as caught:
        external.parse(lines(GOOD, {**GOOD, "note": "other", **changed}), "f.jsonl")
    assert [p.line for p in caught.value.problems] == [2]


@pytest.mark.parametrize("name", [n for n in external.FIELDS if n != "note"])
def test_every_field_must_be_given(name: str) -> None:
    with pytest.raises(BadInput, match=name):
        external.parse(lines({k: v for k, v in GOOD.items() if k != name}))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no figures"),
        (b"[1]", "not a JSON object"),
        (b'{"a":1,"a":2}', "twice"),
        (b"[" * 50000, "not JSON"),
        (b"\xff", "UTF-8"),
        (lines(GOOD, GOOD), "line 1"),
    ],
)
def test_broken_files(data: bytes, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        external.parse(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"source,url\n", "missing: licence"),
        (b"source,source\n", "each once"),
        (b'source,"\n', "CSV"),
    ],
)
def test_broken_tables(data: bytes, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        external.parse(data, as_csv=True)


@pytest.mark.parametrize("value", ["", "nan", "inf", "1,5", "0x10", "1_000", " 1"])
def test_numbers_of_tables_are_plain(value: str) -> None:
    row = {**GOOD, "value": f'"{value}"'}
    text = ",".join(row) + "\n" + ",".join(map(str, row.values())) + "\n"
    with pytest.raises(BadInput, match="plain number"):
        external.parse(text.encode(), as_csv=True)


@given(st.binary(max_size=300), st.booleans())
def test_any_bytes_are_read_or_refused(data: bytes, as_csv: bool) -> None:
    try:
        external.parse(data, as_csv=as_csv)
    except BadInput as e:
        assert e.problems


def test_adding_twice_adds_once(connection: sa.Connection) -> None:
    records = external.parse(lines(GOOD, {**GOOD, "note": "other load"}))
    assert external.add(connection, records) == (2, 0)
    assert external.add(connection, records) == (0, 2)
    assert list(external.exported(connection)) == records
    listed = external.listed(connection, limit=1)
    assert [x.value for x in listed] == [12.5]
    assert [x.note for x in external.listed(connection, after=listed[0].id)] == ["other load"]


def test_another_value_for_the_same_figure_is_refused(connection: sa.Connection) -> None:
    external.add(connection, external.parse(lines(GOOD)))
    with pytest.raises(Refused, match="another value") as caught:
        external.add(connection, external.parse(lines({**GOOD, "value": 13.0})))
    assert caught.value.reason == "external_differs"
