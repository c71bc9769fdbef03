"""The plot of the study, as an SVG drawn by hand: one row for each scenario, one mark for each
preset and number of arms."""

from collections.abc import Sequence
from html import escape

from coverage_study.scenarios import NOISE, TREND, UNLIKE
from coverage_study.study import GOAL, Cell

LEFT, TOP, ROW, WIDTH = 300, 86, 24, 860
LOW, HIGH = 0.935, 1.0
# Okabe and Ito's palette, told apart by people of all kinds of colour vision.
COLOURS = {"quick": "#d55e00", "standard": "#0072b2", "publication": "#009e73"}


def row_of(cell: Cell) -> str:
    s = cell.scenario
    if s.unlike != "like":
        return f"unlike arms: {UNLIKE[s.unlike][0]}"
    trend = "" if s.trend == "none" else f", {TREND[s.trend]}"
    return f"{NOISE[s.noise]}{trend}"


def svg(cells: Sequence[Cell]) -> str:
    rows = list(dict.fromkeys(row_of(c) for c in cells))
    height = TOP + ROW * len(rows) + 46
    bottom = TOP + ROW * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12" fill="#222">',
        "<title>Coverage of simultaneous 95 % intervals in simulated campaigns</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        '<text x="16" y="24" font-size="15" font-weight="bold">How often do all intervals of a '
        "campaign hold the truth?</text>",
        *_legend(),
    ]
    for step in range(round((HIGH - LOW) * 100) + 1):
        share = 0.94 + step / 100
        if share > HIGH:
            break
        x = _x(share)
        parts.append(f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{bottom}" stroke="#ddd"/>')
        label = f"{share:.0%}".replace("%", " %")
        parts.append(f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{label}</text>')
    goal = _x(GOAL)
    parts.append(
        f'<line x1="{goal}" y1="{TOP - 6}" x2="{goal}" y2="{bottom}" stroke="#b00" '
        'stroke-dasharray="4 3"/>'
        f'<text x="{goal}" y="{TOP - 10}" text-anchor="middle" fill="#b00">goal</text>'
    )
    for i, row in enumerate(rows):
        y = TOP + ROW * i + ROW / 2
        if i % 2:
            parts.append(
                f'<rect x="0" y="{y - ROW / 2}" width="{WIDTH}" height="{ROW}" fill="#000" '
                'fill-opacity="0.03"/>'
            )
        parts.append(f'<text x="{LEFT - 14}" y="{y + 4}" text-anchor="end">{escape(row)}</text>')
        parts += [_mark(c, y) for c in cells if row_of(c) == row]
    parts.append(
        f'<text x="{(_x(0.94) + _x(1)) / 2}" y="{bottom + 38}" text-anchor="middle">campaigns in '
        "which every interval holds the true ratio</text></svg>"
    )
    return "\n".join(parts) + "\n"


def _x(share: float) -> float:
    return round(LEFT + (share - LOW) / (HIGH - LOW) * (WIDTH - LEFT - 30), 1)


def _mark(cell: Cell, y: float) -> str:
    s = cell.scenario
    # A mark below the axis stands at its very edge.
    x = _x(max(cell.covered, LOW))
    at = y + {"quick": -5, "standard": 0, "publication": 5}[s.protocol.name]
    return _dot(x, at, COLOURS[s.protocol.name], s.arms == 2)


def _dot(x: float, y: float, colour: str, filled: bool) -> str:
    fill = colour if filled else "#fff"
    return f'<circle cx="{x}" cy="{y}" r="3.6" fill="{fill}" stroke="{colour}" stroke-width="1.6"/>'


def _legend() -> list[str]:
    parts, x = [], 20
    for name, colour in COLOURS.items():
        parts.append(_dot(x, 46, colour, True))
        parts.append(f'<text x="{x + 10}" y="50">{name}</text>')
        x += 30 + 7 * len(name)
    x += 20
    for label, filled in (("2 arms", True), ("6 arms", False)):
        parts.append(_dot(x, 46, "#555", filled))
        parts.append(f'<text x="{x + 10}" y="50">{label}</text>')
        x += 70
    return parts
