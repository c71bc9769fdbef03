"""Charts are checked by what they drew: places are read back by the ticks that stand beside them,
as a reader does, and have to give the values that were put in."""

import itertools
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from chart_examples import (
    BOARD,
    CURVE,
    CUT,
    EVERY,
    FRONT,
    HEADLINE,
    RATIOS,
    SHARES,
    SLOPE,
    TRACES,
    all_of,
    boxes,
    parsed,
    texts,
)

from lem.charts.model import AnyChart, Axis, Intervals, Mark, Row, Scatter, Series, Target
from lem.charts.svg import document, svg
from lem.charts.theme import THEMES, colours_of, stylesheet

GOLDEN = Path(__file__).parent / "golden"
WIDTHS = (360, 860)


def ruler(root: ElementTree.Element, log: bool, upright: bool = False) -> Callable[[float], float]:
    """Pixels → value, from the grid lines and the figures that stand at them."""
    along, across = ("y", "x") if upright else ("x", "y")
    grid = {
        float(e.get(f"{along}1", ""))
        for e in all_of(root, "line", "grid")
        if e.get(f"{along}1") == e.get(f"{along}2")
    }
    known: list[tuple[float, float]] = []
    for e in all_of(root, "text", "muted"):
        words = (e.text or "").replace(",", "").replace("−", "-").removesuffix(" %")
        try:
            value = float(words)
        except ValueError:
            continue
        at = float(e.get(along, "")) - (4 if upright else 0)
        near = [g for g in grid if abs(g - at) < 0.06]
        if near:
            known.append((near[0], value))
    known.sort()
    assert len(known) >= 2, f"no two ticks {across}"
    (p1, v1), (p2, v2) = known[0], known[-1]
    if log:
        return lambda p: v1 * (v2 / v1) ** ((p - p1) / (p2 - p1))
    return lambda p: v1 + (v2 - v1) * (p - p1) / (p2 - p1)


def near(found: Sequence[float], wanted: Sequence[float], log: bool, span: float) -> None:
    """Within what a tenth of a pixel, twice, is worth."""
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        if log:
            assert math.log(a / b) == pytest.approx(0, abs=span)
        else:
            assert a == pytest.approx(b, abs=span)


Stroke = tuple[float, float, float, float]


def whiskers(root: ElementTree.Element) -> list[Stroke]:
    """Their straight lines, caps too: from x, y to x, y."""
    drawn = "".join(path.get("d", "") for path in all_of(root, "path", "whisker"))
    found = re.findall(r"M([-\d.]+) ([-\d.]+)([HV])([-\d.]+)", drawn)
    assert len(found) == drawn.count("M")
    return [
        (float(x), float(y), *((float(to), float(y)) if way == "H" else (float(x), float(to))))
        for x, y, way, to in found
    ]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("chart", [RATIOS, BOARD], ids=lambda c: c.id)
def test_rows_lie_where_their_values_are(chart: Intervals, width: int) -> None:
    root = parsed(svg(chart, width=width))
    log = chart.axis.log
    value = ruler(root, log)
    rows = [r for r in chart.rows if r.value is not None]
    span = 0.01 if log else 0.3
    near([value(float(e.get("cx", ""))) for e in all_of(root, "circle")],
         [r.value for r in rows if r.value is not None], log, span)  # fmt: skip
    level = [w for w in whiskers(root) if w[1] == w[3]]
    ends = [value(x) for w in level for x in (w[0], w[2])]
    near(ends, [v for r in rows if r.interval for v in r.interval], log, span)
    caps = [w for w in whiskers(root) if w[0] == w[2]]
    assert len(caps) == 2 * len(level)
    hollow = list(all_of(root, "circle", "hollow"))
    assert len(hollow) == sum(r.interval is None for r in rows)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("chart", [CURVE, FRONT], ids=lambda c: c.id)
