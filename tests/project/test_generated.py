"""What the docs take from the code is what the code says now."""

import json
import re
import runpy
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from lem.contract.event import Event
from lem.contract.flags import FLAGS
from lem.contract.metrics import METRICS
from lem.contract.schema import documents, export

REFRESH = "run `make docs` and commit what it writes"


def test_schemas_in_docs_are_those_of_the_contract(root: Path) -> None:
    written = {p.name: p.read_text(encoding="utf-8") for p in (root / "docs/schema").glob("*.json")}
    assert written == export(), REFRESH


@pytest.mark.parametrize("name", sorted(documents()))
def test_schema_is_valid_and_strict(name: str) -> None:
    schema = json.loads(export()[f"{name}.json"])
    Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    assert "schema_version" in schema["properties"]


def test_every_document_kind_has_a_current_version() -> None:
    from lem.contract.migrate import CURRENT

    assert {n: k.model_fields["schema_version"].default for n, k in documents().items()} == CURRENT


def test_schema_accepts_what_is_written_and_refuses_what_is_not() -> None:
    validator = Draft202012Validator(json.loads(export()["event.json"]))
    event = json.loads(Event(t_ns=1, kind="phase", data={"phase": "load"}).model_dump_json())
    assert validator.is_valid(event)
    assert not validator.is_valid(event | {"kind": "rumour"})
    assert not validator.is_valid(event | {"surprise": 1})


def test_tables_in_docs_are_those_of_the_code(root: Path) -> None:
    tables = runpy.run_path(str(root / "scripts/tables.py"))
    found = set()
    for page in (root / "docs").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        found |= set(re.findall(r"<!-- table: (\w+) -->", text))
        assert tables["filled"](text) == text, f"{page.name}: {REFRESH}"
    assert found == set(tables["tables"]())


def test_every_flag_and_metric_is_in_the_docs(root: Path) -> None:
    text = (root / "docs/records.md").read_text(encoding="utf-8")
    assert [n for n in (*FLAGS, *METRICS) if f"| `{n}` |" not in text] == []


def test_flags_that_docs_mention_exist(root: Path) -> None:
    """A name in backticks beside the word flag is a flag's."""
    said = re.compile(r"(?:flag|flagged) `([a-z_]+)`")
    for page in (root / "docs").glob("*.md"):
        for name in said.findall(page.read_text(encoding="utf-8")):
            assert name in FLAGS, f"{page.name} speaks of a flag {name}"
