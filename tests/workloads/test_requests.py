"""Request lists on disk."""

import gzip
from pathlib import Path

import pytest

from lem.errors import RunFailed
from lem.workloads.requests import Request, dump, read

DAMAGED = gzip.compress(b"", mtime=0)[:10] + b"\xff" * 40
"""A gzip file's head, and then what zlib itself refuses."""
LIST = [Request("r0", [1, 2, 3], 4, "naïve “text”"), Request("r1", [5], 6, "")]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    data, sha256 = dump(LIST)
    (tmp_path / "list").write_bytes(data)
    assert read(tmp_path / "list", sha256) == LIST
    assert dump(LIST) == (data, sha256)


@pytest.mark.parametrize(
    "content",
    [b"", b"not gzip", gzip.compress(b'{"id": "other"}\n', mtime=0), DAMAGED],
    ids=["empty", "not gzip", "another list", "damaged"],
)
def test_another_list_than_the_planned_one_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list").write_bytes(content)
    with pytest.raises(RunFailed) as e:
        read(tmp_path / "list", dump(LIST)[1])
    assert e.value.kind == "contract"
