"""Sends what lies in the outbox: again and again for as long as there is patience, never twice."""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lem.contract.base import utc_now
from lem.contract.submission import Manifest, Receipt
from lem.errors import BadInput, LemError
from lem.submit import pack
from lem.submit.client import ArchiveClient, Declined, Unreachable
from lem.submit.manifest import key_id, raw_public, sign
from lem.submit.outbox import Entry, Outbox

FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
NEW_NONCES = 3
"""A nonce may run out while a large submission is on its way; after so many, something else is
wrong."""
NOT_OF_THE_CONTENT = (401, 403, 404)
"""Nothing is wrong with what was sent: the key, or the address. It stays in the outbox."""
LEASE_LOST = "lease_lost"
REDIRECTED = "redirected"


class Sent(NamedTuple):
    """What became of one submission. ``receipt`` and ``why`` exclude each other."""

    entry: Entry
    receipt: Receipt | None
    why: LemError | None

    @property
    def kept(self) -> bool:
        """Whether it is still to be sent."""
        return self.entry.state == "queued"


class Patience:
    """How long to go on trying: waits that double, each shortened by chance so that many clients
    don't come back at the same moment."""

    def __init__(
        self,
        total_s: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._until = clock() + total_s
        self._sleep, self._clock, self._chance = sleep, clock, chance
        self._next_s = FIRST_WAIT_S

    @property
    def left_s(self) -> float:
        return self._until - self._clock()

    def wait(self, at_least_s: float | None = None) -> bool:
        """Wait before another try; False (at once) where that would take too long."""
        wait_s = max(self._next_s * (0.5 + self._chance() / 2), at_least_s or 0.0)
        if wait_s > self.left_s:
            return False
        self._next_s = min(2 * self._next_s, LONGEST_WAIT_S)
        self._sleep(wait_s)
        return True

    def succeeded(self) -> None:
        """The next trouble is a new one."""
        self._next_s = FIRST_WAIT_S


def send(
    outbox: Outbox,
    entries: Sequence[Entry],
    client: ArchiveClient,
    key: Ed25519PrivateKey,
    patience: Patience,
    note: Callable[[str], None] = lambda text: None,
) -> Iterator[Sent]:
    """Send these, one after another; call it while :meth:`Outbox.alone` holds.

    What an archive refuses is kept with the reason, and the next one is sent. Where the archive
    cannot be reached for too long, does not take this key, or the lease of a queued campaign is
    lost, the rest stays where it is, unsent, and is given with the reason.
    """
    stopped: LemError | None = None
    for entry in entries:
        if stopped is not None or patience.left_s <= 0:
            yield Sent(entry, None, stopped or Unreachable("there was no more time to send it"))
            continue
        try:
            receipt = _until_answered(outbox, entry, client, key, patience, note)
        except Declined as e:
            if e.status in NOT_OF_THE_CONTENT or e.reason in (REDIRECTED, LEASE_LOST):
                stopped = e
                yield Sent(entry, None, e)
            else:
                yield Sent(outbox.refused(entry, e.reason, e.message, e.status), None, e)
        except LemError as e:
            stopped = e if isinstance(e, Unreachable) else None
            yield Sent(entry, None, e)
        else:
            yield Sent(outbox.sent(entry, receipt), receipt, None)


def _until_answered(
    outbox: Outbox,
    entry: Entry,
    client: ArchiveClient,
    key: Ed25519PrivateKey,
    patience: Patience,
    note: Callable[[str], None],
) -> Receipt:
    nonces = 0
    while True:
        try:
            receipt = _once(outbox, entry, client, key)
        except Unreachable as e:
            if not patience.wait(e.wait_s):
                raise
            note(f"{e.message}; trying again")
        except Declined as e:
            nonces += 1
            if "nonce" not in e.reason or nonces > NEW_NONCES:
                raise
        else:
            patience.succeeded()
            return receipt


def _once(outbox: Outbox, entry: Entry, client: ArchiveClient, key: Ed25519PrivateKey) -> Receipt:
    queued = entry.queued
    if entry.tried and (found := _arrived(client, entry)) is not None:
        return found
    files = entry.files()
    own = key_id(raw_public(key))
    manifest = Manifest(
        archive=queued.archive,
        key=own,
        nonce=client.nonce(own),
        signed_at=utc_now(),
        content=queued.content,
    )
    data, signature = sign(manifest, key)
    outbox.try_(entry)
    return _of(entry, client.submit(pack.write(data, signature, queued.content, files)))


def _arrived(client: ArchiveClient, entry: Entry) -> Receipt | None:
    """The receipt of a submission whose answer was lost, if it did arrive."""
    try:
        return _of(entry, client.receipt(entry.queued.submission))
    except Declined as e:
        if e.status == 404:
            return None
        raise


def _of(entry: Entry, receipt: Receipt) -> Receipt:
    queued = entry.queued
    if (receipt.submission, receipt.campaign) != (queued.submission, queued.content.campaign):
        raise BadInput("the archive's receipt is of another submission")
    return receipt
