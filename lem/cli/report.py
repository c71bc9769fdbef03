"""``lem results report``: a campaign as one HTML file."""

import sys
from pathlib import Path

import click

from lem.cli.choosing import JSON, PATHS, only
from lem.cli.output import emit, note
from lem.errors import BadInput

FILE = "report.html"


@click.command()
@PATHS
@click.option(
    "-o",
    "--output",
    metavar="FILE.html",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Default: {FILE} in the campaign's folder.",
)
@click.option("--baseline", help="The arm to compare with: name, id, or path=value[,path=value].")
@click.option("--hardware", help="Only the runs made on this hardware.")
@JSON
def report(
    paths: tuple[Path, ...],
    output: Path | None,
    baseline: str | None,
    hardware: str | None,
    as_json: bool,
) -> None:
    """One self-contained HTML page of a campaign, which opens offline.

    It says what the tables of `lem results` say, draws it, and has the traces, the uncertainty
    budget, the machine, the method and the campaign file. It names the machine's hardware and holds
    engines' last words: look at it before you send it on.
    """
    from lem.contract.base import write_atomic
    from lem.report.html.document import document
    from lem.report.html.gather import gather
    from lem.trust.budget import metrics

    campaign = only(paths, "and a report is of one")
    found = gather(campaign, metrics, baseline, hardware, _progress)
    data = document(found).encode()
    to = output or campaign.folder / FILE
    try:
        write_atomic(to, data)
    except OSError as e:
        raise BadInput(
            f"{to} cannot be written: {e.strerror}", hint="choose another place with -o FILE.html"
        ) from e
    if as_json:
        emit(
            {
                "schema_version": 1,
                "file": str(to),
                "bytes": len(data),
                "campaign": found.name,
                "finding": found.finding.sentence,
                "estimated": found.estimated,
                "provisional": bool(found.provisional),
                "runs_counted": found.runs.counted,
            }
        )
    else:
        note(f"{found.finding.sentence}\nreport written to {to}; any browser opens it, offline")


def _progress(what: str) -> None:
    if sys.stderr.isatty():
        note(f"report: {what}")
