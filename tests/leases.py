"""Runners that hold the lease of a queued campaign, without any of what leads to it."""

import secrets
import time
from typing import Any, NamedTuple

import sqlalchemy as sa
from pydantic import TypeAdapter

from lem.archive import identities
from lem.archive.database import Database
from lem.archive.queue import adding
from lem.archive.queue.leases import text
from lem.archive.queue.tables import QUEUED, RUNNER
from lem.contract.live import LiveEvent


class Held(NamedTuple):
    queued: str
    fence: int
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def batch(self, number: int, *events: dict[str, Any]) -> dict[str, Any]:
        return {
            "schema_version": 1,
            "queued": self.queued,
            "fence": self.fence,
            "number": number,
            "events": list(events),
        }


def held(database: Database, valid_s: float = 1e6) -> Held:
    """A new queued campaign, and a new runner that holds its lease."""
    now = time.time()
    with database.writing() as c:
        token = identities.issue_token(c, "runner", "a runner")
        submitter = identities.role_of(c, identities.issue_token(c, "submitter", "somebody"))
        assert submitter is not None
        added = adding.add(c, submitter, adding.Wish("live", "name: live", 2, {"models": ["m"]}))
        runner = c.execute(
            RUNNER.insert().values(
                handle=identities.new_handle("r"),
                token_hash=identities.hash_of(token),
                instance=secrets.token_hex(16),
                name="runner",
                hello="{}",
                registered_at=text(now),
                seen_at=now,
            )
        )
        assert runner.inserted_primary_key is not None
        c.execute(
            QUEUED.update()
            .where(QUEUED.c.id == added.id)
            .values(
                state="running",
                fence=1,
                lease_until=now + valid_s,
                runner_id=runner.inserted_primary_key[0],
            )
        )
    return Held(added.id, 1, token)


def pass_on(database: Database, lease: Held) -> Held:
    """The same runner claims it anew."""
    with database.writing() as c:
        c.execute(
            QUEUED.update().where(QUEUED.c.id == lease.queued).values(fence=QUEUED.c.fence + 1)
        )
        fence = c.scalar(sa.select(QUEUED.c.fence).where(QUEUED.c.id == lease.queued))
    return lease._replace(fence=int(fence or 0))


def end(database: Database, lease: Held, state: str = "done") -> None:
    with database.writing() as c:
        values = {"state": state, "lease_until": 0.0}
        c.execute(QUEUED.update().where(QUEUED.c.id == lease.queued).values(**values))


def phase(at: int, name: str = "window") -> dict[str, Any]:
    return {"k": "phase", "at": at, "phase": name}


def power(at: int, w: float = 100.0) -> dict[str, Any]:
    return {
        "k": "power",
        "at": at,
        "device": "gpu0",
        "device_class": "gpu",
        "estimated": False,
        "w": w,
        "j": w * 2,
        "window_j": None,
    }


def event(raw: dict[str, Any]) -> LiveEvent:
    """As a batch has it."""
    import json

    read: TypeAdapter[LiveEvent] = TypeAdapter(LiveEvent)
    return read.validate_json(json.dumps(raw))
