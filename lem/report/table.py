"""A comparison on the terminal: one table for each compared quantity, what it means in words, and
everything one must know not to misread it."""

from collections.abc import Collection
from pathlib import Path

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lem.analysis.boards import Boards
from lem.analysis.comparison import ArmResult, Comparison
from lem.analysis.quantities import Quantity, least_of
from lem.analysis.text import NOTHING, capital, figure, plain, ratio, rough, scaled, span
from lem.report.boards import board_rows, quantity_of
from lem.report.footnotes import footnotes

ESTIMATED_J = "energy_per_output_token_j.estimated"
ACCURACY, AGREEMENT = "accuracy", "agreement"
_SIDE = (
    ("output_throughput_tokens_per_s", "tokens/s", ""),
    ("ttft_s.p50", "TTFT", "s"),
    ("itl_s.p50", "ITL", "s"),
    ("goodput_per_s", "Goodput", "requests/s"),
    ("slo_attainment_share", "SLO kept", "%"),
    ("goodput_rate_per_s", "Rate found", "requests/s"),
    ("nll_per_token", "NLL/token", ""),
    (ACCURACY, "Accuracy", "%"),
    (AGREEMENT, "Same answers", "%"),
)
_SIDE_KEYS = tuple(key for key, _, _ in _SIDE)
GROUPS = {
    "Speed": ("output_throughput_tokens_per_s", "ttft_s.p50", "itl_s.p50"),
    "Objectives": ("goodput_per_s", "slo_attainment_share", "goodput_rate_per_s"),
    "Quality": ("nll_per_token", ACCURACY, AGREEMENT),
}
"""Tables of their own where one has no room for all."""
ARM_WIDTH = 12
"""Narrower than this no arm's name is folded."""


def comparison_table(comparison: Comparison) -> RenderableType:
    """The tables with their footnotes; fits itself to the width it is given."""
    return _Tables(comparison)


def render(comparison: Comparison, console: Console, records_path: Path | str) -> None:
    """Print the tables, what they say in plain words, and where the records are."""
    # Not the console's own soft wrapping: piped, it would cut the footnotes off.
    console.print(comparison_table(comparison), soft_wrap=False)
    for sentence in comparison.sentences:
        console.print(Text(plain(sentence, 1000), style="bold"), soft_wrap=False)
    console.print()
    console.print(Text(f"Records: {plain(str(records_path), 1000)}"), soft_wrap=True)


class _Tables:
    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        c = self.comparison
        apart = [t for q in c.quantities if (t := _repeatability_table(c, q))]
        side = [t] if (t := _side_table(c, "Speed and quality", _SIDE_KEYS)) else []
        if side and _uncut_width(side[0], console, options) > options.max_width:
            side = [t for name, keys in GROUPS.items() if (t := _side_table(c, name, keys))]
        for tables in (
            [_quantity_table(c, q, wide=True, side=q == c.quantities[0]) for q in c.quantities],
            [
                *(_quantity_table(c, q, True, q == c.quantities[0], False) for q in c.quantities),
                *apart,
            ],
            [*(_quantity_table(c, q, wide=False) for q in c.quantities), *apart, *side],
        ):
            if all(_widths(t, console, options).maximum <= options.max_width for t in tables):
                break
        for table in [*tables, *(t for b in c.boards if (t := _boards_table(c, b)))]:
            yield _uncut(table, console, options)
        for line in footnotes(c):
            yield Padding(Text(plain(line, 1000), style="dim"), (0, 0, 0, 1))
        yield Text()


def _widths(table: Table, console: Console, options: ConsoleOptions) -> Measurement:
    return Measurement.get(console, options.update(max_width=10_000), table)


def _uncut_width(table: Table, console: Console, options: ConsoleOptions) -> int:
    """The least width at which no figure is wrapped; only the names of arms may be."""
    names = max((cell_len(str(cell)) for cell in table.columns[0].cells), default=0)
    return _widths(table, console, options).maximum - max(0, names - ARM_WIDTH)


