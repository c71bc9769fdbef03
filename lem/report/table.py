"""A comparison on the terminal: one table for each compared quantity, what it means in words, and
everything one must know not to misread it."""

import math
from collections.abc import Iterator
from pathlib import Path

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lem.analysis.comparison import ArmResult, Comparison
from lem.analysis.quantities import Quantity
from lem.report.text import NOTHING, figure, plain, ratio, rough, scaled, span

ESTIMATED_J = "energy_per_output_token_j.estimated"
_SIDE = (
    ("output_throughput_tokens_per_s", "tokens/s", ""),
    ("ttft_s.p50", "TTFT", "s"),
    ("itl_s.p50", "ITL", "s"),
    ("nll_per_token", "NLL/token", ""),
)
MOST_BIASES = 3
"""For so many arms the footnote has the bound on their bias."""


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
        side = [t] if (t := _side_table(c)) else []
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
        for table in tables:
            yield _uncut(table, console, options)
        for line in footnotes(c):
            yield Padding(Text(plain(line, 1000), style="dim"), (0, 0, 0, 1))
        yield Text()


def _widths(table: Table, console: Console, options: ConsoleOptions) -> Measurement:
    return Measurement.get(console, options.update(max_width=10_000), table)


def _uncut(table: Table, console: Console, options: ConsoleOptions) -> Table:
    """Figures on one line each, unless the terminal is too narrow for that: then they are wrapped,
    for a figure that is cut is a wrong one."""
    for no_wrap in (True, False):
        for column in table.columns[1:]:
            column.no_wrap = no_wrap
            column.overflow = "fold"
        if _widths(table, console, options).minimum <= options.max_width:
            break
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


def footnotes(comparison: Comparison) -> Iterator[str]:
    """All that must be known beside the figures, a line each."""
    c = comparison
    meters = ", ".join(f"{k}: {m}" for k, m in c.meters.items() if m)
    read = f" (meters: {meters})" if meters and not c.estimated else ""
    yield f"{c.campaign} on {c.hardware}{read}"
    yield from _about_intervals(c)
    yield from _about_blocks(c)
    yield from _about_carry_over(c)
    yield from _about_uncertainties(c)
    yield from _about_repeatability(c)
    for arm in c.arms:
        yield from _shortfalls(arm)
        if any(r.n < arm.blocks for r in arm.ratios.values()):
            n = min(r.n for r in arm.ratios.values())
            yield (
                f"{arm.name}: counted in {arm.blocks} blocks, of which {n} have the baseline, too:"
                " its ratio is of those."
            )
    if c.left_out:
        yield f"Not compared: {'; '.join(c.left_out)}."
    yield from c.notes
    for flag, meaning in c.flags.items():
        if flag != "estimated":
            yield f"Flag {flag}: {meaning}."


def _about_intervals(c: Comparison) -> Iterator[str]:
    estimates = [r for a in c.arms for r in a.ratios.values()]
    with_interval = [r for r in estimates if r.low is not None]
    if with_interval:
        level = f"{100 * c.level:.3g} %"
        many = with_interval[0].comparisons > 1 or c.across
        together = f"they hold together with {level} confidence" if many else level
        which = "Intervals"
        if len(c.quantities) > 1:
            which = "Intervals of all tables" if c.across else "Intervals of each table"
        how = " or ".join(
            w for m, w in _METHODS.items() if any(r.method == m for r in with_interval)
        )
        yield f"{which}: within-block log-ratios, {how}; {together}."
    says = {v.says for a in c.arms for k, v in a.verdicts.items() if a.ratios[k].low is not None}
    if "cannot_tell" in says:
        yield "?: the interval includes 1, so it can't be told yet."
    if "same" in says:
        yield f"=: the same within {100 * c.margin:g} %, by two one-sided tests."
    for reason in sorted({r.reason for r in estimates if r.reason}):
        yield f"No interval: {reason}."


_METHODS = {
    "t": "Student t",
    "dunnett": "Dunnett's quantile, each arm's own scatter weighed with that of all",
}
"""Method of an interval, in words."""