def test_marks_lie_where_their_values_are(chart: Scatter, width: int) -> None:
    root = parsed(svg(chart, width=width))
    x, y = ruler(root, chart.x.log), ruler(root, chart.y.log, upright=True)
    groups = list(all_of(root, "g", "point"))
    marks = [m for s in chart.series for m in s.marks]
    assert len(groups) == len(marks)
    for group, mark in zip(groups, marks, strict=True):
        (circle,) = all_of(group, "circle")
        assert mark.x is not None and mark.y is not None
        near([x(float(circle.get("cx", "")))], [mark.x], chart.x.log, 0.01)
        near([y(float(circle.get("cy", "")))], [mark.y], chart.y.log, 0.01 if chart.y.log else 0.5)
        upright = [w for w in whiskers(group) if w[0] == w[2]]
        assert mark.y_interval is not None
        longest = max(upright, key=lambda w: abs(w[1] - w[3]))
        ends = sorted(y(at) for at in (longest[1], longest[3]))
        near(ends, sorted(mark.y_interval), chart.y.log, 0.01 if chart.y.log else 0.5)


@pytest.mark.parametrize("width", WIDTHS)
def test_bars_are_as_long_as_their_values(width: int) -> None:
    root = parsed(svg(SHARES, width=width))
    value = ruler(root, log=False)
    bars = [
        e
        for e in all_of(root, "rect")
        if {"bar", "hollow", "outline"} & set(e.get("class", "").split())
    ]
    for bar, row in zip(bars, SHARES.rows, strict=True):
        start = float(bar.get("x", ""))
        assert value(start) == pytest.approx(0, abs=0.1)
        end = value(start + float(bar.get("width", "")))
        assert end / 100 == pytest.approx(row.value, abs=0.003)
    assert len(all_of(root, "rect", "hollow")) == 1 and len(all_of(root, "rect", "outline")) == 1


def test_a_headlines_bars_are_in_proportion() -> None:
    first, second = all_of(parsed(svg(HEADLINE)), "rect", "bar")
    ratio = float(first.get("width", "")) / float(second.get("width", ""))
    assert ratio == pytest.approx(203.0 / 42.3, rel=0.005)
    said = texts(parsed(svg(HEADLINE)))
    assert "4.80×" in said and "95 % interval 4.63 to 4.98" in said
    assert "203.0 ± 5.0 mJ/token" in said and "42.3 ± 1.1 mJ/token" in said


def test_slopes_begin_and_end_at_their_values() -> None:
    root = parsed(svg(SLOPE))
    circles = all_of(root, "circle")
    at = [float(c.get("cy", "")) for c in circles]
    values = [v for s in SLOPE.lines for v in (s.left, s.right) if v is not None]
    # Two give the scale; all others have to lie on it.
    per_pixel = math.log(values[0] / values[1]) / (at[1] - at[0])
    for pixel, wanted in zip(at, values, strict=True):
        assert math.log(values[0] / wanted) / per_pixel == pytest.approx(pixel - at[0], abs=0.3)


def test_no_peak_of_a_trace_is_lost() -> None:
    t = [i / 1000 for i in range(100_000)]
    values = [100.0] * len(t)
    values[54_321], values[77_777] = 900.0, 5.0
    line = replace(TRACES.lines[0], t_s=t, values=values)
    root = parsed(svg(replace(TRACES, lines=(line,), phases=())))
    value = ruler(root, log=False, upright=True)
    (path,) = all_of(root, "path", "thin")
    points = [p.split(" ") for p in path.get("d", "")[1:].split("L")]
    heights = [value(float(y)) for _, y in points]
    assert max(heights) == pytest.approx(900, abs=2) and min(heights) == pytest.approx(5, abs=2)
    assert len(points) < 4 * 860
    # At their time, not merely somewhere.
    xs = [float(x) for x, _ in points]
    peak = xs[heights.index(max(heights))]
    assert (peak - xs[0]) / (xs[-1] - xs[0]) == pytest.approx(0.54321, abs=0.002)


def test_a_gap_in_a_trace_stays_a_gap() -> None:
    paths = all_of(parsed(svg(TRACES)), "path", "thin")
    assert [p.get("d", "").count("M") for p in paths] == [1, 2]


