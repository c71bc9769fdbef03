"""Live events of queued campaigns: taken from runners, given to whoever watches."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from anyio import to_thread
from pydantic import ValidationError

from lem.archive.identities import hash_of
from lem.contract.live import MAX_BATCH_BYTES, Batch, Taken
from lem.live.allowance import Allowance
from lem.live.audience import Audience
from lem.live.channel import Superseded, said
from lem.live.hub import Hub
from lem.live.log import OVER
from lem.server.problems import HttpProblem, not_as_described
from lem.server.settings import Bounds

BATCHES_PER_S, BATCHES_AT_ONCE = 30.0, 90.0
BYTES_PER_S, BYTES_AT_ONCE = 200.0 * 1024, 2.0 * 2**20
"""Of one runner."""
BAD_PER_S, BAD_AT_ONCE = 0.1, 5.0
"""Bodies that are no batch, of one token: to find out that they are none costs most."""
THREAD_BYTES = 16 * 1024
"""Larger bodies are parsed in a thread, so many at a time: what ten batches a second have is
smaller."""
PARSED_AT_ONCE = 2
LEASE_KNOWN_S = 1.0
"""So long a lease or token that was found valid is believed to be: ten batches a second ask for the
same."""
MAX_KNOWN = 1000

Key = TypeVar("Key")
Known = TypeVar("Known")
Holder = Callable[[str, str, int], str]
"""SHA-256 of a token, queued campaign, fence → the runner that holds the lease. Raises
:class:`lem.archive.refused.Refused`."""
RoleOf = Callable[[str], str | None]
"""SHA-256 of a token → its role; None where it is not valid."""
SENDERS = ("runner", "admin")
StateOf = Callable[[str], str | None]
"""Queued campaign → its state; None where there is none of that id."""


class WrongToken(Exception):
    """It is not valid here."""


class Live:
    """``role_of``, ``holder`` and ``state_of`` may wait for a database."""

    def __init__(
        self, hub: Hub, bounds: Bounds, role_of: RoleOf, holder: Holder, state_of: StateOf
    ) -> None:
        self.hub = hub
        self.audience = Audience(hub, bounds.chunk_s)
        self.bounds = bounds
        self.seats = Seats(bounds.viewers, bounds.viewers_by_address)
        self.recordings = Seats(
            bounds.recordings, bounds.recordings_by_address, "fetch whole recordings"
        )
        self.role_of = role_of
        self.holder = holder
        self.state_of = state_of
        self._senders: OrderedDict[str, float] = OrderedDict()
        self._leases: OrderedDict[tuple[str, str, int], tuple[str, float]] = OrderedDict()
        self._allowed: OrderedDict[str, tuple[Allowance, Allowance]] = OrderedDict()
        self._bad: OrderedDict[str, Allowance] = OrderedDict()
        self._parsing = asyncio.Semaphore(PARSED_AT_ONCE)

    def say(self, queued: str, state: str, message: str = "") -> None:
        """Tell who watches that a queued campaign is in another state, and keep that. From any
        thread; waits for the disk. Who held it is asked anew."""
        for key in [k for k in list(self._leases) if k[1] == queued]:
            self._leases.pop(key, None)
        self.hub.channel(queued).say(said(state, message))

    async def check_sender(self, token: str) -> None:
        """Whether this token may send anything at all: asked before what is sent is looked at.
        Raises :class:`WrongToken` and :class:`HttpProblem`."""
        digest = hash_of(token)
        now = time.monotonic()
        if now < self._senders.get(digest, 0.0):
            return
        role = await to_thread.run_sync(self.role_of, digest)
        if role is None:
            raise WrongToken
        if role not in SENDERS:
            raise HttpProblem(403, "not_allowed", "this needs the token of a runner")
        _keep(self._senders, digest, now + LEASE_KNOWN_S)

    async def post(self, token: str, body: bytes) -> Taken:
        """A batch, of whom :meth:`check_sender` lets through. Raises :class:`HttpProblem` and
        whatever ``holder`` does."""
        if len(body) > MAX_BATCH_BYTES:
            raise HttpProblem(413, "too_large", f"a batch is larger than {MAX_BATCH_BYTES} bytes")
        batch = await self._parsed(token, body)
        runner = await self._runner(token, batch)
        self._check_rate(runner, len(body))
        channel = self.hub.open_already(batch.queued)
        if channel is None:
            channel = await to_thread.run_sync(self.hub.channel, batch.queued)
        try:
            wanted = channel.take(batch.fence, batch.number, batch.events)
        except Superseded:
            raise HttpProblem(409, "lease_lost", "another lease has begun since") from None
        except OSError as e:
            raise HttpProblem(507, "no_room", "the events could not be kept") from e
        return Taken(next=wanted)

    async def _parsed(self, token: str, body: bytes) -> Batch:
        if len(body) <= THREAD_BYTES:
            with self._errors_of(token):
                return parsed(body)
        async with self._parsing:
            with self._errors_of(token):
                return await to_thread.run_sync(parsed, body)

    @contextmanager
    def _errors_of(self, token: str) -> Iterator[None]:
        """Whoever has sent much that was no batch is not looked at for a while."""
        digest = hash_of(token)
        bad = self._bad.get(digest)
        if bad is not None:
            bad.take(0, time.monotonic())
            if bad.wait_s(1) > 0:
                raise HttpProblem(
                    429,
                    "too_many_events",
                    "too many bodies were no batch of live events",
                    headers={"Retry-After": "10"},
                )
        try:
            yield
        except HttpProblem:
            bad = self._bad.get(digest) or Allowance(BAD_PER_S, BAD_AT_ONCE)
            bad.take(1, time.monotonic())
            _keep(self._bad, digest, bad)
            raise

    async def _runner(self, token: str, batch: Batch) -> str:
        key = (hash_of(token), batch.queued, batch.fence)
        now = time.monotonic()
        known = self._leases.get(key)
        if known is not None and now < known[1]:
            return known[0]
        runner = await to_thread.run_sync(self.holder, *key)
        _keep(self._leases, key, (runner, now + LEASE_KNOWN_S))
        return runner

    def _check_rate(self, runner: str, size: int) -> None:
        allowed = self._allowed.get(runner)
        if allowed is None:
            allowed = (
                Allowance(BATCHES_PER_S, BATCHES_AT_ONCE),
                Allowance(BYTES_PER_S, BYTES_AT_ONCE),
            )
        _keep(self._allowed, runner, allowed)
        batches, octets = allowed
        now = time.monotonic()
        if not batches.take(1, now) or not octets.take(size, now):
            raise HttpProblem(
                429,
                "too_many_events",
                f"more than {BATCHES_PER_S:g} batches or {BYTES_PER_S / 1024:g} KiB a second",
                headers={"Retry-After": "1"},
            )

    def exists(self, queued: str) -> bool:
        """Whether there is, or was, such a campaign. What ended without a word of it (a server may
        have died in between) is told of now. Waits for disk and database."""
        state = self.state_of(queued)
        if state in OVER and not self.hub.channel(queued).over:
            self.say(queued, state)
        return state is not None or self.hub.is_there(queued)

    def close(self) -> None:
        self.hub.close()


def parsed(body: bytes) -> Batch:
    """Raises :class:`HttpProblem`."""
    try:
        return Batch.model_validate_json(body)
    except ValidationError as e:
        raise not_as_described(e, "bad_batch", "this is no batch of live events") from None


def _keep(known: OrderedDict[Key, Known], key: Key, value: Known) -> None:
    """The newest; of more than ``MAX_KNOWN`` the oldest is forgotten."""
    known[key] = value
    known.move_to_end(key)
    if len(known) > MAX_KNOWN:
        known.popitem(last=False)


class Seats:
    """How many may watch: all together, and from one address. On one event loop. ``what`` they
    do, in words."""

    def __init__(self, most: int, by_group: int, what: str = "watch") -> None:
        self._most = most
        self._what = what
        self._by_group = by_group
        self._taken: dict[str, int] = {}
        self.taken = 0

    @contextmanager
    def one(self, group: str) -> Iterator[None]:
        if self.taken >= self._most:
            raise HttpProblem(
                503, "too_many_viewers", f"too many {self._what} now", headers={"Retry-After": "30"}
            )
        if self._taken.get(group, 0) >= self._by_group:
            raise HttpProblem(
                429,
                "too_many_viewers",
                f"more than {self._by_group} {self._what} from one address",
                headers={"Retry-After": "30"},
            )
        self.taken += 1
        self._taken[group] = self._taken.get(group, 0) + 1
        try:
            yield
        finally:
            self.taken -= 1
            self._taken[group] -= 1
            if not self._taken[group]:
                del self._taken[group]
