"""The agent's running commentary."""

import json
import threading
from pathlib import Path

import pytest

from lem.agent import events
from lem.agent.events import Events
from lem.contract.event import Event


def read(path: Path) -> list[Event]:
    return [Event.parse(line) for line in path.read_bytes().splitlines()]


def test_every_event_can_be_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    with Events(path) as e:
        assert e.phase_now == "load"
        e.phase("warm_up")
        assert [x.data for x in read(path)] == [{"phase": "warm_up"}]
        e.emit("progress", output_tokens=5, tokens_per_s=2.5)
        assert e.phase_now == "warm_up"
    first, second = read(path)
    assert (first.kind, second.kind) == ("phase", "progress")
    assert second.data == {"output_tokens": 5, "tokens_per_s": 2.5}
    assert 0 < first.t_ns <= second.t_ns


def test_whatever_a_model_says_stays_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "events.ndjson"
    text = 'line\nbreak\r\n\u2028 "quotes" \x00 \x1b[2J é 𝄞'
    with Events(path) as e:
        e.emit("text", request="r1", text=text)
    assert path.read_bytes().count(b"\n") == 1
    assert read(path)[0].data == {"request": "r1", "text": text}


def test_half_a_surrogate_pair_does_not_end_the_run(tmp_path: Path) -> None:
    with Events(tmp_path / "e") as e:
        e.emit("text", request="r1", text="a\ud800b\udcff")
    assert read(tmp_path / "e")[0].data["text"] == "a?b?"


def test_when_the_file_is_full_only_phases_and_flags_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_BYTES", 1000)
    with Events(tmp_path / "e") as e:
        for _ in range(50):
            e.emit("text", request="r", text="x" * 100)
        e.phase("window")
        e.emit("flag", flag="throttled", message="hot")
    kinds = [x.kind for x in read(tmp_path / "e")]
    assert kinds[-2:] == ["phase", "flag"]
    assert (tmp_path / "e").stat().st_size < 1600


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    with Events(tmp_path / "e") as e:
        threads = [
            threading.Thread(target=lambda n=n: [e.emit("log", message=str(n) * 500)] * 1)
            for n in range(10)
            for _ in range(20)
        ]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    messages = [x.data["message"] for x in read(tmp_path / "e")]
    assert len(messages) == 200
    assert all(len(m) == 500 and len(set(m)) == 1 for m in messages)


def test_an_event_after_the_end_is_dropped(tmp_path: Path) -> None:
    with Events(tmp_path / "e") as e:
        e.phase("done")
    e.emit("log", message="too late")
    assert len(read(tmp_path / "e")) == 1


def test_a_line_is_an_event_document(tmp_path: Path) -> None:
    with Events(tmp_path / "e") as e:
        e.phase("idle")
    assert set(json.loads((tmp_path / "e").read_text())) == {
        "schema_version",
        "t_ns",
        "kind",
        "data",
    }