def _about_blocks(c: Comparison) -> Iterator[str]:
    """Why there are so many blocks, and whether they were enough."""
    if c.decision is not None:
        noun = "block" if c.decision.final else "pilot block"
        blocks = f"{c.decision.n} {noun}{'' if c.decision.n == 1 else 's'}"
        yield f"{blocks}: {c.decision.reason}."
    yield from about_precision(c)


def about_precision(c: Comparison) -> Iterator[str]:
    """The widest interval of each quantity beside the precision that was asked for."""
    if c.target is None:
        return
    for q in c.quantities:
        if (reached := c.reached(q)) is not None:
            which = f" in {q.noun}" if len(c.quantities) > 1 else ""
            state = "reached" if reached <= c.target * (1 + 1e-9) else "not reached"
            yield (
                f"Precision{which}: ±{100 * reached:.2g} %, where ±{100 * c.target:g} % was asked"
                f" for: {state}."
            )


def _about_carry_over(c: Comparison) -> Iterator[str]:
    """What a run hands on to the next is a bias, which no interval holds."""
    for q in c.quantities:
        carry = c.carry.get(q.key)
        if carry is None:
            continue
        which = f" in {q.noun}" if len(c.quantities) > 1 else ""
        if carry.share is None:
            yield (
                f"Carry-over from run to run{which} is not known: the runs and their order do not"
                " tell it. The same, and a passed gate, are said only where they hold even if a run"
                " showed all of the difference of the one before it."
            )
            continue
        seen = (
            f"a run shows {100 * carry.share:.2g} % of the difference of the one before it"
            if carry.noticed
            else "none is seen"
        )
        yield (
            f"Carry-over from run to run{which}: {seen}; at most {100 * carry.bound:.2g} %."
            f" Beside its interval this may bias the ratio of {_biases(c, q)}."
        )


def _biases(c: Comparison, q: Quantity) -> str:
    """Each arm's bound and expanded uncertainty; of many arms, those of the largest bounds."""
    found = [(b, a) for a in c.arms if (b := c.bias_log(a, q.key)) is not None]
    found.sort(key=lambda item: -item[0])
    said = []
    for bias, arm in found[:MOST_BIASES]:
        expanded = c.expanded_log(arm, q.key) if q.key in arm.ratios else None
        u = "" if expanded is None else f" (U = {100 * math.expm1(expanded):.2g} %)"
        said.append(f"{arm.name} by up to {100 * math.expm1(bias):.2g} %{u}")
    rest = ", the others by less" if len(found) > MOST_BIASES else ""
    return ", ".join(said) + rest


def _about_repeatability(c: Comparison) -> Iterator[str]:
    """What the intervals of absolute figures say, and why there is none."""
    found = [
        (a.name, q, a.figures[q.key]) for q in c.quantities for a in c.arms if q.key in a.figures
    ]
    if any(f.low is not None for _, _, f in found):
        allowed = " and allows for slow drift that so few blocks would not show"
        few = allowed if any(f.few_blocks for _, _, f in found) else ""
        yield (
            "Repeatability: where the mean of another campaign like this on this machine would lie;"
            f" it says nothing of the meter's error{few}."
        )
    for reason in dict.fromkeys(f.reason for _, _, f in found if f.reason):
        arms = list(dict.fromkeys(name for name, _, f in found if f.reason == reason))
        who = ", ".join(arms) if len(arms) < len(c.arms) else "any arm"
        yield f"No repeatability interval for {who}: {reason}."
    merged = list(dict.fromkeys(name for name, _, f in found if f.merged > 1))
    if merged:
        yield (
            "Neighbouring blocks resemble each other, so they were merged for the repeatability"
            f" of {', '.join(merged)}."
        )


