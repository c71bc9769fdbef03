"""People, runners and campaigns of a queue, for tests: at times that the test says."""

from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from lem.archive import identities, schema
from lem.archive.identities import Grant
from lem.archive.queue import adding, claims, ending, leases, runners
from lem.archive.queue.acceptable import wish_of
from lem.archive.queue.leases import Change
from lem.archive.queue.tables import QUEUED
from lem.contract.queue import Accepts, Claimed, Device, Finish, Hardware, Hello, Standing
from tests.archive_submissions import Submitter

CAMPAIGN = """\
version: 1
name: batching
models: [{id: Qwen/Qwen3-0.6B}]
backends: {transformers: {}}
sweep: {engine.max_batch_size: [1, 8]}
workload:
  requests: 64
  dataset: {kind: random, input_tokens: 128, output_tokens: 64}
"""
WISH = wish_of(CAMPAIGN)[1]
T0 = 1_800_000_000.0


class Machine(NamedTuple):
    """A registered runner, with its token's hash."""

    handle: str
    token: str
    token_hash: str


def hello(key: str, instance: str = "0" * 32, **changes: Any) -> Hello:
    said: dict[str, Any] = {
        "instance": instance,
        "name": "box",
        "lem_version": "0.1.0",
        "key": key,
        "launcher": "process",
        "hardware": Hardware(
            cpu="Some CPU",
            cores=8,
            memory_bytes=2**34,
            devices=[Device(model="NVIDIA H100 80GB HBM3", count=1)],
            meters=["nvml"],
        ),
        "accepts": Accepts(models=["*"], backends=["transformers"]),
    }
    return Hello(**{**said, **changes})


def archived(c: Connection, queued: str, state: str = "complete", missing: str = "") -> None:
    """As if so much of a queued campaign was submitted, by anybody."""
    owner = c.scalar(sa.select(QUEUED.c.campaign).where(QUEUED.c.id == queued))
    who = c.scalar(sa.select(schema.IDENTITY.c.id))
    if who is None:
        who = identities.new_identity(c, "Anybody", "anybody")
    row = {"identity_id": who, "owner": owner, "queued": queued}
    shown = {"name": "batching", "lock": b"", "board_salt": "", "created_at": ""}
    c.execute(schema.CAMPAIGN.insert().values(**row, **shown, state=state, missing=missing))


class Queue:
    """The queue of an archive, by its functions, each call in a transaction of its own."""

    def __init__(self, archive: Any) -> None:
        self.archive = archive
        self.database = archive.database
        self.now = T0
        self.key = Submitter(archive, "Lab")
        self._instances = 0

    def token(self, role: Any, **more: Any) -> str:
        with self.database.writing() as c:
            return identities.issue_token(c, role, "a secret name", **more)

    def grant(self, token: str) -> Grant:
        with self.database.reading() as c:
            found = identities.role_of(c, token)
        assert found is not None
        return found

    def person(self, name: str = "Ada") -> Grant:
        with self.database.writing() as c:
            person = identities.new_person(c, name, "open")
        return self.grant(self.token("submitter", person_id=person))

    def machine(
        self, token: str | None = None, key: Submitter | None = None, **changes: Any
    ) -> Machine:
        token = token or self.token("runner")
        self._instances += 1
        changes.setdefault("instance", f"{self._instances:032x}")
        said = hello((key or self.key).key_id, **changes)
        with self.database.queueing() as c:
            handle = runners.register(c, said, identities.hash_of(token), self.now)
        return Machine(handle, token, identities.hash_of(token))

    def add(self, who: Grant, wish: Any = WISH) -> str:
        with self.database.queueing() as c:
            return adding.add(c, who, wish, self.now).id

    def claim(self, machine: Machine, queued: str | None = None) -> Claimed | None:
        return self.claimed(machine, queued).claimed

    def claimed(self, machine: Machine, queued: str | None = None) -> claims.Answer:
        with self.database.queueing() as c:
            return claims.claim(c, machine.handle, machine.token_hash, queued, self.now)

    def heartbeat(self, machine: Machine, queued: str, fence: int) -> Standing:
        with self.database.queueing() as c:
            return leases.heartbeat(c, queued, fence, machine.token_hash, self.now)

    def finish(
        self, machine: Machine, queued: str, fence: int, outcome: Any, reason: str = "", **more: Any
    ) -> str:
        told = Finish(queued=queued, fence=fence, outcome=outcome, reason=reason, **more)
        with self.database.queueing() as c:
            return ending.finish(c, told, machine.token_hash, self.now)[0]

    def archived(self, queued: str, state: str = "complete", missing: str = "") -> None:
        """As if so much of it was submitted."""
        with self.database.writing() as c:
            archived(c, queued, state, missing)

    def expire(self) -> list[Change]:
        with self.database.queueing() as c:
            return ending.expire(c, self.now)

    def cancel(self, queued: str, who: Grant) -> str:
        with self.database.queueing() as c:
            return adding.cancel(c, queued, who, self.now)[0]
