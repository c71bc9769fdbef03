"""``lem key``: this machine's key, with which submissions are signed."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from lem.cli.output import emit, note
from lem.cli.push import PLAIN_HTTP, SERVER
from lem.errors import BadInput

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from lem.submit.push import Link

TOKEN_VARIABLE = "LEM_TOKEN"
MAX_LINK = 4096


@click.group()
def command() -> None:
    """Make, show, enrol, replace and revoke this machine's key.

    It is a file that only you can read; whoever has it can submit in your name.
    """


@command.command()
def new() -> None:
    """Make a key. One that is there is never overwritten."""
    from lem.submit import keys
    from lem.submit.manifest import key_id, raw_public

    path = keys.default_path()
    key = keys.make(path)
    click.echo(f"{path}: key {key_id(raw_public(key))}")


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Machine-readable, on stdout.")
def show(as_json: bool) -> None:
    """Show the key's id and its public half; never the private one."""
    from lem.submit import keys, settings
    from lem.submit.manifest import base64_of, key_id, raw_public

    path = keys.default_path()
    public = raw_public(keys.load(path))
    own = key_id(public)
    at = sorted(url for url, known in settings.read().archives.items() if own in known.keys)
    if as_json:
        emit(
            {
                "schema_version": 1,
                "key": own,
                "public_key": base64_of(public),
                "file": str(path),
                "enrolled_at": at,
            }
        )
        return
    click.echo(f"key         {own}")
    click.echo(f"public key  {base64_of(public)}")
    click.echo(f"file        {path}")
    click.echo(f"enrolled at {', '.join(at) or 'no archive that is known here'}")


@command.command()
@SERVER
@PLAIN_HTTP
@click.option("--name", default="", help="What to call you in public (default: the key's id).")
@click.option(
    "--link-file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="File with the invitation's link or secret (- for stdin); not given: asked for.",
)
def enrol(server: str | None, plain_http: bool, name: str, link_file: Path | None) -> None:
    """Make this machine's key known to an archive.

    With the link (or the secret) that its operator gave you: asked for without showing it, or from
    --link-file (- for stdin) or $LEM_TOKEN; never on the command line, where others could see it.
    """
    from lem.submit import keys, push

    given = _invitation(link_file)
    url, secret = link_parts(given) if given else (None, None)
    if server is not None and url is not None and push.server_of(server) != url:
        raise BadInput(f"the link is of {url}, and --server is {server}")
    path = keys.default_path()
    if not path.exists():
        keys.make(path)
        note(f"made a key for this machine: {path}")
    key = keys.load(path)
    with push.connected(url or push.server_of(server), plain_http=plain_http) as link:
        own = push.enrol(link, key, secret, name)
        click.echo(f"key {own[:12]} is enrolled at {link.url}")


def _invitation(file: Path | None) -> str:
    """The link or secret; empty where nobody gave one (enough where enrolment is open)."""
    if file is not None and str(file) != "-":
        try:
            with file.open(encoding="utf-8", errors="replace") as f:
                return f.read(MAX_LINK).strip()
        except OSError as e:
            raise BadInput(f"{file} cannot be read: {e.strerror}") from e
    if file is not None:
        return sys.stdin.read(MAX_LINK).strip()
    if TOKEN_VARIABLE in os.environ:
        return os.environ[TOKEN_VARIABLE].strip()
    if sys.stdin.isatty():
        text: str = click.prompt(
            "Link or secret of the invitation (not shown; empty: none)",
            hide_input=True,
            default="",
            show_default=False,
            err=True,
        )
        return text.strip()
    return ""


def link_parts(text: str) -> tuple[str | None, str]:
    """Address and secret of ``https://host/join#SECRET``, or ``/enrol#SECRET`` as links were once;
    of a secret alone, no address."""
    from lem.submit.settings import address

    if "://" not in text:
        if not text or len(text) > 200 or any(c.isspace() for c in text):
            raise BadInput("this is neither an invitation's link nor its secret")
        return None, text
    try:
        parts = urlsplit(text)
    except ValueError as e:
        raise BadInput("this is no invitation's link") from e
    above, _, last = parts.path.rstrip("/").rpartition("/")
    if not parts.fragment or last not in ("join", "enrol"):
        raise BadInput("this is no invitation's link", hint="it looks like https://…/join#…")
    return address(f"{parts.scheme}://{parts.netloc}{above}"), parts.fragment


@command.command()
@SERVER
@PLAIN_HTTP
def rotate(server: str | None, plain_http: bool) -> None:
    """Put a new key in the place of this one, here and at the archive.

    What was submitted stays yours. Where the key is enrolled at several archives, all of them are
    told first.
    """
    from lem.submit import keys, push, settings
    from lem.submit.manifest import key_id, raw_public

    path = keys.default_path()
    old = keys.load(path)
    coming = keys.next_path(path)
    new_key = keys.load(coming) if coming.exists() else keys.make(coming)
    own, other = key_id(raw_public(old)), key_id(raw_public(new_key))
    taken_by = {url: known.keys for url, known in settings.read().archives.items()}
    urls = [url for url, taken in taken_by.items() if own in taken]
    if server is not None or not urls:
        urls.append(push.server_of(server))
    for url in dict.fromkeys(urls):
        if other in taken_by.get(url, ()):
            continue  # an earlier try came so far
        with push.connected(url, plain_http=plain_http) as link:
            _rotate(link, old, new_key)
            with settings.changed() as change:
                change.to(change.settings.with_key(link.url, other))
        note(f"{url}: key {own[:12]} is replaced by {other[:12]}")
    keys.promote(path)
    click.echo(f"{path}: key {other}")


def _rotate(link: "Link", old: "Ed25519PrivateKey", new_key: "Ed25519PrivateKey") -> None:
    """Tell one archive. Where that was told before and the answer was lost, it knows the new key
    already."""
    from lem.submit.client import Declined
    from lem.submit.manifest import key_id, raw_public, rotate_message

    own, public = key_id(raw_public(old)), raw_public(new_key)
    try:
        nonce = link.client.nonce(own)
        message = rotate_message(link.info.archive, own, public, nonce)
        link.client.rotate(own, public, nonce, old.sign(message), new_key.sign(message))
    except Declined as e:
        try:
            link.client.nonce(key_id(public))
        except Declined:
            raise e from None


@command.command()
@SERVER
@PLAIN_HTTP
@click.option("-y", "--yes", is_flag=True, help="Do it without asking.")
def revoke(server: str | None, plain_http: bool, yes: bool) -> None:
    """Let this machine's key sign nothing more at an archive: where it may be in wrong hands.

    What was submitted with it stays. The key's file stays too; move it away and make another.
    """
    from lem.submit import keys, push, settings
    from lem.submit.manifest import key_id, raw_public, revoke_message

    key = keys.load(keys.default_path())
    own = key_id(raw_public(key))
    with push.connected(push.server_of(server), plain_http=plain_http) as link:
        if not yes:
            click.confirm(f"Revoke key {own[:12]} at {link.url}, for ever?", err=True, abort=True)
        nonce = link.client.nonce(own)
        link.client.revoke(own, nonce, key.sign(revoke_message(link.info.archive, own, nonce)))
        with settings.changed() as change:
            change.to(change.settings.without_key(link.url, own))
    click.echo(f"key {own[:12]} is revoked at {link.url}")