def test_an_interval_that_reaches_zero_is_cut_with_a_mark_and_words() -> None:
    root = parsed(svg(CUT))
    groups = [
        g for g in all_of(root, "g") if all_of(g, "path", "whisker") and g.get("class") == "c-1"
    ]
    arrows = [len(all_of(g, "path", "coloured")) for g in groups]
    # Below zero; the estimate's own; a value below zero and its interval; both ends.
    assert arrows == [1, 0, 2, 2]
    said = " ".join(texts(root))
    assert "the interval goes on beyond the axis" in said
    assert "a value that is not above 0 has no place on a log scale" in said
    assert "estimated, not measured" in said and "Hollow" not in said
    assert "1.2 ± 1.4 J/token" in said


def test_what_has_no_value_is_counted() -> None:
    nan = float("nan")
    marks = (Mark("a", 1, 2), Mark("b", None, 2), Mark("c", 3, nan), Mark("d", math.inf, 1))
    chart = replace(FRONT, series=(Series("s", marks),))
    root = parsed(svg(chart))
    assert len(all_of(root, "circle")) == 1
    assert "Left out: 3 points without a value." in texts(root)
    assert "Hollow: no interval is known." in texts(root)
    assert "1 row has no value." in texts(parsed(svg(RATIOS)))


HOSTILE = '<script>alert("x")</script>\x1b[2J\u202egnp.exe\u2066 \ud800 " onload="x" \x00&amp;'


def hostile(chart: AnyChart) -> AnyChart:
    """The chart with every text of it replaced."""

    def spoilt(thing: object) -> object:
        if isinstance(thing, Target):
            return thing
        if isinstance(thing, str):
            return HOSTILE
        if isinstance(thing, tuple):
            return tuple(spoilt(t) for t in thing)
        if hasattr(thing, "__dataclass_fields__"):
            fields = thing.__dataclass_fields__
            return replace(thing, **{f: spoilt(getattr(thing, f)) for f in fields})  # type: ignore[type-var]
        return thing

    made: AnyChart = spoilt(chart)  # type: ignore[assignment]
    return made


@pytest.mark.parametrize("chart", EVERY, ids=lambda c: c.id)
@pytest.mark.parametrize("standalone", [True, False])
def test_names_are_text(chart: AnyChart, standalone: bool) -> None:
    """They come from campaign files and models."""
    text = svg(hostile(chart), standalone=standalone, href=lambda t: "javascript:alert(1)")
    root = parsed(text)
    assert not all_of(root, "script") and not all_of(root, "a")
    assert not {c for c in text if c in "\x1b\u202e\u2066\x00"}
    text.encode()
    for e in root.iter():
        assert not {a for a in e.attrib if a.startswith("on") or a == "style"}
    assert any("alert" in (t or "") for t in root.itertext())


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "data:text/html,x", "vbscript:x", " /x"]
)
def test_a_link_that_could_run_something_is_none(address: str) -> None:
    assert "<a " not in svg(RATIOS, href=lambda t: address)


@pytest.mark.parametrize(
    "address", ["/configurations/7", "../x.html", "https://a.b/c?d=1&e=2", "x.html"]
)
def test_links_are_where_the_page_says(address: str) -> None:
    root = parsed(svg(RATIOS, href=lambda t: address))
    assert {a.get("href") for a in all_of(root, "a")} == {address}
    # Within an image nothing can be reached by a keyboard.
    assert root.get("role") == "group" and parsed(svg(RATIOS)).get("role") == "img"


