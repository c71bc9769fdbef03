"""Every kind of document: golden files, round trips, and what is refused."""

import copy
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.contract.base import MAX_DOCUMENT_BYTES, Document
from lem.contract.migrate import CURRENT
from lem.contract.record import Record
from lem.contract.schema import documents
from lem.errors import BadInput

GOLDEN = Path(__file__).parent / "golden"
KINDS = sorted(documents())
WHAT_TO_DO = (
    "A document of an older version can no longer be read. Raise CURRENT[kind] in"
    " lem/contract/migrate.py, add the step that turns the old version into the new one, and put a"
    " golden file of the new version beside the old. Never edit a golden file: such documents are"
    " on people's disks."
)


def golden(kind: str) -> dict[str, Any]:
    raw: dict[str, Any] = json.loads((GOLDEN / f"{kind}.v{CURRENT[kind]}.json").read_text())
    return raw


def parse(kind: str, raw: Any) -> Document:
    return documents()[kind].parse(json.dumps(raw).encode(), "doc.json")


@pytest.mark.parametrize("file", sorted(p.name for p in GOLDEN.iterdir()))
def test_documents_of_every_version_can_still_be_read(file: str) -> None:
    kind = file.split(".")[0]
    try:
        document = documents()[kind].read(GOLDEN / file)
    except BadInput as e:
        pytest.fail(f"{file}: {e}\n{WHAT_TO_DO}")
    assert json.loads(document.model_dump_json())["schema_version"] == CURRENT[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_every_version_of_every_kind_has_a_golden_file(kind: str) -> None:
    for version in range(1, CURRENT[kind] + 1):
        assert (GOLDEN / f"{kind}.v{version}.json").is_file(), WHAT_TO_DO


@pytest.mark.parametrize("kind", KINDS)
def test_a_round_trip_keeps_every_value(kind: str, tmp_path: Path) -> None:
    raw = golden(kind)
    document = parse(kind, raw)
    document.write(tmp_path / "d.json")
    written = dict(places(json.loads((tmp_path / "d.json").read_text())))
    for path, value in places(raw):
        if isinstance(value, list):
            assert len(written[path]) == len(value), path
        elif not isinstance(value, dict):  # a newer lem may write more keys
            assert written.get(path, KeyError) == value, (path, WHAT_TO_DO)
    assert documents()[kind].read(tmp_path / "d.json") == document


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value inside a JSON document with its path."""
    yield path, node
    found = enumerate(node) if isinstance(node, list) else ()
    for key, value in node.items() if isinstance(node, dict) else found:
        yield from places(value, (*path, key))


def changed(raw: Any, path: tuple[Any, ...], value: Any) -> Any:
    raw = copy.deepcopy(raw)
    if not path:
        return value
    node = raw
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return raw


FREE = {"args", "engine", "generate", "data", "engine_resolved", "settings", "config"}
"""Where any key, and values of several types, are allowed: engines and events define them."""

MAPS = {"libraries", "backends", "requests", "metrics", "budget_j", "clocks_mhz"} | FREE
"""Where keys are names that the contract does not know beforehand."""


def closed(kind: str, keep: Callable[[tuple[Any, ...], Any], bool]) -> list[tuple[Any, ...]]:
    raw = golden(kind)
    return [p for p, v in places(raw) if not FREE & set(p[:-1]) and keep(p, v)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_key_is_refused_everywhere_and_named(kind: str) -> None:
    raw = golden(kind)
    objects = closed(kind, lambda p, v: isinstance(v, dict) and not (p and p[-1] in MAPS))
    assert objects
    for path in objects:
        if path[:1] == ("metrics",) or path[-2:-1] == ("metrics",):
            continue  # keys below are device classes
        with pytest.raises(BadInput, match="surprise"):
            parse(kind, changed(raw, (*path, "surprise"), 1))


WRONG = {str: [1, True, [], {}], int: ["1", 1.5, [], {}], float: ["1.0", [], {}], bool: ["yes", []]}


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_of_another_type_is_refused(kind: str) -> None:
    raw = golden(kind)
    for path in closed(kind, lambda _, v: type(v) in WRONG):
        if path[0] == "metrics" and path[-1] not in ("value", "mean"):
            continue
        for wrong in WRONG[type(dict(places(raw))[path])]:
            with pytest.raises(BadInput):
                parse(kind, changed(raw, path, wrong))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_nan_and_infinity_are_refused_wherever_a_number_stands(kind: str, number: str) -> None:
    raw = golden(kind)
    for path, value in places(raw):
        if isinstance(value, int | float) and not isinstance(value, bool):
            text = json.dumps(changed(raw, path, "@@")).replace('"@@"', number)
            with pytest.raises(BadInput):
                documents()[kind].parse(text.encode())


@pytest.mark.parametrize("kind", KINDS)
def test_nan_cannot_be_put_into_a_document_from_python(kind: str) -> None:
    raw = golden(kind)
    for path in closed(kind, lambda _, v: isinstance(v, float)):
        with pytest.raises(ValueError):
            documents()[kind].model_validate(changed(raw, path, float("nan")))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nul",
        b"[]",
        b"1",
        b'"text"',
        b"{}",
        b'{"schema_version": 1',
        b"\xff\xfe\x00",
        b'{"schema_version": 1, "\\ud800": 1}',
        b'{"schema_version": 1, "x": ' + b"9" * 10_000 + b"}",
    ],
)
def test_what_is_no_such_document_is_bad_input(kind: str, data: bytes) -> None:
    with pytest.raises(BadInput):
        documents()[kind].parse(data)


@pytest.mark.parametrize("depth", [150, 250, 900, 960, 970, 980, 985, 990, 995, 1000, 100_000])
@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}")])
def test_deep_nesting_never_overflows_the_stack(depth: int, brackets: tuple[str, str]) -> None:
    inner = brackets[0] * depth + "1" + brackets[1] * depth
    text = '{"schema_version": 1, "t_ns": 1, "kind": "log", "data": {"x": ' + inner + "}}"
    try:
        documents()["event"].parse(text.encode())
    except BadInput:
        return
    assert depth <= 200


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    with path.open("wb") as f:
        f.truncate(MAX_DOCUMENT_BYTES + 1)
    with pytest.raises(BadInput, match="larger than 64 MiB"):
        Record.read(path)


def test_a_missing_file_is_bad_input_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"nowhere\.json: cannot be read: No such file"):
        Record.read(tmp_path / "nowhere.json")


def test_every_problem_of_a_document_is_named_with_its_path() -> None:
    raw = golden("record")
    raw["windows"][1]["energy"][0]["energy_j"] = "much"
    raw["environment"]["gpus"][0]["name"] = None
    with pytest.raises(BadInput) as e:
        parse("record", raw)
    assert {p.path for p in e.value.problems} == {
        "windows.1.energy.0.energy_j",
        "environment.gpus.0.name",
    }
    assert all(p.file == "doc.json" for p in e.value.problems)


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("record", ("started_at",), "yesterday"),
        ("record", ("ended_at",), "2026-05-04T12:00:00"),
        ("failure", ("started_at",), "2026-05-04"),
        ("failure", ("ended_at",), ""),
        ("record", ("windows",), []),
        ("record", ("windows", 0, "end_ns"), 1_000_000_000_000),
        ("record", ("windows", 0, "output_tokens"), -1),
        ("record", ("idle", 0, "end_ns"), 0),
        ("record", ("windows", 0, "energy", 0, "uncertainty_j"), -1.0),
        ("record", ("block",), -1),
        ("record", ("metrics", "ttft_s", "n"), -1),
        ("job", ("attempt",), -1),
        ("job", ("limits", "run_s"), 0),
        ("lock", ("blocks",), 0),
        ("failure", ("kind",), "bad luck"),
        ("event", ("kind",), "song"),
        ("staged", ("requests", 0, "sha256"), "../../etc/passwd"),
    ],
)
def test_values_that_make_no_sense_are_refused(
    kind: str, path: tuple[Any, ...], value: Any
) -> None:
    with pytest.raises(BadInput):
        parse(kind, changed(golden(kind), path, value))


scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
) | st.text(st.characters(exclude_categories=["Cs"]))


words = st.text(st.characters(exclude_categories=["Cs"]))
nested = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3)
).filter(lambda value: depth(value) <= 8)


def depth(value: Any) -> int:
    inner = list(value.values()) if isinstance(value, dict) else value
    return 1 + max(map(depth, inner), default=0) if isinstance(inner, list) else 0


@given(st.dictionaries(words, nested))
def test_any_engine_argument_survives_the_way_through_a_job(args: dict[str, Any]) -> None:
    job = parse("job", golden("job") | {"args": args})
    again = documents()["job"].parse(job.model_dump_json().encode()).model_dump()["args"]
    assert again == args
    # In Python 1 == 1.0 == True; an engine may mind.
    assert repr(again) == repr(args)


def wrapped(value: Any, levels: int) -> Any:
    for i in range(levels):
        value = {"a": value} if i % 2 else [value]
    return value


def test_arguments_nest_so_deep_and_no_deeper() -> None:
    assert parse("job", golden("job") | {"args": {"x": wrapped(1, 8)}})
    for levels in (9, 50):
        with pytest.raises(BadInput, match="nested more than 8 levels deep"):
            parse("job", golden("job") | {"args": {"x": wrapped(1, levels)}})
    with pytest.raises(BadInput):
        parse("job", golden("job") | {"args": {"x": wrapped(float("nan"), 4)}})
    job = documents()["job"]
    for value in (object(), (1,), {1: 2}, float("inf")):
        with pytest.raises(ValueError, match="must be"):
            job.model_validate(golden("job") | {"args": {"x": wrapped(value, 3)}})


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw["windows"][0]["energy"][0].update(budget_j={"tick": 1e61}),
        lambda raw: raw["windows"][0].update(output_tokens=10**4000),
        lambda raw: raw["environment"].update(memory_bytes=-(10**61)),
    ],
    ids=["fraction", "tokens", "negative"],
)
def test_a_record_holds_no_number_that_overflows_when_computed_with(
    change: Callable[[dict[str, Any]], None],
) -> None:
    raw = golden("record")
    change(raw)
    with pytest.raises(BadInput, match="larger than 1e60"):
        parse("record", raw)


def test_engines_arguments_may_be_any_numbers() -> None:
    raw = golden("record")
    raw["experiment"]["args"] = {"limit": 10**400}
    record = parse("record", raw)
    assert isinstance(record, Record) and record.experiment.args == {"limit": 10**400}


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace")))
def test_junk_never_gives_anything_but_bad_input(data: bytes) -> None:
    for kind in documents().values():
        with pytest.raises(BadInput):
            kind.parse(data)


json_values = st.recursive(
    scalars, lambda c: st.lists(c, max_size=3) | st.dictionaries(st.text(max_size=5), c, max_size=3)
)


@given(st.data())
def test_a_record_with_any_one_value_replaced_is_read_or_refused(data: st.DataObject) -> None:
    raw = golden("record")
    path = data.draw(st.sampled_from([p for p, _ in places(raw)]))
    text = json.dumps(changed(raw, path, data.draw(json_values)))
    try:
        record = Record.parse(text.encode())
    except BadInput:
        return
    assert Record.parse(record.model_dump_json().encode()) == record
