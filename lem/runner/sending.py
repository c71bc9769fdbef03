"""Submits what a runner has measured, between runs: signed by its key, under its lease."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from lem.contract.queue import Handover
from lem.errors import BadInput, LemError
from lem.runner import handover
from lem.runner.server import FENCE, LOST, QUEUED
from lem.submit import push
from lem.submit.bundle import LOCK, locked
from lem.submit.client import Declined
from lem.submit.leaks import Net
from lem.submit.outbox import Outbox
from lem.submit.send import Patience
from lem.submit.veil import campaign_of

Say = Callable[[str], None]


class Sending(NamedTuple):
    """How to submit one campaign."""

    url: str
    token: str
    plain_http: bool
    queued: str
    fence: int
    folder: Path
    outbox: Outbox
    handed: Path
    name: str
    """By which the key is enrolled where it is not yet: shown as the submitter."""


class Sent(NamedTuple):
    runs: int = 0
    whole: bool = True
    """Whether everything that should be there now is."""
    lost: bool = False
    """Whether the lease is: nothing more may be sent."""
    refused: str = ""
    """Why something can never be sent …"""
    elsewhere: bool = False
    """… though another machine's might."""


def submit(sending: Sending, within_s: float, ended: Callable[[int], bool], say: Say) -> Sent:
    """Send the attempts of the blocks that have ``ended``, for at most so long. What could not be
    sent stays in the outbox."""
    if not (sending.folder / LOCK).exists():
        return Sent()
    try:
        return _submit(sending, within_s, ended, say)
    except Declined as e:
        return Sent(whole=False, lost=e.reason == LOST)
    except BadInput as e:
        say(f"not submitted: {e}")
        why = "what this runner measured of it cannot be published as it is"
        return Sent(whole=False, refused=why, elsewhere=True)
    except LemError as e:
        say(f"not submitted yet: {e.message}")
        return Sent(whole=False)
    except OSError as e:
        say(f"not submitted yet: {e.filename or 'the outbox'}: {e.strerror}")
        return Sent(whole=False)


def _submit(sending: Sending, within_s: float, ended: Callable[[int], bool], say: Say) -> Sent:
    headers = {QUEUED: sending.queued, FENCE: str(sending.fence)}
    with push.connected(
        sending.url,
        plain_http=sending.plain_http,
        within_s=within_s,
        token=sending.token,
        headers=headers,
    ) as link:
        folder, outbox = sending.folder, sending.outbox
        lock = locked(folder)
        theirs, public = set(), None
        if sending.handed.exists():
            handed = Handover.read(sending.handed)
            theirs, public = handover.places(handed), handover.public(handed, lock, link.info)
        net = Net(push.words([folder], theirs=theirs))
        made = push.fresh(folder, link.info, outbox, net, lambda a: ended(a.block), theirs, public)
        push.queue(folder, link, outbox, made)
        campaign = campaign_of(lock.owner, link.info.board_salt)
        waiting = [e for e in outbox.of(link.info.archive, campaign) if e.state == "queued"]
        key = push.ready_key(link, say, sending.name)
        sent = Sent()
        with outbox.alone(within_s) as held:
            if not held:
                return Sent(whole=False)
            for one in push.deliver(outbox, waiting, link, key, Patience(within_s), say):
                sent = _with(sent, one.entry.there, one.receipt is not None, one.why, one.kept)
                if one.receipt is not None:
                    sent = sent._replace(runs=sent.runs + one.receipt.runs)
                if sent.lost:
                    break
        return sent if sent.refused or sent.lost else _with_refused(sent, outbox, link, campaign)


def _with(sent: Sent, there: bool, taken: bool, why: LemError | None, kept: bool) -> Sent:
    if taken or there or why is None:
        return sent
    lost = isinstance(why, Declined) and why.reason == LOST
    refused = "" if kept or lost else why.message
    return sent._replace(whole=False, lost=sent.lost or lost, refused=sent.refused or refused)


def _with_refused(sent: Sent, outbox: Outbox, link: push.Link, campaign: str) -> Sent:
    """An attempt that was refused before, and is in nothing that was taken since, is missing."""
    entries = outbox.of(link.info.archive, campaign)
    done = outbox.done(link.info.archive, campaign)
    for entry in entries:
        if entry.refusal is not None and not entry.places <= done:
            return sent._replace(whole=False, refused=entry.refusal.message)
    return sent


def forget(sending: Sending, owner: str) -> None:
    """What is still to be sent of a campaign that others have gone on with: never."""
    from lem.submit import settings

    known = settings.read().archives.get(settings.address(sending.url))
    if known is None:
        return
    campaign = campaign_of(owner, known.board_salt)
    for entry in sending.outbox.of(known.archive, campaign):
        sending.outbox.forget(entry)
