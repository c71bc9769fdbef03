"""Energy per token against load."""

import math
import random
from pathlib import Path
from typing import Any

import pytest
import records

from lem.analysis.results import open_results
from lem.analysis.text import ratio
from lem.errors import BadInput

LOADS = [1, 4, 16]
IDLE_W, BUSY_W = 60.0, 200.0


def of(cell: dict[str, Any], block: int) -> dict[str, Any]:
    """Power rises from idle with the share of the board that is busy; 40 tokens/s a client."""
    draw = random.Random(f"{cell}{block}")
    clients = cell["workload.arrival.concurrency"]
    tokens = 40.0 * clients
    watts = IDLE_W + (BUSY_W - IDLE_W) * clients / 16
    noise = math.exp(draw.gauss(0, 0.002))
    return {
        "energy": {"gpu": watts / tokens * noise},
        "above_idle": {"gpu": (watts - IDLE_W) / tokens},
        "throughput": tokens,
        "cpu_time_s": None,
        "gpus": [records.gpu()],
    }


def test_low_load_costs_what_the_idle_board_draws(tmp_path: Path) -> None:
    records.grid(tmp_path, {"workload.arrival.concurrency": LOADS}, of)
    (found,) = open_results(tmp_path).curves()
    (series,) = found.series
    assert found.path == "workload.arrival.concurrency"
    assert [p.load for p in series.points] == LOADS
    assert [p.utilisation for p in series.points] == [1 / 16, 1 / 4, 1]
    low, _, full = series.points
    assert low.total.mean == pytest.approx((60 + 140 / 16) / 40, rel=0.005)
    assert low.above_idle is not None
    assert low.above_idle.mean == pytest.approx(140 / 16 / 40)
    assert full.beside_least is None
    truth = (60 + 140 / 16) / 40 / (200 / 640)
    assert low.beside_least is not None and low.beside_least.low is not None
    assert low.beside_least.high is not None
    assert low.beside_least.low < truth < low.beside_least.high
    # Idle power is 60 of 68.75 W there.
    assert found.sentences == (
        f"At concurrency 1 a token takes {ratio(low.beside_least).partition(' ')[0]} times the GPU "
        f"energy that it takes at concurrency 16 {ratio(low.beside_least).partition(' ')[2]}; 87 % "
        "of it there is idle power.",
    )


def test_other_swept_parameters_make_series(tmp_path: Path) -> None:
    axes = {"engine.dtype": ["float32", "bfloat16"], "workload.arrival.concurrency": LOADS}
    records.grid(tmp_path, axes, of)
    (found,) = open_results(tmp_path).curves()
    assert [s.name for s in found.series] == ["float32", "bfloat16"]


def test_where_no_load_is_swept_it_says_so(tmp_path: Path) -> None:
    records.grid(
        tmp_path,
        {"engine.dtype": ["float32", "bfloat16"]},
        lambda c, b: of({"workload.arrival.concurrency": 1}, b),
    )
    with pytest.raises(BadInput, match="no load is swept"):
        open_results(tmp_path).curves()
    with pytest.raises(BadInput, match="does not have two numbers"):
        open_results(tmp_path).curves(over="engine.dtype")


def test_what_scatters_too_much_cannot_be_told(tmp_path: Path) -> None:
    def noisy(cell: dict[str, Any], block: int) -> dict[str, Any]:
        draw = random.Random(f"{cell}{block}")
        return of(cell, block) | {"energy": {"gpu": math.exp(draw.gauss(0, 0.3))}}

    records.grid(tmp_path, {"workload.arrival.concurrency": LOADS}, noisy, blocks=3)
    (found,) = open_results(tmp_path).curves()
    low = found.series[0].points[0].beside_least
    assert low is not None and low.low is not None and low.low < 1
    assert found.sentences[0].startswith("Can't tell yet whether a token takes more GPU energy at")


def test_an_arm_with_a_run_of_no_energy_has_no_place_on_the_curve(tmp_path: Path) -> None:
    """Not one from the blocks alone in which the meter moved."""

    def still(cell: dict[str, Any], block: int) -> dict[str, Any]:
        own = of(cell, block)
        stood = cell["workload.arrival.concurrency"] == 4 and block == 1
        return own | {"energy": {"gpu": 0.0}} if stood else own

    records.grid(tmp_path, {"workload.arrival.concurrency": LOADS}, still)
    (found,) = open_results(tmp_path).curves()
    assert [p.load for p in found.series[0].points] == [1, 16]
    (left_out,) = found.left_out
    assert left_out.endswith("in which GPU energy per output token is 0 in a run")
