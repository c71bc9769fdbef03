"""``lem archive invite``, ``token`` and ``people``: who may submit to an archive, who may ask for
campaigns there, and who may run it. On the machine of the archive itself: whoever can open its
database is its admin."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from lem.cli import archive_place as place
from lem.cli.choosing import JSON
from lem.cli.output import emit, note
from lem.errors import BadInput

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

DAY_S = 86400.0
PAGE = 500


@click.command()
@click.option("--name", required=True, help="Whom it is for: shown beside their results.")
@click.option("--days", type=click.FloatRange(0.01, 366), default=7.0, show_default=True)
@click.option(
    "--url", envvar="LEM_URL", help="Address of the server, for a link in place of a bare secret."
)
@place.options
@JSON
def invite(
    name: str,
    days: float,
    url: str | None,
    database: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Make an invitation, with which one person can join or one key be enrolled. It is shown this
    once, on stdout."""
    with place.opened(database, data) as at:
        from lem.archive import identities

        with at.database.writing() as connection:
            secret = identities.invite(connection, name, days * DAY_S)
    link = f"{url.rstrip('/')}/join#{secret}" if url else None
    if as_json:
        emit({"schema_version": 1, "secret": secret, "link": link})
        return
    click.echo(link or secret)
    note(f"for {name}, once, within {days:g} days: in a browser, or for lem key enrol")


@click.command()
@click.option(
    "--role",
    type=click.Choice(["runner", "submitter", "admin"]),
    help="Make one, for a machine that runs campaigns, for a person who asks for them, or for an "
    "admin.",
)
@click.option("--name", help="What it is for.")
@click.option("--days", type=click.FloatRange(0.01, 366), help="Until when.  [default: for ever]")
@click.option(
    "--person",
    metavar="ID",
    help="Whom it is for (lem archive people).  [default: a submitter's or an admin's is for a new "
    "person of that name]",
)
@click.option(
    "--revoke", is_flag=True, help="Revoke every token of --name, or the one of --handle."
)
@click.option("--handle", metavar="ID", help="With --revoke: which one.")
@click.option("--list", "listed", is_flag=True, help="Show all that are valid.")
@place.options
@JSON
def token(
    role: Literal["admin", "runner", "submitter"] | None,
    name: str | None,
    days: float | None,
    person: str | None,
    revoke: bool,
    handle: str | None,
    listed: bool,
    database: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Make, list and revoke bearer tokens for the server's API and for signing in.

    A token is shown once, on stdout. Afterwards it is known by its handle.
    """
    if (role is not None) + revoke + listed != 1:
        raise click.UsageError("either --role (a new token), --revoke or --list")
    if role is not None and name is None:
        raise click.UsageError("--role needs --name")
    if revoke and (name is None) == (handle is None):
        raise click.UsageError("--revoke needs either --name or --handle")
    with place.opened(database, data) as at:
        if listed:
            with at.database.reading() as connection:
                _tokens(connection, as_json)
            return
        with at.database.writing() as connection:
            if role is None:
                _revoke(connection, name, handle, as_json)
                return
            from lem.archive.queue import admin

            valid_s = None if days is None else days * DAY_S
            secret = admin.issue(connection, role, name or "", valid_s, person)
    if as_json:
        emit({"schema_version": 1, "token": secret})
        return
    click.echo(secret)
    if os.isatty(1):
        note("keep it as you would a password; the server has its hash only")


def _tokens(connection: "Connection", as_json: bool) -> None:
    from lem.archive.queue import people

    rows: list[people.Listed] = []
    while page := people.every_token(connection, rows[-1].handle if rows else "", PAGE):
        rows += page
    if as_json:
        emit({"schema_version": 1, "tokens": [row._asdict() for row in rows]})
        return
    for row in rows:
        used = f"last used {row.used_on}" if row.used_on else "never used"
        until = f", until {row.expires_at[:10]}" if row.expires_at else ""
        click.echo(f"{row.handle}  {row.role:<9}  {row.name}  ({used}{until})")


def _revoke(connection: "Connection", name: str | None, handle: str | None, as_json: bool) -> None:
    from lem.archive import identities
    from lem.archive.queue import people

    if handle is not None:
        gone = int(people.revoke(connection, handle))
    else:
        gone = identities.revoke_token(connection, name or "")
    if not gone:
        raise BadInput(
            f"there is no valid token {handle}"
            if handle is not None
            else f"there is no valid token of the name {name!r}",
            hint="names are told exactly; lem archive token --list shows them",
        )
    if as_json:
        emit({"schema_version": 1, "revoked": gone})
    else:
        note(f"{gone} revoked")


@click.command()
@click.option("--disable", metavar="ID", help="Their tokens and sessions are worth nothing.")
@click.option("--enable", metavar="ID", help="Their tokens are worth something again.")
@place.options
@JSON
def people(
    disable: str | None,
    enable: str | None,
    database: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Show who has joined, or disable one of them.

    Whoever is disabled is signed out at once. What they asked for stays in the queue.
    """
    if disable is not None and enable is not None:
        raise click.UsageError("either --disable or --enable")
    with place.opened(database, data) as at:
        from lem.archive.queue import people as joined

        which = disable or enable
        if which is not None:
            with at.database.writing() as connection:
                if not joined.set_disabled(connection, which, disable is not None):
                    raise BadInput(f"there is no person {which}", hint="lem archive people")
        with at.database.reading() as connection:
            _people(connection, as_json, which)


def _people(connection: "Connection", as_json: bool, only: str | None) -> None:
    from lem.archive.queue import admin

    rows: list[admin.PersonRow] = []
    while page := admin.every_person(connection, rows[-1].id if rows else "", PAGE):
        rows += page
    rows = [row for row in rows if only in (None, row.id)]
    if as_json:
        emit({"schema_version": 1, "people": [row._asdict() for row in rows]})
        return
    for row in rows:
        state = ", disabled" if row.disabled_at else ""
        click.echo(f"{row.id}  {row.name}  ({row.tokens} tokens{state})")
