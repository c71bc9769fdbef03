"""A small chart of each kind, and what is read back from drawn ones."""

import re
from xml.etree import ElementTree

from lem.charts.lettering import measure
from lem.charts.model import (
    AnyChart,
    Axis,
    Bars,
    Headline,
    Intervals,
    Mark,
    Phase,
    Row,
    Scatter,
    Series,
    Slope,
    SlopeLine,
    Target,
    TimeLine,
    Traces,
)

SVG = "{http://www.w3.org/2000/svg}"

RATIOS = Intervals(
    id="ratios",
    title="vLLM with batching uses 78 % less energy per token than the default",
    subtitle="GPU energy per output token as a ratio to transformers, batch size 1",
    source="campaign batching on NVIDIA Test 80GB; joint 95 % intervals",
    axis=Axis("ratio to the baseline", "", log=True),
    reference=1.0,
    reference_label="transformers, batch size 1",
    band=(0.98, 1.02),
    rows=(
        Row("vLLM, concurrency 16", 0.221, (0.214, 0.229), emphasis=True, colour=2,
            target=Target("configuration", {"id": "7"})),
        Row("transformers, batch size 4", 0.444, (0.423, 0.466)),
        Row("llama_cpp, Q4_K_M, a name with every single setting of this one arm of it", 1.32,
            (0.9, 1.9), "1.32 (0.90–1.90) ?", sublabel="2 blocks"),
        Row("sglang", 0.3),
        Row("failed", None, text="failed"),
    ),
)  # fmt: skip
BOARD = Intervals(
    id="board",
    title="Two configurations share the first rank",
    subtitle="GPU energy per output token",
    axis=Axis("GPU energy per output token", "mJ/token"),
    rows=(
        Row("Qwen3 on vLLM", 41.2, (40.1, 42.3), sublabel="bfloat16", rank="1"),
        Row("Qwen3 on SGLang", 41.9, (40.6, 43.2), sublabel="bfloat16", rank="1"),
        Row("Qwen3 on llama.cpp", 77.0, (74.9, 79.1), sublabel="Q4_K_M", rank="3"),
    ),
)
CUT = Intervals(
    id="cut",
    title="What the meter cannot say is shown",
    subtitle="Energy above idle",
    axis=Axis("energy above idle", "J/token", log=True),
    rows=(
        Row("reaches below zero", 1.2, (-0.2, 2.6)),
        Row("estimated", 0.3, (0.2, 0.4), estimated=True),
        Row("below zero", -0.4, (-0.9, 0.1)),
        Row("absurdly wide", 0.7, (1e-6, 1e7)),
    ),
)
LOADS = (1, 4, 16, 64)
CURVE = Scatter(
    id="curve",
    title="Energy per token falls with load",
    subtitle="GPU energy per output token against clients at a time",
    x=Axis("clients at a time", "", log=True, ticks=LOADS),
    y=Axis("GPU energy per output token", "mJ/token"),
    series=tuple(
        Series(
            name,
            tuple(Mark("", x, y / x**0.5, None, (0.9 * y / x**0.5, 1.1 * y / x**0.5))
                  for x in LOADS),
            joined=True,
            dashed=name == "above idle",
        )
        for name, y in (("in total", 80.0), ("above idle", 50.0))
    ),
)  # fmt: skip
FRONT = Scatter(
    id="front",
    title="Two arms are on the front",
    subtitle="Energy against latency",
    x=Axis("time per output token", "ms", log=True),
    y=Axis("GPU energy per output token", "mJ/token", log=True),
    series=(
        Series("dominated", (Mark("float32, concurrency 1", 12.0, 900.0, (11, 13), (850, 950)),),
               colour=0),
        Series(
            "on the front",
            (Mark("bfloat16, concurrency 1", 11.0, 600.0, (10.4, 11.6), (570, 630)),
             Mark("bfloat16, concurrency 16", 45.0, 130.0, (43, 47), (124, 136), emphasis=True)),
            joined=True,
            steps=True,
            colour=1,
        ),
    ),
)  # fmt: skip
SHARES = Bars(
    id="shares",
    title="Concurrency explains three quarters of the spread",
    subtitle="Share of the variance",
    axis=Axis("share of the variance", "", share=True),
    rows=(
        Row("concurrency", 0.73, (0.70, 0.76), "73 % (70–76)"),
        Row("type of numbers", 0.24, (0.21, 0.27), "24 % (21–27)"),
        Row("modelled", 0.40, (0.30, 0.50), estimated=True),
        Row("no interval", 0.2),
    ),
)
SLOPE = Slope(
    id="slope",
    title="bfloat16 halves the energy",
    subtitle="GPU energy per output token",
    axis=Axis("GPU energy per output token", "mJ/token", log=True),
    left="float32",
    right="bfloat16",
    lines=(
        SlopeLine("concurrency 1", 900.0, 430.0, (855, 945), (408, 452)),
        SlopeLine("concurrency 4", 450.0, 215.0, (428, 472), (204, 226), emphasis=True),
        SlopeLine("concurrency 5", 440.0, 214.0, (418, 462), (203, 225)),
    ),
)
TRACES = Traces(
    id="traces",
    title="The GPU draws 480 W while it generates",
    subtitle="Power over time",
    axis=Axis("power", "W"),
    lines=(
        TimeLine("GPU 0", [0.0, 1, 2, 3, 4, 5], [70.0, 70, 480, 480, 70, 70], "gpu"),
        TimeLine("CPU", [0.0, 1, 2, 3, 4, 5], [40.0, 41, 90, float("nan"), 40, 40], "cpu"),
    ),
    phases=(Phase("warm up", 0.5, 1.9), Phase("window", 2, 4, measured=True)),
)
HEADLINE = Headline(
    id="headline",
    title="The same answers for a fifth of the energy",
    subtitle="GPU energy per output token, same prompts",
    source="campaign batching; 12 blocks",
    axis=Axis("GPU energy per output token", "mJ/token"),
    first=Row("transformers, its defaults", 203.0, (198, 208), sublabel="one at a time"),
    second=Row("vLLM, 16 at a time", 42.3, (41.2, 43.4)),
    ratio=4.8,
    ratio_interval=(4.63, 4.98),
    ratio_label="less energy per token",
)
EVERY: tuple[AnyChart, ...] = (
    RATIOS, BOARD, CUT, CURVE, FRONT, SHARES, SLOPE, TRACES, HEADLINE
)  # fmt: skip


