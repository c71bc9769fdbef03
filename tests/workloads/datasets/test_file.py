"""Whatever a file holds, it is refused with its name or gives requests within limits."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lem.contract.workload import MAX_REQUEST_TOKENS, Workload
from lem.errors import BadInput
from lem.workloads import datasets
from lem.workloads.datasets import file as data_file
from lem.workloads.datasets.file import DataFile
from tests.workloads.datasets.made import Words

SHA256 = hashlib.sha256(b"content").hexdigest()


def test_a_file_is_read_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"content")
    assert data_file.digest(path, "x") == SHA256
    assert data_file.read(path, "x", SHA256).data == b"content"
    with pytest.raises(BadInput, match="x: is not the file that the campaign was read with"):
        data_file.read(path, "x", "0" * 64)


def test_a_copy_is_the_file_that_was_hashed(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"content")
    data_file.copy(path, "x", SHA256, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b"content"
    path.write_bytes(b"changed")
    with pytest.raises(BadInput, match="was changed since"):
        data_file.copy(path, "x", SHA256, tmp_path / "again")


def test_what_is_no_plain_file_of_bounded_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * 101)
    monkeypatch.setattr(data_file, "MAX_FILE_BYTES", 100)
    for name, words in {
        "pipe": "is not a file", ".": "is not a file", "none": "No such file", "large": "1 GiB",
        "a\0b": "is no path",
    }.items():  # fmt: skip
        for look in (data_file.digest, lambda p, n: data_file.read(p, n, None)):
            with pytest.raises(BadInput, match=f"shown: .*{words}"):
                look(tmp_path / name, "shown")
    with pytest.raises(BadInput, match="is not a file"):
        data_file.digest(Path("/dev/zero"), "zero")


def test_lines_of_every_kind() -> None:
    file = DataFile("x", b"\xef\xbb\xbfa\r\n\n  b  \nc")
    assert list(file.lines()) == [(1, "a"), (3, "b"), (4, "c")]


KINDS = ("jsonl", "sharegpt", "trace")
KEYS = st.sampled_from([
    "prompt", "messages", "role", "content", "output_tokens", "conversations", "items", "from",
    "value", "timestamp", "input_length", "output_length", "hash_ids", "user", "human", "gpt", "id",
])  # fmt: skip
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | KEYS
    | st.integers(0, 600)
)  # fmt: skip
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)  # fmt: skip
LINES = st.lists(JSON, max_size=5).map(lambda vs: "\n".join(json.dumps(v) for v in vs).encode())
WHOLE = JSON.map(lambda v: json.dumps(v).encode())
ROWS = st.lists(
    st.tuples(
        st.text(max_size=20) | st.datetimes().map(str),
        st.text(max_size=5) | st.integers(-5, 10**9).map(str),
        st.integers(0, 600).map(str),
    ),
    max_size=5,
).map(lambda rs: "\n".join(["TIMESTAMP,ContextTokens,GeneratedTokens", *map(",".join, rs)]))
CONTENT = (
    st.binary(max_size=200) | LINES | WHOLE
    | ROWS.map(lambda t: t.encode("utf-8", "surrogatepass"))
)  # fmt: skip


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(kind=st.sampled_from(KINDS), content=CONTENT, n=st.integers(1, 3), turns=st.integers(1, 3))
def test_whatever_a_file_holds(
    tmp_path: Path, kind: str, content: bytes, n: int, turns: int
) -> None:
    sha256 = hashlib.sha256(content).hexdigest()
    (tmp_path / sha256).write_bytes(content)
    dataset: dict[str, Any] = {"kind": kind, "path": "f", "sha256": sha256}
    if kind == "sharegpt":
        dataset["turns"] = turns
    workload = Workload.model_validate({"requests": n, "dataset": dataset})
    seen: BadInput | None = None
    try:
        datasets.check(workload, workload.dataset, DataFile("f", content))  # type: ignore[arg-type]
    except BadInput as e:
        seen = e
    try:
        requests = datasets.make(workload, Words(), 1, tmp_path)
    except BadInput as e:
        assert all(p.file == "f" for p in e.problems)
        # What only a tokenizer can say: that questions or answers are too short.
        assert seen is not None or kind == "sharegpt"
        return
    # What the host finds wrong beforehand, the agent would too.
    assert seen is None
    assert [r.id for r in requests] == [f"r{i}" for i in range(n)]
    for r in requests:
        assert r.input_ids and all(0 <= i < 1000 for i in r.input_ids)
        assert 1 <= r.output_tokens <= MAX_REQUEST_TOKENS
        r.text.encode()
        assert r.at_s is None or 0 <= r.at_s < 1e15


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_not_there_or_another_is_refused(tmp_path: Path, kind: str) -> None:
    dataset = {"kind": kind, "path": "f", "sha256": SHA256}
    workload = Workload.model_validate({"requests": 1, "dataset": dataset})
    with pytest.raises(BadInput, match="f: cannot be read"):
        datasets.make(workload, Words(), 1, tmp_path)
    (tmp_path / SHA256).write_bytes(b"other")
    with pytest.raises(BadInput, match="f: is not the file that the campaign"):
        datasets.make(workload, Words(), 1, tmp_path)
    with pytest.raises(BadInput, match="f is not here"):
        datasets.make(workload, Words(), 1)