def _about_uncertainties(c: Comparison) -> Iterator[str]:
    compared = {q.key for q in c.quantities}
    shown = {k: f for a in c.arms for k, f in a.figures.items()}
    own = [a.figures[k] for a in c.arms for k in compared & a.figures.keys()]
    stated = any(f.expanded for f in own if f.n > 1)
    few = any(f.few_blocks for f in own)
    rough_as_few = f"{'with so few blocks rough, ' if few else ''}not a 95 % interval"
    if c.estimated:
        yield (
            "Energy is estimated, not measured: CPU time × an assumed power per busy core. The"
            " ratio is exactly that of CPU time."
        )
    one = max(a.blocks for a in c.arms) < 2
    if stated:
        yield (
            "± is the expanded uncertainty U (k = 2) of meter and scatter together;"
            f" {rough_as_few}."
        )
    if not one:
        which = "Where no meter states one, ±" if stated else "±"
        yield (
            f"{which} is the scatter between blocks alone (twice the standard error of the mean);"
            f" {rough_as_few}."
        )
    if any(f.n == 1 for f in own):
        yield "No ± beside a figure: it is of one block, which shows no scatter."
    if shown.keys() & {"ttft_s.p50", "itl_s.p50"}:
        yield "TTFT, ITL: time to first token and gap between tokens: mean over runs of the median."


def _shortfalls(arm: ArmResult) -> Iterator[str]:
    for s in arm.shortfalls:
        where = "1 block" if s.blocks == 1 else f"{s.blocks} blocks"
        said = plain(" ".join(s.message.split()), 160)
        if s.kind == "excluded":
            yield f"{arm.name}: left out in {where} because of flags: {said}"
        elif s.kind == "void":
            yield f"{arm.name}: void in {where}: {said}"
        else:
            yield f"{arm.name}: failed in {where}: {s.kind}: {said}"


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
    table.add_column("Arm", overflow="fold", min_width=12)
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
    beside = _side_columns(c) if side else []
    for name, _, _ in beside:
        table.add_column(name, justify="right")
    for arm in c.arms:
        cells = [
            Text(plain(arm.name)),
            Text(_blocks(c, q, arm)),
            Text(figure(arm.figures[q.key], factor) if q.key in arm.figures else NOTHING),
            *([Text(_repeatability(arm, q, factor))] if repeats else []),
            _ratio_cell(arm, q),
        ]
        if q.estimated:
            joules = arm.figures.get(ESTIMATED_J)
            cells.append(Text(rough(joules.mean) if joules else NOTHING))
        cells += [Text(_side_cell(arm, key, f)) for _, key, f in beside]
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
    table.add_column("Arm", overflow="fold", min_width=12)
    table.add_column(f"{100 * c.level:.3g} % interval ({unit})", justify="right")
    for arm in c.arms:
        table.add_row(Text(plain(arm.name)), Text(_repeatability(arm, q, factor)))
    return table


def _side_table(c: Comparison) -> Table | None:
    columns = _side_columns(c)
    if not columns:
        return None
    table = Table(
        title="Speed and quality",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("Arm", overflow="fold", min_width=12)
    for name, _, _ in columns:
        table.add_column(name, justify="right")
    for arm in c.arms:
        cells = [_side_cell(arm, key, factor) for _, key, factor in columns]
        table.add_row(Text(plain(arm.name)), *(Text(cell) for cell in cells))
    return table


def _side_columns(c: Comparison) -> list[tuple[str, str, float]]:
    """(heading, figure's key, factor) of the side figures that any arm has."""
    columns = []
    compared = {q.key for q in c.quantities}
    for key, name, unit in _SIDE:
        values = [a.figures[key].mean for a in c.arms if key in a.figures]
        if values and key not in compared:
            factor, shown = scaled(unit, values)
            columns.append((f"{name} ({shown})" if unit else name, key, factor))
    return columns


def _side_cell(arm: ArmResult, key: str, factor: float) -> str:
    return figure(arm.figures[key], factor) if key in arm.figures else NOTHING


def _blocks(c: Comparison, q: Quantity, arm: ArmResult) -> str:
    """The blocks that the ratio rests on; of an arm without one those in which it was counted."""
    if arm.blocks == 0 and arm.shortfalls:
        return "failed"
    n = arm.ratios[q.key].n if q.key in arm.ratios else arm.blocks
    short = c.blocks_planned is not None and n < c.blocks_planned
    return f"{n} of {c.blocks_planned}" if short else str(n)


def _ratio_cell(arm: ArmResult, q: Quantity) -> Text:
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
        style = "" if same else "green" if better else "red" if worse else "yellow"
    return Text(ratio(estimate, arm.verdicts[q.key]), style=style)
