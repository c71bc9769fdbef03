"""The Pareto front: dominated only beyond uncertainty."""

import math
import random
from pathlib import Path
from typing import Any

import pytest
import records

from lem.analysis.results import open_results
from lem.contract.record import Record
from lem.errors import BadInput

POINTS = {1: (1.0, 0.010), 2: (0.5, 0.012), 4: (0.25, 0.020), 8: (0.26, 0.030)}
"""Batch size → J/token, TPOT: 8 is worse than 4 in both."""


def campaign(
    folder: Path, points: dict[int, tuple[float, float]], scatter: float, blocks: int = 5
) -> None:
    draw = random.Random(1)

    def of(cell: dict[str, Any], block: int) -> dict[str, Any]:
        joules, seconds = points[cell["engine.max_batch_size"]]
        noise = [math.exp(draw.gauss(0, scatter)) for _ in range(2)]
        drift = 1 + 0.2 * block
        return {
            "energy": {"gpu": joules * noise[0] * drift},
            "tpot_s": seconds * noise[1],
            "throughput": 1 / seconds,
            "cpu_time_s": None,
            "gpus": [records.gpu()],
        }

    records.grid(folder, {"engine.max_batch_size": list(points)}, of, blocks=blocks)


def states(folder: Path, **options: Any) -> dict[str, str]:
    return {p.name: p.state for p in open_results(folder).pareto(**options).points}


def test_what_is_worse_beyond_uncertainty_is_dominated(tmp_path: Path) -> None:
    """Also under a drift of 80 % over the campaign, which every block's arms share."""
    campaign(tmp_path, POINTS, 0.002)
    assert states(tmp_path) == {
        "batch size 1": "front",
        "batch size 2": "front",
        "batch size 4": "front",
        "batch size 8": "dominated",
    }
    found = open_results(tmp_path).pareto()
    assert found.points[-1].by == "batch size 4"
    assert (found.x.key, found.y.key) == ("tpot_s.p50", "energy_per_output_token_j.gpu")
    assert found.sentences[0].startswith("3 arms are on the front")
    assert "a factor of about 2.0 in time per output token" in found.sentences[1]


def test_what_scatter_hides_cannot_be_told(tmp_path: Path) -> None:
    campaign(tmp_path, {1: (1.0, 0.010), 2: (1.003, 0.0101)}, 0.05)
    found = open_results(tmp_path).pareto()
    assert sorted(p.state for p in found.points)[0] in ("cannot_tell", "front")
    assert "dominated" not in {p.state for p in found.points}


def test_the_same_latency_within_the_margin_does_not_save_a_costly_arm(tmp_path: Path) -> None:
    campaign(tmp_path, {1: (1.0, 0.010), 2: (1.5, 0.00999)}, 0.0005)
    assert states(tmp_path)["batch size 2"] == "dominated"


def test_more_throughput_is_better(tmp_path: Path) -> None:
    campaign(tmp_path, POINTS, 0.002)
    found = open_results(tmp_path).pareto(x="throughput")
    assert [p.name for p in found.points if p.state == "front"] == [
        "batch size 1", "batch size 2", "batch size 4",
    ]  # fmt: skip
    assert found.points[0].x.mean == pytest.approx(100)


def test_an_arm_is_seldom_called_dominated_by_mistake(tmp_path: Path) -> None:
    """Eight arms that are all the same: each is called dominated in at most 5 % of campaigns."""
    from lem.analysis.front import _state
    from lem.contract.objectives import objective
    from lem.stats.pairs import beside

    draw = random.Random(3)
    wrong = 0
    for _ in range(150):
        tables = [
            {a: {b: math.exp(draw.gauss(0, 0.03)) for b in range(4)} for a in range(8)}
            for _ in range(2)
        ]
        sides = [beside(t, 0, None, 0.975) for t in tables]
        named = [{str(k): v for k, v in s.items()} for s in sides]
        wanted = [objective("latency"), objective("energy")]
        wrong += _state(wanted, named, 0.02)[0] == "dominated"
    assert wrong <= 0.05 * 150


def test_what_has_no_such_figure_is_refused_in_words(tmp_path: Path) -> None:
    campaign(tmp_path, POINTS, 0.002)
    with pytest.raises(BadInput, match="no objective named 'watts'"):
        open_results(tmp_path).pareto(x="watts")
    with pytest.raises(BadInput, match="fewer than two arms have both"):
        open_results(tmp_path).pareto(x="quality")
    with pytest.raises(BadInput, match="the same figure"):
        open_results(tmp_path).pareto(x="energy", y="energy_per_output_token_j.gpu")


