"""``python -m bench queue``: claims a second, with eight runners at once, on both databases."""

import statistics
from collections.abc import Iterator
from pathlib import Path

from bench.archive.report import Sizes, postgres
from bench.measure import Line
from bench.queue import claiming
from lem.archive.database import open_database

RUNNERS = 8
CAMPAIGNS = 1000
"""As many as a queue takes."""
ROUNDS = 3
GOAL = "≥ 200 claims/s, none twice"
YAML = "version: 1\n" + "# as long as campaigns are\n" * 40


def lines(folder: Path, sizes: Sizes) -> Iterator[Line]:
    """PostgreSQL is started here, and stopped."""
    del sizes
    with postgres() as url:
        if url is None:
            yield Line("queue on PostgreSQL", "not here: apt-get install postgresql")
        else:
            yield _line("PostgreSQL", url, folder)
    yield _line("SQLite", None, folder / "sqlite")


def _line(name: str, url: str | None, data: Path) -> Line:
    data.mkdir(exist_ok=True)
    database = open_database(url, data)
    database.migrate()
    workers = claiming.runners(database, RUNNERS)
    rates, ratios, seconds, same = [], [], [], 0
    for _ in range(ROUNDS):
        with database.writing() as c:
            c.exec_driver_sql("DELETE FROM claim")
        claiming.fill(database, CAMPAIGNS, 100, YAML)
        taken = claiming.claimed(url, data, workers)
        bare = claiming.bare(url, data, workers, 2 * CAMPAIGNS // RUNNERS)
        rates.append(taken.number / taken.seconds)
        ratios.append(taken.seconds / bare.seconds)
        seconds += taken.claims
        same += taken.same
    database.close()
    slow = statistics.quantiles(seconds, n=100)[98] * 1000
    return Line(
        f"{name}: {CAMPAIGNS} campaigns claimed and finished by {RUNNERS} processes",
        f"{statistics.median(rates):,.0f} claims/s ({min(rates):,.0f}–{max(rates):,.0f}); "
        f"a claim {statistics.median(seconds) * 1000:.0f} ms, 99 % within {slow:.0f} ms; "
        f"{same} given out twice",
        f"{statistics.median(ratios):.1f} × the time of as many transactions of one UPDATE",
        GOAL,
    )
