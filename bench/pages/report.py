"""``python -m bench pages``: how long pages take in a server, and in a browser."""

import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.archive import serving
from bench.archive.report import Sizes, milliseconds, postgres, settle
from bench.measure import Line
from bench.pages import asked, browsing, changed, server
from lem.archive.database import Database, open_database
from lem.archive.packs import Packs
from lem.archive.synthetic.fill import fill
from lem.server.warming import LOOKS_S

GOAL = "p95 ≤ 60 ms"
SETTLED_S = 3 * LOOKS_S
WHOLE = 10
"""Times four campaigns with all that belongs to them: each is looked at for several metrics."""
VISITS = 3
CHANGES = 10
FIRST = ("", "explore", "attribution", "everyday", "stories", "stories/the-same-answer", "method")


def lines(folder: Path, sizes: Sizes) -> Iterator[Line]:
    with postgres() as url:
        if url is None:
            yield Line("pages on PostgreSQL", "not here: apt-get install postgresql")
        else:
            yield from _of("PostgreSQL", url, folder / "postgresql", sizes)
    yield from _of("SQLite", None, folder / "sqlite", sizes)


def _of(name: str, url: str | None, data: Path, sizes: Sizes) -> Iterator[Line]:
    data.mkdir()
    database = open_database(url, data)
    database.migrate()
    fill(database, sizes.runs, sizes.configurations)
    packs = Packs(data / "packs")
    _add_whole_campaigns(database, packs, data)
    if url is not None:
        settle(database)
    with serving.served(url, data) as address:
        yield from _server(name, address, database, packs, sizes)
        if url is None:
            yield from _browser(address)
    database.close()


def _add_whole_campaigns(database: Database, packs: Packs, folder: Path) -> None:
    """What is made up in bulk has no records: pages that show them are of these."""
    from tests.archive.conftest import Archive
    from tests.browser.archives import lively

    lively(Archive(database, packs, ""), folder, WHOLE)


def _server(
    name: str, address: str, database: Database, packs: Packs, sizes: Sizes
) -> Iterator[Line]:
    (first, again), _ = server.asked(address, ["/", "/"])
    yield Line(
        f"{name}: home, with {sizes.runs:,} runs of {sizes.configurations:,} configurations",
        f"first {1000 * first:.0f} ms (the board is read then), again {1000 * again:.1f} ms",
        "made once for each state of the archive",
    )
    # What the server reads by itself as soon as it is there would slow down the first ones only.
    time.sleep(SETTLED_S)
    for kind, addresses in asked.pages(database, packs, sizes.questions).items():
        seconds, bytes_sent = server.asked(address, addresses)
        beside = f"{len(seconds)} different ones, {statistics.median(bytes_sent) / 1000:.0f} kB"
        yield Line(f"{name}: {kind}", milliseconds(seconds), beside, GOAL)
    for path in FIRST:
        at_once = changed.first_answers(address, database, f"/{path}", CHANGES)
        later = changed.first_answers(address, database, f"/{path}", CHANGES, 2 * LOOKS_S)
        repeated, _ = server.asked(address, [f"/{path}"] * CHANGES)
        beside = (
            f"at once after the change: {milliseconds(at_once)}; "
            f"asked again, until it changes: {1000 * statistics.median(repeated):.1f} ms"
        )
        what = f"{name}: /{path}, first asked {2 * LOOKS_S:.0f} s after the archive changed"
        yield Line(what, milliseconds(later), beside, GOAL)


def _browser(address: str) -> Iterator[Line]:
    from tests.browser import chromium

    if chromium.program() is None:
        yield Line("pages in a browser", f"not here: {chromium.HOW}")
        return
    with chromium.opened() as browser:
        browsing.first_visit(browser, f"{address}/")
        for path in FIRST:
            times = [browsing.first_visit(browser, f"{address}/{path}") for _ in range(VISITS)]
            yield Line(f"LCP of /{path}", _ms(times), f"{browsing.SLOWER} × slower", "≤ 1000 ms")
        visits = [browsing.exploring(browser, address) for _ in range(VISITS)]
        for action in browsing.ACTIONS:
            times = [v.interactions[action] for v in visits]
            yield Line(f"INP: {action}", _ms(times), f"{browsing.SLOWER} × slower", "≤ 100 ms")


def _ms(times: Sequence[float]) -> str:
    return f"{statistics.median(times):.0f} ms ({min(times):.0f}–{max(times):.0f})"
