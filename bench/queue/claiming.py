"""Runners in processes of their own that claim campaigns and finish them, until none is left; or
that do as many of the smallest transactions there are, to know what the disk allows."""

import multiprocessing
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa

from lem.archive import identities
from lem.archive.database import Database, open_database
from lem.archive.queue import leases
from lem.archive.queue.claims import claim
from lem.archive.queue.runners import register
from lem.archive.queue.tables import QUEUED, RUNNER
from lem.contract.queue import Accepts, Finish, Hardware, Hello


class Taken(NamedTuple):
    """``seconds``: from when all were ready until the last had ended. ``claims``: seconds of each
    claim. ``same``: campaigns that were given out more than once."""

    number: int
    seconds: float
    claims: list[float]
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
        c.execute(QUEUED.delete())
        c.execute(QUEUED.insert(), rows)


def runners(database: Database, number: int) -> list[tuple[str, str]]:
    """Handles and hashes of tokens."""
    with database.writing() as c:
        tokens = [identities.issue_token(c, "runner", f"bench {n}") for n in range(number)]
        identity = identities.new_identity(c, "bench", "open")
        key = identities.add_key(c, identity, bytes(32))
    found = []
    for n, token in enumerate(tokens):
        said = Hello(
            instance=f"{n:032x}",
            name=f"bench {n}",
            lem_version="bench",
            key=key,
            launcher="process",
            hardware=Hardware(cpu="bench", cores=1, memory_bytes=0),
            accepts=Accepts(models=["*"], backends=["transformers"]),
        )
        digest = identities.hash_of(token)
        with database.queueing() as c:
            found.append((register(c, said, digest), digest))
    return found


def claimed(url: str | None, data: Path, workers: Sequence[tuple[str, str]]) -> Taken:
    """All that wait, claimed and finished."""
    told = _together(_claims, [(url, data, *worker) for worker in workers])
    given = Counter(id for ids, *_ in told for id in ids)
    return Taken(
        sum(given.values()),
        _span(told),
        [s for _, took, *_ in told for s in took],
        sum(n > 1 for n in given.values()),
    )


def bare(url: str | None, data: Path, workers: Sequence[tuple[str, str]], each: int) -> Taken:
    """``each`` transactions of every worker that change one row of their own."""
    told = _together(_updates, [(url, data, handle, each) for handle, _ in workers])
    return Taken(each * len(workers), _span(told), [s for _, took, *_ in told for s in took], 0)


def _span(told: Sequence[tuple[list[str], list[float], float, float]]) -> float:
    return max(end for *_, end in told) - min(begin for *_, begin, _ in told)


def _together(work: Any, arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        ready = manager.Barrier(len(arguments))
        with context.Pool(len(arguments)) as pool:
            return pool.starmap(work, [(ready, *a) for a in arguments], chunksize=1)


def _claims(
    ready: Any, url: str | None, data: Path, handle: str, digest: str
) -> tuple[list[str], list[float], float, float]:
    database = open_database(url, data)
    ids: list[str] = []
    took: list[float] = []
    ready.wait()
    begin = time.time()
    while True:
        start = time.perf_counter()
        with database.queueing() as c:
            found = claim(c, handle, digest).claimed
        if found is None:
            break
        took.append(time.perf_counter() - start)
        ids.append(found.queued)
        done = Finish(queued=found.queued, fence=found.fence, outcome="done")
        with database.queueing() as c:
            leases.finish(c, done, digest)
    end = time.time()
    database.close()
    return ids, took, begin, end


def _updates(
    ready: Any, url: str | None, data: Path, handle: str, each: int
) -> tuple[list[str], list[float], float, float]:
    database = open_database(url, data)
    took: list[float] = []
    mine = RUNNER.update().where(RUNNER.c.handle == handle)
    ready.wait()
    begin = time.time()
    for n in range(each):
        start = time.perf_counter()
        with database.queueing() as c:
            c.execute(mine.values(seen_at=sa.literal(float(n))))
        took.append(time.perf_counter() - start)
    end = time.time()
    database.close()
    return [], took, begin, end
