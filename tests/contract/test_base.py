"""Canonical JSON and atomic writes."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.contract.base import MAX_DOCUMENT_BYTES, canonical_json, path_of, utc_now, write_atomic
from lem.contract.event import Event
from lem.errors import BadInput


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": 2}, '{"a":2,"b":1}'),
        (1.0, "1"),
        (-0.0, "0"),
        (1e16, "10000000000000000"),
        (0.1, "0.1"),
        (True, "true"),
        (None, "null"),
        ([1.0, (2, 3.5)], "[1,[2,3.5]]"),
        ("é–𝄞", '"é–𝄞"'),
        # The example of RFC 8785, section 3.2.2, in as far as it applies: numbers, escapes, order.
        (
            json.loads(
                '{"numbers": [333333333.33333329, 4.50, 2e-3], "string":'
                ' "\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/",'
                ' "literals": [null, true, false]}'
            ),
            '{"literals":[null,true,false],"numbers":[333333333.3333333,4.5,0.002],'
            '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
        ),
        # RFC 8785, section 3.2.3: order of keys (without the key beyond the basic plane).
        (
            {"\u20ac": 1, "\r": 2, "1": 3, "\u0080": 4, "\u00f6": 5, "</script>": 6},
            '{"\\r":2,"1":3,"</script>":6,"\u0080":4,"ö":5,"€":1}',
        ),
    ],
)
def test_canonical_json_has_one_spelling(value: Any, expected: str) -> None:
    assert canonical_json(value).decode() == expected


numbers = st.integers(-(2**80), 2**80) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(st.characters(exclude_categories=["Cs"])),
    lambda c: (
        st.lists(c, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), c, max_size=4)
    ),
    max_leaves=12,
)


@given(values)
def test_canonical_json_means_the_same_and_is_stable(value: Any) -> None:
    once = canonical_json(value)
    assert json.loads(once) == value
    assert canonical_json(json.loads(once)) == once


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), numbers))
def test_the_order_of_keys_does_not_matter(value: dict[str, float]) -> None:
    backwards = dict(reversed(list(value.items())))
    assert canonical_json(value) == canonical_json(backwards)


@given(numbers, numbers)
def test_two_numbers_are_spelt_alike_exactly_if_they_are_equal(a: float, b: float) -> None:
    assert (canonical_json(a) == canonical_json(b)) == (a == b)
    assert canonical_json(a) == canonical_json(float(a)) or float(a) != a


def test_true_is_not_one() -> None:
    assert canonical_json([True, False]) != canonical_json([1, 0])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_nan_has_no_canonical_json(value: Any) -> None:
    with pytest.raises(ValueError):
        canonical_json(value)


def test_a_write_makes_its_folder_and_replaces_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "d.json"
    write_atomic(path, b"a long first version")
    write_atomic(path, b"short")
    assert path.read_bytes() == b"short"
    assert [p.name for p in path.parent.iterdir()] == ["d.json"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "d.json"
    write_atomic(path, b"before")

    def no_room(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, no_room)
    if step == "replace":
        monkeypatch.setattr(Path, "replace", no_room)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, b"after")
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["d.json"]


KILLED = """
import os, signal, sys
from pathlib import Path
from lem.contract import base
moment = sys.argv[2]
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
if moment == "fsync":
    os.fsync = die
else:
    Path.replace = die
base.write_atomic(Path(sys.argv[1]), b"x" * 100_000)
"""


@pytest.mark.parametrize("moment", ["fsync", "replace"])
@pytest.mark.parametrize("existed", [True, False])
def test_killed_while_writing_there_is_the_old_document_or_none(
    tmp_path: Path, moment: str, existed: bool
) -> None:
    path = tmp_path / "record.json"
    if existed:
        path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", KILLED, str(path), moment], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (path.read_bytes() if path.exists() else None) == (b"old" if existed else None)
    others = [p.name for p in tmp_path.iterdir() if p != path]
    assert len(others) == 1 and others[0].startswith(".record.json.")


def test_a_reader_beside_a_writer_never_sees_half_a_document(tmp_path: Path) -> None:
    path = tmp_path / "event.json"
    events = [Event(t_ns=n, kind="log", data={"message": str(n) * 5000}) for n in (1, 2)]
    events[0].write(path)
    over = threading.Event()

    def write() -> None:
        for n in range(200):
            events[n % 2].write(path)
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not over.is_set():
        assert Event.read(path) in events
    writer.join()


def test_the_time_is_in_utc_with_milliseconds() -> None:
    now = datetime.fromisoformat(utc_now())
    assert now.utcoffset() == timedelta(0)
    assert abs(datetime.now().astimezone() - now) < timedelta(minutes=1)
    assert len(utc_now()) == len("2026-05-04T12:00:00.000+00:00")


def test_paths_are_written_with_dots() -> None:
    assert path_of(("windows", 0, "energy")) == "windows.0.energy"


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_link(path: Path) -> None:
    (path.parent / "elsewhere").write_text('{"t_ns": 1, "kind": "log"}')
    path.symlink_to("elsewhere")


def too_large(path: Path) -> None:
    with path.open("wb") as f:
        f.truncate(MAX_DOCUMENT_BYTES + 1)


@pytest.mark.parametrize("make", [a_pipe, a_device, a_link, too_large, Path.mkdir])
def test_only_a_plain_file_of_bounded_size_is_read(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "document.json")
    with pytest.raises(BadInput, match=r"is not a file|cannot be read|larger than 64 MiB"):
        Event.read(tmp_path / "document.json")
