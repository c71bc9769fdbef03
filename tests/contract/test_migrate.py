"""Old documents are migrated when they are read; newer ones are refused with the fix."""

import json
from typing import Any

import pytest

from lem.contract import migrate
from lem.contract.base import Document
from lem.contract.event import Event
from lem.contract.schema import documents
from lem.errors import BadInput

OLD = {"schema_version": 1, "t": 5, "kind": "log", "data": {}}


def test_every_kind_of_document_has_a_current_version() -> None:
    assert set(migrate.CURRENT) == set(documents())


def test_every_old_version_has_a_step() -> None:
    wanted = {(kind, v) for kind, now in migrate.CURRENT.items() for v in range(1, now)}
    assert set(migrate.STEPS) == wanted


def test_the_current_version_is_what_the_models_write() -> None:
    for kind, document in documents().items():
        assert document.model_fields["schema_version"].default == migrate.CURRENT[kind]


def test_steps_are_taken_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    def first(raw: dict[str, Any]) -> dict[str, Any]:
        return {**raw, "schema_version": 2, "steps": ["first"]}

    def second(raw: dict[str, Any]) -> dict[str, Any]:
        return {**raw, "schema_version": 3, "steps": [*raw["steps"], "second"]}

    monkeypatch.setitem(migrate.CURRENT, "event", 3)
    monkeypatch.setitem(migrate.STEPS, ("event", 1), first)
    monkeypatch.setitem(migrate.STEPS, ("event", 2), second)
    raw = dict(OLD)
    assert migrate.migrate("event", raw)["steps"] == ["first", "second"]
    assert raw == OLD, "a step must not change the document that it was given"
    assert migrate.migrate("event", {"schema_version": 3})["schema_version"] == 3


def test_reading_an_old_document_migrates_it(monkeypatch: pytest.MonkeyPatch) -> None:
    class Event(Document):
        """As a version 2 of events might be: ``t`` was renamed."""

        schema_version: int = 2
        t_ns: int
        kind: str
        data: dict[str, Any]

    monkeypatch.setitem(migrate.CURRENT, "event", 2)
    monkeypatch.setitem(
        migrate.STEPS,
        ("event", 1),
        lambda raw: {"schema_version": 2, "t_ns": raw["t"], "kind": raw["kind"], "data": {}},
    )
    assert Event.parse(json.dumps(OLD).encode()).t_ns == 5


def test_a_newer_version_is_refused_with_the_fix() -> None:
    with pytest.raises(BadInput, match="event of version 2, newer than this lem") as e:
        Event.parse(b'{"schema_version": 2, "t_ns": 1, "kind": "log"}', "events.ndjson")
    assert e.value.hint is not None and "upgrade" in e.value.hint
    assert e.value.problems[0].file == "events.ndjson"


@pytest.mark.parametrize("version", ["", '"schema_version": "1",', '"schema_version": true,'])
@pytest.mark.parametrize("other", ['"schema_version": 0,', '"schema_version": 1.0,', ""])
def test_a_missing_or_odd_version_is_refused(version: str, other: str) -> None:
    text = "{" + (version or other) + '"t_ns": 1, "kind": "log"}'
    with pytest.raises(BadInput, match="has no schema_version"):
        Event.parse(text.encode())
