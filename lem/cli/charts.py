"""``lem results pareto``, ``attribute`` and ``curve``: what a campaign's arms show together; and
``plot``, everything of it that can be drawn."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from lem.cli.choosing import JSON, PATHS, only
from lem.cli.listing import print_whole
from lem.cli.output import emit, note, out
from lem.errors import BadInput, Problem

if TYPE_CHECKING:
    from lem.charts.model import AnyChart

Theme = Literal["light", "dark"]

_where = click.option("--where", metavar="PATH=VALUE[,…]", help="Only the arms with these values.")
_hardware = click.option("--hardware", help="Only the runs made on this hardware.")
_output = click.option(
    "-o",
    "--output",
    metavar="FILE.svg|png",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also draw it.",
)


@click.command()
@PATHS
@click.option("--x", default="latency", show_default=True, help="What lies along the x axis.")
@click.option("--y", default="energy", show_default=True, help="What lies along the y axis.")
@_where
@_hardware
@_output
@JSON
def pareto(
    paths: tuple[Path, ...],
    x: str,
    y: str,
    where: str | None,
    hardware: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """The arms that no other beats in both of two objectives.

    --x and --y are energy, latency (TPOT p50), throughput, quality (NLL), or a metric such as
    ttft_s.p99. An arm is called dominated only where it is worse beyond uncertainty.
    """
    from lem.report.front import chart, view

    campaign = only(paths, "each with arms of its own")
    found = campaign.pareto(x, y, where, hardware)
    _draw(output, [chart(found)])
    emit(found.to_json()) if as_json else print_whole(view(found))


@click.command()
@PATHS
@click.option("--metric", help="Of what (default: energy per output token).")
@_where
@_hardware
@_output
@JSON
def attribute(
    paths: tuple[Path, ...],
    metric: str | None,
    where: str | None,
    hardware: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Which choice matters: how much of the spread each swept parameter explains.

    Of one campaign whose arms are a complete grid: the shares depend on the values that were swept,
    so those of pooled or incomplete grids would be an artefact.
    """
    from lem.report.shares import chart, view

    campaign = only(paths, "and shares over pooled grids would be an artefact of them")
    found = campaign.attribute(metric, where, hardware)
    _draw(output, [chart(found, one) for one in found.found])
    emit(found.to_json()) if as_json else print_whole(view(found))


@click.command()
@PATHS
@click.option("--over", metavar="PATH", help="The load (default: rate, concurrency or batch size).")
@_where
@_hardware
@_output
@JSON
def curve(
    paths: tuple[Path, ...],
    over: str | None,
    where: str | None,
    hardware: str | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Energy per output token against load, in total and above idle."""
    from lem.report.load_curve import chart, view

    campaign = only(paths, "each with a machine and load of its own")
    found = campaign.curves(over, where, hardware)
    _draw(output, [chart(c) for c in found])
    if as_json:
        emit({"schema_version": 1, "curves": [c.to_json() for c in found]})
        return
    for one in found:
        print_whole(view(one))


KINDS = ("ratios", "energy", "scatter", "front", "attribution", "traces", "load-curve", "budget")


@click.command()
@PATHS
@click.option(
    "--chart",
    "kinds",
    type=click.Choice(KINDS),
    multiple=True,
    help="What to draw; can be given several times (default: all that apply).",
)
@_hardware
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("charts"),
    show_default=True,
    help="A folder, in which each chart is a file; or FILE.svg or FILE.png with all of them.",
)
@click.option(
    "--format",
    "suffix",
    type=click.Choice(["svg", "png"]),
    help="Of the files in a folder (default: svg).",
)
@click.option("--dark", is_flag=True, help="Light on dark.")
@click.option(
    "--width",
    type=click.IntRange(280, 4000),
    default=860,
    show_default=True,
    help="In pixels; below 560 laid out for a phone.",
)
@JSON
def plot(
    paths: tuple[Path, ...],
    kinds: tuple[str, ...],
    hardware: str | None,
    output: Path,
    suffix: str | None,
    dark: bool,
    width: int,
    as_json: bool,
) -> None:
    """Draw a campaign: ratios, energy, scatter, front, attribution, traces, load curve, uncertainty
    budget, as SVG or PNG.

    Of the traces and the budget it is the first run that counts. Without --chart, what does not
    apply is left out, with a note.
    """
    from lem.report.charts_of import KINDS as ALL
    from lem.report.charts_of import Charts
    from lem.trust.budget import metrics

    one_file = output.suffix.lower() in (".svg", ".png")
    if one_file and suffix is not None and output.suffix.lower() != f".{suffix}":
        raise BadInput(f"{output} is no .{suffix}", hint="leave --format out")
    campaign = only(paths, "each with charts of its own")
    of = Charts(campaign, metrics, hardware)
    reasons: dict[Any, str] = {}
    if kinds:
        charts = [chart for kind in ALL if kind in kinds for chart in of.of(kind)]
    else:
        charts, reasons = of.all()
    if not charts:
        raise BadInput([Problem(f"{kind}: {why}") for kind, why in reasons.items()])
    theme: Theme = "dark" if dark else "light"
    if one_file:
        written = [(output, charts)]
    else:
        names = names_of([c.id for c in charts])
        written = [
            (output / f"{name}.{suffix or 'svg'}", [chart])
            for name, chart in zip(names, charts, strict=True)
        ]
    for file, drawn in written:
        _write(file, drawn, theme, width)
    for kind, why in reasons.items():
        note(f"no {kind}: {why}")
    if as_json:
        emit(
            {
                "schema_version": 1,
                "charts": [
                    {"id": c.id, "kind": type(c).__name__.lower(), "title": c.title,
                     "file": str(file)}
                    for file, drawn in written
                    for c in drawn
                ],
                "left_out": reasons,
            }
        )  # fmt: skip
    else:
        for file, _ in written:
            out().print(str(file), soft_wrap=True, markup=False, highlight=False)


def names_of(ids: "list[str]") -> list[str]:
    """File names of charts: harmless, and different from each other."""
    found: list[str] = []
    for one in ids:
        name = re.sub(r"[^a-z0-9-]+", "-", one.lower()).strip("-")[:80] or "chart"
        number = 2
        unique = name
        while unique in found:
            unique = f"{name}-{number}"
            number += 1
        found.append(unique)
    return found


COMMANDS = (pareto, attribute, curve, plot)


def _draw(output: Path | None, charts: "list[AnyChart]") -> None:
    """Write the charts below each other."""
    if output is None:
        return
    _write(output, charts)
    note(f"drawn in {output}")


def _write(
    output: Path, charts: "list[AnyChart]", theme: Theme = "light", width: int = 860
) -> None:
    """Write the charts below each other, as SVG or PNG by the file's name."""
    from lem.charts.png import png
    from lem.charts.svg import document
    from lem.contract.base import write_atomic

    kind = output.suffix.lower()
    if kind not in (".svg", ".png"):
        raise BadInput(f"{output}: charts are written as .svg or .png")
    text = document(charts, width=width, theme=theme)
    data = png(text) if kind == ".png" else text.encode()
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(output, data)
    except OSError as e:
        raise BadInput(f"{output} cannot be written: {e.strerror}") from e
