"""From a campaign's folder to receipts: the steps of ``lem results push``."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lem.contract.submission import ArchiveInfo, Content
from lem.errors import BadInput, Problem
from lem.stores import folder as store
from lem.stores.folder import Attempt
from lem.submit import keys, leaks, send, settings
from lem.submit.bundle import Bundle, Place, bundles, locked
from lem.submit.client import ArchiveClient, Declined
from lem.submit.manifest import enrol_message, key_id, raw_public
from lem.submit.outbox import ATTEMPT_KNOWN, Entry, Outbox
from lem.submit.preview import documents
from lem.submit.send import Patience, Sent
from lem.submit.veil import campaign_of

SERVER_VARIABLE = "LEM_SERVER"
Note = Callable[[str], None]


class Link(NamedTuple):
    """An archive that answers, and is the one that it was before."""

    client: ArchiveClient
    info: ArchiveInfo
    by_token: bool = False
    """Whether a runner's token goes with what is said, by which its key is enrolled."""

    @property
    def url(self) -> str:
        return self.client.url


def server_of(given: str | None) -> str:
    """The archive's address: what was said, the environment's, or the one that was used last.
    Raises :class:`BadInput` where there is none: no address is built in."""
    url = given or os.environ.get(SERVER_VARIABLE) or settings.read().server
    if not url:
        raise BadInput(
            "no archive is known on this machine",
            hint=f"say which: --server https://…, or {SERVER_VARIABLE} in the environment",
        )
    return settings.address(url)


