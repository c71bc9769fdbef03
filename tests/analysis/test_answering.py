"""Energy per answer stands only beside that of the same work."""

from pathlib import Path
from typing import Any

import pytest

from lem.analysis.comparison import Comparison
from lem.analysis.results import open_results
from lem.contract.record import Record
from lem.errors import BadInput
from lem.stores.index import Index
from tests import records

METRIC = "energy_per_correct_answer_j"
KEY = f"{METRIC}.gpu"
READ = {"scored_by": "forward pass", "metric": "acc"}
SAME: dict[str, Any] = {"questions_sha256": "9" * 64, **READ}
OTHERS: list[tuple[dict[str, Any], str]] = [
    ({"scored_by": "forced tokens"}, "scored by forced tokens or scored by forward pass"),
    ({"scored_by": None, "metric": None}, "scored by forward pass or written"),
    ({"metric": "acc_norm"}, "judged by acc or acc_norm"),
    ({"questions_sha256": "8" * 64}, "the questions were others"),
    ({"failed": 2}, "0 or 2 questions did not fit into the context"),
]


def campaign(folder: Path, *ways: dict[str, Any]) -> Path:
    """Arms with batch sizes 1, 2, 4, …, each half of the one before in energy per correct answer,
    whose questions were answered like that."""
    values: dict[int, list[float | None]] = {2**i: [1.0, 1.01, 0.99] for i in range(len(ways))}
    records.campaign(folder, values, measured=("gpu",))
    arms = {records.arm_name(i): (i, way) for i, way in enumerate(ways)}
    for path in sorted(folder.glob("blocks/*/*/*/record.json")):
        record = Record.read(path)
        i, way = arms[record.arm_id]
        about = {**SAME, **way}
        failed = about.pop("failed", 0)
        figure = {"gpu": {"value": (8 + record.block / 10) / 2**i, "uncertainty": 0.1}}
        raw = record.model_dump(mode="json")
        raw["metrics"][METRIC] = figure
        raw["quality"]["accuracy"] = about | {
            "questions": 4, "correct": 2, "value": 0.5, "low": 0.1, "high": 0.9, "outcomes": "0110"
        }  # fmt: skip
        raw["answering"] = {
            "start_ns": 0, "end_ns": 10, "requests": 4 - failed, "failed": failed,
            "input_tokens": 1, "output_tokens": 0, "energy": [],
        }  # fmt: skip
        Record.model_validate(raw).write(path)
    return folder


def compared(folder: Path) -> Comparison:
    return open_results(folder).compare(metric=METRIC)


def test_arms_that_answered_alike_are_compared(tmp_path: Path) -> None:
    c = compared(campaign(tmp_path, {}, {}))
    assert c.arms[1].ratios[KEY].ratio == pytest.approx(0.5) and c.notes == ()


@pytest.mark.parametrize(("way", "why"), OTHERS)
def test_an_arm_that_answered_otherwise_has_no_ratio_and_a_note(
    tmp_path: Path, way: dict[str, Any], why: str
) -> None:
    c = compared(campaign(tmp_path, {}, {}, way))
    alike, other = c.arms[1:]
    assert alike.ratios[KEY].ratio == pytest.approx(0.5)
    # As if the other arm were not there.
    assert alike.ratios[KEY].comparisons == 1
    assert KEY not in other.ratios and KEY not in other.verdicts and KEY in other.figures
    assert [n for n in c.notes if n.startswith("batch size 4 has no ratio") and why in n]
    assert not any("batch size 4" in s for s in c.sentences)


@pytest.mark.parametrize(("way", "why"), OTHERS)
def test_where_no_arm_is_left_the_comparison_is_refused(
    tmp_path: Path, way: dict[str, Any], why: str
) -> None:
    folder = campaign(tmp_path, {}, way)
    with pytest.raises(BadInput, match=why):
        compared(folder)
    # Energy per token has nothing to do with it.
    assert open_results(folder).compare().arms[1].ratios


@pytest.mark.parametrize("what", ["pareto", "attribute"])
def test_fronts_and_shares_are_of_one_kind_of_work(tmp_path: Path, what: str) -> None:
    def ask(folder: Path) -> Any:
        found = open_results(folder).one()
        return found.pareto("throughput", METRIC) if what == "pareto" else found.attribute(METRIC)

    assert ask(campaign(tmp_path / "alike", {}, {}))
    with pytest.raises(BadInput, match=r"(?s)scored by forced tokens.*--where"):
        ask(campaign(tmp_path / "not", {}, {"scored_by": "forced tokens"}))


def test_questions_that_failed_by_chance_do_not_part_written_answers(tmp_path: Path) -> None:
    written = {"scored_by": None, "metric": None}
    c = compared(campaign(tmp_path, written, written | {"failed": 1}))
    assert c.arms[1].ratios[KEY].ratio == pytest.approx(0.5)


def test_the_index_keeps_how_questions_were_answered(tmp_path: Path) -> None:
    campaign(tmp_path, {"failed": 1})
    for _ in range(2):
        with Index(tmp_path) as index:
            index.refresh()
            found = [r.answering for r in index.rows([])]
        assert found == [("9" * 64, "forward pass", "acc", 1)] * 3
