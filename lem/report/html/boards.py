"""The table of boards (or nodes), where a campaign's blocks were spread over several."""

from lem.analysis.comparison import Comparison
from lem.analysis.text import NOTHING, plain
from lem.report.boards import board_rows, quantity_of
from lem.report.html.cells import Cell, Column, Grid
from lem.web.strings import text


def boards_table(c: Comparison) -> Grid:
    """Of every quantity, one after another; empty where all blocks ran on the same."""
    found = [(quantity_of(c, b), board_rows(c, b)) for b in c.boards]
    found = [(q, rows) for q, rows in found if rows]
    several = len({q.key for q, _ in found}) > 1
    level = text("report.boards.figure_note", level=f"{100 * c.level:.3g}")
    columns = [Column(text("report.boards.board"), number=False)]
    columns += [Column(text("report.boards.quantity"), number=False)] if several else []
    columns += [
        Column(text("report.boards.node"), number=False),
        Column(text("report.arms.blocks")),
        Column(text("report.boards.figure"), "", level),
        Column(text("report.boards.ratio"), "", text("report.boards.ratio_note")),
        Column(text("report.arms.flags"), number=False),
    ]
    cells = [
        (
            Cell(r.name, mark="name"),
            *([Cell(plain(q.noun))] if several else []),
            Cell(r.node),
            Cell(str(r.blocks), value=float(r.blocks)),
            Cell(r.figure, value=r.deviation),
            Cell(r.ratio if r.arm else NOTHING, plain(r.arm), r.ratio_deviation),
            Cell(r.flag, mark="flag"),
        )
        for q, rows in found
        for r in rows
    ]
    return Grid(tuple(columns), tuple(cells))
