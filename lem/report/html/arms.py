"""The table of arms: the figures and ratios of ``lem results compare``, side by side."""

from collections.abc import Mapping

from lem.analysis.comparison import ArmResult, Comparison
from lem.analysis.quantities import Quantity, least_of
from lem.analysis.text import NOTHING, figure, plain, ratio, rough, scaled
from lem.report.html.cells import Cell, Column, Grid, Mark
from lem.report.table import ESTIMATED_J, GROUPS, blocks_counted, side_cell, side_columns
from lem.web.strings import text

QUALITY_KEYS = GROUPS["Quality"]


def arms_table(c: Comparison) -> Grid:
    """One row an arm: the first quantity with its ratio and verdict, speed, blocks, flags."""
    columns, cells = _begin(c)
    _add(c, c.quantities[0], columns, cells)
    for heading, key, factor in side_columns(c):
        if key in QUALITY_KEYS:
            continue
        name, _, unit = heading.partition(" (")
        columns.append(Column(name, unit.removesuffix(")")))
        for row, arm in zip(cells, c.arms, strict=True):
            value = arm.figures[key].mean if key in arm.figures else None
            row.append(Cell(side_cell(arm, key, factor), value=value, key=key))
    columns += [Column(text("report.arms.blocks")), Column(text("report.arms.flags"), number=False)]
    for row, arm in zip(cells, c.arms, strict=True):
        row += [_blocks(c, arm), _flags(arm.flags)]
    return _made(c, columns, cells)


def others_table(c: Comparison) -> Grid:
    """The same of the other quantities; empty where there is none."""
    if len(c.quantities) < 2:
        return Grid((), ())
    columns, cells = _begin(c)
    for quantity in c.quantities[1:]:
        _add(c, quantity, columns, cells)
    return _made(c, columns, cells)


def _begin(c: Comparison) -> tuple[list[Column], list[list[Cell]]]:
    return [Column(text("report.arms.arm"), number=False)], [[_name(a)] for a in c.arms]


def _made(c: Comparison, columns: list[Column], cells: list[list[Cell]]) -> Grid:
    base = frozenset(i for i, a in enumerate(c.arms) if a.baseline)
    return Grid(tuple(columns), tuple(map(tuple, cells)), base)


def _add(c: Comparison, q: Quantity, columns: list[Column], cells: list[list[Cell]]) -> None:
    """The columns of one quantity; where energy is estimated, with the estimate."""
    factor, unit = scaled(q.unit, [a.figures[q.key].mean for a in c.arms if q.key in a.figures])
    columns.append(Column(_short(q), unit, text("report.arms.u")))
    level = text("report.arms.interval", level=f"{100 * c.level:.3g}")
    columns.append(Column(text("report.arms.ratio"), "", level))
    for row, arm in zip(cells, c.arms, strict=True):
        row += [_figure(arm, q.key, factor), ratio_cell(c, arm, q)]
    if q.estimated:
        name, unit, note = (text(f"report.arms.estimated_{k}") for k in ("name", "unit", "u"))
        columns.append(Column(name, unit, note, estimated=True))
        for row, arm in zip(cells, c.arms, strict=True):
            row.append(_estimate(arm))


def _short(q: Quantity) -> str:
    return text("report.arms.cpu_time") if q.estimated else q.noun[0].upper() + q.noun[1:]


def _name(arm: ArmResult) -> Cell:
    sub = text("report.arms.baseline") if arm.baseline else ""
    return Cell(plain(arm.name), sub, mark="name")


def _figure(arm: ArmResult, key: str, factor: float) -> Cell:
    found = arm.figures.get(key)
    if found is None:
        return Cell(NOTHING)
    least = least_of(key.partition(".")[0])
    return Cell(figure(found, factor, least=least), value=found.mean, key=key)


def _estimate(arm: ArmResult) -> Cell:
    joules = arm.figures.get(ESTIMATED_J)
    if joules is None:
        return Cell(NOTHING)
    return Cell(f"≈ {rough(joules.mean)}", value=joules.mean, key=ESTIMATED_J, mark="estimated")


def ratio_cell(c: Comparison, arm: ArmResult, q: Quantity) -> Cell:
    """The ratio to the baseline with its interval, and in words what that says."""
    if arm.baseline:
        return Cell("1", text("report.verdict.baseline"), value=1.0)
    found = arm.ratios.get(q.key)
    if found is None:
        return Cell(NOTHING, text("report.verdict.none"))
    key = f"ratio:{q.key}"
    if found.low is None:
        return Cell(ratio(found), plain(found.reason or ""), found.ratio, key, "open")
    says = arm.verdicts[q.key].says
    word, mark = _verdict(c, arm, q, says)
    return Cell(ratio(found), word, found.ratio, key, mark)


def _verdict(c: Comparison, arm: ArmResult, q: Quantity, says: str) -> tuple[str, Mark]:
    words = text(f"report.verdict.{says}", margin=f"{100 * c.margin:g}")
    marks: Mapping[str, Mark] = {"same": "same", "cannot_tell": "open"}
    if says in marks:
        return words, marks[says]
    is_better = (says == "less") == (q.better == "lower")
    if not is_better:
        return words, "worse"
    if c.spoilt(arm) and arm.quality is not None:
        return text(f"report.verdict.but_{arm.quality.standing}", verdict=words), "open"
    return words, "better"


def _blocks(c: Comparison, arm: ArmResult) -> Cell:
    return Cell(blocks_counted(c, c.quantities[0], arm), value=float(arm.blocks))


def _flags(flags: tuple[str, ...]) -> Cell:
    # What is estimated is marked at each figure.
    return Cell(plain(", ".join(f for f in flags if f != "estimated")), mark="flag")
