"""``lem serve``: an archive of records over HTTP."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from lem.cli import output
from lem.errors import BadInput, EnvironmentFault

if TYPE_CHECKING:
    from lem.server.settings import ServerSettings

EXTRA = 'pip install "lem-energy[server]"'


@click.command()
@click.option(
    "--database",
    metavar="URL",
    help="postgresql+psycopg://USER@HOST/NAME. Default: SQLite in --data. With a password, give it "
    "in LEM_DATABASE_URL, LEM_DATABASE_URL_FILE or LEM_DATABASE_PASSWORD_FILE instead.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="LEM_DATA",
    help="Folder for what was submitted, and for SQLite.  [default: ~/.local/share/lem/archive]",
)
@click.option("--host", default="127.0.0.1", envvar="LEM_HOST", show_default=True)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, envvar="LEM_PORT", show_default=True
)
@click.option(
    "--url", envvar="LEM_URL", help="Where clients find it, e.g. https://lem.example.org."
)
@click.option(
    "--enrolment",
    type=click.Choice(["open", "invitation"]),
    envvar="LEM_ENROLMENT",
    help="Who may join and enrol a key: anybody, or those invited (lem archive invite).  "
    "[default: open where only this machine can connect, else invitation]",
)
@click.option(
    "--trust-proxy",
    multiple=True,
    envvar="LEM_TRUST_PROXY",
    metavar="ADDRESS",
    help="Believe X-Forwarded-For and -Proto from this address or network.",
)
@click.option(
    "--checkers",
    type=click.IntRange(0, 64),
    default=min(2, os.cpu_count() or 1),
    envvar="LEM_CHECKERS",
    show_default="2; 1 where there is one CPU",
    help="Processes that check traces. 0: others do it.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    envvar="LEM_LOG_FORMAT",
    show_default=True,
)
@click.option(
    "--log-addresses",
    type=click.Choice(["full", "shortened", "none"]),
    default="shortened",
    envvar="LEM_LOG_ADDRESSES",
    show_default=True,
    help="How much of clients' addresses the log has.",
)
@click.option(
    "--metrics-public", is_flag=True, help="/metrics for everybody, not only for private networks."
)
@click.option(
    "--demo",
    is_flag=True,
    envvar="LEM_DEMO",
    help="For demonstrations: takes made-up records, and says so on every page. Needs an archive "
    "of its own, which stays one.",
)
@click.option(
    "--seed",
    is_flag=True,
    envvar="LEM_SEED",
    help="First take in the records that come with lem, as lem archive seed does.",
)
def command(**options: Any) -> None:
    """Serve an archive: submissions, checks, and what can be asked of it.

    Starts without any set-up. Ends at Ctrl-C or SIGTERM, after what is under way.
    """
    settings = settings_of(options, os.environ)
    try:
        from lem.server import running
    except ImportError as e:
        raise EnvironmentFault(f"a package is missing: {e.name}", hint=EXTRA) from e
    if options["database"] and has_password(options["database"]):
        output.note(
            "note: a password on the command line can be read by everybody on this machine; "
            "LEM_DATABASE_URL_FILE names a file with the URL"
        )
    sock = running.bind(settings.host, settings.port)
    running.migrate(settings)
    if options["seed"]:
        _seed(settings)
    for line in banner(settings, sock.getsockname()[1]):
        output.note(line)
    running.serve(settings, sock)


def _seed(settings: "ServerSettings") -> None:
    """The checks of this server go through them, as through any submission."""
    from lem.archive.database import open_database
    from lem.archive.packs import Packs
    from lem.archive.seeds import seed

    database = open_database(settings.database_url, settings.data)
    try:
        for one in seed(database, Packs(settings.data / "packs")):
            if one.done.new:
                output.note(f"{one.name}: {one.done.new} submissions taken in")
    finally:
        database.close()


def settings_of(
    options: dict[str, Any], environment: "os._Environ[str] | dict[str, str]"
) -> "ServerSettings":
    """Options and environment as settings. Raises :class:`BadInput`."""
    from lem.server.clients import is_loopback, networks
    from lem.server.settings import ServerSettings

    url = options["url"]
    if url is not None:
        _check_url(url)
    try:
        networks(options["trust_proxy"])
    except ValueError as e:
        raise BadInput(f"--trust-proxy: {e}") from e
    local = is_loopback(options["host"]) and url is None and not options["trust_proxy"]
    return ServerSettings(
        data=(options["data"] or default_data(environment)).expanduser(),
        database_url=database_url(options["database"], environment),
        host=options["host"],
        port=options["port"],
        enrolment=options["enrolment"] or ("open" if local else "invitation"),
        public_url=url.rstrip("/") if url else None,
        trusted_proxies=tuple(options["trust_proxy"]),
        log_format=options["log_format"],
        log_addresses=options["log_addresses"],
        metrics_public=options["metrics_public"],
        checkers=options["checkers"],
        demo=options["demo"],
    )


def default_data(environment: "os._Environ[str] | dict[str, str]") -> Path:
    home = environment.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser() / "lem" / "archive"


def database_url(given: str | None, environment: "os._Environ[str] | dict[str, str]") -> str | None:
    """From the option, ``LEM_DATABASE_URL`` or ``LEM_DATABASE_URL_FILE``, with the password of
    ``LEM_DATABASE_PASSWORD_FILE`` put in where there is that file. None: SQLite."""
    url = given or environment.get("LEM_DATABASE_URL") or None
    if url is None and (file := environment.get("LEM_DATABASE_URL_FILE")):
        url = _secret(file, "LEM_DATABASE_URL_FILE")
    file = environment.get("LEM_DATABASE_PASSWORD_FILE")
    if url is None or not file:
        return url
    try:
        from sqlalchemy.engine import make_url

        parsed = make_url(url)
    except Exception as e:
        raise BadInput("the database's URL cannot be read") from e
    return parsed.set(password=_secret(file, "LEM_DATABASE_PASSWORD_FILE")).render_as_string(
        hide_password=False
    )


def _secret(file: str, name: str) -> str:
    try:
        text = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise BadInput(f"{name}: {file} cannot be read") from e
    if not text or len(text) > 4096 or "\n" in text:
        raise BadInput(f"{name}: {file} holds no single line")
    return text


def has_password(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.password is not None or "password=" in parts.query
    except ValueError:
        return False


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment:
        raise BadInput(f"--url {url}: is no address of a server", hint="as https://lem.example.org")


def banner(settings: "ServerSettings", port: int) -> list[str]:
    """What a person who starts it wants to know; nothing that is secret."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    where = settings.public_url or f"http://{host}:{port}"
    kept = "PostgreSQL" if settings.database_url else str(settings.data / "archive.db")
    if settings.database_url and settings.database_url.startswith("sqlite"):
        kept = "SQLite"
    lines = [
        f"archive: {where}/api/v1/archive",
        f"data:    {settings.data}, {kept}",
    ]
    if settings.demo:
        lines.append("demo:    made-up records are taken, and nothing here is a measurement")
    if settings.enrolment == "open":
        lines.append(
            "enrol:   open to anybody who can connect; such keys never make a result replicated"
        )
    else:
        lines.append("enrol:   by invitation: lem archive invite --name NAME")
    lines.append(f"push:    lem results push --server {where}")
    if not sys.stderr.isatty():
        return lines
    return [*lines, "stop:    Ctrl-C"]
