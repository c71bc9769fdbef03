"""``python -m bench archive``: fills archives, serves them, and says how fast they are."""

import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.archive import naive, serving, submitting
from bench.measure import Line
from lem.archive.database import Database, open_database
from lem.archive.synthetic.fill import fill


class Sizes(NamedTuple):
    """How large the archives are, and how often each thing is asked."""

    runs: int = 1_000_000
    configurations: int = 20_000
    sqlite_runs: int = 200_000
    questions: int = 200
    submissions: int = 40
    submission_blocks: int = 15
    """Of two arms: 30 runs."""
    checked_blocks: int = 3
    """Of two arms, really run."""
    window_s: int = 10
    """Of those runs; 0: a tenth of a second."""
    clients: int = 1
    """That ask at the same time."""


KINDS = (
    ("leaderboard", "leaderboard, filtered, with tier and intervals"),
    ("facets", "facets, filtered"),
    ("scatter", "scatter of all that match"),
    ("scatter of all", "scatter of every measured configuration"),
)


def lines(folder: Path, sizes: Sizes) -> Iterator[Line]:
    """The whole report. PostgreSQL is started here, and stopped."""
    with postgres() as url:
        if url is None:
            yield Line("archive on PostgreSQL", "not here: apt-get install postgresql")
        else:
            yield from _postgresql(url, folder, sizes)
    yield from _sqlite(folder / "sqlite", sizes)


def _postgresql(url: str, folder: Path, sizes: Sizes) -> Iterator[Line]:
    data = folder / "postgresql"
    data.mkdir()
    database = open_database(url, data)
    database.migrate()
    taken, seconds = fill(database, sizes.runs, sizes.configurations)
    yield Line(
        f"PostgreSQL: bulk import of {taken:,} runs, with summaries and facets",
        f"{taken / seconds:,.0f} runs/s",
        "",
        "≥ 10,000 runs/s",
    )
    settle(database)
    with serving.served(url, data) as address:
        yield from _questions("PostgreSQL", address, database, sizes, "≤ 50 ms")
        yield from submitting.lines(address, folder, sizes.submissions, sizes.submission_blocks)
    yield from submitting.checked(
        database, data, folder, sizes.checked_blocks, sizes.window_s or 0.1
    )
    database.close()


def _sqlite(data: Path, sizes: Sizes) -> Iterator[Line]:
    data.mkdir()
    database = open_database(None, data)
    database.migrate()
    configurations = max(1, sizes.configurations * sizes.sqlite_runs // sizes.runs)
    taken, seconds = fill(database, sizes.sqlite_runs, configurations)
    yield Line(f"SQLite: bulk import of {taken:,} runs", f"{taken / seconds:,.0f} runs/s", "", "–")
    with serving.served(None, data) as address:
        yield from _questions("SQLite", address, database, sizes, "≤ 100 ms")
    database.close()


def _questions(
    name: str, address: str, database: Database, sizes: Sizes, goal: str
) -> Iterator[Line]:
    serving.load(address, "leaderboard", 10, 1, seed=99)
    for kind, words in KINDS:
        taken = serving.load(address, kind, sizes.questions, sizes.clients)
        beside = ""
        if kind == "leaderboard":
            other = naive.ask(database, max(3, sizes.questions // 20))
            times = statistics.median(other) / statistics.median(taken.seconds)
            beside = f"GROUP BY over the runs: {milliseconds(other)}, {times:.0f} × as long"
        else:
            beside = (
                f"{statistics.median(taken.rows):,.0f} (most: {max(taken.rows):,}) configurations, "
                f"{statistics.median(taken.sizes) / 1000:,.0f} kB"
            )
        yield Line(f"{name}: {words}", milliseconds(taken.seconds), beside, f"p95 {goal}")


def milliseconds(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    p95 = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"p50 {1000 * statistics.median(ordered):.1f} ms, p95 {1000 * p95:.1f} ms"


def settle(database: Database) -> None:
    """What autovacuum and the checkpointer would have done after a while."""
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
        c.exec_driver_sql("SET statement_timeout = 0")
        c.exec_driver_sql("VACUUM ANALYZE")
        c.exec_driver_sql("CHECKPOINT")


@contextmanager
def postgres() -> Iterator[str | None]:
    from tests import postgres

    if postgres.programs() is None:
        yield None
        return
    with postgres.running() as server:
        yield server.new_database()
