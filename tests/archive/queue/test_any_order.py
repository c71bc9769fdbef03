"""Claims, heartbeats, expiries, ends and cancellations in any order: held against a plain model."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lem.archive.database import open_database
from lem.archive.packs import Packs
from lem.archive.queue import adding, leases, listing, runners
from lem.archive.queue.leases import LEASE_S, MAX_TRIES
from lem.archive.queue.tables import CLAIM, QUEUED
from lem.archive.refused import Refused
from tests.archive.conftest import Archive
from tests.archive_queue import Queue

OUTCOMES = ("done", "failed", "cancelled", "declined", "unfit", "released")


class Model:
    """What a campaign should be."""

    def __init__(self) -> None:
        self.state = "queued"
        self.fence = 0
        self.holder: int | None = None
        self.until = 0.0
        self.tries = 0
        self.cancelling = False
        self.whole = False
        self.declined: set[int] = set()
        self.said_failed: set[int] = set()
        self.holders: list[int] = []

    def held(self, now: float) -> bool:
        return self.state == "running" and now < self.until

    def back(self, counts: bool = True) -> None:
        self.tries = self.tries if counts else max(0, self.tries - 1)
        self.state = "queued"
        if self.cancelling:
            self.state = "cancelled"
        elif self.tries >= MAX_TRIES:
            tried = set(self.holders[-MAX_TRIES:])
            others = {0, 1, 2} - self.declined - {self.holders[-1]}
            if len(tried) > 1 or not others:
                self.state = "failed"
            else:
                self.declined |= tried
                self.tries = 0

    def expire(self, now: float) -> None:
        if self.state == "running" and now >= self.until:
            self.back()


class AnyOrder(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.folder = TemporaryDirectory()
        at = Path(self.folder.name)
        database = open_database(None, at)
        database.migrate()
        self.queue = Queue(Archive(database, Packs(at / "packs"), ""))
        self.ada = self.queue.person()
        self.boxes = [self.queue.machine() for _ in range(3)]
        self.models: dict[str, Model] = {}

    def teardown(self) -> None:
        if hasattr(self, "queue"):
            self.queue.database.close()
            self.folder.cleanup()

    def one(self, data: Any) -> tuple[str, Model] | None:
        return data.draw(st.sampled_from(list(self.models.items()))) if self.models else None

    @rule()
    def add(self) -> None:
        open_ = sum(m.state in ("queued", "running") for m in self.models.values())
        try:
            self.models[self.queue.add(self.ada)] = Model()
            assert open_ < adding.MAX_OPEN
        except Refused as e:
            assert e.reason == "too_many_campaigns" and open_ == adding.MAX_OPEN

    @rule(seconds=st.sampled_from([0.5, LEASE_S / 2, LEASE_S - 0.5, LEASE_S, 2 * LEASE_S]))
    def wait(self, seconds: float) -> None:
        self.queue.now += seconds

    @rule(box=st.integers(0, 2))
    def claim(self, box: int) -> None:
        claimed = self.queue.claim(self.boxes[box])
        now = self.queue.now
        for model in self.models.values():
            model.expire(now)
        again = None
        for id, model in self.models.items():
            if model.held(now) and model.holder == box:
                model.back()
                again = id if model.state == "queued" else None
        may = [
            id
            for id, m in self.models.items()
            if m.state == "queued" and box not in m.declined and again in (None, id)
        ]
        if claimed is None:
            assert may == []
            return
        assert claimed.queued in may
        model = self.models[claimed.queued]
        assert claimed.fence == model.fence + 1
        model.state, model.holder, model.until = "running", box, now + LEASE_S
        model.fence, model.tries = claimed.fence, model.tries + 1
        model.holders.append(box)

    @rule(data=st.data(), box=st.integers(0, 2), older=st.integers(0, 1))
    def heartbeat(self, data: Any, box: int, older: int) -> None:
        if (found := self.one(data)) is None:
            return
        id, model = found
        fence = model.fence - older
        holds = model.held(self.queue.now) and model.holder == box and not older
        try:
            standing = self.queue.heartbeat(self.boxes[box], id, fence)
            assert holds and standing.cancel == model.cancelling
            model.until = self.queue.now + LEASE_S
        except Refused as e:
            assert e.reason == "lease_lost" and not holds

    @rule(data=st.data(), box=st.integers(0, 2))
    def submit(self, data: Any, box: int) -> None:
        if (found := self.one(data)) is None:
            return
        id, model = found
        machine = self.boxes[box]
        holds = model.held(self.queue.now) and model.holder == box
        try:
            with self.queue.database.queueing() as c:
                lease = leases.lease_of(c, id, model.fence, machine.token_hash, self.queue.now)
                leases.block_submitted(c, lease, runners.models_of(lease.hello))
            assert holds
            model.tries = 0
        except Refused as e:
            assert e.reason == "lease_lost" and not holds

    @rule(data=st.data())
    def whole(self, data: Any) -> None:
        if (found := self.one(data)) is not None and not found[1].whole:
            self.queue.archived(found[0])
            found[1].whole = True

    @rule(data=st.data(), box=st.integers(0, 2), outcome=st.sampled_from(OUTCOMES))
    def finish(self, data: Any, box: int, outcome: str) -> None:
        if (found := self.one(data)) is None or not found[1].fence:
            return
        id, model = found
        holds = model.held(self.queue.now) and model.holder == box
        before = model.state
        try:
            state = self.queue.finish(self.boxes[box], id, model.fence, outcome)
        except Refused as e:
            assert e.reason == "lease_lost" and not holds
            return
        if not holds:
            # The same once more.
            assert state == before
            return
        if outcome in ("declined", "unfit", "failed"):
            model.declined.add(box)
        alone = len(model.declined) == len(self.boxes) or model.said_failed - {box}
        if outcome == "failed":
            model.said_failed.add(box)
        if (outcome == "failed" and alone) or (outcome == "done" and model.whole):
            model.state = outcome
        else:
            model.back(counts=outcome not in ("declined", "unfit", "failed"))
        assert state == model.state

    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        if (found := self.one(data)) is None:
            return
        id, model = found
        self.queue.cancel(id, self.ada)
        if model.held(self.queue.now):
            model.cancelling = True
        elif model.state in ("queued", "running"):
            model.state = "cancelled"

    @rule()
    def expire(self) -> None:
        self.queue.expire()
        for model in self.models.values():
            model.expire(self.queue.now)

    @invariant()
    def everything_is_as_it_should_be(self) -> None:
        if not hasattr(self, "queue"):
            return
        with self.queue.database.reading() as c:
            rows = {row.id: row for row in c.execute(QUEUED.select())}
            places = listing.positions(c)
            open_claims = c.execute(CLAIM.select().where(CLAIM.c.outcome.is_(None))).all()
        assert rows.keys() == self.models.keys()
        for id, model in self.models.items():
            row = rows[id]
            assert (row.state, row.fence) == (model.state, model.fence)
            if model.state in ("queued", "running"):
                assert row.tries == model.tries
        waiting = [id for id, m in self.models.items() if m.state == "queued"]
        assert sorted(places.values()) == list(range(1, len(waiting) + 1))
        assert places.keys() == set(waiting)
        running = {rows[i].seq for i, m in self.models.items() if m.state == "running"}
        assert {claim.queued_seq for claim in open_claims} == running
        assert len(open_claims) == len(running)


AnyOrder.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=40,
    deadline=None,
    # To find the shortest way to a failure would take minutes of transactions.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
test_any_order = AnyOrder.TestCase
