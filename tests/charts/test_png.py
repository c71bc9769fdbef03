import struct
import sys
import zlib
from dataclasses import replace

import pytest
from chart_examples import BOARD, EVERY

from lem.charts.model import AnyChart
from lem.charts.png import png
from lem.charts.svg import svg
from lem.errors import EnvironmentFault


def pixels(data: bytes, most: int) -> tuple[int, list[bytes]]:
    """Width and the first rows (RGBA, 8 bits) of a PNG (ISO/IEC 15948, 9.2)."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed, width, height = 8, b"", 0, 0
    while at < len(data):
        length, kind = struct.unpack(">L4s", data[at : at + 8])
        body = data[at + 8 : at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colours, _, _, interlaced = struct.unpack(">LLBBBBB", body)
            assert (depth, colours, interlaced) == (8, 6, 0)
        packed += body if kind == b"IDAT" else b""
        at += 12 + length
    raw, rows, above = zlib.decompress(packed), [], bytes(4 * width)
    for y in range(min(height, most)):
        start = y * (4 * width + 1)
        row = bytearray(raw[start + 1 : start + 1 + 4 * width])
        for i in range(len(row)):
            left = row[i - 4] if i >= 4 else 0
            corner = above[i - 4] if i >= 4 else 0
            p = left + above[i] - corner
            paeth = min((left, above[i], corner), key=lambda c: abs(p - c))
            add = (0, left, above[i], (left + above[i]) // 2, paeth)[raw[start]]
            row[i] = (row[i] + add) & 255
        above = bytes(row)
        rows.append(above)
    return width, rows


def ink(rows: list[bytes], top: int, bottom: int) -> int:
    """Dark pixels between two heights."""
    return sum(
        row[i] < 100 and row[i + 1] < 100 and row[i + 2] < 110
        for row in rows[top:bottom]
        for i in range(0, len(row), 4)
    )


def test_text_is_there_without_any_font_on_the_machine() -> None:
    text = svg(replace(BOARD, title="One line"), standalone=True, width=400)
    width, rows = pixels(png(text, scale=1, other_fonts=False), 30)
    assert width == 400
    assert ink(rows, 10, 30) > 100
    untitled = text.replace(">One line<", "><")
    assert ink(pixels(png(untitled, scale=1, other_fonts=False), 30)[1], 10, 30) == 0


@pytest.mark.parametrize("chart", EVERY, ids=lambda c: c.id)
def test_every_kind_becomes_a_picture(chart: AnyChart) -> None:
    text = svg(chart, standalone=True, width=360, theme="dark")
    data = png(text, scale=2, other_fonts=False)
    width, rows = pixels(data, 3)
    assert width == 720
    assert rows[2][:4] == bytes((0x14, 0x18, 0x1C, 255))  # dark paper
    assert data == png(text, scale=2, other_fonts=False)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(EnvironmentFault, match="resvg-py") as e:
        png("<svg/>")
    assert "lem-energy[plot]" in (e.value.hint or "")
