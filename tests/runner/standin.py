"""A small server that speaks HTTP for real and holds one queue in memory: it stands in for ``lem
serve`` where a test wants to decide what is answered, and when."""

import base64
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import yaml

from lem.contract.base import Document
from lem.contract.live import Batch
from lem.contract.queue import Finish, Heartbeat, Hello, Wanted
from lem.submit import pack
from lem.submit.veil import campaign_of
from tests.submit import standin
from tests.submit.standin import No

TOKEN = "lem_runner_" + "t" * 40
PERSON = "p" + "0" * 20


class Nothing(Exception):
    """There is nothing to answer (204)."""


class Queued:
    def __init__(self, text: str) -> None:
        self.id = "q" + secrets.token_hex(10)
        self.text = text
        self.owner = secrets.token_hex(8)
        self.person = PERSON
        self.state = "queued"
        self.fence = 0
        self.runner = ""
        self.until = 0.0
        self.cancel = False
        self.refused: set[str] = set()
        """Runners that declined it."""
        self.later: dict[str, float] = {}
        """Runners that do not want it before then."""
        self.holders: dict[int, str] = {}
        """Fence → the runner that held it."""
        self.told: list[Finish] = []
        self.stays_open = 0
        """So many times more it waits again though its runner says that it is done."""
        self.ends: list[tuple[str, str]] = []
        self.events: list[dict[str, Any]] = []
        self.numbers: dict[int, int] = {}
        """Fence → the batch that is waited for."""


class Server(standin.Archive):
    """An archive with a queue."""

    def __init__(self) -> None:
        super().__init__()
        self.RequestHandlerClass = _Handler
        self.queued: dict[str, Queued] = {}
        self.runners: dict[str, Hello] = {}
        self.lease_s, self.heartbeat_s = 30.0, 0.5
        self.heartbeats: list[Heartbeat] = []
        self.tokens: set[str | None] = set()
        self.slow_events_s = 0.0
        self.before_submission: Callable[[], None] = lambda: None
        self.beyond_lease: list[str] = []
        """Submissions that came under no lease, or under another's."""

    def put(self, spec: dict[str, Any] | str) -> Queued:
        one = Queued(spec if isinstance(spec, str) else yaml.safe_dump(spec))
        with self.lock:
            self.queued[one.id] = one
        return one

    def places(self, one: Queued) -> list[tuple[int, str, int]]:
        """The attempts that the archive has of it."""
        campaign = campaign_of(one.owner, self.info()["board_salt"])
        return sorted(p[1:] for p in self.attempts if p[0] == campaign)

    def kinds(self, one: Queued) -> list[str]:
        return [e["k"] for e in one.events]

    def lose(self, one: Queued) -> None:
        """Take the lease away."""
        with self.lock:
            one.state, one.until, one.fence = "queued", 0.0, one.fence + 1
            one.holders[one.fence] = "another"

    # -- the contract ---------------------------------------------------------------------------

    def held(self, queued: str, fence: int) -> Queued:
        one = self.queued.get(queued)
        if one is None or (one.state, one.fence) != ("running", fence) or time.time() > one.until:
            raise No(409, "lease_lost")
        return one

    def register(self, hello: Hello) -> dict[str, Any]:
        self.public(hello.key)
        runner = "r" + hello.instance[:20]
        self.runners[runner] = hello
        return {"schema_version": 1, "runner": runner, "lease_s": self.lease_s,
                "heartbeat_s": self.heartbeat_s, "poll_s": 0.2}  # fmt: skip

    def claim(self, wanted: Wanted) -> dict[str, Any] | None:
        if wanted.runner not in self.runners:
            raise No(404, "runner_unknown")
        for one in self.queued.values():
            free = one.state == "queued" or (
                one.state == "running" and (one.until < time.time() or one.runner == wanted.runner)
            )
            if not free or wanted.runner in one.refused or wanted.queued not in (None, one.id):
                continue
            if one.later.get(wanted.runner, 0.0) > time.time():
                continue
            one.state, one.runner, one.fence = "running", wanted.runner, one.fence + 1
            one.until = time.time() + self.lease_s
            one.holders[one.fence] = wanted.runner
            others = [f for f, r in one.holders.items() if r != wanted.runner]
            return {"schema_version": 1, "queued": one.id, "fence": one.fence,
                    "others_fence": max(others, default=0), "lease_s": self.lease_s,
                    "owner": one.owner, "campaign": one.text,
                    "person": {"id": one.person, "name": "Alice"},
                    "begun": bool(self.places(one))}  # fmt: skip
        return None

    def heartbeat(self, told: Heartbeat) -> dict[str, Any]:
        self.heartbeats.append(told)
        if told.queued is None or told.fence is None:
            return {"schema_version": 1}
        one = self.held(told.queued, told.fence)
        one.until = time.time() + self.lease_s
        return {"schema_version": 1, "lease_s": self.lease_s, "cancel": one.cancel}

    def events(self, batch: Batch) -> dict[str, Any]:
        one = self.held(batch.queued, batch.fence)
        wanted = one.numbers.get(batch.fence, 0)
        if batch.number == wanted:
            one.events += [e.model_dump() for e in batch.events]
            one.numbers[batch.fence] = wanted + 1
        return {"schema_version": 1, "next": one.numbers.get(batch.fence, 0)}

    def finish(self, told: Finish) -> dict[str, Any]:
        one = self.held(told.queued, told.fence)
        one.ends.append((told.outcome, told.reason))
        one.told.append(told)
        if told.outcome == "done" and one.stays_open:
            one.state, one.stays_open = "queued", one.stays_open - 1
        elif told.outcome in ("done", "failed", "cancelled"):
            one.state = told.outcome
        else:
            one.state = "queued"
            if told.outcome != "released":
                one.refused.add(one.runner)
            if told.not_before_s is not None:
                one.later[one.runner] = time.time() + told.not_before_s
        return {"schema_version": 1, "state": one.state}

    def handover(self, query: dict[str, str]) -> dict[str, Any]:
        one = self.held(query["queued"], int(query["fence"]))
        campaign = campaign_of(one.owner, self.info()["board_salt"])
        runs, lock = [], ""
        for body in self.bodies.values():
            found = pack.read(body)
            content = found.unverified.content
            if content.campaign != campaign:
                continue
            lock = base64.b64encode(found.file(content.lock)).decode()
            for run in content.runs:
                parts = {k: getattr(run, k) for k in ("record", "failure")}
                runs.append(
                    {"block": run.block, "arm_id": run.arm_id, "attempt": run.attempt}
                    | {k: base64.b64encode(found.file(v)).decode() for k, v in parts.items() if v}
                )
        return {"schema_version": 1, "queued": one.id, "lock": lock, "runs": runs}


