"""Runners, server and database are killed at random moments while campaigns go through the queue
and somebody watches.

Afterwards every campaign is complete, each of its runs counts once, the summaries are what they
would be if made anew, and whoever watched has seen each batch of the recording, once and as it is
there. ``LEM_KILL_ROUNDS`` says how often (100 and more before a release; a few here).
"""

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from postgres_killed import cluster, kill_postgres, start_postgres  # noqa: F401

from lem.archive import log, rebuild
from lem.archive.database import open_database
from lem.archive.queue.tables import QUEUED
from lem.archive.schema import CAMPAIGN, RUN
from tests.runner.machine import Machine, campaign, wait
from tests.runner.place import Place

ROUNDS = int(os.environ.get("LEM_KILL_ROUNDS", "4"))
BLOCKS = 3
SWEEP = [1, 4]
KINDS = ["runner", "runner", "server", "database"]
DEAD_S = 45.0
"""Longer than a lease: another runner goes on."""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300 + 30 * ROUNDS)]


def insist(what: Callable[[], Any], seconds: float = 90) -> Any:
    """Its answer, once server and database are there again."""
    until = time.monotonic() + seconds
    while True:
        try:
            return what()
        except (httpx.HTTPError, AssertionError) as error:
            # Away, or asked too often.
            away = isinstance(error, httpx.HTTPError) or '"status":5' in str(error)
            if time.monotonic() > until or not (away or '"status":429' in str(error)):
                raise
            time.sleep(0.1 if away else 5)


class Watching(threading.Thread):
    """Reads a campaign's events until its end, over as many connections as that takes."""

    def __init__(self, url: str, queued: str) -> None:
        super().__init__(daemon=True)
        self.address = f"{url}/api/v1/campaigns/{queued}/events"
        self.queued = queued
        self.batches: list[tuple[int, Any]] = []
        self.is_over = False
        self.connections = 0
        self.last = ""

    def run(self) -> None:
        while not self.is_over:
            try:
                self._read()
            except httpx.HTTPError as error:
                self.last = repr(error)
            time.sleep(0.1)

    def _read(self) -> None:
        headers = {"Last-Event-ID": str(self._known())}
        with httpx.stream("GET", self.address, headers=headers, timeout=20) as answer:
            self.last = f"{answer.status_code}"
            if answer.status_code != 200:
                return
            self.connections += 1
            number, kind = 0, ""
            for line in answer.iter_lines():
                if line.startswith("id:"):
                    number = int(line[3:])
                elif line.startswith("event:"):
                    kind = line[6:].strip()
                elif line.startswith("data:") and kind == "end":
                    self.is_over = int(line[5:]) == self._known()
                    return
                elif line.startswith("data:") and number:
                    self.batches.append((number, json.loads(line[5:])))
                    number = 0
                elif not line:
                    number, kind = 0, ""

    def _known(self) -> int:
        return self.batches[-1][0] if self.batches else 0


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_run_counts_once_whatever_is_killed(
    kind: str,
    tmp_path: Path,
    machines: Callable[..., Machine],
    request: pytest.FixtureRequest,
) -> None:
    chance = random.Random(f"{kind} {ROUNDS}")
    database = request.getfixturevalue("cluster") if kind == "postgresql" else None
    url = None if database is None else database.new_database()
    place = Place(tmp_path, {} if url is None else {"LEM_DATABASE_URL": url})
    pair = [
        machines("a", place.url, place.runner_token),
        machines("b", place.url, place.token("runner", "another runner")),
    ]
    for machine in pair:
        machine.start()
    dead: dict[int, float] = {}
    """Of machines that stay away for now, until when."""
    watched: list[Watching] = []

    def add() -> None:
        spec = campaign(
            name=f"number-{len(watched)}",
            measure={**campaign()["measure"], "blocks": BLOCKS},
            sweep={"engine.max_batch_size": [n + len(watched) for n in SWEEP]},
        )
        queued = insist(lambda: place.queue(spec))
        watched.append(Watching(place.url, queued))
        watched[-1].start()

    def state(queued: str) -> str:
        return str(insist(lambda: place.state(queued)))

    def is_final(one: Watching) -> bool:
        return state(one.queued) in ("done", "failed", "cancelled")

    def mend() -> None:
        """Start what does not run, but for who is to stay away."""
        if database is not None:
            start_postgres(database)
        for n, machine in enumerate(pair):
            assert machine.process is not None
            if dead.get(n, 0.0) < time.monotonic() and machine.process.poll() is not None:
                machine.start()

    add()
    killed: Counter[str] = Counter()
    try:
        for _ in range(ROUNDS):
            if sum(not is_final(one) for one in watched) < 2:
                add()
            time.sleep(chance.uniform(0.05, 2.5))
            what = chance.choice(
                ["runner", "runner", "server", *(["database"] if database else [])]
            )
            killed[what] += 1
            if what == "runner":
                n = chance.randrange(2)
                pair[n].kill()
                if not dead and chance.random() < 0.2:
                    dead[n] = time.monotonic() + DEAD_S
            elif what == "server":
                place.restart()
            else:
                assert database is not None
                kill_postgres(database, chance)
            dead = {n: until for n, until in dead.items() if until > time.monotonic()}
            mend()
        until = time.monotonic() + 240
        while not all(is_final(one) for one in watched):
            assert time.monotonic() < until, "\n".join(m.said()[-3000:] for m in pair)
            mend()
            time.sleep(0.3)
        for one in watched:
            one.join(60)
            assert not one.is_alive(), (one.last, one.batches[-1:])
        states = Counter(state(one.queued) for one in watched)
        recordings = {
            one.queued: insist(lambda q=one.queued: recording(place, q)) for one in watched
        }
        for machine in pair:
            if machine.process is not None and machine.process.poll() is None:
                wait(machine, machine.has_registered, "runner that registered")
                assert machine.end() == 0, machine.said()[-3000:]
    finally:
        place.process.process.send_signal(signal.SIGTERM)
        place.process.process.wait(60)
    print(dict(killed), dict(states), sum(one.connections for one in watched), "connections")
    for one in watched:
        numbers = [number for number, _ in one.batches]
        assert numbers == list(range(1, len(numbers) + 1))
        assert [events for _, events in one.batches] == recordings[one.queued]
    opened = open_database(url, place.data)
    with opened.reading() as c:
        for one in watched:
            row = c.execute(sa.select(QUEUED).where(QUEUED.c.id == one.queued)).one()
            # Begun too often without a block of it, which is a word to its owner, not a figure.
            assert row.state == "done" or (row.state == "failed" and "begun" in row.reason), row
            counted = c.execute(
                sa.select(RUN.c.block, RUN.c.arm)
                .join(CAMPAIGN, CAMPAIGN.c.id == RUN.c.campaign_id)
                .where(CAMPAIGN.c.queued == one.queued, RUN.c.counted)
            ).all()
            if row.state == "done":
                every = [(b, a) for b in range(BLOCKS) for a in range(len(SWEEP))]
                assert sorted((r.block, r.arm) for r in counted) == every
            else:
                assert len(set(counted)) == len(counted)
        assert states["done"] >= len(watched) - ROUNDS // 10 - 1
        entries = list(log.entries(c, 0, 10**6))
        assert log.verify(entries).seq == len(entries)
    assert rebuild.differences(opened) == []
    opened.close()


def recording(place: Place, queued: str) -> list[Any]:
    """The events of each batch of it."""
    answer = httpx.get(f"{place.url}/api/v1/campaigns/{queued}/recording", timeout=30)
    assert answer.status_code == 200, answer.text
    return [json.loads(line)[2] for line in answer.text.splitlines()]
