"""agent.log: bounded, without secrets, readable."""

import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.errors import EnvironmentFault
from lem.launchers.log import LINE_BYTES, AgentLog

SECRET = "hf_abcdefghij"


def written(path: Path, chunks: list[bytes], **options: object) -> tuple[bytes, list[str]]:
    log = AgentLog(path, **options)  # type: ignore[arg-type]
    for chunk in chunks:
        log.write(chunk)
    last = log.close()
    return path.read_bytes(), last


def test_keeps_what_was_said(tmp_path: Path) -> None:
    content, last = written(tmp_path / "log", [b"one\ntw", b"o\nthree"])
    assert content == b"one\ntwo\nthree\n"
    assert last == ["one", "two", "three"]


@given(st.lists(st.integers(0, 60), max_size=6))
def test_secrets_are_hidden_however_the_output_is_cut(cuts: list[int]) -> None:
    text = f"before {SECRET} between {SECRET}\nafter {SECRET}\n".encode()
    edges = [0, *sorted(min(c, len(text)) for c in cuts), len(text)]
    chunks = [text[a:b] for a, b in pairwise(edges)]
    with tempfile.TemporaryDirectory() as place:
        content, last = written(Path(place) / "log", chunks, secrets=[SECRET])
    assert content == b"before [secret] between [secret]\nafter [secret]\n"
    assert last == ["before [secret] between [secret]", "after [secret]"]


@pytest.mark.parametrize("shift", range(0, 16, 3))
def test_secret_at_the_cut_of_a_very_long_line(tmp_path: Path, shift: int) -> None:
    before = b"x" * (LINE_BYTES - shift)
    chunks = [before + SECRET.encode()[:shift], SECRET.encode()[shift:] + b"y" * LINE_BYTES, b"\n"]
    content, _ = written(tmp_path / "log", chunks, secrets=[SECRET])
    assert SECRET.encode() not in content.replace(b"\n", b"")
    assert content.replace(b"\n", b"").count(b"[secret]") == 1


def test_is_bounded_and_ends_with_the_end(tmp_path: Path) -> None:
    lines = [f"line {n:04d}\n".encode() for n in range(1000)]
    content, last = written(tmp_path / "log", lines, limit_bytes=1000)
    assert content.startswith(b"line 0000\n")
    assert b"bytes of output left out" in content
    assert content.endswith(b"line 0999\n")
    assert len(content) < 1000 + 60 + 40 * 10
    assert last[-1] == "line 0999"


def test_last_lines_are_plain_text(tmp_path: Path) -> None:
    _, last = written(tmp_path / "log", [b"10%\r100%\n\x1b[31mred\x1b[0m \x07bell\nbad \xff\n"])
    assert last == ["100%", "red bell", "bad \N{REPLACEMENT CHARACTER}"]


def test_full_disk_is_told_and_disturbs_nobody() -> None:
    log = AgentLog(Path("/dev/full"))
    log.write(b"hello\n")
    assert log.close() == [
        "hello",
        "[lem: agent.log could not be written: No space left on device]",
    ]


def test_never_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("mine")
    (tmp_path / "log").symlink_to(tmp_path / "target")
    with pytest.raises(EnvironmentFault) as caught:
        AgentLog(tmp_path / "log")
    assert caught.value.kind == "disk"
    assert (tmp_path / "target").read_text() == "mine"
