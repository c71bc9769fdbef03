"""``lem results push`` and ``retract``: send results to an archive, and take them back."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lem.cli.choosing import DEFAULT, JSON
from lem.cli.output import emit, note, visible
from lem.errors import BadInput, LemError

if TYPE_CHECKING:
    from lem.contract.submission import Receipt
    from lem.submit.outbox import Entry, Outbox
    from lem.submit.push import Link
    from lem.submit.send import Sent

PATIENCE_S = 120.0
"""How long ``push`` goes on trying while the archive is away; the outbox keeps what is left."""
OTHER_PROCESS_S = 30.0

SERVER = click.option(
    "--server",
    metavar="URL",
    help="The archive (default: $LEM_SERVER, or the one that was used last).",
)
PLAIN_HTTP = click.option(
    "--plain-http",
    is_flag=True,
    help="Speak to another machine without encryption: in a network that is all yours.",
)


@click.command()
@click.argument("paths", metavar="[PATH]...", nargs=-1, type=click.Path(path_type=Path))
@SERVER
@PLAIN_HTTP
@click.option("--dry-run", is_flag=True, help="Show exactly what would leave; send nothing.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="With --dry-run: write the files there as they would be sent.",
)
@click.option("--show", metavar="FILE", help="With --dry-run: print this file as it would be sent.")
@click.option(
    "--allow",
    "allowed",
    metavar="WORD",
    multiple=True,
    help="A name of this machine that tells nobody whose it is, where it also stands in results.",
)
@click.option("-y", "--yes", is_flag=True, help="Send without asking.")
@JSON
def push(
    paths: tuple[Path, ...],
    server: str | None,
    plain_http: bool,
    dry_run: bool,
    output: Path | None,
    show: str | None,
    allowed: tuple[str, ...],
    yes: bool,
    as_json: bool,
) -> None:
    """Send the campaigns at or below PATH to an archive.

    Signed by this machine's key. What is sent is put into an outbox first; without PATH, what is
    left there is sent (or ./results, where it is empty). `--dry-run` shows every field that would
    leave this machine; docs/submitting.md says what never does.
    """
    from lem.submit.outbox import Outbox
    from lem.submit.push import connected, fresh, queue, server_of, words

    if (output or show) and not dry_run:
        raise BadInput("-o and --show go with --dry-run")
    outbox = Outbox()
    if dry_run:
        from lem.cli.push_view import preview

        preview(_folders(paths), server_of(server), plain_http, allowed, output, show, as_json)
        return
    left = outbox.waiting()
    if not paths and left:
        _send_left(outbox, left, server, plain_http, as_json)
        return
    folders = _folders(paths)
    with connected(server_of(server), plain_http=plain_http) as link:
        from lem.submit.leaks import Net

        _remember(allowed)
        net = Net(words(folders))
        entries: list[Entry] = []
        for folder in folders:
            _tell_open(folder)
            made = fresh(folder, link.info, outbox, net, _ended(folder))
            first = next(made, None)
            if first is None:
                note(f"{folder}: everything of it was sent before")
                entries += _sent_before(folder, link, outbox)
                continue
            _ask(folder, link, yes)
            entries += queue(folder, link, outbox, _chain(first, made))
        _report(_deliver(outbox, entries, link), link, as_json)


def _remember(allowed: tuple[str, ...]) -> None:
    """``submit: always`` has nobody to ask: what was looked at once need not be said again."""
    if not allowed:
        return
    from lem.submit import settings
    from lem.submit.places import config_folder

    with settings.changed() as change:
        change.to(change.settings.allowing(allowed))
    words = ", ".join(repr(w) for w in allowed)
    note(f"{words}: allowed from now on (harmless, in {config_folder() / settings.FILE})")


def _chain(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _folders(paths: tuple[Path, ...]) -> list[Path]:
    from lem.cli.choosing import open_campaigns
    from lem.submit.bundle import LOCK

    if paths and all((p / LOCK).exists() for p in paths):
        return list(paths)
    if not paths and not Path(DEFAULT).is_dir():
        raise BadInput(
            f"the outbox is empty, and there is no {DEFAULT} here",
            hint="name a campaign's folder: lem results push PATH",
        )
    return [c.folder for c in open_campaigns(paths) if (c.folder / LOCK).exists()]


def _ended(folder: Path) -> Any:
    """Which attempts nothing is written to any more: all, unless the campaign is running; then
    those of blocks before the newest."""
    from lem.campaign.guard import alone
    from lem.errors import EnvironmentFault
    from lem.stores.folder import attempts

    try:
        with alone(folder):
            return lambda attempt: True
    except EnvironmentFault:
        newest = max((a.block for a in attempts(folder)), default=0)
        note(f"{folder} is being run: block {newest + 1} is sent when it is done")
        return lambda attempt: attempt.block < newest
    except OSError:  # a folder that cannot be written is not being run
        return lambda attempt: True


def _tell_open(folder: Path) -> None:
    from lem.submit.bundle import open_attempts

    for attempt, why in open_attempts(folder):
        if why:
            note(f"{attempt.path} cannot be used, so that it counts as broken off: {why}")


def _ask(folder: Path, link: "Link", yes: bool) -> None:
    """Nothing that was sent can be unsent: a person says yes first."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise BadInput(
            "nobody is here to ask whether this may be sent",
            hint="look at it with --dry-run, then say --yes",
        )
    click.confirm(
        visible(
            f"Send {folder} to {link.url}, to be published under {link.info.licence}?"
            " (--dry-run shows what leaves)"
        ),
        err=True,
        abort=True,
    )


