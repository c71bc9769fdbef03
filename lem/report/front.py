"""A Pareto front on the terminal and as a chart."""

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lem.analysis.front import Front, FrontPoint
from lem.analysis.quantities import ESTIMATED, Quantity
from lem.analysis.text import capital, figure, plain, provisional, scaled, whiskers, with_unit
from lem.charts.model import Axis, Mark, Scatter, Series
from lem.report.comparison_charts import WHISKERS

_STYLES = {"front": "bold green", "cannot_tell": "yellow", "dominated": "dim"}
FEW = 10
"""Up to so many marks every one has its name beside it; of more, the front's are numbered."""


def view(found: Front) -> RenderableType:
    """A table of the arms, the front's first, what they say in words, and how it was judged."""
    title = f"{found.y.title} against {found.x.noun}"
    table = Table(
        title=title + (f" — provisional: {found.unfinished}" if found.unfinished else ""),
        title_justify="left",
        title_style="bold yellow" if found.unfinished else "bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    fx, unit_x = _scaled(found.x, found)
    fy, unit_y = _scaled(found.y, found)
    table.add_column("Arm", overflow="fold", min_width=12)
    table.add_column("Blocks", justify="right")
    table.add_column(_heading(found.x, unit_x), justify="right")
    table.add_column(_heading(found.y, unit_y), justify="right")
    table.add_column("", overflow="fold", min_width=14)
    for p in sorted(found.points, key=lambda p: list(_STYLES).index(p.state)):
        table.add_row(
            Text(plain(p.name)),
            str(p.blocks),
            figure(p.x, fx, least=found.x.least),
            figure(p.y, fy, least=found.y.least),
            Text(_state(p), style=_STYLES[p.state]),
        )
    parts: list[RenderableType] = [table]
    parts += [Padding(Text(line, style="dim"), (0, 0, 0, 1)) for line in _footnotes(found)]
    parts.append(Text())
    parts += [Text(plain(s, 1000), style="bold") for s in found.sentences]
    return Group(*parts)


def _heading(quantity: Quantity, unit: str) -> str:
    return with_unit(quantity.title, unit)


def _state(p: FrontPoint) -> str:
    if p.state == "front":
        return "on the front"
    who = plain(p.by or "")
    return f"dominated by {who}" if p.state == "dominated" else f"? can't be told from {who}"


def _footnotes(found: Front) -> list[str]:
    lines = [
        f"On {plain(found.hardware)}. Dominated: another arm is better beyond uncertainty in one, "
        f"and in the other better, too, or not worse by more than {100 * found.margin:g} % "
        f"(within-block ratios; over all others {100 * found.level:g} % confidence for each arm).",
        "On the front: no arm is ahead in both, by the means of ratios within blocks. ?: another "
        "is, but not beyond uncertainty; more blocks would tell.",
        *(
            ["An arm with blocks that are 0 is never on the front: what it saves there is work."]
            if found.got_nothing
            else []
        ),
        "± is the expanded uncertainty U (k = 2), or twice the standard error where no meter "
        "states one.",
    ]
    if found.left_out:
        shown = ", ".join(plain(n) for n in found.left_out[:5])
        lines.append(f"Without these figures in every run, so left out: {shown}")
    return lines


def _scaled(quantity: Quantity, found: Front) -> tuple[float, str]:
    values = [(p.x if quantity == found.x else p.y).mean for p in found.points]
    return scaled(quantity.unit, values)


def chart(found: Front) -> Scatter:
    """The arms as marks, the front as the edge of what it dominates."""
    fx, unit_x = _scaled(found.x, found)
    fy, unit_y = _scaled(found.y, found)
    named = len(found.points) <= FEW

    front = sorted((p for p in found.points if p.state == "front"), key=lambda p: p.x.mean)
    number = {p.arm_id: n for n, p in enumerate(front, 1)}
    estimated = ESTIMATED in (found.x.part, found.y.part)

    def label(p: FrontPoint) -> str:
        return p.name if named else str(number.get(p.arm_id, ""))

    def marks(state: str) -> tuple[Mark, ...]:
        return tuple(
            Mark(
                label(p),
                p.x.mean * fx,
                p.y.mean * fy,
                whiskers(p.x, fx, least=found.x.least),
                whiskers(p.y, fy, least=found.y.least),
                title=f"{p.name}: {figure(p.x, fx, least=found.x.least)} {unit_x}, "
                f"{figure(p.y, fy, least=found.y.least)} {unit_y}",
                estimated=estimated,
            )
            for p in sorted(found.points, key=lambda p: p.x.mean)
            if p.state == state
        )

    series = (
        Series("dominated", marks("dominated"), colour=0),
        Series("can't be told yet", marks("cannot_tell"), colour=5),
        Series("on the front", marks("front"), joined=True, steps=True, colour=1),
    )
    values = [(p.x.mean, p.y.mean) for p in found.points]
    wide = [min(v) > 0 and max(v) / min(v) > 4 for v in zip(*values, strict=True)]
    modelled = "; energy is estimated, not measured" if estimated else ""
    what = f"{capital(found.y.noun)} against {found.x.noun}"
    return Scatter(
        id="front",
        title=found.sentences[0].removesuffix(".") if found.sentences else what,
        subtitle=f"{what}{modelled}{provisional(found.unfinished)}",
        source=f"campaign {found.campaign} on {found.hardware}; {WHISKERS}",
        notes=(
            *(() if named else ("; ".join(f"{number[p.arm_id]}: {p.name}" for p in front) + ".",)),
            "Dominated: worse beyond uncertainty, by ratios within blocks; what the whiskers of two"
            " arms share is not in those.",
        ),
        x=Axis(found.x.noun, unit_x, log=wide[0], positive=found.x.least == 0),
        y=Axis(found.y.noun, unit_y, log=wide[1], positive=found.y.least == 0),
        series=tuple(s for s in series if s.marks),
    )
