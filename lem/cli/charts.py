"""``lem results pareto``, ``attribute`` and ``curve``: what a campaign's arms show together."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lem.cli.choosing import JSON, PATHS, only
from lem.cli.listing import print_whole
from lem.cli.output import emit, note
from lem.errors import BadInput

if TYPE_CHECKING:
    from lem.report.svg import Chart

F = TypeVar("F", bound=Callable[..., Any])

_where = click.option("--where", metavar="PATH=VALUE[,…]", help="Only the arms with these values.")
_hardware = click.option("--hardware", help="Only the runs made on this hardware.")
_output = click.option(
    "-o",
    "--output",
    metavar="FILE.svg",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also draw it, as an SVG.",
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


COMMANDS = (pareto, attribute, curve)


def _draw(output: Path | None, charts: "list[Chart]") -> None:
    """Write the charts below each other."""
    if output is None:
        return
    from lem.contract.base import write_atomic
    from lem.report.svg import document

    if output.suffix.lower() != ".svg":
        raise BadInput(
            f"{output}: charts are written as .svg",
            hint="any browser shows one, and rsvg-convert or Inkscape make a PNG of it",
        )
    try:
        write_atomic(output, document(charts).encode())
    except OSError as e:
        raise BadInput(f"{output} cannot be written: {e.strerror}") from e
    note(f"drawn in {output}")
