"""The GGUF header reader, on files made by the format's description and on hostile ones."""

import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.backends import gguf_metadata
from lem.errors import RunFailed


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def pair(name: str, kind: int, data: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + data


PAIRS = [
    pair("general.architecture", 8, text("llama")),
    pair("llama.context_length", 4, struct.pack("<I", 8192)),
    pair("a.float", 6, struct.pack("<f", 0.5)),
    pair("a.bool", 7, b"\x01"),
    pair(
        "tokenizer.ggml.tokens",
        9,
        struct.pack("<IQ", 8, 3) + text("<s>") + text("a") + text("ü"),
    ),
    pair("tokenizer.ggml.token_type", 9, struct.pack("<IQ3i", 5, 3, 3, 1, 1)),
]
GOOD = b"GGUF" + struct.pack("<IQQ", 3, 0, len(PAIRS)) + b"".join(PAIRS)


def read(tmp_path: Path, data: bytes) -> dict[str, Any]:
    file = tmp_path / "m.gguf"
    file.write_bytes(data)
    return gguf_metadata.read(file)


def test_a_file_by_the_book(tmp_path: Path) -> None:
    found = read(tmp_path, GOOD)
    assert found["a.float"] == 0.5 and found["a.bool"] is True
    assert found["tokenizer.ggml.tokens"] == ["<s>", "a", "ü"]
    assert gguf_metadata.context_length(found) == 8192
    assert gguf_metadata.vocabulary(found) == (3, frozenset({0}))


@pytest.mark.engines
def test_the_real_file_as_the_reference_library_reads_it(gguf: Path) -> None:
    import gguf as reference

    found = gguf_metadata.read(gguf)
    fields = reference.GGUFReader(gguf).fields
    ours = {k for k in fields if not k.startswith("GGUF.")}
    assert set(found) == ours
    assert all(found[k] == fields[k].contents() for k in ours)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GGUF",
        b"ELF\x7f" + bytes(100),
        b"GGUF" + struct.pack("<IQQ", 1, 0, 0),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 2**60),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 2**62),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("x") + struct.pack("<I", 99),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair("x", 9, struct.pack("<IQ", 10, 2**60)),
        b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + pair("x", 9, struct.pack("<IQ", 9, 9999999)),
    ],
)
def test_hostile_files_are_refused_with_a_reason(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(RunFailed, match="not a readable GGUF file"):
        read(tmp_path, data)


@given(cut=st.integers(0, len(GOOD) - 1))
def test_every_half_file_is_refused(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    with pytest.raises(RunFailed):
        read(tmp_path_factory.mktemp("gguf"), GOOD[:cut])


@given(st.binary(max_size=300))
def test_no_bytes_break_the_reader(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    header = b"GGUF" + struct.pack("<IQQ", 3, 0, 3)
    with suppress(RunFailed):
        read(tmp_path_factory.mktemp("gguf"), header + data)
