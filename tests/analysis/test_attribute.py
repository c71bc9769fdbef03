"""Which choice matters: known effects come back in words, and what has no answer is refused."""

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
import records

from lem.analysis.results import open_results
from lem.errors import BadInput
from lem.meters.nvml_energy import GAIN
from lem.report.shares import footnotes

AXES: dict[str, Any] = {
    "engine.max_batch_size": [1, 4, 16],
    "engine.dtype": ["float32", "bfloat16"],
}
BATCH = {1: 0.0, 4: -1.0, 16: -2.0}
DTYPE = {"float32": 0.2, "bfloat16": -0.2}
# By hand: the variance of (0, −1, −2) is ⅔, that of ±0.2 is 0.04.
SHARES = {"batch size": (2 / 3) / (2 / 3 + 0.04), "precision": 0.04 / (2 / 3 + 0.04)}


def figures(seed: int = 1, scatter: float = 0.005) -> Any:
    draw = random.Random(seed)

    def of(cell: dict[str, Any], block: int) -> dict[str, Any]:
        log = BATCH[cell["engine.max_batch_size"]] + DTYPE[cell["engine.dtype"]]
        log += 0.1 * block + draw.gauss(0, scatter)
        return {"energy": {"gpu": math.exp(log)}, "gpus": [records.gpu()], "cpu_time_s": None}

    return of


def test_known_effects_come_back(tmp_path: Path) -> None:
    records.grid(tmp_path, AXES, figures(), blocks=5)
    found = open_results(tmp_path).attribute()
    (one,) = found.found
    assert {s.name: round(s.share, 3) for s in one.shares} == {
        "batch size": pytest.approx(SHARES["batch size"], abs=0.002),
        "precision": pytest.approx(SHARES["precision"], abs=0.002),
        "batch size and precision together": pytest.approx(0, abs=0.001),
    }
    for share in one.shares:
        assert share.low is not None and share.high is not None
        assert share.low <= SHARES.get(share.name, 0.0) <= share.high
    assert one.spread == pytest.approx(math.exp(2.4), rel=0.02)
    assert (one.most, one.least) == ("batch size 1, float32", "batch size 16, bfloat16")
    assert one.scatter == pytest.approx(0.005, rel=0.4)
    assert found.blocks == 5
    assert "1 × NVIDIA Test 80GB" in found.hardware
    (sentence,) = found.sentences
    assert sentence.startswith("Batch size explains 94.")
    for part in (
        "of the spread of GPU energy per output token, which is a factor of about 11",
        "between batch size 1, float32 and batch size 16, bfloat16",
        "batch size 1, 4, 16; precision float32, bfloat16; 5 blocks on 1 × NVIDIA Test 80GB",
    ):
        assert part in sentence


def test_arms_that_do_not_differ_have_no_shares(tmp_path: Path) -> None:
    draw = random.Random(4)
    records.grid(
        tmp_path,
        AXES,
        lambda cell, block: {"energy": {"gpu": math.exp(draw.gauss(0, 0.02))}, "cpu_time_s": None},
        blocks=4,
    )
    (one,) = open_results(tmp_path).attribute().found
    assert not one.told_apart
    assert one.shares == ()
    assert "more than scatter explains" in open_results(tmp_path).attribute().sentences[0]


