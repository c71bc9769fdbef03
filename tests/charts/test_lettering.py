import itertools
import string
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import lem.charts
from lem.charts.figures import reading
from lem.charts.labels import overlap, place, spread
from lem.charts.lettering import WIDTHS, certain, clean, measure, shorten, wrap
from lem.charts.model import Axis

FONTS = Path(lem.charts.__file__).parent / "fonts"


def advances(file: Path) -> dict[str, int]:
    """Character → width in thousandths, read from the font itself (cmap format 4, hmtx)."""
    data = file.read_bytes()
    tables = {}
    for i in range(struct.unpack(">H", data[4:6])[0]):
        tag, _, offset, length = struct.unpack(">4sLLL", data[12 + 16 * i : 28 + 16 * i])
        tables[tag.decode()] = data[offset : offset + length]
    (count,) = struct.unpack(">H", tables["hhea"][34:36])
    assert struct.unpack(">H", tables["head"][18:20]) == (1000,)
    cmap = tables["cmap"]
    offsets = [
        struct.unpack(">HHL", cmap[4 + 8 * i : 12 + 8 * i])[2]
        for i in range(struct.unpack(">H", cmap[2:4])[0])
    ]
    four = next(cmap[o:] for o in offsets if struct.unpack(">H", cmap[o : o + 2]) == (4,))
    segments = struct.unpack(">H", four[6:8])[0] // 2

    def array(start: int) -> tuple[int, ...]:
        return struct.unpack(f">{segments}H", four[start : start + 2 * segments])

    ends, starts = array(14), array(16 + 2 * segments)
    deltas, ranges = array(16 + 4 * segments), array(16 + 6 * segments)
    found = {}
    for i in range(segments):
        for code in range(starts[i], ends[i] + 1):
            glyph = (code + deltas[i]) % 65536
            if ranges[i]:
                at = 16 + 6 * segments + 2 * i + ranges[i] + 2 * (code - starts[i])
                glyph = struct.unpack(">H", four[at : at + 2])[0]
            at = 4 * min(glyph, count - 1)
            found[chr(code)] = struct.unpack(">H", tables["hmtx"][at : at + 2])[0]
    return found


def test_widths_are_the_fonts() -> None:
    for bold, name in ((False, "LemSans-Regular.ttf"), (True, "LemSans-Semibold.ttf")):
        real = advances(FONTS / name)
        assert {c: real[c] for c in WIDTHS[bold]} == WIDTHS[bold]
    assert set(string.ascii_letters + string.digits + "±×–µ%") <= set(WIDTHS[False])
    # What charts say beyond that has a glyph, too.
    assert set("≈→√Σ²₂—…äéßłΩ") <= set(real)


def test_width_is_certain_only_of_known_characters() -> None:
    assert certain("Qwen3 ± 5 µJ") and not certain("通义")
    assert measure("00", 10) == pytest.approx(9.94)
    assert measure("通", 10) == pytest.approx(11.5)


def test_the_fonts_are_small_and_have_their_licence() -> None:
    files = list(FONTS.iterdir())
    assert sum(f.stat().st_size for f in files if f.suffix == ".ttf") <= 150_000
    licence = (FONTS / "OFL.txt").read_text()
    assert "SIL Open Font License" in licence and "Reserved Font Name 'Source'" in licence


@given(st.text())
def test_clean_text_has_nothing_that_hides_or_reorders(text: str) -> None:
    found = clean(text)
    assert not {c for c in found if c in "\x00\x1b\x7f\u200b\u202a\u202e\u2066\u2069\ufeff\r\n\t"}
    found.encode()
    assert clean(found) == found


def test_clean_text_keeps_what_is_text() -> None:
    assert clean("Qwen/Qwen3-0.6B ± 5 µJ — 通义") == "Qwen/Qwen3-0.6B ± 5 µJ — 通义"
    assert clean("a\u202eb\nc") == "ab c"


@given(st.text(min_size=1, max_size=80), st.floats(30, 400))
def test_shortened_text_fits(text: str, room: float) -> None:
    found = shorten(text, room, 13)
    assert measure(found, 13) <= room + 0.1 or found == "…"


def test_a_short_name_keeps_both_its_ends() -> None:
    found = shorten("meta-llama/Llama-3.3-70B-Instruct-AWQ-INT4", 150, 13)
    assert found.startswith("meta-ll") and found.endswith("INT4") and "…" in found


@given(st.text(alphabet="abc /-_é通", max_size=200), st.floats(40, 300), st.integers(1, 4))
def test_lines_fit_and_are_not_too_many(text: str, room: float, most: int) -> None:
    lines = wrap(text, room, 12, most)
    assert len(lines) <= most and all(measure(line, 12) <= room + 0.1 for line in lines)
    if most == 4 and len(lines) < 4 and not any("…" in line for line in lines):
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    ("value", "interval", "unit", "text"),
    [
        (20.5, (20.09, 20.91), "mJ/token", "20.50 ± 0.41 mJ/token"),
        (0.444, (0.423, 0.466), "", "0.444 (0.423–0.466)"),
        (12.0, (10.0, 17.0), "J", "12.0 (10.0–17.0) J"),
        (3.0, None, "J", "3.00 J"),
        (-0.4, (-0.9, 0.1), "J", "−0.40 ± 0.50 J"),
        (None, None, "J", "—"),
        (float("nan"), None, "J", "—"),
        (0.0, None, "J", "0 J"),
        (1234.6, (1209.6, 1259.6), "J", "1235 ± 25 J"),
    ],
)  # fmt: skip
def test_digits_are_those_of_the_interval(
    value: float | None, interval: tuple[float, float] | None, unit: str, text: str
) -> None:
    assert reading(value, interval, Axis("energy", unit)) == text


def test_a_share_is_in_per_cent() -> None:
    assert reading(0.4, (0.3, 0.5), Axis("s", "", share=True)) == "40 ± 10 %"


@given(st.lists(st.floats(0, 300), min_size=1, max_size=12))
def test_names_at_lines_ends_keep_apart_and_in_order(wanted: list[float]) -> None:
    found = spread(wanted, 16, 0, 300)
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    for a, b in itertools.pairwise(order):
        assert found[b] - found[a] >= 15.8
    if len(wanted) < 12:
        assert all(-0.1 <= y <= 300.1 for y in found)


def test_a_name_without_room_is_left_out() -> None:
    taken = [(0.0, 0.0, 200.0, 200.0)]
    assert place(100, 100, 50, 12, taken, (0, 0, 200, 200)) is None
    free: list[tuple[float, float, float, float]] = []
    assert place(100, 100, 50, 12, free, (0, 0, 200, 200)) == (108, 93, "start")
    assert place(100, 100, 50, 12, free, (0, 0, 200, 200)) == (108, 115, "start")
    assert not overlap(*free)
