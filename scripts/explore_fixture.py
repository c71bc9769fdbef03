"""Writes web/tests/fixtures/explore.json: a made-up archive as a static site's index, what the
archive's own queries answer about it, and figures and configurations in the pages' words. The
browser's code is tested against these.

    python scripts/explore_fixture.py [--check]
"""

import json
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "web/tests/fixtures/explore.json"
sys.path.insert(0, str(ROOT))

from lem.analysis.quantities import DIFFERENCES  # noqa: E402
from lem.archive.database import open_database  # noqa: E402
from lem.archive.queries.explore_index import explore_index  # noqa: E402
from lem.archive.queries.facets import FacetsQuestion, facets  # noqa: E402
from lem.archive.queries.leaderboard import LeaderboardQuestion, leaderboard  # noqa: E402
from lem.archive.queries.points import (  # noqa: E402
    PointRowsQuestion,
    PointsQuestion,
    point_rows,
    points,
)
from lem.archive.refused import Refused  # noqa: E402
from lem.archive.schema import CONFIG  # noqa: E402
from lem.pages import naming  # noqa: E402
from lem.web import words  # noqa: E402
from tests import archive_queries  # noqa: E402

CONFIGURATIONS = 24
Filters = list[tuple[str, str]]
QUESTIONS: list[tuple[str, str, Filters]] = [
    ("energy_per_output_token_j", "output_throughput_tokens_per_s", []),
    ("energy_per_output_token_j", "ttft_p50_s", [("tier", "recomputed")]),
    ("output_throughput_tokens_per_s", "energy_per_request_j", [("tier", "replicated")]),
    ("energy_per_request_j", "mean_power_w", [("backend", "vllm"), ("model", "org/Model-7B")]),
    ("energy_per_output_token_j", "nll_per_token", [("q", "MODEL-7"), ("load", "")]),
    ("ttft_p50_s", "itl_p99_s", [("max_batch_size", "4"), ("max_batch_size", "8.0")]),
    ("mean_power_w", "ttft_p99_s", [("class", "estimated")]),
    ("mean_power_w", "itl_p50_s", [("meter_class", "estimate")]),
    ("energy_above_idle_per_output_token_j", "itl_p50_s", [("class", "estimated")]),
    ("energy_above_idle_per_output_token_j", "itl_p50_s", []),
    ("energy_per_output_token_j", "itl_p50_s", [("args.enable_prefix_caching", "true")]),
    ("energy_per_output_token_j", "itl_p50_s", [("args.share", "0.5"), ("quantization", "")]),
    ("energy_per_output_token_j", "itl_p50_s", [("since", "2026-05-30"), ("args.name", "x1")]),
    ("energy_per_output_token_j", "itl_p50_s", [("until", "2026-05-30T20:30:00+02:00")]),
    ("nll_per_token", "energy_per_output_token_j", []),
    ("nll_per_token", "energy_per_output_token_j", [("tier", "recomputed")]),
    ("nll_per_token", "energy_per_output_token_j", [("model", "org/Model-7B")]),
    ("energy_per_output_token_j", "itl_p50_s", [("backend", "nothing")]),
    ("energy_per_output_token_j", "itl_p50_s", [("model_size", "4B to 15B")]),
    ("mean_power_w", "ttft_p50_s", [("model_size", "not said"), ("model_size", "below 1B")]),
]
VALUES: list[tuple[float, float | None, str]] = [
    (37.4, 262.5, "tokens/s"),
    (0.8365, 1.2295, "J/token"),
    (0.37, 262.5, "tokens/s"),
    (20.5, 0.41, "J/token"),
    (0.02051, 0.00041, "J/token"),
    (0.00002051, 0.00000041, "J/token"),
    (1234.5, 99.6, "J/request"),
    (1234.5, None, "J/request"),
    (0.0213, 0.0996, "s"),
    (0.0213, None, "s"),
    (1.5, 0.012, "s"),
    (481.23, 10.4, "tokens/s"),
    (-0.5, 0.25, "J/token"),
    (2.5, 0.0, "nat/token"),
    (0.0, None, "W"),
    (299.996, 0.00496, "W"),
]