def _sent_before(folder: Path, link: "Link", outbox: "Outbox") -> "list[Entry]":
    from lem.submit.bundle import locked
    from lem.submit.veil import campaign_of

    campaign = campaign_of(locked(folder).owner, link.info.board_salt)
    return [e for e in outbox.of(link.info.archive, campaign) if e.state != "refused"]


def _send_left(
    outbox: "Outbox", left: "list[Entry]", server: str | None, plain_http: bool, as_json: bool
) -> None:
    """Everything in the outbox, of one archive (the one named, or the first's)."""
    from lem.submit.push import connected
    from lem.submit.settings import address

    url = address(server) if server else left[0].queued.url
    mine = [e for e in left if e.queued.url == url]
    if others := len(left) - len(mine):
        note(f"{others} more in the outbox for other archives: name them with --server")
    with connected(url, plain_http=plain_http) as link:
        _report(_deliver(outbox, mine, link), link, as_json)


def _deliver(outbox: "Outbox", entries: "list[Entry]", link: "Link") -> "list[Sent]":
    from lem.submit.push import deliver, ready_key
    from lem.submit.send import Patience, Sent

    before = [e for e in entries if e.receipt is not None]
    waiting = [e for e in entries if e.receipt is None]
    done = [Sent(e, _asked_again(e, link), None) for e in before]
    if not waiting:
        return done
    key = ready_key(link, note)
    with _alone(outbox):
        for sent in deliver(outbox, waiting, link, key, Patience(PATIENCE_S), note):
            runs = len(sent.entry.queued.content.runs)
            note(f"{sent.entry.queued.campaign_name}: {runs} runs: {_fate(sent)}")
            done.append(sent)
    return done


@contextmanager
def _alone(outbox: "Outbox") -> Iterator[None]:
    with outbox.alone(OTHER_PROCESS_S) as held:
        if not held:
            raise BadInput(
                "another lem is sending what is in the outbox",
                hint="it sends this too; `lem results push` shows what is left",
            )
        yield


def _asked_again(entry: "Entry", link: "Link") -> "Receipt | None":
    """The receipt as it is today: checks go on after a submission was accepted."""
    try:
        return link.client.receipt(entry.queued.submission)
    except LemError as e:
        note(f"{entry.queued.campaign_name}: {e.message}")
        return entry.receipt


