"""Addresses of an archive's pages, each once, as readers come to them."""

from collections.abc import Iterator
from itertools import islice
from urllib.parse import urlencode

import numpy as np
import sqlalchemy as sa

from bench.archive.load import METRICS, filters
from lem.archive.database import Database
from lem.archive.packs import Packs
from lem.archive.schema import BOARD
from lem.charts.model import Target
from lem.pages.page import Reader
from lem.pages.registry import kinds
from lem.web.addresses import LiveLinks

MOST_KNOWN = 5000


def pages(database: Database, packs: Packs, count: int, seed: int = 1) -> dict[str, list[str]]:
    """What is asked → addresses: ``count`` different ones, or as many as there are. Pages that have
    one address only are not among them: a server makes them once for each state of the archive."""
    draw = np.random.default_rng(seed)
    links = LiveLinks()
    known: dict[str, list[dict[str, str]]] = {}
    with database.reading() as connection:
        reader = Reader(connection, packs)
        for kind in ("configuration", "result", "attribution"):
            found = islice(kinds()[kind].instances(reader), MOST_KNOWN)
            known[kind] = [dict(params) for params in found]
        # What is compared is of one class.
        query = sa.select(BOARD.c.hash).where(BOARD.c.energy_class == "gpu").limit(MOST_KNOWN)
        ids = [found[:16] for found in connection.scalars(query)]

    def several(kind: str, least: int, most: int) -> Iterator[str]:
        while True:
            chosen = draw.choice(ids, int(draw.integers(least, most + 1)), replace=False)
            yield links.page(Target(kind, {}, tuple(("id", str(i)) for i in chosen)))

    def filtered() -> Iterator[str]:
        while True:
            query = [*filters(draw), ("metric", str(draw.choice(METRICS)))]
            yield f"/explore?{urlencode(query)}"

    def everything() -> Iterator[str]:
        for metric in METRICS:
            for x in METRICS:
                yield f"/explore?{urlencode({'metric': metric, 'x': x, 'class': 'gpu'})}"

    def known_ones(kind: str) -> Iterator[str]:
        for at in draw.permutation(len(known[kind])):
            yield links.page(Target(kind, known[kind][at]))

    def by_metric(kind: str) -> Iterator[str]:
        every = [(metric, params) for metric in METRICS for params in known[kind]]
        for at in draw.permutation(len(every)):
            metric, params = every[at]
            yield links.page(Target(kind, params, (("metric", metric),)))

    made = {
        "explore, filtered": filtered(),
        "explore, everything": everything(),
        "configuration": known_ones("configuration"),
        "compare (2 to 6)": several("compare", 2, 6),
        "everyday (2)": several("everyday", 2, 2),
        "result": known_ones("result"),
        "attribution": by_metric("attribution"),
    }
    return {name: _different(some, count) for name, some in made.items()}


def _different(some: Iterator[str], count: int) -> list[str]:
    found: dict[str, None] = {}
    for one in islice(some, 50 * count):
        found.setdefault(one)
        if len(found) == count:
            break
    return list(found)
