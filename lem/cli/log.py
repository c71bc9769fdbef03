"""``lem log``: whether an archive's public log is still what it was."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from lem.cli.choosing import JSON
from lem.cli.output import emit, note
from lem.errors import BadInput

if TYPE_CHECKING:
    from lem.archive.log import LogEntry
    from lem.archive.watching import Watched
    from lem.submit.client import ArchiveClient

PAGE = 1000


@click.group()
def command() -> None:
    """The public log of an archive: every acceptance, change of trust and retraction."""


@command.command()
@click.argument("url")
@click.option(
    "--plain-http",
    is_flag=True,
    help="Speak to another machine without encryption, where the network is yours.",
)
@JSON
def verify(url: str, plain_http: bool, as_json: bool) -> None:
    """Read the log of the archive at URL and verify its chain.

    The log is held against its newest entry that this machine has seen, and against the receipts
    in its outbox: one that was shortened or rewritten is found, whoever did it. Exit 1 then.
    """
    from lem.archive.log import Head
    from lem.archive.watching import watch
    from lem.submit import settings
    from lem.submit.client import ArchiveClient
    from lem.submit.outbox import Outbox

    known = settings.read()
    address = settings.address(url)
    pinned = known.archives.get(address)
    allowed = plain_http or (pinned is not None and pinned.plain_http)
    with ArchiveClient(address, plain_http=allowed) as client:
        info = client.info()
        # Raises where another archive answers at this address than before.
        known.knowing(address, info, plain_http)
        kept = known.heads.get(info.archive)
        head = None if kept is None else Head(kept.seq, kept.hash)
        receipts = [
            entry.receipt
            for entry in Outbox().entries()
            if entry.receipt is not None and entry.queued.archive == info.archive
        ]
        seen = watch(lambda after: _page(client, after), head, receipts)
    if not seen.problems:
        with settings.changed() as change:
            change.to(change.settings.seen(info.archive, seen.head.seq, seen.head.hash))
    _tell(address, info.archive, head, seen, as_json)
    if seen.problems:
        click.get_current_context().exit(1)


def _page(client: "ArchiveClient", after: int) -> "Sequence[LogEntry]":
    """A page of the log. Raises :class:`BadInput` for what is none."""
    from pydantic import ValidationError

    from lem.archive.log import LogEntry

    answer = client.log(after, PAGE)
    entries = answer.get("entries") if isinstance(answer, dict) else None
    if not isinstance(entries, list) or len(entries) > PAGE:
        raise BadInput("the server's answer is no page of a log")
    try:
        return [LogEntry.model_validate(entry) for entry in entries]
    except ValidationError as e:
        raise BadInput(f"after entry {after} comes what is no entry: {e.errors()[0]['msg']}") from e


def _tell(
    address: str, archive: str, before: "tuple[int, str] | None", seen: "Watched", as_json: bool
) -> None:
    if as_json:
        emit(
            {
                "schema_version": 1,
                "url": address,
                "archive": archive,
                "holds": not seen.problems,
                "head": seen.head._asdict(),
                "remembered": None if before is None else {"seq": before[0], "hash": before[1]},
                "receipts": seen.receipts,
                "problems": seen.problems,
            }
        )
        return
    for problem in seen.problems:
        note(problem)
    if seen.problems:
        note("what was remembered of this log was kept as it is")
        return
    note(f"{seen.head.seq} entries, the chain holds; its end: {seen.head.hash}")
    if before is None:
        note("this machine had not seen this log before: from now on it remembers its end")
    else:
        note(
            f"it goes on from entry {before[0]}, which was its end when it was last seen from here"
        )
    if seen.receipts:
        note(f"{seen.receipts} receipts of this machine's submissions are in it")
