"""``lem archive``: the archive as data, and what whoever runs one needs."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from lem.cli import archive_admin, archive_seed, archive_site
from lem.cli import archive_place as place
from lem.cli.choosing import JSON
from lem.cli.output import emit, note
from lem.errors import BadInput

if TYPE_CHECKING:
    from lem.archive.dump.read import Finding

_FOLDER = click.Path(path_type=Path)


@click.group()
def command() -> None:
    """Export, import and verify an archive; invitations, tokens and people of its server.

    An archive is what lem serve keeps. A dump is a folder with everything public in it, that anyone
    can verify, cite, and set up anew.
    """


command.add_command(archive_admin.invite)
command.add_command(archive_admin.token)
command.add_command(archive_admin.people)
command.add_command(archive_site.command, "site")
command.add_command(archive_seed.seed)


@command.command()
@click.argument("folder", metavar="DIR", type=_FOLDER)
@place.options
@JSON
def export(folder: Path, database: str | None, data: Path | None, as_json: bool) -> None:
    """Write everything public of this machine's archive to the new folder DIR."""
    with place.opened(database, data) as at:
        from lem.archive.dump.write import export as write

        with place.bar("submissions") as progress:
            written = write(at.database, at.packs, folder, progress)
    counts = written.description.counts
    if as_json:
        emit(
            {
                "schema_version": 1,
                "folder": str(written.folder),
                "bytes": written.bytes,
                "archive": written.description.archive,
                "log": written.description.log.model_dump(),
                "counts": counts.model_dump(),
            }
        )
    else:
        note(
            f"{counts.submissions} submissions with {counts.runs} runs of {counts.configurations} "
            f"configurations written to {written.folder} ({written.bytes / 2**20:.1f} MiB)"
        )


@command.command("import")
@click.argument("folder", metavar="[DIR]", type=_FOLDER, required=False)
@click.option(
    "--external",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Figures that others published (JSON Lines or CSV), instead of a dump.",
)
@click.option(
    "--trust-enrolment",
    is_flag=True,
    help="Count those whom the other archive invited as invited here: they can make a result "
    "replicated.",
)
@place.options
@JSON
def import_(
    folder: Path | None,
    external: Path | None,
    trust_enrolment: bool,
    database: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Take the dump DIR of another archive into this machine's one.

    Everything in it is verified first. Its runs begin as self-reported, whatever the other archive
    says of them, until the checks of this one (lem serve) have been through them. Once more takes
    in what is not there yet.
    """
    if (folder is None) == (external is None):
        raise BadInput("name either the folder of a dump, or --external FILE")
    if external is not None:
        if trust_enrolment:
            raise BadInput("--trust-enrolment is for dumps; figures of others are never ranked")
        _external(external, database, data, as_json)
        return
    assert folder is not None
    with place.needed():
        from lem.archive.dump.bring_in import bring_in
        from lem.archive.dump.read import Dump
    dump = Dump(folder)
    with place.opened(database, data, make=True) as at, place.bar("submissions") as progress:
        done = bring_in(
            at.database, at.packs, dump, trust_enrolment=trust_enrolment, progress=progress
        )
    if as_json:
        emit({"schema_version": 1, **done._asdict(), "refused": _listed(done.refused)})
    else:
        note(
            f"{done.new} submissions taken in, {done.already} were there; "
            f"{done.retracted} retracted; {done.external} figures of others"
        )
        for finding in done.refused:
            note(f"left out: {finding}")
        if done.new:
            note("they are self-reported until lem serve has checked them")
    if done.refused:
        click.get_current_context().exit(1)


@command.command()
@click.argument("folder", metavar="[DIR]", type=_FOLDER, required=False)
@click.option(
    "--recompute", is_flag=True, help="Of a dump: every figure again from the raw traces, too."
)
@click.option(
    "--processes", type=click.IntRange(1, 256), help="For --recompute.  [default: all CPUs]"
)
@place.options
@JSON
def verify(
    folder: Path | None,
    recompute: bool,
    processes: int | None,
    database: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Whether the dump DIR, or (without DIR) this machine's archive, holds.

    Exit 1 where something does not, each thing in words.
    """
    if folder is not None and (database or data):
        raise BadInput("name either the folder of a dump, or --data or --database")
    if folder is None and recompute:
        raise BadInput("--recompute is for dumps", hint="lem archive export DIR first")
    summary: dict[str, object] = {}
    if folder is None:
        findings = _verify_live(database, data)
    else:
        findings, summary = _verify_dump(folder, recompute, processes)
    if as_json:
        emit(
            {
                "schema_version": 1,
                "holds": not findings,
                **summary,
                "findings": _listed(findings),
            }
        )
    else:
        for finding in findings:
            note(str(finding))
        for name, value in summary.items():
            note(f"{name.replace('_', ' ')}: {value}")
        note(f"{len(findings)} things do not hold" if findings else "all holds")
    if findings:
        click.get_current_context().exit(1)


@command.command()
@place.options
@JSON
def rebuild(database: str | None, data: Path | None, as_json: bool) -> None:
    """Make everything anew that follows from the signed submissions; says what changed by it.

    Stop the server first where you can: until this is done, it waits.
    """
    with place.opened(database, data) as at:
        from lem.archive.rebuild import differences
        from lem.archive.rebuild import rebuild as again

        changed = differences(at.database)
        again(at.database, at.packs)
    if as_json:
        emit({"schema_version": 1, "changed": changed})
        return
    for line in changed:
        note(line)
    note("made anew" if changed else "made anew; nothing changed")


def _external(file: Path, database: str | None, data: Path | None, as_json: bool) -> None:
    with place.needed():
        from lem.archive import external
        from lem.archive.database import raise_data_version
    figures = external.read(file)
    with place.opened(database, data, make=True) as at, at.database.writing() as connection:
        added = external.add(connection, figures)
        if added.new:
            raise_data_version(connection)
    if as_json:
        emit({"schema_version": 1, **added._asdict()})
    else:
        note(f"{added.new} figures of others added, {added.already} were there")


def _verify_live(database: str | None, data: Path | None) -> "list[Finding]":
    with place.opened(database, data) as at, place.bar("submissions") as progress:
        from lem.archive.live import check

        return check(at.database, at.packs, progress)


def _verify_dump(
    folder: Path, recompute: bool, processes: int | None
) -> "tuple[list[Finding], dict[str, object]]":
    with place.needed():
        from lem.archive.dump.check import check
        from lem.archive.dump.read import Dump
    dump = Dump(folder)
    with place.bar("submissions") as progress:
        checked = check(dump, progress)
    findings = list(checked.findings)
    summary: dict[str, object] = {
        "archive": dump.description.archive,
        "submissions": len(checked.submissions),
        "runs": checked.runs,
        "log_entries": checked.log_entries,
    }
    if recompute and not findings:
        from lem.archive.dump.recompute import recompute as again

        with place.bar("recomputed") as progress:
            done = again(dump, checked.submissions, processes, progress)
        findings += done.findings
        summary["runs_confirmed_from_their_traces"] = done.confirmed
    elif recompute:
        note("nothing was recomputed: first of all the files have to hold")
    return findings, summary


def _listed(findings: "list[Finding]") -> list[dict[str, str]]:
    return [{"place": f.place, "what": f.what} for f in findings]
