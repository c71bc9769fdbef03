"""``lem archive invite`` and ``token``: who may submit to an archive, and who may run it. On the
machine of the archive itself: whoever can open its database is its admin."""

import os
from pathlib import Path
from typing import Literal

import click

from lem.cli import archive_place as place
from lem.cli.choosing import JSON
from lem.cli.output import emit, note
from lem.errors import BadInput

DAY_S = 86400.0


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
    """Make an invitation, with which one key can be enrolled. It is shown this once, on stdout."""
    with place.opened(database, data) as at:
        from lem.archive import identities

        with at.database.writing() as connection:
            secret = identities.invite(connection, name, days * DAY_S)
    link = f"{url.rstrip('/')}/enrol#{secret}" if url else None
    if as_json:
        emit({"schema_version": 1, "secret": secret, "link": link})
        return
    click.echo(link or secret)
    note(f"for {name}, once, within {days:g} days: lem key enrol")


@click.command()
@click.option("--role", type=click.Choice(["admin", "runner", "submitter"]), help="What it allows.")
@click.option("--name", required=True, help="What it is for: by its name it is revoked.")
@click.option("--days", type=click.FloatRange(0.01, 366), help="Until when.  [default: for ever]")
@click.option("--revoke", is_flag=True, help="Revoke every token of this name instead.")
@place.options
@JSON
def token(
    role: Literal["admin", "runner", "submitter"] | None,
    name: str,
    days: float | None,
    revoke: bool,
    database: str | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Make a bearer token for the server's API. It is shown this once, on stdout."""
    if revoke == (role is not None):
        raise click.UsageError("either --role (a new token) or --revoke")
    with place.opened(database, data) as at:
        from lem.archive import identities

        with at.database.writing() as connection:
            if role is None:
                gone = identities.revoke_token(connection, name)
            else:
                valid_s = None if days is None else days * DAY_S
                secret = identities.issue_token(connection, role, name, valid_s)
    if role is None:
        if not gone:
            raise BadInput(
                f"there is no valid token of the name {name!r}",
                hint="names are told exactly; lem archive token made it with --name",
            )
        if as_json:
            emit({"schema_version": 1, "revoked": gone})
        else:
            note(f"{gone} revoked")
        return
    if as_json:
        emit({"schema_version": 1, "token": secret})
        return
    click.echo(secret)
    if os.isatty(1):
        note("keep it as you would a password; the server has its hash only")
