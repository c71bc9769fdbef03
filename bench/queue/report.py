"""``python -m bench queue``: claims a second, eight at once, on both databases."""

import statistics
from collections.abc import Iterator
from pathlib import Path

from bench.archive.report import Sizes, postgres
from bench.measure import Line
from bench.queue import claiming
from lem.archive.database import open_database

AT_ONCE = 8
CAMPAIGNS = 1000
"""As many as a queue takes, and as many runners."""
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
            yield _line("PostgreSQL", "processes", url, folder)
    yield _line("SQLite", "threads of a server", None, folder / "sqlite")


def _line(name: str, what: str, url: str | None, data: Path) -> Line:
    data.mkdir(exist_ok=True)
    database = open_database(url, data)
    database.migrate()
    runners = claiming.runners(database, CAMPAIGNS)
    rates: list[float] = []
    ratios: list[float] = []
    each: list[float] = []
    same = 0
    for _ in range(ROUNDS):
        claiming.fill(database, CAMPAIGNS, 100, YAML)
        taken = claiming.at_once(claiming.claims, url, data, runners, AT_ONCE)
        bare = claiming.at_once(claiming.updates, url, data, runners, AT_ONCE)
        assert taken.number == CAMPAIGNS
        rates.append(taken.number / taken.seconds)
        ratios.append(taken.seconds / bare.seconds)
        each += taken.each
        same += taken.same
    database.close()
    slow = statistics.quantiles(each, n=100)[98] * 1000
    return Line(
        f"{name}: {CAMPAIGNS:,} campaigns claimed by {CAMPAIGNS:,} runners, by {AT_ONCE} {what}",
        f"{statistics.median(rates):,.0f} claims/s ({min(rates):,.0f}–{max(rates):,.0f}); "
        f"a claim {statistics.median(each) * 1000:.0f} ms, 99 % within {slow:.0f} ms; "
        f"{same} given out twice",
        f"{statistics.median(ratios):.1f} × the time of as many transactions of one UPDATE",
        GOAL,
    )