class _Handler(standin._Handler):
    server: Server

    def _answer(self, body: bytes) -> tuple[int, Any]:
        at = self.server
        path, _, query = self.path.removeprefix("/api/v1").partition("?")
        token = (self.headers.get("authorization") or "").removeprefix("Bearer ") or None
        if path == "/submissions":
            at.tokens.add(token)
            queued, fence = self.headers.get("lem-queued", ""), self.headers.get("lem-fence", "0")
            at.before_submission()
            try:
                one = at.held(queued, int(fence))
                theirs = pack.read(body).unverified.content.campaign
                if theirs != campaign_of(one.owner, at.info()["board_salt"]):
                    raise No(409, "lease_lost")
            except No:
                at.beyond_lease.append(queued)
                raise
        if not path.startswith("/runners/"):
            return super()._answer(body)
        at.tokens.add(token)
        if token != TOKEN:
            raise No(401, "token_unknown")
        if path == "/runners/handover":
            return 200, at.handover(dict(p.split("=") for p in query.split("&")))
        kinds: dict[str, tuple[type[Document], Any]] = {
            "/runners/register": (Hello, at.register),
            "/runners/claim": (Wanted, at.claim),
            "/runners/heartbeat": (Heartbeat, at.heartbeat),
            "/runners/events": (Batch, at.events),
            "/runners/finish": (Finish, at.finish),
        }
        kind, answer = kinds[path]
        if kind is Batch and at.slow_events_s:
            at.lock.release()
            time.sleep(at.slow_events_s)
            at.lock.acquire()
        found = answer(kind.parse(body))
        if found is None:
            raise Nothing
        return 200, found

    def _handle(self) -> None:
        try:
            super()._handle()
        except Nothing:
            self.send_response(204)
            self.end_headers()


@contextmanager
def server() -> Iterator[Server]:
    """Within, it answers at ``.url``."""
    one = Server()
    thread = threading.Thread(target=one.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield one
    finally:
        one.shutdown()
        one.server_close()
        thread.join(10)