@pytest.mark.parametrize("chart", EVERY, ids=lambda c: c.id)
@pytest.mark.parametrize("width", (320, 360, 600, 860))
def test_no_text_lies_on_another_or_outside(chart: AnyChart, width: int) -> None:
    found = boxes(parsed(svg(chart, standalone=True, width=width)))
    assert len(found) > 5
    for words, (left, top, right, _) in found:
        assert left >= 0 and right <= width and top >= 0, words
    for (a, one), (b, other) in itertools.combinations(found, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, f"{a!r} and {b!r}"


def test_long_names_keep_their_whole_in_a_title() -> None:
    name = "organisation/" + "very-long-name-" * 12 + "end"
    chart = replace(BOARD, rows=(Row(name, 1.0, (0.9, 1.1)),))
    for width in WIDTHS:
        root = parsed(svg(chart, width=width))
        assert name in [t.text for t in all_of(root, "title")]
        assert not any(name in t for t in texts(root))
        assert any(t.endswith("end") for t in texts(root))


@pytest.mark.parametrize("chart", EVERY, ids=lambda c: c.id)
def test_golden(chart: AnyChart) -> None:
    """``LEM_GOLDEN=write`` writes them anew; look at what changed."""
    file = GOLDEN / f"{chart.id}.svg"
    drawn = svg(chart, standalone=True, width=600)
    if os.environ.get("LEM_GOLDEN") == "write":
        file.write_text(drawn)
    assert drawn == file.read_text()


def test_the_same_chart_is_the_same_file_in_every_process() -> None:
    code = (
        "import sys; sys.path[:0] = sys.argv[1:];"
        "from chart_examples import EVERY; from lem.charts.svg import document;"
        "sys.stdout.write(document(EVERY))"
    )
    here = document(EVERY)
    root = Path(__file__).parents[2]
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONIOENCODING": "utf-8"}
        found = subprocess.run(
            [sys.executable, "-c", code, str(root), str(root / "tests")],
            env=environment, capture_output=True, check=True,
        )  # fmt: skip
        assert found.stdout.decode() == here


def contrast(a: str, b: str) -> float:
    """WCAG 2.2, relative luminance."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_and_marks_stand_out_in_both_themes() -> None:
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    for theme in THEMES.values():
        for behind in (theme.paper, theme.band):
            assert min(contrast(t, behind) for t in (theme.ink, theme.muted)) >= 4.5
            assert min(contrast(c, behind) for c in (*theme.colours, theme.grey, theme.axis)) >= 3
        assert len(set(theme.colours)) == 7


def test_every_class_that_is_drawn_has_a_rule() -> None:
    styles = stylesheet(THEMES["light"])
    for chart in EVERY:
        used = {c for e in parsed(svg(chart)).iter() for c in e.get("class", "").split()}
        unknown = {c for c in used if f".{c}{{" not in styles} - {"chart", "row", "point", "phase"}
        assert not unknown, chart.id


def test_a_backend_has_its_colour_in_every_chart() -> None:
    assert colours_of(["vllm"])["vllm"] == colours_of(["mine", "llama_cpp", "vllm"])["vllm"] == 2
    found = colours_of(["a", "transformers", "b", "vllm"])
    assert len(set(found.values())) == 4
    assert set(colours_of([f"x{i}" for i in range(9)]).values()) == set(range(8))


def test_one_value_alone_and_none_have_a_chart() -> None:
    for log in (True, False):
        axis = Axis("energy", "J", log=log)
        for rows in ((Row("a", 3.0),), (Row("a", 0.0),), (Row("a", None),), ()):
            parsed(svg(Intervals(id="x", title="t", subtitle="s", axis=axis, rows=rows)))
        for marks in ((Mark("a", 3.0, 3.0),), ()):
            parsed(svg(Scatter(id="x", title="t", subtitle="s", x=axis, y=axis,
                               series=(Series("s", marks),))))  # fmt: skip
    for chart in (replace(SHARES, rows=()), replace(SLOPE, lines=()), replace(TRACES, lines=())):
        parsed(svg(chart))


def test_only_a_chart_that_lives_and_was_looked_through_is_taken_to_be_harmless() -> None:
    """A chart that is gone leaves its place in memory to others."""
    spoilt = hostile(SHARES)
    for i in range(200):
        good = replace(SHARES, id=f"good-{i}")
        svg(good)
        place = id(good)
        del good
        bad = replace(spoilt)
        again = id(bad) == place
        for width in WIDTHS:
            assert "\u202e" not in svg(bad, width=width)
        if again:
            break
    else:
        pytest.fail("no chart was ever where another had been: nothing was tested")


def test_a_name_of_its_own_keeps_the_same_chart_apart_from_itself() -> None:
    striped = replace(SHARES, rows=tuple(replace(r, estimated=True) for r in SHARES.rows))
    ids = [re.findall(r'id="([^"]+)"', svg(striped, name=name)) for name in ("", "shares-360")]
    assert ids[0]
    assert ids[1]
    assert not set(ids[0]) & set(ids[1])
