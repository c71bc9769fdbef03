"""``lem archive seed``: the first content of an archive."""

from pathlib import Path

import click

from lem.cli import archive_place as place
from lem.cli.choosing import JSON
from lem.cli.output import emit, note
from lem.errors import BadInput

RUNS_EACH = 50
"""Made-up runs of each made-up configuration, where nobody says how many."""


@click.command()
@click.option("--no-checks", is_flag=True, help="Leave the checks of their traces to lem serve.")
@click.option(
    "--demo",
    is_flag=True,
    help="Made-up records instead, to see an archive of any size; it stays a demonstration.",
)
@click.option(
    "--configurations",
    type=click.IntRange(1, 1_000_000),
    help="With --demo: how many.  [default: 2000]",
)
@click.option(
    "--runs",
    type=click.IntRange(1, 100_000_000),
    help="With --demo: how many in all.  [default: 50 of each configuration]",
)
@place.options
@JSON
def seed(
    no_checks: bool,
    demo: bool,
    configurations: int | None,
    runs: int | None,
    database: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Take in the records that come with lem, as its makers measured them.

    They are signed submissions like any other, and get the tier that this archive's own checks give
    them. Once more takes in what is not there yet.
    """
    if demo:
        if no_checks:
            raise BadInput("--no-checks is not for --demo: made-up runs have no traces")
        _made_up(configurations or 2000, runs, database, data, as_json)
        return
    if configurations is not None or runs is not None:
        raise BadInput("--configurations and --runs go with --demo")
    with place.opened(database, data, make=True) as at:
        from lem.archive import seeds

        done = list(seeds.seed(at.database, at.packs))
        checked = 0
        if not no_checks:
            with place.bar("checked") as progress:
                checked = seeds.check(at.database, at.packs, progress)
    refused = [f for one in done for f in one.done.refused]
    if as_json:
        emit(
            {
                "schema_version": 1,
                "demo": False,
                "sets": [
                    {"name": one.name, "new": one.done.new, "already": one.done.already}
                    for one in done
                ],
                "refused": [{"place": f.place, "what": f.what} for f in refused],
                "checked": checked,
            }
        )
    else:
        for one in done:
            note(f"{one.name}: {one.done.new} submissions taken in, {one.done.already} were there")
        for finding in refused:
            note(f"left out: {finding}")
        if no_checks:
            note("they are self-reported until lem serve has checked them")
    if refused:
        click.get_current_context().exit(1)


def _made_up(
    configurations: int, runs: int | None, database: str | None, data: Path | None, as_json: bool
) -> None:
    with place.opened(database, data, make=True) as at:
        from lem.archive.synthetic.fill import fill

        taken, seconds = fill(at.database, runs or RUNS_EACH * configurations, configurations)
    if as_json:
        emit(
            {
                "schema_version": 1,
                "demo": True,
                "runs": taken,
                "configurations": configurations,
            }
        )
    else:
        note(
            f"{taken:,} made-up runs of {configurations:,} configurations in {seconds:.0f} s; "
            "lem serve --demo shows them"
        )
