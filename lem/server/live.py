"""Live events of queued campaigns: taken from runners, given to whoever watches."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from anyio import to_thread
from pydantic import ValidationError

from lem.archive.identities import hash_of
from lem.contract.live import MAX_BATCH_BYTES, Batch, Taken
from lem.live.allowance import Allowance
from lem.live.audience import Audience
from lem.live.channel import Superseded, said
from lem.live.hub import Hub
from lem.live.log import OVER
from lem.server.problems import HttpProblem, field_errors
from lem.server.settings import Bounds

BATCHES_PER_S, BATCHES_AT_ONCE = 30.0, 90.0
BYTES_PER_S, BYTES_AT_ONCE = 200.0 * 1024, 2.0 * 2**20
"""Of one runner."""
LEASE_KNOWN_S = 1.0
"""So long a lease that was found valid is believed to be: ten batches a second ask for the same."""
MAX_KNOWN = 1000

Holder = Callable[[str, str, int], str]
"""SHA-256 of a token, queued campaign, fence → the runner that holds the lease. Raises
:class:`lem.archive.refused.Refused`."""
StateOf = Callable[[str], str | None]
"""Queued campaign → its state; None where there is none of that id."""


class Live:
    """``holder`` and ``state_of`` may wait for a database."""

    def __init__(self, hub: Hub, bounds: Bounds, holder: Holder, state_of: StateOf) -> None:
        self.hub = hub
        self.audience = Audience(hub, bounds.chunk_s)
        self.seats = Seats(bounds.viewers, bounds.viewers_by_address)
        self.holder = holder
        self.state_of = state_of
        self._leases: OrderedDict[tuple[str, str, int], tuple[str, float]] = OrderedDict()
        self._allowed: OrderedDict[str, tuple[Allowance, Allowance]] = OrderedDict()

    def say(self, queued: str, state: str, message: str = "") -> None:
        """Tell who watches that a queued campaign is in another state, and keep that. From any
        thread; waits for the disk."""
        self.hub.channel(queued).say(said(state, message))

    async def post(self, token: str, body: bytes) -> Taken:
        """A runner's batch. Raises :class:`HttpProblem` and whatever ``holder`` does."""
        if len(body) > MAX_BATCH_BYTES:
            raise HttpProblem(413, "too_large", f"a batch is larger than {MAX_BATCH_BYTES} bytes")
        batch = parsed(body)
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

    async def _runner(self, token: str, batch: Batch) -> str:
        key = (hash_of(token), batch.queued, batch.fence)
        now = time.monotonic()
        known = self._leases.get(key)
        if known is not None and now < known[1]:
            return known[0]
        runner = await to_thread.run_sync(self.holder, *key)
        self._leases[key] = (runner, now + LEASE_KNOWN_S)
        self._leases.move_to_end(key)
        if len(self._leases) > MAX_KNOWN:
            self._leases.popitem(last=False)
        return runner

    def _check_rate(self, runner: str, size: int) -> None:
        allowed = self._allowed.get(runner)
        if allowed is None:
            allowed = self._allowed[runner] = (
                Allowance(BATCHES_PER_S, BATCHES_AT_ONCE),
                Allowance(BYTES_PER_S, BYTES_AT_ONCE),
            )
            if len(self._allowed) > MAX_KNOWN:
                self._allowed.popitem(last=False)
        self._allowed.move_to_end(runner)
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
        errors = e.errors(include_url=False, include_context=False, include_input=False)
        broken = any(one["type"] == "json_invalid" for one in errors)
        raise HttpProblem(
            400 if broken else 422,
            "not_json" if broken else "bad_batch",
            "the body is not JSON" if broken else "this is no batch of live events",
            errors=field_errors([dict(one) for one in errors]),
        ) from None


class Seats:
    """How many may watch: all together, and from one address. On one event loop."""

    def __init__(self, most: int, by_group: int) -> None:
        self._most = most
        self._by_group = by_group
        self._taken: dict[str, int] = {}
        self.taken = 0

    @contextmanager
    def one(self, group: str) -> Iterator[None]:
        if self.taken >= self._most:
            raise HttpProblem(
                503, "too_many_viewers", "too many watch now", headers={"Retry-After": "30"}
            )
        if self._taken.get(group, 0) >= self._by_group:
            raise HttpProblem(
                429,
                "too_many_viewers",
                f"more than {self._by_group} watch from one address",
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
