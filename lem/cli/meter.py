"""``lem meter``: the energy meters of this machine, and the energy of any command."""

from pathlib import Path

import click

from lem.cli import output
from lem.cli.meter_run import OwnFailures


@click.group(name="meter")
def command() -> None:
    """The energy meters of this machine."""


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, on stdout.")
def list_meters(as_json: bool) -> None:
    """What can be measured here, how well, and what is missing, with its fix."""
    from lem.meters import machine, readings
    from lem.meters.protocol import MeterSettings

    infos, unavailable = readings.probe(MeterSettings(**machine.settings()))
    counted = readings.counted(infos)
    if as_json:
        output.emit(
            {
                "meters": [
                    {
                        **i.model_dump(),
                        "uncertainty": readings.stated_uncertainty(i),
                        "counted": i in counted,
                    }
                    for i in infos
                ],
                "unavailable": [
                    {"meter": name, "reason": e.message, "fix": e.hint}
                    for name, e in sorted(unavailable.items())
                ],
            }
        )
        return
    from rich.table import Table

    table = Table("class", "device", "meter", "reads", "updated every", "uncertainty (k = 2)")
    for i in infos:
        # A driver's, or a plugin's, own words are in it.
        reads = i.description + ("" if i in counted else " (compared, in no figure)")
        period = "?" if i.update_period_s is None else f"{i.update_period_s * 1e3:g} ms"
        table.add_row(
            i.device_class,
            output.visible(i.device),
            output.visible(i.meter),
            output.visible(reads),
            period,
            readings.stated_uncertainty(i) or "not stated",
        )
    output.out().print(table)
    for name, e in sorted(unavailable.items()):
        output.out().print(output.visible(f"{name}: not here: {e.message}"))
        if e.hint:
            output.out().print(output.visible(f"  fix: {e.hint}"))
    if not any(i.device_class not in ("estimated", "sensor") for i in infos):
        output.out().print(
            "No meter measures energy here: it is estimated from CPU time, and marked so."
        )


@command.command(name="run", cls=OwnFailures, context_settings={"allow_interspersed_args": False})
@click.option("--meter", "meters", multiple=True, metavar="M", help="Only this meter; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON on stdout, after CMD's.")
@click.option(
    "-o",
    "--output",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the JSON here; stdout is then CMD's alone.",
)
@click.argument("arguments", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD…")
@click.pass_context
def run(
    ctx: click.Context,
    meters: tuple[str, ...],
    as_json: bool,
    file: Path | None,
    arguments: tuple[str, ...],
) -> None:
    """Energy of CMD, from its start to its end.

    CMD's input, output and signals pass through, and its exit code is the exit code; 125: lem
    itself failed, 126: CMD may not be executed, 127: CMD was not found. Devices should idle before
    and after: about two to five seconds are added for that.
    """
    from lem.cli.meter_run import measure

    ctx.exit(measure(arguments, meters, as_json, file))
