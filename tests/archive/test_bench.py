"""The benchmark runs from end to end, on both databases, at a size that says nothing of speed."""

from pathlib import Path

import pytest

from bench.archive import load
from bench.archive.report import Sizes, lines
from lem.archive.synthetic import invented
from lem.contract.spec import Experiment

SMALL = Sizes(
    runs=1000,
    configurations=100,
    sqlite_runs=400,
    questions=4,
    submissions=1,
    submission_blocks=3,
    checked_blocks=3,
    window_s=0,
    clients=2,
)


@pytest.mark.slow
def test_it_measures_everything_that_has_a_goal(postgres: object, tmp_path: Path) -> None:
    found = list(lines(tmp_path, SMALL))
    assert not [line for line in found if "not measured" in line.found or "not here" in line.found]
    goals = [line.goal for line in found if line.goal not in ("", "–")]
    assert goals.count("p95 ≤ 50 ms") == 4 and goals.count("p95 ≤ 100 ms") == 4
    assert {"≥ 10,000 runs/s", "≥ 20 runs/s", "p95 ≤ 250 ms"} <= set(goals)
    imported = next(line for line in found if "bulk import" in line.what)
    assert "1,000 runs" in imported.what


def test_what_is_made_up_is_the_same_each_time() -> None:
    one, other = (invented.configurations(50, seed=3) for _ in range(2))
    assert list(map(repr, one)) == list(map(repr, other))
    assert len({c.row.hash for c in one}) == 50
    assert all(Experiment.model_validate(c.row.experiment) for c in one)
    again = [
        [c.values["mean_power_w"].sum() for c in invented.campaigns(2000, one, seed=3)]
        for _ in range(2)
    ]
    assert again[0] == again[1]
    assert sum(c.arms.size * invented.BLOCKS for c in invented.campaigns(2000, one)) == 2000


@pytest.mark.parametrize("kind", load.KINDS)
def test_no_question_is_asked_twice(kind: str) -> None:
    asked = load.questions(kind, 40, seed=1)
    assert len(asked) == len(set(asked)) == 40
    assert asked == load.questions(kind, 40, seed=1)