def _uncut(table: Table, console: Console, options: ConsoleOptions) -> Table:
    """Figures on one line each, unless the terminal is too narrow for that: then they are wrapped,
    for a figure that is cut is a wrong one."""
    fits = _uncut_width(table, console, options) <= options.max_width
    for column in table.columns[1:]:
        column.no_wrap = fits
        column.overflow = "fold"
    return table


def heading(comparison: Comparison, quantity: Quantity) -> str:
    """What is compared, and that it is provisional while blocks are missing."""
    title = "CPU time per token (no energy meter here)" if quantity.estimated else quantity.title
    if comparison.provisional:
        done, planned = comparison.blocks_done, comparison.blocks_planned
        of = f"{done} of {planned}" if planned and planned > 1 else f"only {done}"
        pilot = comparison.decision is not None and not comparison.decision.final
        noun = "pilot block" if pilot else "block"
        title += f" {NOTHING} provisional: {of} {noun}{'s' if (planned or done) > 1 else ''}"
    return title


def _quantity_table(
    c: Comparison, q: Quantity, wide: bool, side: bool = False, repeatability: bool = True
) -> Table:
    """``wide``: no line breaks in headings; ``side``: with speed and quality; ``repeatability``:
    with its interval, where the table is wide."""
    table = Table(
        title=heading(c, q),
        title_justify="left",
        title_style="bold yellow" if c.provisional else "bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("Arm", overflow="fold", min_width=ARM_WIDTH)
    table.add_column("Blocks", justify="right")
    values = [a.figures[q.key].mean for a in c.arms if q.key in a.figures]
    factor, unit = scaled(q.unit, values)
    table.add_column(f"CPU {unit}" if q.estimated else unit, justify="right")
    repeats = wide and repeatability and _has_intervals(c, q)
    if repeats:
        table.add_column(f"Repeatability\n({100 * c.level:.3g} % interval)", justify="right")
    table.add_column(f"Ratio ({100 * c.level:.3g} % interval)", justify="right")
    if q.estimated:
        broken = "≈ J/token\n(estimated ±50 %)" if wide else "≈ J/token\n(estimated\n±50 %)"
        table.add_column(broken, justify="right")
    beside = side_columns(c) if side else []
    for name, _, _ in beside:
        table.add_column(name, justify="right")
    for arm in c.arms:
        cells = [
            Text(plain(arm.name)),
            Text(blocks_counted(c, q, arm)),
            Text(
                figure(arm.figures[q.key], factor, least=q.least)
                if q.key in arm.figures
                else NOTHING
            ),
            *([Text(_repeatability(arm, q, factor))] if repeats else []),
            _ratio_cell(c, arm, q),
        ]
        if q.estimated:
            joules = arm.figures.get(ESTIMATED_J)
            cells.append(Text(rough(joules.mean) if joules else NOTHING))
        cells += [Text(side_cell(arm, key, f)) for _, key, f in beside]
        table.add_row(*cells)
    return table


def _has_intervals(c: Comparison, q: Quantity) -> bool:
    return any(a.figures[q.key].low is not None for a in c.arms if q.key in a.figures)


def _repeatability(arm: ArmResult, q: Quantity, factor: float) -> str:
    found = arm.figures.get(q.key)
    if found is None or found.low is None or found.high is None:
        return NOTHING
    return span(found.low * factor, found.high * factor)


def _repeatability_table(c: Comparison, q: Quantity) -> Table | None:
    """Where the main table has no room for it."""
    if not _has_intervals(c, q):
        return None
    values = [a.figures[q.key].mean for a in c.arms if q.key in a.figures]
    factor, unit = scaled(q.unit, values)
    table = Table(
        title=f"Repeatability of {q.noun}",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("Arm", overflow="fold", min_width=ARM_WIDTH)
    table.add_column(f"{100 * c.level:.3g} % interval ({unit})", justify="right")
    for arm in c.arms:
        table.add_row(Text(plain(arm.name)), Text(_repeatability(arm, q, factor)))
    return table


def _side_table(c: Comparison, title: str, keys: Collection[str]) -> Table | None:
    columns = [column for column in side_columns(c) if column[1] in keys]
    if not columns:
        return None
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("Arm", overflow="fold", min_width=ARM_WIDTH)
    for name, _, _ in columns:
        table.add_column(name.replace(" (", "\n("), justify="right")
    for arm in c.arms:
        cells = [side_cell(arm, key, factor) for _, key, factor in columns]
        table.add_row(Text(plain(arm.name)), *(Text(cell) for cell in cells))
    return table


def _boards_table(c: Comparison, found: Boards) -> Table | None:
    rows = board_rows(c, found)
    if not rows:
        return None
    noun = quantity_of(c, found).noun
    kind = capital(f"{found.kind}s")
    table = Table(
        title=f"{kind} beside each other in {noun}",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    nodes = found.kind == "board" and len({r.node for r in rows}) > 1
    ratios = any(r.arm for r in rows)
    flags = any(r.flag for r in rows)
    table.add_column(kind[:-1], overflow="fold", min_width=ARM_WIDTH)
    for name, there in (("Node", nodes), ("Blocks", True), ("Beside the others", True)):
        if there:
            table.add_column(name, justify="right")
    if ratios:
        table.add_column("Ratio that differs most", justify="right")
    if flags:
        table.add_column("Flag", justify="right")
    for r in rows:
        cells = [r.name, *([r.node] if nodes else []), str(r.blocks), r.figure]
        cells += [plain(f"{r.arm}: {r.ratio}") if r.arm else NOTHING] if ratios else []
        cells += [r.flag] if flags else []
        table.add_row(*(Text(cell) for cell in cells))
    return table


def side_columns(c: Comparison) -> list[tuple[str, str, float]]:
    """(heading, figure's key, factor) of the side figures that any arm has."""
    columns = []
    compared = {q.key for q in c.quantities}
    for key, name, unit in _SIDE:
        values = [a.figures[key].mean for a in c.arms if key in a.figures]
        if key == AGREEMENT:
            values = [q.agreement.same for a in c.arms if (q := a.quality) and q.agreement]
        if values and key not in compared:
            factor, shown = (100.0, unit) if unit == "%" else scaled(unit, values)
            columns.append((f"{name} ({shown})" if unit else name, key, factor))
    return columns


def side_cell(arm: ArmResult, key: str, factor: float) -> str:
    if key == AGREEMENT:
        alike = None if arm.quality is None else arm.quality.agreement
        if alike is None:
            return NOTHING
        return f"{factor * alike.same:.0f} (begin {factor * alike.leading:.0f})"
    least = least_of(key.partition(".")[0])
    return figure(arm.figures[key], factor, least=least) if key in arm.figures else NOTHING


def blocks_counted(c: Comparison, q: Quantity, arm: ArmResult) -> str:
    """The blocks that the ratio rests on; of an arm without one those in which it was counted."""
    if arm.blocks == 0 and arm.shortfalls:
        return "failed"
    n = arm.ratios[q.key].n if q.key in arm.ratios else arm.blocks
    short = c.blocks_planned is not None and n < c.blocks_planned
    return f"{n} of {c.blocks_planned}" if short else str(n)


def _ratio_cell(c: Comparison, arm: ArmResult, q: Quantity) -> Text:
    if arm.baseline:
        return Text("1 (baseline)")
    estimate = arm.ratios.get(q.key)
    if estimate is None:
        return Text(NOTHING)
    style = ""
    if estimate.low is not None and estimate.high is not None:
        better = estimate.high < 1 if q.better == "lower" else estimate.low > 1
        worse = estimate.low > 1 if q.better == "lower" else estimate.high < 1
        same = arm.verdicts[q.key].says == "same"
        better = better and not c.spoilt(arm)
        style = "" if same else "green" if better else "red" if worse else "yellow"
    return Text(ratio(estimate, arm.verdicts[q.key]) + quality_mark(c, arm), style=style)


def quality_mark(c: Comparison, arm: ArmResult) -> str:
    """The sign beside a ratio of an arm that is not called better because of its answers."""
    if arm.quality is None or not c.spoilt(arm):
        return ""
    return " ↓" if arm.quality.standing == "lost" else " ~"
