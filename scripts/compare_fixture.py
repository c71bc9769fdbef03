"""Writes web/tests/fixtures/compare.json: a made-up archive as a static site's index, what its
own comparisons say across campaigns, one comparison within a campaign, and normal quantiles. The
browser's code is tested against these.

    python scripts/compare_fixture.py [--check]
"""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from statistics import NormalDist
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "web/tests/fixtures/compare.json"
sys.path.insert(0, str(ROOT))

from lem.archive import bulk  # noqa: E402
from lem.archive.database import Database, open_database  # noqa: E402
from lem.archive.packs import Packs  # noqa: E402
from lem.archive.queries.compare import CompareQuestion, Comparison, compare  # noqa: E402
from lem.archive.queries.explore_index import explore_index  # noqa: E402
from lem.archive.refused import Refused  # noqa: E402
from lem.archive.schema import CONFIG, HEADLINE  # noqa: E402
from lem.pages.comparison import said  # noqa: E402
from tests import archive_queries, archive_rows  # noqa: E402

NUMBERS = (0, 1, 2, 3, 4, 5, 6, 7, 13)
"""Of the configurations: 6 and 13 have estimates."""
LEVELS = (0.5, 0.5004, 0.31, 0.3, 0.42, 1.9, 0.0213, 0.11, 0.5)
"""Their joules per token, each in a campaign of its own."""
RELATIVE_U = (0.001, 0.001, 0.03, 0.02, 0.04, 1.3, 0.3, 0.05, 0.5)
BLOCKS = (5, 5, 4, 6, 2, 4, 3, 5, 4)
"""Of two there is no interval."""
WITHOUT_NLL = (4, 5)
OTHER_METER = 3
WITHOUT_ENERGY = 7
"""Places among them, these three."""
PROBABILITIES = (1e-12, 1e-6, 0.001, 0.025, 0.07, 0.2, 0.5, 0.6, 0.9, 0.975, 0.9875, 0.99, 1 - 1e-9)


def separate(database: Database) -> None:
    """Configurations that never ran side by side."""
    rows = []
    with database.writing() as c:
        origins = [archive_rows.origin(c, n) for n in range(len(LEVELS))]
    for n, (level, u, blocks) in enumerate(zip(LEVELS, RELATIVE_U, BLOCKS, strict=True)):
        what = archive_queries.config(NUMBERS[n])
        if n == OTHER_METER:
            what = what._replace(meter_class="rapl")
        for block in range(blocks):
            value = level * (1 + 0.0005 * (-1) ** block * (1 + 0.3 * block))
            run = archive_rows.run(origins[n], what, block, value, u * value, tier=1 + n % 3)
            figures = list(run.figures)
            figures[HEADLINE.index("nll_per_token")] = None if n in WITHOUT_NLL else 2.5
            if n == WITHOUT_ENERGY:
                figures[HEADLINE.index("energy_per_output_token_j")] = None
            rows.append(run._replace(number=block, figures=tuple(figures)))
    bulk.merge(database, rows)


@contextmanager
def archive() -> Iterator[tuple[Database, Packs]]:
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(None, Path(folder))
        database.migrate()
        yield database, Packs(Path(folder) / "packs")
        database.close()


def fixture() -> dict[str, Any]:
    with archive() as (database, packs):
        separate(database)
        with database.reading() as c:
            index = explore_index(c)
            # Archives have names by chance.
            index["citation"] = "lem archive"
            hashes = c.scalars(sa.select(CONFIG.c.hash).order_by(CONFIG.c.hash)).all()
            asked = [list(pair) for pair in combinations(hashes, 2)]
            asked.append(list(hashes))
            gpu = sa.select(CONFIG.c.hash).where(CONFIG.c.energy_class == "gpu")
            alike = c.scalars(gpu.order_by(CONFIG.c.hash)).all()
            asked += [list(alike[i : i + n]) for n in (3, 4, 6) for i in range(len(alike) - n + 1)]
            answers = [_answer(c, packs, ids) for ids in asked]
    within = _within()
    normal = NormalDist()
    return {
        "index": index,
        "answers": answers,
        "within": json.loads(within.model_dump_json()),
        "quantiles": [[p, normal.inv_cdf(p)] for p in PROBABILITIES],
        "said": [said(r.ratio) for r in within.rows if r.ratio is not None],
    }


def _within() -> Comparison:
    """The first comparison of four that one campaign ran side by side."""
    with archive() as (database, packs):
        archive_queries.filled(SimpleNamespace(database=database), 12)
        with database.reading() as c:
            gpu = sa.select(CONFIG.c.hash).where(CONFIG.c.energy_class == "gpu")
            hashes = c.scalars(gpu.order_by(CONFIG.c.hash)).all()
            for ids in combinations(hashes, 4):
                found = compare(c, packs, CompareQuestion(id=list(ids)))
                ratios = [r.ratio for r in found.rows if r.ratio is not None]
                if all(r.basis == "within campaign" and r.low is not None for r in ratios):
                    return found.model_copy(update={"citation": "lem archive"})
    raise AssertionError("no four of them ran side by side")


def _answer(connection: sa.Connection, packs: Packs, ids: list[str]) -> dict[str, Any]:
    short = [one[:16] for one in ids]
    try:
        found: Comparison = compare(connection, packs, CompareQuestion(id=ids))
    except Refused as e:
        return {"ids": short, "refused": e.message}
    ratios = [row.ratio for row in found.rows]
    assert all(r is None or r.basis == "across campaigns" for r in ratios)
    return {
        "ids": short,
        "energy_class": found.energy_class,
        "notes": found.notes,
        "rows": [
            {
                "figures": [[f.metric, f.value, f.uncertainty, f.tier] for f in row.figures],
                "ratio": None if row.ratio is None else row.ratio.model_dump(),
                "said": None if row.ratio is None else said(row.ratio),
            }
            for row in found.rows
        ],
    }


def main(check: bool) -> int:
    text = json.dumps(fixture(), ensure_ascii=False, separators=(",", ":")) + "\n"
    if not check:
        FILE.parent.mkdir(parents=True, exist_ok=True)
        FILE.write_text(text, "utf-8")
        return 0
    if FILE.read_text("utf-8") == text:
        return 0
    print(f"{FILE.name} is not what the queries answer; fix: python scripts/{Path(__file__).name}")
    return 1


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
