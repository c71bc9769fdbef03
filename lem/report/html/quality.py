"""Quality beside energy: what an arm saves, and whether its answers are as good."""

import math

from lem.analysis.comparison import ArmResult, Comparison
from lem.analysis.quality import Loss
from lem.analysis.text import NOTHING, plain
from lem.analysis.words import places, rounded
from lem.report.html.arms import QUALITY_KEYS, ratio_cell
from lem.report.html.cells import Cell, Column, Grid, Mark
from lem.report.table import side_cell, side_columns
from lem.web.strings import text

_MARKS: dict[str, Mark] = {"kept": "better", "lost": "worse", "cannot_tell": "open"}


def quality_table(c: Comparison) -> Grid:
    """Empty where nothing of quality was measured."""
    if all(a.quality is None for a in c.arms):
        return Grid((), ())
    found = [column for column in side_columns(c) if column[1] in QUALITY_KEYS]
    quantity = c.quantities[0]
    columns = [
        Column(text("report.arms.arm"), number=False),
        Column(text("report.quality.ratio", noun=quantity.noun)),
    ]
    for heading, _, _ in found:
        name, _, unit = heading.partition(" (")
        columns.append(Column(name, unit.removesuffix(")")))
    columns += [
        Column(text("report.quality.loss"), "", text("report.quality.loss_note"), number=False),
        Column(text("report.quality.standing"), number=False),
    ]
    rows = []
    for arm in c.arms:
        row = [Cell(plain(arm.name), mark="name"), ratio_cell(c, arm, quantity)]
        for _, key, factor in found:
            value = arm.figures[key].mean if key in arm.figures else None
            row.append(Cell(side_cell(arm, key, factor), value=value, key=key))
        row += [_losses(arm), _standing(c, arm)]
        rows.append(tuple(row))
    base = frozenset(i for i, a in enumerate(c.arms) if a.baseline)
    return Grid(tuple(columns), tuple(rows), base)


def _losses(arm: ArmResult) -> Cell:
    if arm.quality is None or not arm.quality.losses:
        return Cell(NOTHING)
    return Cell("; ".join(_loss(v) for v in arm.quality.losses.values()))


def _loss(loss: Loss) -> str:
    """``NLL +1.2 % (1.1 to 1.3)``: above 0 is worse; ends are rounded outwards."""
    low, high = 100 * loss.low, 100 * loss.high
    decimals = max(1, min(4, places((high - low) / 2))) if high > low else 2
    ends = rounded(low, decimals, math.floor), rounded(high, decimals, math.ceil)
    shown = f"{100 * loss.value:+.{decimals}f}"
    return text(
        f"report.quality.{loss.measure}",
        value=shown.replace("-", "−"),
        low=ends[0].replace("-", "−"),
        high=ends[1].replace("-", "−"),
    )


def _standing(c: Comparison, arm: ArmResult) -> Cell:
    if arm.baseline:
        return Cell(text("report.verdict.baseline"))
    standing = None if arm.quality is None else arm.quality.standing
    if standing is None:
        return Cell(text("report.quality.unknown"))
    words = text(f"report.quality.{standing}", margin=f"{100 * c.quality_margin:g}")
    return Cell(words, mark=_MARKS[standing])
