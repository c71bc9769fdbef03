"""Documents that no agent wrote, made by the thousand: each is refused with a reason or taken as a
whole, and nothing else ever happens."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lem.archive import parsed
from lem.archive.ingest import run_rows
from lem.archive.kept import outcomes_of, packed_outcomes
from lem.archive.reasons import REASONS
from lem.archive.refused import Refused
from lem.archive.rows import FIGURES
from lem.contract.submission import Submitted
from lem.stores.counted import counted
from lem.submit.bundle import bundles
from lem.trust import completeness
from tests.archive_submissions import campaign, text_of, with_file
from tests.submit import given as given_submit

HOSTILE = [
    None,
    True,
    -1,
    0,
    10**400,
    2**63,
    1e308,
    -1e308,
    5e-324,
    float("nan"),
    float("inf"),
    "",
    "NaN",
    "\x00",
    "\ud800",
    "x" * 100_000,
    "../../etc/passwd",
    "'; DROP TABLE run; --",
    [],
    {},
    [[]] * 1000,
    {"a": {"b": {"c": {}}}},
    "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59",
]


class Body:
    """Stands in for a pack: the files alone."""

    def __init__(self, bundle: Any) -> None:
        self._files = bundle.files
        self.files = {sha: (0, len(data)) for sha, data in bundle.files.items()}

    def file(self, sha256: str) -> bytes:
        data: bytes = self._files[sha256]
        return data


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder: Path = tmp_path_factory.mktemp("hostile")
    (made,) = bundles(campaign(folder, [[0.1], [None]]), given_submit.info())
    return made


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict | list):
        for key, below in value.items() if isinstance(value, dict) else enumerate(value):
            found += places(below, (*path, key))
    return found


def put(raw: Any, path: tuple[Any, ...], value: Any) -> None:
    *above, last = path
    for key in above:
        raw = raw[key]
    raw[last] = value


@given(data=st.data())
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.parametrize("kind", ["record", "failure", "lock"])
def test_a_document_with_anything_anywhere(whole: Any, kind: str, data: st.DataObject) -> None:
    runs: list[Submitted] = whole.content.runs
    number = next(i for i, r in enumerate(runs) if kind == "lock" or getattr(r, kind))
    raw = json.loads(text_of(whole, number, kind))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(places(raw) or [("kind",)]))
        put(raw, path, copy.deepcopy(data.draw(st.sampled_from(HOSTILE))))
    bundle = with_file(whole, number, kind, json.dumps(raw).encode())
    try:
        found = parsed.parse(Body(bundle), bundle.content)  # type: ignore[arg-type]
    except Refused as e:
        assert 400 <= REASONS[e.reason].status < 500 and e.status == REASONS[e.reason].status
        assert len(e.message) < 5000
        return
    outcomes = [a.outcome for a in found.attempts]
    assert outcomes_of(packed_outcomes(outcomes)) == outcomes
    completeness.state(found.lock, outcomes)
    counted(outcomes)
    for row in run_rows(found, 1, 1, 1):
        assert all(v is None or abs(v) <= 1e60 for v in row.figures)
        assert len(row.figures) == len(FIGURES)
        for text in (v for v in row.config if isinstance(v, str)):
            assert "\x00" not in text and len(text) <= 200
            text.encode()
        for n in (v for v in row.config if isinstance(v, int)):
            assert abs(n) < 2**31


@given(st.binary(max_size=2000) | st.text(max_size=500).map(str.encode))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_record_of_any_bytes(whole: Any, data: bytes) -> None:
    bundle = with_file(whole, 0, "record" if whole.content.runs[0].record else "failure", data)
    with pytest.raises(Refused):
        parsed.parse(Body(bundle), bundle.content)  # type: ignore[arg-type]


def test_the_untouched_one_is_taken(whole: Any) -> None:
    found = parsed.parse(Body(whole), whole.content)  # type: ignore[arg-type]
    assert sorted(a.outcome.kind for a in found.attempts) == ["failure", "record"]