def parsed(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def all_of(root: ElementTree.Element, tag: str, of: str = "") -> list[ElementTree.Element]:
    """Elements of a kind, those of a class alone if one is named."""
    return [e for e in root.iter(SVG + tag) if not of or of in e.get("class", "").split()]


def texts(root: ElementTree.Element) -> list[str]:
    return [e.text or "" for e in all_of(root, "text")]


Box = tuple[float, float, float, float]


def boxes(root: ElementTree.Element) -> list[tuple[str, Box]]:
    """Where every text lies, as wide as it is in the font that comes with the package."""
    found = []
    for e, (dx, dy) in _placed(root):
        words = e.text or ""
        size = float(e.get("font-size", "13"))
        width = measure(words, size, "emphasis" in e.get("class", ""))
        x = float(e.get("x", "0")) + dx
        x -= {"start": 0.0, "middle": width / 2, "end": width}[e.get("text-anchor", "start")]
        y = float(e.get("y", "0")) + dy
        found.append((words, (x, y - 0.72 * size, x + width, y + 0.2 * size)))
    return found


def _placed(
    e: ElementTree.Element, at: tuple[float, float] = (0.0, 0.0)
) -> list[tuple[ElementTree.Element, tuple[float, float]]]:
    moved = re.fullmatch(r"translate\(([\d.]+) ([\d.]+)\)", e.get("transform", ""))
    if moved:
        at = (at[0] + float(moved[1]), at[1] + float(moved[2]))
    if e.tag == SVG + "text":
        return [(e, at)]
    return [found for child in e for found in _placed(child, at)]