def fixture(connection: sa.Connection) -> dict[str, Any]:
    index = explore_index(connection)
    # Archives have names by chance.
    index["citation"] = "lem archive"
    answers = [_answer(connection, *question) for question in QUESTIONS]
    return {"index": index, "answers": answers, "words": _words(connection)}


def _answer(connection: sa.Connection, metric: str, x: str, filters: Filters) -> dict[str, Any]:
    found: dict[str, Any] = {"metric": metric, "x": x, "filters": filters}
    counted = facets(connection, FacetsQuestion.from_query(filters))
    found["facets"] = {
        "energy_class": counted.energy_class,
        "configurations": counted.configurations,
        "classes": counted.classes,
        "dimensions": {
            name: [[c.value, c.configurations] for c in counts]
            for name, counts in counted.dimensions.items()
        },
    }
    question = LeaderboardQuestion.from_query([("metric", metric), ("limit", "500"), *filters])
    try:
        board = leaderboard(connection, question)
        found["board"] = {
            "chosen": board.chosen.model_dump(),
            "rows": [[p.rank, p.configuration.id[:16], _figure(p.figure)] for p in board.rows],
        }
    except Refused as e:
        found["board"] = {"refused": e.reason}
    found["points"] = _points(connection, [("x", x), ("y", metric), *filters])
    return found


def _points(connection: sa.Connection, asked: Filters) -> dict[str, Any]:
    columns = [("column", c) for c in ("certain", "tier", "backend", "load")]
    found = points(connection, PointsQuestion.from_query([*asked, *columns]))
    rows = [("row", str(i)) for i in range(found.points)]
    exact = point_rows(
        connection, PointRowsQuestion.from_query([*asked, ("state", found.state), *rows])
    )
    return {
        "coded": {name: c.model_dump() for name, c in found.coded.items()},
        "x": found.x.model_dump(),
        "y": found.y.model_dump(),
        "front": [m.row for m in found.front],
        "rows": [[r.configuration.id[:16], _figure(r.x), _figure(r.y)] for r in exact.rows],
    }


def _figure(figure: Any) -> list[Any]:
    return [
        figure.value,
        figure.uncertainty,
        figure.why_no_uncertainty,
        figure.runs,
        figure.submitters,
        figure.tier,
    ]


def _words(connection: sa.Connection) -> dict[str, Any]:
    figures = [
        SimpleNamespace(metric=metric, value=v, uncertainty=u, unit=unit)
        for metric in ("energy_per_output_token_j", *DIFFERENCES[:1])
        for v, u, unit in VALUES
    ]
    said = [words.figure(f) for f in figures]
    energies = [f for f in figures if f.unit == "J/token"]
    board = leaderboard(connection, LeaderboardQuestion(limit=12))
    places = [p.configuration for p in board.rows]
    changed = places[0].model_copy(
        update={
            "device_count": 2,
            "tensor_parallel_size": 2,
            "model": "a/b\u202e\x1b[1m",
            "load": 2.5,
        }
    )
    return {
        "figures": [
            [f.metric, f.value, f.uncertainty, f.unit, s.value, s.unit]
            for f, s in zip(figures, said, strict=True)
        ],
        "among": [words.figure(f, energies).value for f in energies],
        "configurations": [
            [c.model_dump(), naming.full(c), naming.workload(c)] for c in (*places[:3], changed)
        ],
    }


def main(check: bool) -> int:
    with tempfile.TemporaryDirectory() as folder:
        database = open_database(None, Path(folder))
        database.migrate()
        archive_queries.filled(SimpleNamespace(database=database), CONFIGURATIONS)
        with database.writing() as c:
            first = sa.select(CONFIG.c.id).order_by(CONFIG.c.hash).limit(3)
            changes = CONFIG.update().where(CONFIG.c.id.in_(first))
            c.execute(changes.values(disagrees=True))
            other = CONFIG.update().where(CONFIG.c.model == "other/Model-70B")
            c.execute(other.values(model_content="sha256:" + "b" * 64))
        with database.reading() as c:
            text = json.dumps(fixture(c), ensure_ascii=False, separators=(",", ":")) + "\n"
        database.close()
    if check:
        if FILE.read_text("utf-8") != text:
            print(
                f"{FILE.name} is not what the queries answer; "
                f"fix: python scripts/{Path(__file__).name}"
            )
            return 1
        return 0
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
