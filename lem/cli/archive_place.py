"""Which archive of this machine a command is about: the same options as ``lem serve``."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from lem.cli.output import err
from lem.errors import BadInput, EnvironmentFault

if TYPE_CHECKING:
    from lem.archive.database import Database
    from lem.archive.packs import Packs

EXTRA = 'pip install "lem-energy[server]"'
F = TypeVar("F", bound=Callable[..., Any])


class Place(NamedTuple):
    database: "Database"
    packs: "Packs"
    data: Path


def options(function: F) -> F:
    """Adds ``--database`` and ``--data``."""
    for decorate in (
        click.option(
            "--data",
            type=click.Path(file_okay=False, path_type=Path),
            envvar="LEM_DATA",
            help="The archive's folder.  [default: ~/.local/share/lem/archive]",
        ),
        click.option(
            "--database",
            metavar="URL",
            help="As of lem serve; with a password, in LEM_DATABASE_URL or LEM_DATABASE_URL_FILE.",
        ),
    ):
        function = decorate(function)
    return function


@contextmanager
def opened(database: str | None, data: Path | None, *, make: bool = False) -> Iterator[Place]:
    """The archive. Without ``make`` one that is not there is an error, and nothing is made.

    Raises :class:`BadInput` and :class:`EnvironmentFault`.
    """
    with needed():
        from lem.archive.database import open_database
        from lem.archive.engines import FILE_NAME
        from lem.archive.packs import Packs
    from lem.cli.serve import database_url, default_data

    folder = (data or default_data(os.environ)).expanduser()
    url = database_url(database, os.environ)
    if not make and url is None and not (folder / FILE_NAME).exists():
        raise BadInput(
            f"there is no archive in {folder}",
            hint="name its folder with --data, or its --database",
        )
    found = open_database(url, folder)
    try:
        # Tables of an older lem are brought up to date, as lem serve does.
        found.migrate()
        yield Place(found, Packs(folder / "packs"), folder)
    finally:
        found.close()


@contextmanager
def needed() -> Iterator[None]:
    """Around imports of what the extra brings."""
    try:
        yield
    except ImportError as e:
        raise EnvironmentFault(f"a package is missing: {e.name}", hint=EXTRA) from e


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on a terminal, nothing elsewhere."""
    console = err()
    if not console.is_terminal:
        yield lambda done, of: None
        return
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, of: progress.update(task, completed=done, total=of)