def of_precisions(folder: Path, tokens: dict[str, int] | None = None) -> None:
    """Two precisions with their NLL, as engines give it: the same in every block of an arm."""
    nll = {"float16": 2.7134, "int4": 2.9021}
    joules = {"float16": 1.0, "int4": 0.6}

    def of(cell: dict[str, Any], block: int) -> dict[str, Any]:
        kind = cell["engine.dtype"]
        return {
            "energy": {"gpu": joules[kind] * (1 + 0.01 * block)},
            "gpus": [records.gpu()],
            "nll": nll[kind],
            "nll_tokens": (tokens or {}).get(kind, 1034),
        }

    records.grid(folder, {"engine.dtype": list(nll)}, of, blocks=4)


@pytest.mark.parametrize("axes", [("quality", "energy"), ("energy", "quality")])
def test_quality_is_an_axis(tmp_path: Path, axes: tuple[str, str]) -> None:
    of_precisions(tmp_path)
    found = open_results(tmp_path).pareto(*axes)
    assert {p.name: p.state for p in found.points} == {
        "float16": "front",
        "int4": "front",
    }
    quality = {p.name: (p.x if axes[0] == "quality" else p.y).mean for p in found.points}
    assert quality == {"float16": pytest.approx(2.7134), "int4": pytest.approx(2.9021)}
    assert "negative log-likelihood per token" in found.sentences[0]


def test_what_is_worse_in_quality_and_energy_is_dominated(tmp_path: Path) -> None:
    def of(cell: dict[str, Any], block: int) -> dict[str, Any]:
        worse = cell["engine.dtype"] == "int4"
        return {
            "energy": {"gpu": (1.2 + 0.001 * block if worse else 1.0) * (1 + 0.01 * block)},
            "nll": 2.9 if worse else 2.7,
            "nll_tokens": 1034,
        }

    records.grid(tmp_path, {"engine.dtype": ["float16", "int4"]}, of, blocks=4)
    found = open_results(tmp_path).pareto("quality", "energy")
    assert [(p.name, p.state) for p in found.points] == [
        ("float16", "front"),
        ("int4", "dominated"),
    ]


def test_likelihoods_of_other_tokens_make_no_front(tmp_path: Path) -> None:
    of_precisions(tmp_path, {"int4": 912})
    with pytest.raises(BadInput, match="cut the text into 912 or 1034 tokens") as caught:
        open_results(tmp_path).pareto("quality", "energy")
    assert "--where model.id=" in (caught.value.hint or "")
    # Other figures have nothing to do with it.
    assert open_results(tmp_path).pareto("throughput", "energy").points


def begun(folder: Path) -> None:
    """Three arms with five blocks planned, of which the last has one run."""
    values: dict[int, list[float | None]] = {1: [2.0, 2.1, 2.0, 2.1, 2.0], 2: [1.0] * 4}
    values[4] = [0.5, 0.51, 0.5, 0.51]
    records.campaign(folder, values, blocks=5, measured=("gpu",), tpot_s=0.02)


def test_a_block_that_has_only_begun_is_not_done(tmp_path: Path) -> None:
    """As a comparison has it; fronts, shares and curves say the same."""
    begun(tmp_path)
    results = open_results(tmp_path)
    compared = results.compare()
    assert (compared.blocks_done, compared.provisional) == (4, True)
    front = results.pareto()
    assert front.unfinished == "4 of 5 blocks"
    assert front.sentences[0].startswith("So far ")
    assert results.attribute().unfinished == "4 of 5 blocks"
    assert results.curves()[0].unfinished == "4 of 5 blocks"


def test_the_front_is_final_once_the_last_arm_has_run(tmp_path: Path) -> None:
    begun(tmp_path)
    for n, joules in ((1, 1.0), (2, 0.5)):
        figures: dict[str, Any] = {"energy": {"gpu": joules}, "tpot_s": 0.02}
        records.place(tmp_path, records.record(arm_id=records.arm_name(n), block=4, **figures))
        found = open_results(tmp_path).one()
        assert found.pareto().unfinished == ("4 of 5 blocks" if n == 1 else "")
    assert open_results(tmp_path).pareto().sentences[0].startswith("1 arm is")


def test_an_arm_that_was_given_up_is_not_awaited(tmp_path: Path) -> None:
    values: dict[int, list[float | None]] = {1: [2.0, 2.1, 2.0], 2: [1.0, 1.1, 1.0]}
    records.campaign(tmp_path, values | {4: [None, None]}, measured=("gpu",), tpot_s=0.02)
    assert open_results(tmp_path).pareto().unfinished == ""


