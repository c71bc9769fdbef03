"""Where names find room: beside a mark, or one below the other at the ends of lines."""

from collections.abc import Sequence

from lem.charts.lettering import shorten
from lem.charts.sheet import NORMAL, Sheet

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""


def place(
    x: float, y: float, width: float, size: float, taken: list[Box], within: Box
) -> tuple[float, float, str] | None:
    """Place and anchor of a text beside the point where nothing else lies, which it then takes;
    None where there is no room."""
    for dx, dy, anchor in (
        (8, -7, "start"),
        (8, 15, "start"),
        (9, 4, "start"),
        (-8, -7, "end"),
        (-8, 15, "end"),
        (-9, 4, "end"),
        (0, -11, "middle"),
        (0, 20, "middle"),
    ):
        left = x + dx - {"start": 0.0, "middle": width / 2, "end": width}[anchor]
        box = (left, y + dy - 0.8 * size, left + width, y + dy + 0.25 * size)
        inside = (
            box[0] >= within[0]
            and box[1] >= within[1]
            and box[2] <= within[2]
            and box[3] <= within[3]
        )
        if inside and not any(overlap(box, other) for other in taken):
            taken.append(box)
            return x + dx, y + dy, anchor
    return None


def overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def spread(wanted: Sequence[float], gap: float, top: float, bottom: float) -> list[float]:
    """Heights as near to the wanted ones as ``gap`` pixels between each two allow, in their order;
    within ``top`` and ``bottom`` if they have room there."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    at = [0.0] * len(wanted)
    # Groups of neighbours that touch lie about the mean of what they want.
    groups: list[list[int]] = []
    for i in order:
        groups.append([i])
        while len(groups) > 1 and _first(groups[-1], wanted, gap, top, bottom) < (
            _first(groups[-2], wanted, gap, top, bottom) + gap * len(groups[-2])
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
    for group in groups:
        first = _first(group, wanted, gap, top, bottom)
        for n, i in enumerate(group):
            at[i] = round(first + gap * n, 1)
    return at


def _first(
    group: Sequence[int], wanted: Sequence[float], gap: float, top: float, bottom: float
) -> float:
    size = gap * (len(group) - 1)
    middle = sum(wanted[i] for i in group) / len(group)
    return max(top, min(middle - size / 2, bottom - size))


def end_labels(
    sheet: Sheet,
    named: Sequence[tuple[str, float, float, int]],
    x: float,
    top: float,
    bottom: float,
) -> None:
    """Name, x, y and colour of each line's end: the names at ``x``, led to where they moved."""
    places = spread([y for _, _, y, _ in named], 17, top + 6, bottom - 4)
    for (name, end_x, end_y, colour), y in zip(named, places, strict=True):
        with sheet.group(f"c-{colour}"):
            if abs(y - end_y) > 3 or end_x < x - 24:
                sheet.line(end_x + 6, end_y, x - 3, y, "leader")
            shown = shorten(name, sheet.width - x, NORMAL)
            sheet.text(x, y + 4.5, shown, of="label emphasis", full=name)
