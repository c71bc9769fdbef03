"""What later experiments are chosen by: costs beside the baseline."""

import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import records

from lem.analysis.objectives import costs, needed_for, with_nothing
from lem.contract.record import Record
from lem.errors import BadInput
from lem.stores.index import Index
from lem.stores.rows import Row

ARMS = [records.arm_name(n) for n in range(4)]


def rows(folder: Path, figures: list[list[dict[str, Any]]], names: list[str]) -> list[Row]:
    """``figures``: of each arm (the first is the baseline) the records' arguments, by block."""
    clock = records.START
    for block in range(len(figures[0])):
        for arm, own in zip(ARMS, figures, strict=False):
            clock += timedelta(seconds=40)
            made = records.record(arm_id=arm, block=block, started=clock, **own[block])
            records.place(folder, made)
    with Index(folder) as index:
        index.refresh()
        return index.rows(needed_for(names))


def same(blocks: int = 2, **figures: Any) -> list[dict[str, Any]]:
    return [figures] * blocks


QUALITY = ["energy", "quality"]


def test_costs_are_mean_logarithms_and_of_the_likelihood_the_difference(tmp_path: Path) -> None:
    found = rows(
        tmp_path,
        [
            [{"cpu_time_s": 0.02 * drift, "nll": 2.5, "nll_tokens": 1034} for drift in (1, 3)],
            [{"cpu_time_s": 0.01 * drift, "nll": 2.75, "nll_tokens": 1034} for drift in (1, 3)],
        ],
        QUALITY,
    )
    paid = costs(ARMS[:3], ARMS[0], found, QUALITY)
    assert paid[ARMS[0]] == (0.0, 0.0)
    assert paid[ARMS[1]] == pytest.approx((-math.log(2), 0.25))
    assert paid[ARMS[2]] is None


def test_nothing_is_chosen_by_likelihoods_of_other_tokens(tmp_path: Path) -> None:
    """Another tokenizer's 2.4 nats for each of fewer tokens may be the worse model of the text."""
    found = rows(
        tmp_path,
        [same(nll=2.5, nll_tokens=1034), same(nll=2.4, nll_tokens=1200)],
        QUALITY,
    )
    with pytest.raises(BadInput, match=r"chosen by quality.*1034 or 1200 tokens") as caught:
        costs(ARMS[:2], ARMS[0], found, QUALITY)
    assert "models of one tokenizer" in (caught.value.hint or "")
    assert costs(ARMS[:2], ARMS[0], found, ["energy"])[ARMS[1]] == (0.0,)


def test_nothing_is_chosen_by_energy_of_answers_that_were_made_otherwise(tmp_path: Path) -> None:
    names = ["energy_per_answer_j.gpu", "throughput"]
    rows(tmp_path, [same(energy={"gpu": 1.0})] * 2, names)
    for path in sorted(tmp_path.glob("blocks/*/*/*/record.json")):
        raw = Record.read(path).model_dump(mode="json")
        raw["metrics"]["energy_per_answer_j"] = {"gpu": {"value": 3.0, "uncertainty": 0.1}}
        way = "forward pass" if raw["arm_id"] == ARMS[0] else "forced tokens"
        raw["quality"]["accuracy"] = {
            "questions_sha256": "9" * 64, "scored_by": way, "metric": "acc",
            "questions": 4, "correct": 2, "value": 0.5, "low": 0.1, "high": 0.9, "outcomes": "0110",
        }  # fmt: skip
        Record.model_validate(raw).write(path)
    with Index(tmp_path) as index:
        index.refresh()
        found = index.rows(needed_for(names))
    with pytest.raises(BadInput, match="scored by forced tokens or scored by forward pass") as e:
        costs(ARMS[:2], ARMS[0], found, names)
    assert "backends that answer alike" in (e.value.hint or "")


GOODPUT = ["energy", "goodput_per_s"]
MISSED = [3.5, 3.5, 0.0, 0.0, 0.0]


def arm(joules: float, goodput: list[float]) -> list[dict[str, Any]]:
    return [{"energy": {"gpu": joules}, "goodput": (g, min(1.0, g))} for g in goodput]


def test_an_arm_with_blocks_without_goodput_is_worse_than_all_that_have_some(
    tmp_path: Path,
) -> None:
    """The geometric mean of the blocks that had some would be 17 % above the baseline's."""
    found = rows(
        tmp_path,
        [arm(1.0, [3.0] * 5), arm(2.0, [1.0] * 5), arm(0.9, MISSED), arm(0.1, [0.0] * 5)],
        GOODPUT,
    )
    paid = costs(ARMS, ARMS[0], found, GOODPUT)
    assert paid[ARMS[1]] == pytest.approx((math.log(2), math.log(3)))
    some, none = paid[ARMS[2]], paid[ARMS[3]]
    assert some == pytest.approx((math.log(2) + 1.6, math.log(3) + 1.6))
    assert none == pytest.approx((math.log(2) + 2, math.log(3) + 2))
    assert with_nothing(found, GOODPUT) == {
        ARMS[2]: (3, "goodput_per_s"),
        ARMS[3]: (5, "goodput_per_s"),
    }
    # By what is not missing it is judged as any other.
    assert costs(ARMS, ARMS[0], found, ["energy"])[ARMS[2]] == pytest.approx((math.log(0.9),))


def test_a_baseline_without_goodput_is_said_to_be_the_reason(tmp_path: Path) -> None:
    found = rows(tmp_path, [arm(1.0, [0.0] * 5), arm(0.9, [1.0] * 5)], GOODPUT)
    with pytest.raises(BadInput, match="beside the baseline's") as caught:
        costs(ARMS[:2], ARMS[0], found, GOODPUT)
    assert "a baseline that has some" in (caught.value.hint or "")


@pytest.mark.parametrize("broken", [{}, {"above_idle": {"gpu": -0.01}}])
def test_a_mean_over_some_of_an_arms_runs_is_no_cost(
    tmp_path: Path, broken: dict[str, Any]
) -> None:
    name = "energy_above_idle_per_output_token_j.gpu"
    whole = [{"energy": {"gpu": 1.0}, "above_idle": {"gpu": 0.5}}] * 3
    found = rows(tmp_path, [whole, whole, [*whole[:2], {"energy": {"gpu": 1.0}, **broken}]], [name])
    paid = costs(ARMS[:3], ARMS[0], found, [name])
    assert paid == {ARMS[0]: (0.0,), ARMS[1]: (0.0,), ARMS[2]: None}
