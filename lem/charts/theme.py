"""Colours and type, light and dark. Marks name classes, never colours: a page that shows a chart
gives the classes its own theme, and a chart that stands alone carries one of these."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Name = Literal["light", "dark"]
FAMILY = '"Lem Sans","Source Sans 3","Source Sans Pro",Carlito,"Segoe UI",Roboto,Arial,sans-serif'


@dataclass(frozen=True)
class Theme:
    paper: str
    ink: str
    """Text; at least 4.5 to 1 on paper and bands, as is ``muted``."""
    muted: str
    axis: str
    grid: str
    band: str
    grey: str
    """Marks of no colour; like the colours at least 3 to 1 on paper and bands."""
    colours: tuple[str, ...]


# Okabe and Ito's palette, told apart by people of all kinds of colour vision; the pale ones are
# darkened for light paper, all are lightened for dark paper.
LIGHT = Theme(
    paper="#ffffff",
    ink="#1d2329",
    muted="#596168",
    axis="#7d868e",
    grid="#e3e6e9",
    band="#f1f4f6",
    grey="#7b838a",
    colours=("#0072b2", "#d55e00", "#00875f", "#b8558c", "#a87100", "#2f92cf", "#1d2329"),
)
DARK = Theme(
    paper="#14181c",
    ink="#e9ecef",
    muted="#a9b1b8",
    axis="#7d868e",
    grid="#2c343b",
    band="#1e252b",
    grey="#8b949c",
    colours=("#4f9fe8", "#f0803c", "#2fbf93", "#dd8fbb", "#e9b044", "#8fd3ff", "#e9ecef"),
)
THEMES: dict[Name, Theme] = {"light": LIGHT, "dark": DARK}
COLOURS = len(LIGHT.colours)
_BACKENDS = {"transformers": 1, "vllm": 2, "llama_cpp": 3, "sglang": 4, "tensorrt_llm": 5}


def colours_of(names: Iterable[str]) -> dict[str, int]:
    """Each name's colour, 1 to 7: a known backend's own in every chart, the others' by order among
    what is left; grey (0) where none is left."""
    wanted = list(dict.fromkeys(names))
    taken = {_BACKENDS[n] for n in wanted if n in _BACKENDS}
    free = iter(c for c in range(1, COLOURS + 1) if c not in taken)
    return {n: _BACKENDS[n] if n in _BACKENDS else next(free, 0) for n in wanted}


def rules(theme: Theme) -> dict[str, dict[str, str]]:
    """Class → properties. ``c-0`` to ``c-7`` set the current colour; the marks take it up."""
    colours = {f"c-{i}": {"color": c} for i, c in enumerate((theme.grey, *theme.colours))}
    return colours | {
        "paper": {"fill": theme.paper},
        "label": {"fill": theme.ink},
        "muted": {"fill": theme.muted},
        "emphasis": {"font-weight": "600"},
        "coloured": {"fill": "currentColor"},
        "halo": {"stroke": theme.paper, "stroke-width": "3px", "paint-order": "stroke"},
        "grid": {"stroke": theme.grid},
        "axis": {"stroke": theme.axis},
        "reference": {"stroke": theme.ink, "stroke-width": "1.2px"},
        "leader": {"stroke": theme.axis, "stroke-width": "0.8px"},
        "band": {"fill": theme.band},
        "margin": {"fill": theme.grid},
        "mark": {"fill": "currentColor", "stroke": theme.paper, "stroke-width": "1px"},
        "hollow": {"fill": theme.paper, "stroke": "currentColor", "stroke-width": "1.8px"},
        "whisker": {"stroke": "currentColor", "stroke-width": "1.6px", "fill": "none"},
        "over": {"stroke": theme.ink, "stroke-width": "1.6px", "fill": "none"},
        "under": {"stroke": theme.paper, "stroke-width": "4.5px", "fill": "none"},
        "line": {"stroke": "currentColor", "stroke-width": "1.8px", "fill": "none"},
        "thin": {"stroke-width": "1.2px", "stroke-linejoin": "round"},
        "bar": {"fill": "currentColor"},
        "outline": {"stroke": "currentColor", "stroke-width": "1.4px"},
        "hatch": {"stroke": "currentColor", "stroke-width": "2px"},
        "dashed": {"stroke-dasharray": "5 4"},
    }


def stylesheet(theme: Theme, scope: str = "svg.chart") -> str:
    """The rules as CSS, each within ``scope``."""
    family = f"{scope} text{{font-family:{FAMILY}}}"
    return family + "".join(
        f"{scope} .{name}{{{';'.join(f'{k}:{v}' for k, v in properties.items())}}}"
        for name, properties in rules(theme).items()
    )
