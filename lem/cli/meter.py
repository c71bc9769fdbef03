"""``lem meter``: the energy meters of this machine."""

import click

from lem.cli import output


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
        period = "?" if i.update_period_s is None else f"{i.update_period_s * 1e3:g} ms"
        table.add_row(
            i.device_class,
            i.device,
            i.meter,
            i.description + ("" if i in counted else " (compared, in no figure)"),
            period,
            readings.stated_uncertainty(i) or "not stated",
        )
    output.out().print(table)
    for name, e in sorted(unavailable.items()):
        output.out().print(f"{name}: not here: {e.message}")
        if e.hint:
            output.out().print(f"  fix: {e.hint}")
    if not any(i.device_class not in ("estimated", "sensor") for i in infos):
        output.out().print(
            "No meter measures energy here: it is estimated from CPU time, and marked so."
        )
