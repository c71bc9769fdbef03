"""One campaign's events on disk."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from leases import event, phase, power

from lem.contract.live import LiveEvent, State
from lem.live.channel import said
from lem.live.log import FULL, SERVER, STRIDE, Line, Log, Superseded


def events(*raw: dict[str, Any]) -> list[LiveEvent]:
    return [event(r) for r in raw]


def whole(log: Log) -> list[Line]:
    return log.read(0, 0, 10**9).lines


def test_a_line_says_whose_batch_it_is_and_what_is_in_it(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    log.take(SERVER, 0, [said("claimed", "by a runner", at=5)])
    log.take(3, 0, events(phase(7), power(8, 12.5)))
    first, second = (json.loads(x) for x in (tmp_path / "log").read_text().splitlines())
    assert first == [0, 0, [{"k": "state", "at": 5, "state": "claimed", "message": "by a runner"}]]
    assert second[:2] == [3, 0]
    assert [e["k"] for e in second[2]] == ["phase", "power"]
    assert [line.seq for line in whole(log)] == [1, 2]
    assert json.loads(whole(log)[1].events) == second[2]


def test_a_batch_counts_once_and_in_its_turn(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    assert log.take(1, 0, events(phase(1))) is not None
    assert log.take(1, 0, events(phase(2))) is None
    assert log.take(1, 2, events(phase(3))) is None
    assert log.next(1) == 1
    assert log.take(1, 1, []) is not None
    assert log.next(1) == 2
    assert [json.loads(line.events) for line in whole(log)] == [[phase(1)], []]


def test_an_older_lease_writes_nothing_once_a_later_one_has(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    log.take(1, 0, events(phase(1)))
    log.take(2, 0, events(phase(2)))
    with pytest.raises(Superseded):
        log.take(1, 1, events(phase(3)))
    log.take(SERVER, 0, [said("lost", at=4)])
    assert log.last == 3


@pytest.mark.parametrize("state", ["queued", "claimed", "lost", "done", "failed", "cancelled"])
def test_a_runner_does_not_say_what_only_the_server_knows(tmp_path: Path, state: str) -> None:
    log = Log(tmp_path / "log")
    log.take(1, 0, [said(state, at=1), said("staging", at=2), said("running", at=3)])
    told = [e["state"] for e in json.loads(whole(log)[0].events)]
    assert told == ["staging", "running"]
    assert not log.over


def test_it_knows_how_far_it_was_when_it_is_opened_again(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    for n in range(3 * STRIDE + 5):
        log.take(1, n, events(power(n)))
    log.take(2, 0, events(power(0)))
    log.take(SERVER, 0, [said("done", at=9)])
    log.close()
    again = Log(tmp_path / "log")
    assert again.last == log.last
    assert (again.next(1), again.next(2), again.next(SERVER)) == (3 * STRIDE + 5, 1, 1)
    assert again.over
    with pytest.raises(Superseded):
        again.take(2, 1, events(phase(1)))
    again.take(SERVER, 1, [said("queued", at=10)])
    assert again.take(2, 0, events(phase(1))) is None
    assert again.take(2, 1, events(phase(1))) is not None


def test_what_ended_can_go_on(tmp_path: Path) -> None:
    log = Log(tmp_path / "log")
    log.take(SERVER, 0, [said("failed", at=1)])
    assert log.over
    log.take(SERVER, 1, [said("queued", at=2)])
    assert not log.over
    log.close()
    assert not Log(tmp_path / "log").over


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_half_written_end_is_cut_off_wherever_it_broke(data: st.DataObject) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log"
        log = Log(path)
        ends = [0]
        for n in range(data.draw(st.integers(1, 6))):
            log.take(1, n, events(*[power(i) for i in range(data.draw(st.integers(0, 3)))]))
            ends.append(log.size)
        log.close()
        cut = data.draw(st.integers(0, ends[-1]))
        os.truncate(path, cut)
        again = Log(path)
        kept = sum(1 for e in ends[1:] if e <= cut)
        assert (again.last, again.next(1), again.size) == (kept, kept, ends[kept])
        # It goes on where it is.
        assert again.take(1, kept, events(phase(77))) == Line(kept + 1, b"[%b]" % one(phase(77)))
        assert path.read_bytes().count(b"\n") == kept + 1
        again.close()


def one(raw: dict[str, Any]) -> bytes:
    return json.dumps(raw, separators=(",", ":")).encode()


@settings(deadline=None, max_examples=60)
@given(
    lines=st.integers(0, 200), after=st.integers(0, 220), limit=st.integers(1, 5000), data=st.data()
)
def test_every_place_is_found_and_read_on_from(
    lines: int, after: int, limit: int, data: st.DataObject
) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        log = Log(Path(folder) / "log")
        sizes = data.draw(st.lists(st.integers(0, 5), min_size=lines, max_size=lines))
        for n, size in enumerate(sizes):
            log.take(1, n, events(*[power(n * 10 + i) for i in range(size)]))
        offset, seen = log.find(after), after
        found: list[Line] = []
        while (piece := log.read(seen, offset, limit)).lines:
            found += piece.lines
            seen, offset = piece.lines[-1].seq, piece.offset
        assert [line.seq for line in found] == list(range(after + 1, lines + 1))
        assert found == whole(log)[after:]
        log.close()


def test_beyond_its_size_only_what_is_rare_is_kept_and_that_is_said_once(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", cap_bytes=4000)
    for n in range(100):
        log.take(1, n, events(power(n), phase(n)) if n % 10 == 0 else events(power(n)))
    assert log.next(1) == 100
    told = [e for line in whole(log) for e in json.loads(line.events)]
    flags = [i for i, e in enumerate(told) if e["k"] == "flag"]
    assert len(flags) == 1 and told[flags[0]]["flag"] == FULL
    after = {e["k"] for e in told[flags[0] + 1 :]}
    assert after == {"phase"}
    assert {e["at"] for e in told if e["k"] == "phase"} == set(range(0, 100, 10))


def test_what_is_rare_has_its_bound_too_but_not_what_the_server_says(tmp_path: Path) -> None:
    log = Log(tmp_path / "log", cap_bytes=4000)
    for n in range(1000):
        log.take(1, n, events(phase(n)))
    assert log.next(1) == 1000
    assert log.size <= 5000
    assert log.take(SERVER, 0, [said("done", at=1)]) is not None
    assert log.over
    log.take(SERVER, 1, [said("queued", at=2)])
    size = log.size
    log.close()
    again = Log(tmp_path / "log", cap_bytes=4000)
    # What was not kept is no gap.
    assert again.take(1, 1000, events(phase(1))) is None
    assert again.next(1) == 1001
    assert again.size == size


def test_what_the_disk_does_not_take_whole_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log(tmp_path / "log")
    log.take(1, 0, events(phase(1)))
    write = os.write

    def short(file: int, data: bytes) -> int:
        return write(file, data[:10])

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(OSError, match="full"):
        log.take(1, 1, events(phase(2)))
    monkeypatch.undo()
    assert log.next(1) == 1
    assert log.take(1, 1, events(phase(3))) is not None
    assert [json.loads(x)[1] for x in (tmp_path / "log").read_text().splitlines()] == [0, 1]


def test_a_damaged_line_of_the_server_does_not_keep_it_from_opening(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b'[0,0,[{"k":"state"}]]\nnonsense\n[1,0,[]]\n')
    log = Log(tmp_path / "log")
    assert (log.last, log.next(1), log.over) == (3, 1, False)


def test_the_server_says_so_much_and_then_only_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lem.live.log.MOST_SAID", 10)
    log = Log(tmp_path / "log")
    for n in range(30):
        log.take(SERVER, log.next(SERVER), [said("claimed" if n % 2 else "queued")])
    assert log.last == 10 and log.next(SERVER) == 10
    # A runner's own are not the server's.
    assert log.take(1, 0, events(phase(1))) is not None
    log.close()
    log = Log(tmp_path / "log")
    assert log.take(SERVER, log.next(SERVER), [said("claimed")]) is None
    assert log.take(SERVER, log.next(SERVER), [said("done")]) is not None
    assert log.over and log.last == 12


def test_a_message_is_as_long_as_it_may_be() -> None:
    assert isinstance(said("failed", "x" * 5000), State)
    assert len(said("failed", "x" * 5000).message) == 2000
