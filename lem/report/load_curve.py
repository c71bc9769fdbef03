"""Energy per token against load, on the terminal and as a chart."""

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lem.analysis.curve import Curve, LoadPoint
from lem.analysis.quantities import ESTIMATED
from lem.analysis.text import (
    NOTHING,
    capital,
    figure,
    plain,
    provisional,
    ratio,
    scaled,
    whiskers,
)
from lem.charts.model import Axis, Mark, Scatter, Series
from lem.charts.theme import colours_of
from lem.report.comparison_charts import WHISKERS


def view(found: Curve) -> RenderableType:
    """A table for each series, what they say in words, and what the columns are."""
    factor, unit = _scaled(found)
    blocks, idle = _blocks(found), _has_idle(found)
    parts: list[RenderableType] = []
    for series in found.series:
        title = found.quantity.title + (f": {plain(series.name)}" if series.name else "")
        table = Table(
            title=title + (f" — provisional: {found.unfinished}" if found.unfinished else ""),
            title_justify="left",
            title_style="bold yellow" if found.unfinished else "bold",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
        )
        head = plain(found.noun)[:1].upper() + plain(found.noun)[1:]
        names = [
            head.replace(" ", "\n"),
            *(["Blocks"] if blocks is None else []),
            "tokens/s",
            "Of the\nmost",
            unit,
            *([f"Above idle\n({unit})"] if idle else []),
            "Ratio to the least\n(95 % interval)",
        ]
        for name in names:
            table.add_column(name, justify="right", overflow="fold")
        for p in series.points:
            table.add_row(*_cells(p, factor, blocks is None, idle))
        parts.append(table)
    parts += [Padding(Text(line, style="dim"), (0, 0, 0, 1)) for line in _footnotes(found)]
    parts.append(Text())
    parts += [Text(plain(s, 1000), style="bold") for s in found.sentences]
    return Group(*parts)


def _blocks(found: Curve) -> int | None:
    """How many blocks every point has; None where not all have the same number."""
    numbers = {p.blocks for s in found.series for p in s.points}
    return numbers.pop() if len(numbers) == 1 else None


def _has_idle(found: Curve) -> bool:
    """Whether energy above idle says anything: an estimate from CPU time has no idle power."""
    return found.quantity.part != ESTIMATED


def _cells(p: LoadPoint, factor: float, blocks: bool, idle: bool) -> list[str]:
    return [
        f"{p.load:g}",
        *([str(p.blocks)] if blocks else []),
        figure(p.throughput, least=0.0) if p.throughput else NOTHING,
        f"{100 * p.utilisation:.0f} %" if p.utilisation is not None else NOTHING,
        figure(p.total, factor, least=0.0),
        *([figure(p.above_idle, factor) if p.above_idle else NOTHING] if idle else []),
        "1 (least)" if p.beside_least is None else ratio(p.beside_least),
    ]


def _footnotes(found: Curve) -> list[str]:
    blocks = _blocks(found)
    lines = [
        f"{f'{blocks} blocks on' if blocks else 'On'} {plain(found.hardware)}. Of the most: "
        "tokens/s as a share of the highest here.",
        "Above idle: less the power of the idle board with the model loaded, over the same time."
        if _has_idle(found)
        else "Energy is estimated from CPU time, which knows no idle power: what an idle server "
        "costs is not in it.",
        "± is the expanded uncertainty U (k = 2), or twice the standard error where no meter "
        "states one. Ratios: within blocks, their intervals jointly 95 %.",
    ]
    return lines + [f"Left out: {plain(line)}." for line in found.left_out]


def _scaled(found: Curve) -> tuple[float, str]:
    return scaled(found.quantity.unit, [p.total.mean for s in found.series for p in s.points])


def chart(found: Curve) -> Scatter:
    """Total and above idle over the load, with their uncertainties."""
    factor, unit = _scaled(found)
    colours = colours_of(s.name for s in found.series)
    lines = []
    for series in found.series:
        alone = len(found.series) == 1
        for name, above in (("in total", False), ("above idle", True)):
            if above and not _has_idle(found):
                continue
            least = None if above else 0.0
            marks = tuple(
                Mark(
                    "",
                    p.load,
                    value.mean * factor,
                    None,
                    whiskers(value, factor, least=least),
                    title=f"{p.name}, {name}: {figure(value, factor, least=least)} {unit}",
                    estimated=not _has_idle(found),
                )
                for p in series.points
                if (value := p.above_idle if above else p.total) is not None
            )
            said = name if alone else f"{series.name}, above idle" if above else series.name
            lines.append(
                Series(
                    said if _has_idle(found) or not alone else "",
                    marks,
                    joined=True,
                    dashed=above,
                    colour=colours[series.name],
                )
            )
    loads = [p.load for s in found.series for p in s.points]
    values = [m.y for line in lines for m in line.marks if m.y is not None]
    modelled = "" if _has_idle(found) else "; estimated from CPU time, not measured"
    what = f"{capital(found.quantity.noun)} against {found.noun}"
    return Scatter(
        id=f"load-curve-{found.quantity.part or found.quantity.metric}",
        title=found.sentences[0].removesuffix(".") if found.sentences else what,
        subtitle=f"{what}{modelled}{provisional(found.unfinished)}",
        source=f"campaign {found.campaign} on {found.hardware}; {WHISKERS}",
        x=Axis(
            found.noun,
            "",
            log=min(loads) > 0 and max(loads) / min(loads) > 4,
            ticks=tuple(sorted(set(loads))),
        ),
        y=Axis(found.quantity.noun, unit, log=min(values) > 0 and max(values) / min(values) > 10),
        series=tuple(line for line in lines if line.marks),
    )