def _fate(sent: "Sent") -> str:
    if sent.receipt is not None:
        return "were there already" if sent.receipt.already_there else "accepted"
    if sent.entry.there:
        return "was there already, from another submission"
    return "kept in the outbox" if sent.kept else "refused"


def _report(done: "list[Sent]", link: "Link", as_json: bool) -> None:
    """What became of each submission, and the exit status."""
    if as_json:
        emit(
            {
                "schema_version": 1,
                "server": link.url,
                "archive": link.info.archive,
                "submissions": [_json(s) for s in done],
            }
        )
    else:
        from lem.cli.receipts import lines

        known = [(s.entry.queued.campaign_name, s.receipt) for s in done if s.receipt is not None]
        for line in lines(known):
            click.echo(visible(line))
    bad = [s for s in done if s.why is not None and not s.entry.there]
    for sent in bad:
        note(f"{sent.entry.queued.campaign_name}: {sent.why}")
    if any(s.kept for s in bad):
        note("what was not sent stays in the outbox; send it with: lem results push")
    if bad:
        sys.exit(max(s.why.exit_code for s in bad if s.why is not None))


def _json(sent: "Sent") -> dict[str, Any]:
    from lem.submit.client import Declined

    return {
        "campaign": sent.entry.queued.campaign_name,
        "submission": sent.entry.queued.submission,
        "state": sent.entry.state,
        "receipt": sent.receipt and sent.receipt.model_dump(mode="json"),
        "reason": sent.why.reason if isinstance(sent.why, Declined) else None,
        "message": sent.why and sent.why.message,
    }


@click.command()
@click.argument("what", metavar="CAMPAIGN")
@SERVER
@PLAIN_HTTP
@click.option("-y", "--yes", is_flag=True, help="Take it back without asking.")
@JSON
def retract(what: str, server: str | None, plain_http: bool, yes: bool, as_json: bool) -> None:
    """Take a campaign back from the archive, whole.

    CAMPAIGN is its folder, its id in the archive, or the id of one of its submissions. Its files
    are deleted there; the public log keeps only hashes. It cannot be submitted again.
    """
    from lem.submit import keys
    from lem.submit.manifest import key_id, raw_public, retract_message
    from lem.submit.push import connected, server_of

    key = keys.load(keys.default_path())
    own = key_id(raw_public(key))
    with connected(server_of(server), plain_http=plain_http) as link:
        campaign = _campaign(what, link)
        if not yes:
            click.confirm(
                f"Take campaign {campaign[:12]} back from {link.url}? It cannot be sent again.",
                err=True,
                abort=True,
            )
        nonce = link.client.nonce(own)
        signature = key.sign(retract_message(link.info.archive, campaign, nonce))
        answer = link.client.retract(campaign, own, nonce, signature)
    if as_json:
        emit({"schema_version": 1, "campaign": campaign, "answer": answer})
    else:
        click.echo(f"campaign {campaign[:12]} is taken back from {link.url}")


def _campaign(what: str, link: "Link") -> str:
    """``Content.campaign`` of what was named."""
    from lem.submit.bundle import locked
    from lem.submit.outbox import Outbox
    from lem.submit.veil import campaign_of

    if Path(what).is_dir():
        return campaign_of(locked(Path(what)).owner, link.info.board_salt)
    text = what.lower()
    known = {
        e.queued.submission: e.queued.content.campaign
        for e in Outbox().entries()
        if e.queued.archive == link.info.archive
    }
    found = {
        c for s, c in known.items() if len(text) >= 8 and text in (s[: len(text)], c[: len(text)])
    }
    if len(found) == 1:
        return found.pop()
    if len(text) == 64 and set(text) <= set("0123456789abcdef"):
        return text
    raise BadInput(
        f"{what!r} is no campaign's folder, and no id of what was sent from here",
        hint="name its folder, or its whole id (64 hexadecimal digits)",
    )