def test_two_blocks_of_scatter_explain_nothing(tmp_path: Path) -> None:
    """Without intervals every second campaign of equal arms would say that something explains it
    all."""
    told = []
    for seed in range(12):
        draw = random.Random(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        records.grid(
            folder,
            {"engine.max_batch_size": [1, 4, 16]},
            lambda cell, block, draw=draw: {
                "energy": {"gpu": math.exp(draw.gauss(0, 0.02))},
                "cpu_time_s": None,
            },
            blocks=2,
        )
        told.append(open_results(folder).attribute().found[0].told_apart)
    assert sum(told) <= 2


def test_two_blocks_of_a_true_difference_are_told_apart(tmp_path: Path) -> None:
    records.grid(tmp_path, AXES, figures(), blocks=2)
    (one,) = open_results(tmp_path).attribute().found
    assert one.told_apart and one.shares[0].name == "batch size" and one.shares[0].low is None


def test_device_classes_stay_apart(tmp_path: Path) -> None:
    def both(cell: dict[str, Any], block: int) -> dict[str, Any]:
        own = figures(block + 1)(cell, block)
        return {
            **own,
            "energy": {**own["energy"], "cpu": 2.0 - math.exp(DTYPE[cell["engine.dtype"]])},
        }

    records.grid(tmp_path, AXES, both)
    found = open_results(tmp_path).attribute()
    assert [f.quantity.part for f in found.found] == ["gpu", "cpu"]
    assert found.found[1].shares[0].name == "precision"
    assert found.found[1].shares[0].share == pytest.approx(1)


def test_an_incomplete_block_is_left_out_and_said_to_be(tmp_path: Path) -> None:
    of = figures()
    records.grid(
        tmp_path,
        AXES,
        lambda c, b: None if b == 2 and c["engine.max_batch_size"] == 4 else of(c, b),
        blocks=4,
    )
    found = open_results(tmp_path).attribute()
    assert (found.blocks, found.left_out_blocks) == (3, 1)


@pytest.mark.parametrize(
    ("leave_out", "fails", "message"),
    [
        (
            lambda c: c["engine.max_batch_size"] == 16 and c["engine.dtype"] == "float32",
            lambda c, b: False,
            "5 of 6 (3 batch size × 2 precision)",
        ),
        (lambda c: False, lambda c, b: c["engine.max_batch_size"] == 16, "not complete"),
        (lambda c: False, lambda c, b: b > 0 and c["engine.max_batch_size"] == 4, "1 of 3 blocks"),
    ],
)
def test_what_is_unbalanced_is_refused(
    tmp_path: Path, leave_out: Any, fails: Any, message: str
) -> None:
    of = figures()
    records.grid(
        tmp_path, AXES, lambda c, b: None if fails(c, b) else of(c, b), leave_out=leave_out
    )
    with pytest.raises(BadInput) as refused:
        open_results(tmp_path).attribute()
    assert message in str(refused.value)


def test_a_complete_part_is_taken_where_it_is_named(tmp_path: Path) -> None:
    records.grid(
        tmp_path,
        AXES,
        figures(),
        leave_out=lambda c: c["engine.max_batch_size"] == 16 and c["engine.dtype"] == "float32",
    )
    found = open_results(tmp_path).attribute(where="engine.dtype=bfloat16")
    assert [f.path for f in found.factors] == ["engine.max_batch_size"]
    assert found.found[0].shares[0].share == pytest.approx(1)


def test_a_parameter_of_one_backend_alone_is_refused(tmp_path: Path) -> None:
    made = records.grid(tmp_path, AXES, figures())
    arms = [
        a.model_copy(update={"settings": {**a.settings, "args.flash": True}}) if i < 2 else a
        for i, a in enumerate(made.arms)
    ]
    made.model_copy(update={"arms": arms}).write(tmp_path / "campaign.lock.json")
    with pytest.raises(
        BadInput, match=r"args.flash was varied for transformers alone \(2 of 6 arms\)"
    ):
        open_results(tmp_path).attribute()


def test_chosen_and_pooled_points_are_refused(tmp_path: Path) -> None:
    made = records.grid(tmp_path / "a", AXES, figures())
    records.grid(tmp_path / "b", AXES, figures())
    with pytest.raises(BadInput, match="2 campaigns"):
        open_results(tmp_path).attribute()
    adaptive = {
        "kind": "pareto",
        "budget": 5,
        "generation": 5,
        "objectives": ["energy", "latency"],
        "seed": 1,
    }
    document = {**made.model_dump(mode="json"), "adaptive": adaptive}
    type(made).model_validate(document).write(tmp_path / "a" / "campaign.lock.json")
    with pytest.raises(BadInput, match="chose its experiments while it ran"):
        open_results(tmp_path / "a").attribute()


def on_several_boards(folder: Path, effect: float, other: float = 0.8, blocks: int = 5) -> None:
    """A campaign over one and two boards, ``effect`` apart in ln(energy), and two batch sizes,
    ``other`` apart, at 0.2 % of scatter."""
    draw = random.Random(3)

    def of(cell: dict[str, Any], block: int) -> dict[str, Any]:
        n = cell["engine.tensor_parallel_size"]
        log = effect * (n - 1) + other * (cell["engine.max_batch_size"] == 1)
        return {
            "energy": {"gpu": math.exp(log + draw.gauss(0, 0.002))},
            "gpus": [records.gpu(i) for i in range(n)],
            "cpu_time_s": None,
        }

    made = records.grid(
        folder, {"engine.tensor_parallel_size": [1, 2], "engine.max_batch_size": [1, 4]}, of,
        blocks=blocks,
    )  # fmt: skip
    for arm in made.arms:
        for path in folder.glob(f"blocks/*/{arm.arm_id}/0/record.json"):
            with_boards(path, int(arm.settings["engine.tensor_parallel_size"]))


def with_boards(path: Path, boards: int) -> None:
    """Energy spread evenly over so many boards of a set of two, each with a gain of 3.4 %."""
    document = json.loads(path.read_text())
    document["environment"]["device_set"] = ["GPU-0", "GPU-1"]
    document["environment"]["device_set_names"] = [records.gpu()["name"]] * 2
    (reading,) = document["windows"][0]["energy"]
    energy = reading["energy_j"] / boards
    document["windows"][0]["energy"] = [
        {**reading, "device": f"gpu{i}", "energy_j": energy, "budget_j": {"gain": GAIN * energy}}
        for i in range(boards)
    ]
    path.write_text(json.dumps(document))


def test_shares_hold_what_the_gains_of_different_boards_may_be(tmp_path: Path) -> None:
    """0.1 by the boards, ± 1.96 · 3.4 % · √½: by hand, scatter being far smaller."""
    on_several_boards(tmp_path, 0.1)
    found = open_results(tmp_path).attribute()
    (one,) = found.found
    boards = next(s for s in one.shares if s.name == "tensor parallel")
    off = 1.96 * GAIN * math.sqrt(0.5)
    ends = [d**2 / (d**2 + 0.64) for d in (0.1 - off, 0.1 + off)]
    assert boards.low == pytest.approx(ends[0], abs=0.002)
    assert boards.high == pytest.approx(ends[1], abs=0.002)
    assert not boards.boards_may_explain
    assert one.gains_log == pytest.approx(GAIN * math.sqrt(0.5) / 2)
    (said,) = [line for line in footnotes(found) if "boards" in line]
    assert "±2.4 %" in said and "in the intervals" in said and "alone" not in said


def test_a_share_that_the_boards_alone_may_explain_is_said_to_be(tmp_path: Path) -> None:
    """0.04 apart, where the gains of one and two boards may make 0.047."""
    on_several_boards(tmp_path, 0.04, other=0.3)
    found = open_results(tmp_path).attribute()
    (one,) = found.found
    boards = next(s for s in one.shares if s.name == "tensor parallel")
    assert boards.share == pytest.approx(0.04**2 / (0.04**2 + 0.3**2), rel=0.1)
    assert boards.boards_may_explain and boards.low == pytest.approx(0, abs=1e-4)
    assert [s.name for s in one.shares if s.boards_may_explain] == ["tensor parallel"]
    (said,) = [line for line in footnotes(found) if "boards" in line]
    assert said.endswith("It alone could be what tensor parallel seems to explain.")


def test_two_blocks_have_no_intervals_for_the_gains_either(tmp_path: Path) -> None:
    on_several_boards(tmp_path, 0.1, blocks=2)
    found = open_results(tmp_path).attribute()
    assert all(s.low is None for s in found.found[0].shares)
    assert any("Two blocks have no intervals" in line for line in footnotes(found))


def test_arms_that_the_boards_alone_may_make_differ_are_not_told_apart(tmp_path: Path) -> None:
    on_several_boards(tmp_path, 0.04)
    found = open_results(tmp_path).attribute(where="engine.max_batch_size=1")
    (one,) = found.found
    assert not one.told_apart and one.scatter < 0.01
    assert "by more than scatter and the gains of the boards" in found.sentences[0]
    assert any("may look like a difference" in line for line in footnotes(found))


@pytest.mark.parametrize("metric", ["nll_per_token", "watts"])
def test_what_is_no_metric_is_refused_in_words(tmp_path: Path, metric: str) -> None:
    records.campaign(tmp_path, {1: [2.0, 2.1], 2: [1.0, 1.1]}, measured=("gpu",), nll=2.7)
    with pytest.raises(BadInput, match=f"no metric named '{metric}'"):
        open_results(tmp_path).attribute(metric)
