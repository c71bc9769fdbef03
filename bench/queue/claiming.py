"""Many runners that claim a campaign each, several at once; or as many of the smallest transactions
there are, to know what machine and disk allow.

On PostgreSQL eight processes claim, as servers beside each other do; on SQLite eight threads of one
process, as there is one server then.
"""

import multiprocessing
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from lem.archive import identities
from lem.archive.database import Database, open_database
from lem.archive.queue import leases
from lem.archive.queue.claims import claim
from lem.archive.queue.runners import MAX_RUNNERS, register
from lem.archive.queue.tables import CLAIM, QUEUED, RUNNER
from lem.contract.queue import Accepts, Hardware, Hello

Runner = tuple[str, str]
"""Its handle, and its token's hash."""


class Taken(NamedTuple):
    """``seconds``: from when all were ready until the last had ended. ``each``: seconds of each
    transaction. ``same``: campaigns that were given out more than once."""

    number: int
    seconds: float
    each: list[float]
    same: int


def fill(database: Database, campaigns: int, people: int, yaml: str) -> None:
    """A queue of so many campaigns."""
    with database.writing() as c:
        owners = [identities.new_person(c, f"person {n}", "open") for n in range(people)]
        rows = [
            {
                "turn": n,
                "id": f"q{n:020x}",
                "person_id": owners[n % people],
                "owner": f"{n:016x}",
                "campaign": f"{n:064x}",
                "name": "bench",
                "yaml": yaml,
                "experiments": 2,
                "wanted": {"models": [], "backends": []},
                "archived": True,
                "state": "queued",
                "created_at": leases.text(0),
            }
            for n in range(campaigns)
        ]
        c.execute(CLAIM.delete())
        c.execute(QUEUED.delete())
        c.execute(QUEUED.insert(), rows)
        # As the database does by itself within a minute.
        c.exec_driver_sql("ANALYZE")


def runners(database: Database, number: int) -> list[Runner]:
    """So many that are registered."""
    tokens = -(-number // MAX_RUNNERS)
    with database.writing() as c:
        made = [identities.issue_token(c, "runner", f"bench {n}") for n in range(tokens)]
        identity = identities.new_identity(c, "bench", "open")
        key = identities.add_key(c, identity, bytes(32))
    found = []
    for n in range(number):
        said = Hello(
            instance=f"{n:032x}",
            name=f"bench {n}",
            lem_version="bench",
            key=key,
            launcher="process",
            hardware=Hardware(cpu="bench", cores=1, memory_bytes=0),
            accepts=Accepts(models=["*"], backends=["transformers"]),
        )
        digest = identities.hash_of(made[n % tokens])
        with database.queueing() as c:
            found.append((register(c, said, digest), digest))
    return found


def claims(database: Database, own: Sequence[Runner], ready: Callable[[], Any]) -> "Told":
    """Each of these runners claims one."""

    def one(runner: Runner) -> str:
        with database.queueing() as c:
            found = claim(c, *runner).claimed
        return "" if found is None else found.queued

    return _timed(one, own, ready)


def updates(database: Database, own: Sequence[Runner], ready: Callable[[], Any]) -> "Told":
    """A transaction for each of these runners that changes its row."""

    def one(runner: Runner) -> str:
        with database.queueing() as c:
            mine = RUNNER.update().where(RUNNER.c.handle == runner[0])
            c.execute(mine.values(seen_at=sa.literal(leases.moment(c))))
        return runner[0]

    return _timed(one, own, ready)


class Told(NamedTuple):
    ids: list[str]
    took: list[float]
    begin: float
    end: float


def _timed(one: Callable[[Runner], str], own: Sequence[Runner], ready: Callable[[], Any]) -> Told:
    ids, took = [], []
    ready()
    begin = time.time()
    for runner in own:
        start = time.perf_counter()
        ids.append(one(runner))
        took.append(time.perf_counter() - start)
    return Told(ids, took, begin, time.time())


Work = Callable[[Database, Sequence[Runner], Callable[[], Any]], Told]


def at_once(
    work: Work, url: str | None, data: Path, every: Sequence[Runner], workers: int
) -> Taken:
    """The work of all these runners, by so many processes (on SQLite: threads) at once."""
    parts = [every[n::workers] for n in range(workers)]
    told = _threads(work, data, parts) if url is None else _processes(work, url, data, parts)
    given = Counter(id for one in told for id in one.ids if id)
    return Taken(
        sum(given.values()),
        max(one.end for one in told) - min(one.begin for one in told),
        [seconds for one in told for seconds in one.took],
        sum(n > 1 for n in given.values()),
    )


def _threads(work: Work, data: Path, parts: Sequence[Sequence[Runner]]) -> list[Told]:
    database = open_database(None, data)
    barrier = threading.Barrier(len(parts))
    with ThreadPoolExecutor(len(parts)) as pool:
        told = list(pool.map(lambda part: work(database, part, barrier.wait), parts))
    database.close()
    return told


def _processes(work: Work, url: str, data: Path, parts: Sequence[Sequence[Runner]]) -> list[Told]:
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        ready = manager.Barrier(len(parts))
        with context.Pool(len(parts)) as pool:
            tasks = [(work, url, data, part, ready) for part in parts]
            return pool.starmap(_process, tasks, chunksize=1)


def _process(work: Work, url: str, data: Path, part: Sequence[Runner], ready: Any) -> Told:
    database = open_database(url, data)
    # Connected, and its statements known: a server has done that long ago.
    with database.queueing() as c:
        leases.moment(c)
    told = work(database, part, ready.wait)
    database.close()
    return told