def test_a_single_block_is_never_final(tmp_path: Path) -> None:
    records.campaign(tmp_path, {1: [2.0], 2: [1.0]}, measured=("gpu",), tpot_s=0.02)
    assert open_results(tmp_path).compare().provisional
    assert open_results(tmp_path).pareto().unfinished == "only 1 block"


def of_goodput(folder: Path, goodput: dict[int, list[float]]) -> None:
    """Batch size → goodput in each block; the larger, the less energy (10 %)."""
    draw = random.Random(4)

    def of(cell: dict[str, Any], block: int) -> dict[str, Any]:
        batch = cell["engine.max_batch_size"]
        value = goodput[batch][block]
        return {
            "energy": {"gpu": 0.9 ** (batch - 1) * (1 + 0.001 * draw.random())},
            "goodput": (value * (1 + 0.001 * draw.random()), min(1.0, value)),
            "gpus": [records.gpu()],
        }

    records.grid(folder, {"engine.max_batch_size": list(goodput)}, of, blocks=5)


MISSED = [3.5, 3.5, 0.0, 0.0, 0.0]


def test_blocks_without_goodput_never_make_an_arm_look_better(tmp_path: Path) -> None:
    """3.5 in two blocks and nothing in three is 1.4 on average, not more than 3.0."""
    of_goodput(tmp_path, {1: [3.0] * 5, 2: MISSED})
    found = open_results(tmp_path).pareto(x="goodput_per_s")
    assert [(p.name, p.state, p.by) for p in found.points] == [("batch size 1", "front", None)]
    assert found.got_nothing == ("batch size 2 (goodput is 0 in 3 of 5 blocks)",)
    assert found.left_out == ()
    said = "Not on it, whatever else they cost: batch size 2 (goodput is 0 in 3 of 5 blocks)."
    assert said in found.sentences
    assert found.to_json()["got_nothing"] == found.got_nothing


def test_an_arm_without_goodput_dominates_nobody_and_others_are_judged_without_it(
    tmp_path: Path,
) -> None:
    of_goodput(tmp_path, {1: [3.0] * 5, 2: [2.0] * 5, 3: MISSED, 4: [0.0] * 5})
    found = open_results(tmp_path).pareto(x="goodput_per_s")
    assert {p.name: p.state for p in found.points} == {
        "batch size 1": "front",
        "batch size 2": "front",
    }
    assert [n.partition(" (")[0] for n in found.got_nothing] == ["batch size 3", "batch size 4"]


def test_where_no_arm_has_goodput_the_front_is_refused(tmp_path: Path) -> None:
    of_goodput(tmp_path, {1: MISSED, 2: [0.0] * 5})
    with pytest.raises(BadInput, match="batch size 2: goodput is 0 in 5 of 5 blocks"):
        open_results(tmp_path).pareto(x="goodput_per_s")


def test_energy_of_good_requests_is_not_that_of_the_blocks_that_had_some(tmp_path: Path) -> None:
    of_goodput(tmp_path, {1: [3.0] * 5, 2: [2.0] * 5, 3: MISSED})
    for path in tmp_path.glob("blocks/*/*/*/record.json"):
        raw = Record.read(path).model_dump(mode="json")
        if per_s := raw["metrics"]["goodput_per_s"]["value"]:
            raw["metrics"]["energy_per_good_request_j"] = {"gpu": {"value": 30 / per_s}}
            Record.model_validate(raw).write(path)
    found = open_results(tmp_path).pareto("throughput", "energy_per_good_request_j")
    assert found.got_nothing == ("batch size 3 (goodput is 0 in 3 of 5 blocks)",)
    assert [p.name for p in found.points if p.state == "front"] == ["batch size 1"]


def test_a_figure_below_0_leaves_the_arm_out_not_the_block(tmp_path: Path) -> None:
    def of(cell: dict[str, Any], block: int) -> dict[str, Any]:
        below = cell["engine.max_batch_size"] == 4 and block == 2
        idle = {"gpu": -0.01 if below else 0.3 + 0.001 * block}
        return {"energy": {"gpu": 1.0}, "above_idle": idle, "gpus": [records.gpu()]}

    records.grid(tmp_path, {"engine.max_batch_size": [1, 2, 4]}, of, blocks=4)
    found = open_results(tmp_path).pareto("throughput", "energy_above_idle_per_output_token_j")
    assert found.left_out == ("batch size 4",)
    assert found.got_nothing == () and len(found.points) == 2
