"""``lem archive site``: the public face as files for any web host."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from lem.cli import archive_place as place
from lem.cli.choosing import JSON
from lem.cli.output import emit, note
from lem.errors import BadInput

_FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option(
    "--from",
    "dumps",
    multiple=True,
    type=_FOLDER,
    metavar="DUMP",
    help="A dump (lem archive export), such as one kept in git, instead of this machine's archive. "
    "Several make one site. Everything in it is verified and checked anew.",
)
@click.option("--url", metavar="URL", help="Where the site will lie, for links that are copied.")
@place.options
@JSON
def command(
    folder: Path,
    dumps: Sequence[Path],
    url: str | None,
    database: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Write the archive's pages to DIR as files for any web host.

    Explorer, comparisons, results, charts and texts, as lem serve shows them. Written once more
    into the same folder, only what changed is touched.
    """
    if dumps and (database or data):
        raise BadInput("name either dumps with --from, or --data or --database")
    if url is not None and not url.startswith(("https://", "http://")):
        raise BadInput("--url has to begin with https:// or http://")
    opened = _of_dumps(dumps) if dumps else place.opened(database, data)
    with opened as at, place.bar("pages") as progress:
        from lem.pages.static_site import write

        written = write(at.database, at.packs, folder, url, progress)
    if as_json:
        emit({"schema_version": 1, **written._asdict(), "folder": str(written.folder)})
    else:
        note(
            f"{written.pages} pages in {written.files} files ({written.bytes / 2**20:.1f} MiB) "
            f"written to {written.folder}"
        )
        note(f"to look at it: python3 -m http.server --directory {written.folder} 8080")


@contextmanager
def _of_dumps(dumps: Sequence[Path]) -> Iterator[place.Place]:
    """An archive for the moment, with all of them in it, and checked."""
    with place.needed():
        from lem.archive.checks import check_next, waiting
        from lem.archive.dump.bring_in import bring_in
        from lem.archive.dump.read import Dump
    with (
        tempfile.TemporaryDirectory(prefix="lem-site-") as folder,
        place.opened(None, Path(folder), make=True) as at,
    ):
        for dump in dumps:
            with place.bar("submissions") as progress:
                done = bring_in(at.database, at.packs, Dump(dump), progress=progress)
            for finding in done.refused:
                note(f"left out: {finding}")
            if done.refused:
                raise BadInput(f"{dump} does not hold", hint="lem archive verify says what")
        of = waiting(at.database)
        with place.bar("checked") as progress:
            for n in range(1, of + 1):
                if check_next(at.database, at.packs) is None:
                    break
                progress(n, of)
        yield at
