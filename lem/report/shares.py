"""Which choice matters, on the terminal and as a chart."""

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from lem.analysis.attribute import Attributed, Attribution, Share, percent
from lem.analysis.text import about, plain, provisional
from lem.charts.model import Axis, Bars, Row
from lem.report.comparison_charts import MODELLED

LENGTH = 30
"""Characters of a bar of 100 %."""


def view(found: Attribution) -> RenderableType:
    """A table of shares for each quantity, one sentence each, and what they are shares of."""
    parts: list[RenderableType] = []
    for one in found.found:
        if one.shares:
            parts.append(_table(found, one))
    parts += [Padding(Text(line, style="dim"), (0, 0, 0, 1)) for line in footnotes(found)]
    parts.append(Text())
    parts += [Text(plain(s, 2000), style="bold") for s in found.sentences]
    return Group(*parts)


def _table(found: Attribution, one: Attributed) -> Table:
    title = f"What explains the spread of {one.quantity.noun}"
    if found.unfinished:
        title += f" — provisional: {found.unfinished}"
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold yellow" if found.unfinished else "bold",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("Parameter", overflow="fold", min_width=12)
    table.add_column("Share (95 % interval)", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for share in one.shares:
        table.add_row(Text(plain(share.name)), percent(share), Text(_bar(share), style="cyan"))
    return table


def _bar(share: Share) -> str:
    eighths = round(8 * LENGTH * share.share)
    whole, rest = divmod(eighths, 8)
    return "█" * whole + (" ▏▎▍▌▋▊▉"[rest] if rest else "")


def footnotes(found: Attribution) -> list[str]:
    """What the shares are of, and what is in their intervals."""
    ranges = "; ".join(plain(f.range) for f in found.factors)
    lines = [
        f"Shares of the variance of the logarithms over this grid: {ranges}. Other values would "
        "give other shares.",
        f"{found.blocks} blocks on {plain(found.hardware)}; what scatter would add is taken off. "
        "Intervals are over blocks, each for itself.",
    ]
    if found.left_out_blocks:
        lines.append(f"{found.left_out_blocks} blocks lack a run that counts and are left out.")
    if found.where:
        lines.append(f"Only the arms with {plain(found.where)}.")
    if found.blocks < 3:
        lines.append("No intervals: they need at least 3 blocks.")
    for one in found.found:
        lines.append(
            f"{one.quantity.noun}: least {plain(one.least)}, most {plain(one.most)}, a factor of "
            f"about {about(one.spread)}; one run scatters by {100 * one.scatter:.2g} %."
        )
        lines += _about_boards(one)
    return lines + [f"Not looked at: {plain(line)}." for line in found.left_out]


def _about_boards(one: Attributed) -> list[str]:
    """What the gains of different boards leave of the shares."""
    if one.gains_log <= 0:
        return []
    said = (
        f"{one.quantity.noun}: arms ran on different boards, whose gains cancel only in part: "
        f"±{200 * one.gains_log:.2g} % (k = 2) in an arm beside the mean of all."
    )
    if not one.shares:
        return [said + " So much may look like a difference."]
    if one.shares[0].low is None:
        said += " Two blocks have no intervals that could hold it."
    else:
        said += " That is in the intervals, and no number of blocks lessens it; a calibration does."
    alone = [plain(s.name) for s in one.shares if s.boards_may_explain]
    if alone:
        said += f" It alone could be what {', '.join(alone)} seem{'s' * (len(alone) == 1)} to"
        said += " explain."
    return [said]


def chart(found: Attribution, one: Attributed) -> Bars:
    """Bars with their intervals."""
    rows = tuple(
        Row(
            s.name,
            s.share,
            None if s.low is None or s.high is None else (s.low, s.high),
            text=percent(s),
        )
        for s in one.shares
    )
    return Bars(
        id=f"attribution-{one.quantity.part or one.quantity.metric}",
        title=_finding(one),
        subtitle=f"Share of the variance of the logarithm of {one.quantity.noun} that each swept "
        f"parameter explains{MODELLED * one.quantity.estimated}{provisional(found.unfinished)}",
        source=f"campaign {found.campaign} on {found.hardware}, {found.blocks} blocks; 95 % "
        "intervals over blocks, each for itself",
        notes=(
            f"Over {'; '.join(f.range for f in found.factors)}: other values would give other "
            "shares.",
            f"Spread: a factor of about {about(one.spread)} between {one.most} and {one.least}.",
        ),
        axis=Axis("share of the variance", "", share=True),
        rows=rows,
    )


def _finding(one: Attributed) -> str:
    if not one.shares:
        return (
            f"{one.quantity.noun[:1].upper()}{one.quantity.noun[1:]} does not differ between "
            "these arms by more than scatter explains"
        )
    most = one.shares[0]
    name = f"{most.name[:1].upper()}{most.name[1:]}"
    return f"{name} explains {percent(most)} of the spread of {one.quantity.noun}"