@contextmanager
def connected(
    url: str,
    *,
    plain_http: bool = False,
    within_s: float | None = None,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Iterator[Link]:
    """Speak to the archive there. Raises :class:`BadInput` where another one answers than before,
    :class:`lem.submit.client.Unreachable` where none does."""
    known = settings.read().archives.get(url)
    allowed = plain_http or (known is not None and known.plain_http)
    with ArchiveClient(
        url, plain_http=allowed, within_s=within_s, token=token, headers=headers
    ) as client:
        info = client.info()
        with settings.changed() as change:
            change.to(change.settings.knowing(url, info, plain_http))
        yield Link(client, info, token is not None)


def ready_key(link: Link, note: Note, name: str = "") -> Ed25519PrivateKey:
    """This machine's key, which the archive knows. Where there is none, one is made; where
    enrolment is open, or there is a runner's token, it is enrolled, as of ``name``. Raises
    :class:`BadInput` where an invitation is needed."""
    path = keys.default_path()
    if path.exists():
        key = keys.load(path)
    else:
        key = keys.make(path)
        note(f"made a key for this machine: {path}")
    if key_id(raw_public(key)) in settings.read().archives[link.url].keys:
        return key
    if link.info.enrolment == "open" or link.by_token:
        enrol(link, key, None, name)
        note(f"enrolled this machine's key at {link.url}")
        return key
    raise BadInput(
        f"the archive at {link.url} takes submissions by invitation, and this machine's key was"
        " not enrolled there from here",
        hint="ask its operator for a link, then: lem key enrol",
    )


def enrol(link: Link, key: Ed25519PrivateKey, secret: str | None, name: str = "") -> str:
    """Make a key known to the archive; returns its id. ``name`` is shown in public; not given, it
    is the beginning of the key's id."""
    public = raw_public(key)
    own = key_id(public)
    proof = key.sign(enrol_message(link.info.archive, public))
    try:
        link.client.enrol(public, proof, name or f"key-{own[:12]}", secret)
    except Declined as e:
        if e.reason != "key_known":
            raise
    with settings.changed() as change:
        change.to(change.settings.with_key(link.url, own))
    return own


def words(
    folders: Iterable[Path],
    allowed: Iterable[str] = (),
    theirs: Collection[Place] = (),
) -> list[leaks.Word]:
    """What must not be in a submission of these folders: names of this machine, and the ids of
    boards and boots that the private documents have. ``allowed``: words that a person has looked at
    and called harmless now; what was called so before is remembered. ``theirs``: attempts that came
    from another machine, as public documents."""
    found = leaks.words_of_this_machine()
    for folder in folders:
        found += leaks.words_of([locked(folder)])
        for entry in store.entries(folder):
            if (entry.attempt.block, entry.attempt.arm_id, entry.attempt.attempt) in theirs:
                continue
            document = entry.record or entry.failure
            found += leaks.words_of([document] if document is not None else [])
    harmless = {w.strip().lower() for w in allowed} | set(settings.read().harmless)
    return [w for w in leaks.chosen(found) if w.text.lower() not in harmless]


def check(bundle: Bundle, net: leaks.Net) -> None:
    """Raise :class:`BadInput` where a submission has a word that must not leave this machine."""
    problems = []
    for file in documents(bundle):
        found = (
            net.in_json(file.document, file.name)
            if file.document is not None
            else net.in_rows(bundle.files[file.sha256], file.name)
        )
        problems += [Problem(f"{leak.field}: has {leak.word.what}, {leak.word.text!r}", leak.file)
                     for leak in found]  # fmt: skip
    if problems:
        raise BadInput(
            list(dict.fromkeys(problems))[:20],
            hint="nothing was sent. If such a word tells nobody whose machine this is, say"
            f" --allow {problems[0].message.rpartition(', ')[2]}",
        )


def fresh(
    folder: Path,
    info: ArchiveInfo,
    outbox: Outbox,
    net: leaks.Net,
    ended: Callable[[Attempt], bool] = lambda attempt: True,
    theirs: Collection[Place] = (),
    public: bytes | None = None,
) -> Iterator[Bundle]:
    """The submissions of what an archive has not had yet, each looked through.

    Everything is looked at before the first is given: a folder that cannot be sent whole, isn't.
    ``theirs``: attempts that another machine has sent. ``public``: as for ``bundles``.
    """
    done = outbox.done(info.archive, campaign_of(locked(folder).owner, info.board_salt))
    done |= set(theirs)
    for bundle in bundles(folder, info, done, ended, public):
        check(bundle, net)
    yield from bundles(folder, info, done, ended, public)


def queue(folder: Path, link: Link, outbox: Outbox, made: Iterable[Bundle]) -> list[Entry]:
    """Put submissions into the outbox. What was refused of this campaign before is in them again,
    and forgotten."""
    lock = locked(folder)
    campaign = campaign_of(lock.owner, link.info.board_salt)
    entries = [outbox.put(b, link.url, link.info.archive, lock.name) for b in made]
    new = {e.path for e in entries}
    again = set().union(*(e.places for e in entries))
    for old in outbox.of(link.info.archive, campaign):
        if old.state == "refused" and not old.there and old.path not in new and old.places <= again:
            outbox.forget(old)
    return entries


def deliver(
    outbox: Outbox,
    entries: Sequence[Entry],
    link: Link,
    key: Ed25519PrivateKey,
    patience: Patience,
    note: Note = lambda text: None,
) -> Iterator[Sent]:
    """Send entries of the outbox; call it while :meth:`Outbox.alone` holds.

    An archive that has some attempts of a submission already, from another one, gets the others:
    it is halved until each half is new or one attempt that is there.
    """
    waiting = list(entries)
    while waiting:
        entry = waiting.pop(0)
        for sent in send.send(outbox, [entry], link.client, key, patience, note):
            runs = entry.queued.content.runs
            if not _known(sent) or len(runs) == 1:
                yield sent
                if sent.why is not None and sent.kept:
                    yield from (Sent(e, None, sent.why) for e in waiting)
                    return
                if sent.receipt is not None:
                    _remember(link, sent)
                continue
            half = len(runs) // 2
            waiting[:0] = [_part(outbox, entry, runs[:half]), _part(outbox, entry, runs[half:])]
            outbox.forget(entry)


def _known(sent: Sent) -> bool:
    return isinstance(sent.why, Declined) and sent.why.reason == ATTEMPT_KNOWN


def _part(outbox: Outbox, entry: Entry, runs: Sequence[object]) -> Entry:
    queued = entry.queued
    content = Content.model_validate(queued.content.model_copy(update={"runs": runs}).model_dump())
    every = entry.files()
    wanted = {content.lock, *(sha for run in content.runs for sha in run.files())}
    part = Bundle(content, {sha: every[sha] for sha in wanted})
    return outbox.put(part, queued.url, queued.archive, queued.campaign_name)


def _remember(link: Link, sent: Sent) -> None:
    """The newest entry of the log that was seen: a log that is rewritten later is noticed."""
    receipt = sent.receipt
    if receipt is not None:
        with settings.changed() as change:
            change.to(change.settings.seen(link.info.archive, receipt.log_seq, receipt.log_hash))
