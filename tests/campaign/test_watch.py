"""Following events that an agent, perhaps a hostile one, writes."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lem.campaign import watch
from lem.campaign.watch import MAX_LINE, MAX_READ, watching
from lem.contract.event import Event


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "POLL_S", 0.01)


def line(n: int, **data: Any) -> bytes:
    return Event(t_ns=n, kind="log", data=data).model_dump_json().encode() + b"\n"


def followed(path: Path, write: Callable[[], object]) -> list[int]:
    """The times of the events that are told while ``write`` works."""
    seen: list[int] = []
    with watching(path, lambda e: seen.append(e.t_ns)):
        write()
    return seen


def test_events_are_told_as_they_are_written(tmp_path: Path) -> None:
    path, seen = tmp_path / "events.ndjson", []
    with watching(path, lambda e: seen.append(e.t_ns)), path.open("ab", buffering=0) as f:
        for n in range(5):
            f.write(line(n))
            wait_for(lambda n=n: len(seen) == n + 1)
    assert seen == [0, 1, 2, 3, 4]


def test_one_who_wants_it_sooner_gets_it_sooner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "POLL_S", 60)
    path, seen = tmp_path / "events.ndjson", []
    with watching(path, lambda e: seen.append(e.t_ns), poll_s=0.01):
        path.write_bytes(line(1))
        wait_for(lambda: seen == [1])


def wait_for(what: Callable[[], bool]) -> None:
    for _ in range(1000):
        if what():
            return
        time.sleep(0.01)
    pytest.fail("it never came")


def test_what_was_written_last_is_told_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    assert followed(path, lambda: path.write_bytes(line(1) + line(2))) == [1, 2]


def test_a_line_that_comes_in_pieces_is_told_once_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    data = line(7, message="é" * 100)

    def slowly() -> None:
        with path.open("ab", buffering=0) as f:
            for i in range(0, len(data), 9):
                f.write(data[i : i + 9])
                time.sleep(0.012)

    assert followed(path, slowly) == [7]


def test_a_line_that_never_ends_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    assert followed(path, lambda: path.write_bytes(line(1) + line(2)[:-1])) == [1]


@pytest.mark.parametrize(
    "junk",
    [
        b"\n\n\n",
        b"not json\n",
        b"[1, 2]\n",
        b"\xff\xfe\x00\n",
        b'{"schema_version": 1, "t_ns": 5, "kind": "song", "data": {}}\n',
        b'{"schema_version": 9, "t_ns": 5, "kind": "log", "data": {}}\n',
        b'{"schema_version": 1, "t_ns": 5, "kind": "log", "data": {"x": NaN}}\n',
        b'{"schema_version": 1, "t_ns": 5, "kind": "log", "data": {"x": 1e999}}\n',
        b'{"schema_version": 1, "t_ns": 5, "kind": "log", "data": {}, "more": 1}\n',
        b'{"schema_version": 1, "t_ns": 5, "kind": "log", "data": {"x": ' + b"[" * 900 + b"\n",
        b"[" * 50_000 + b"\n",
        b"9" * 6_000 + b"\n",
        b"\r\x1b[2J\n",
    ],
)
def test_junk_between_events_is_passed_over(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "events.ndjson"
    assert followed(path, lambda: path.write_bytes(line(1) + junk + line(2))) == [1, 2]


@pytest.mark.parametrize("length", [MAX_LINE, MAX_LINE + 1, MAX_READ, 3 * MAX_READ + 17])
def test_a_huge_line_is_dropped_and_costs_no_memory(tmp_path: Path, length: int) -> None:
    path = tmp_path / "events.ndjson"
    huge = json.dumps({"schema_version": 1, "t_ns": 5, "kind": "log", "data": {"x": "y" * length}})
    data = line(1) + huge.encode() + b"\n" + line(2)
    assert followed(path, lambda: path.write_bytes(data)) == [1, 2]


def test_many_events_at_once(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    data = b"".join(line(n, message="x" * 500) for n in range(5000))
    assert len(data) > 2 * MAX_READ
    assert followed(path, lambda: path.write_bytes(data)) == list(range(5000))


def test_a_file_that_is_cut_short_gives_nothing_twice(tmp_path: Path) -> None:
    path, seen = tmp_path / "events.ndjson", []
    with watching(path, lambda e: seen.append(e.t_ns)):
        path.write_bytes(line(1) + line(2))
        wait_for(lambda: len(seen) == 2)
        os.truncate(path, 10)
        time.sleep(0.05)
    assert seen == [1, 2]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(line(1))
    path = tmp_path / "events.ndjson"
    assert followed(path, lambda: path.symlink_to(tmp_path / "elsewhere")) == []


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "events.ndjson"
    assert followed(path, lambda: (make(path), time.sleep(0.05))) == []


def test_no_file_at_all(tmp_path: Path) -> None:
    assert followed(tmp_path / "nowhere" / "events.ndjson", lambda: time.sleep(0.05)) == []


def test_a_file_without_end_is_not_read_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "MAX_BYTES", MAX_READ)
    path = tmp_path / "events.ndjson"
    text = line(0) + b"\n" * MAX_READ + line(1)
    assert followed(path, lambda: path.write_bytes(text)) == [0]
