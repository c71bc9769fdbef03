"""The GPU check's parts that need a load, against a played board that draws what it is told."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from gpu_check import __main__ as gpu_check
from gpu_check import load, probe, repeat, summary, waves
from lem.meters.energy import part_time
from lem.meters.energy.counter import Point
from tests.meters import played, played_load

Begin = Callable[[played.Play], played.Play]
HOPPER = {"fields": 3.0, "tick_ms": 100.0}


@pytest.fixture
def board(play: Begin, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, float]], None]:
    """A board with these options, and a load that it knows of."""

    def begin(options: dict[str, float]) -> None:
        play(played.Play([(played.NEVER, 90.0, 90.0)], options))
        stand_in = played_load.loads(play, options)
        monkeypatch.setattr(load, "loaded", stand_in)
        monkeypatch.setattr(load, "context", stand_in)

    return begin


Board = Callable[[dict[str, float]], None]


def test_every_part_that_needs_no_model_is_done_and_told(
    board: Board, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then again: nothing is left to do but what was left out."""
    board(HOPPER)
    arguments = ["--out", str(tmp_path), "--short", "--no-models"]
    assert gpu_check.main(arguments) == 0
    document = json.loads((tmp_path / "gpu-check-played-gpu.json").read_text())
    assert [p["part"] for p in document["parts"]] == list(gpu_check.PARTS)
    done = [p["part"] for p in document["parts"] if p["status"] == "done"]
    assert done == [p for p in gpu_check.PARTS if p not in ("models", "conformance")]
    text = (tmp_path / "gpu-check-played-gpu.md").read_text()
    for title in ("Meters", "The counter", "Power readings", "Idle", "Part-time sampling"):
        assert f"## {title}" in text
    assert "None" not in text
    capsys.readouterr()
    assert gpu_check.main(arguments) == 0
    assert "gpu_check: models" in capsys.readouterr().err
    again = json.loads((tmp_path / "gpu-check-played-gpu.json").read_text())
    assert again["parts"] == document["parts"]


def test_parts_are_chosen_by_name_and_wrong_names_refused(
    board: Board, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    board(HOPPER)
    arguments = ["--out", str(tmp_path), "--short", "--parts", "idle,meters"]
    assert gpu_check.main(arguments) == 0
    document = json.loads((tmp_path / "gpu-check-played-gpu.json").read_text())
    done = [p["part"] for p in document["parts"] if p["status"] == "done"]
    assert done == ["meters", "idle"]
    assert "the same command again goes on with them" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        gpu_check.main(["--parts", "idle,nonsense"])
    assert "no part nonsense" in capsys.readouterr().err


def test_a_result_is_not_lost_to_a_later_failure() -> None:
    done = [{"part": "idle", "status": "done", "result": {}}]
    failed = [{"part": "idle", "status": "failed", "failure": {"kind": "meter", "message": "m"}}]
    place = list(gpu_check.PARTS).index("idle")
    assert gpu_check._merged(done, failed)[place] == done[0]
    assert gpu_check._merged(failed, done)[place] == done[0]


def test_counter_beside_power(board: Board) -> None:
    """Both of the same sensor, with nothing wrong: 1 where the load does not switch too fast."""
    board(HOPPER)
    found = waves.counter_against_power(0, 2.0)
    assert set(found) == {"idle", "steady", "bursts"}
    for one in found.values():
        assert set(one["by_power"]) == {"power_average_mw", "power_instant_mw"}
    steady = found["steady"]["by_power"]
    assert steady["power_instant_mw"]["ratio"] == pytest.approx(1, abs=0.02)
    assert found["idle"]["by_power"]["power_average_mw"]["ratio"] == pytest.approx(1, abs=0.02)
    assert found["idle"]["counter_j"] / found["idle"]["window_s"] == pytest.approx(90, rel=0.02)


def test_a_step_of_the_load_is_seen_when_it_comes(board: Board) -> None:
    board(HOPPER)
    # Medians of five: on a busy machine the load's own process may be late at one or two of them.
    found = waves.step_response(0, 6, 0.9, 0.9)
    for edge in ("on", "off"):
        assert found[edge]["counter_lag_s"] == pytest.approx(0, abs=0.03)
        assert found[edge]["power_instant_mw"]["reaches_90%_after_s"] < 0.16
        assert found[edge]["power_average_mw"]["reaches_50%_after_s"] == pytest.approx(0.5, abs=0.2)


def test_a_counter_that_is_late_is_told_so(board: Board) -> None:
    board(HOPPER | {"late_ms": 150.0})
    found = waves.step_response(0, 6, 0.9, 0.9)
    assert found["on"]["counter_lag_s"] == pytest.approx(0.15, abs=0.04)


@pytest.mark.parametrize(("duty", "share"), [(1.0, 1.0), (0.25, 0.25)])
def test_part_time_sampling_is_found_in_counter_and_power(
    board: Board, duty: float, share: float
) -> None:
    board(HOPPER | {"duty": duty})
    found = waves.part_time_sampling(0, 0.1, 1.5)
    assert found["sensor"]["counter"]["share_of_time"] == pytest.approx(share, abs=0.15)
    assert found["sensor"]["power_instant_mw"]["share_of_time"] == pytest.approx(0.25, abs=0.1)
    average = found["sensor"]["power_average_mw"]
    assert average is None or average["share_of_time"] == 1
    assert [round(p["period_ms"]) for p in found["periods"]] == [40, 95, 100, 105, 250, 730]
    assert found["periods"][4]["mean_power_w"]["counter"] is not None


def test_power_readings_say_which_there_are_and_how_often_they_change(play: Begin) -> None:
    saw = [(0.1 * (i + 1), 100.0 + 7 * i, 100.0 + 7 * i) for i in range(100)]
    play(played.Play(saw, {"fields": 2}))
    found = probe.power_readings(0, 1.0)
    assert found["module_fields"] is None
    (period,) = found["fields"]["changes_every_ms"]
    assert period["median"] == pytest.approx(100, rel=0.1)


def test_the_samplers_cost_is_its_own_processs(play: Begin) -> None:
    play(played.Play(options=HOPPER))
    found = probe.sampler_overhead(0, 1.5)
    for one in found.values():
        assert 0 < one["share_of_time"] < 0.5
        assert 5e6 < one["peak_memory_bytes"] < 200e6


def test_lag_1_and_slope_of_known_series() -> None:
    """Of an AR(1) with φ 0.8, of independent numbers, and of a line."""
    rng = random.Random(5)
    chain = [0.0]
    for _ in range(5000):
        chain.append(0.8 * chain[-1] + rng.gauss(0, 1))
    assert repeat.lag_1(chain) == pytest.approx(0.8, abs=0.03)
    assert repeat.lag_1([rng.gauss(0, 1) for _ in range(5000)]) == pytest.approx(0, abs=0.05)
    assert repeat.lag_1([1.0, 2.0, 3.0]) is None
    assert repeat.lag_1([1.0] * 9) is None
    assert repeat.slope_over_all([2.0, 2.5, 3.0, 3.5]) == pytest.approx(1.5)
    assert repeat.slope_over_all([1.0, 2.0]) is None


def test_the_lag_of_a_counter_with_a_known_one() -> None:
    """100 W up to the step, 500 W after it, shown 60 ms late."""
    points = [
        Point(i * 10**8, 0, 100 * (t := i / 10) + 400 * max(0.0, t - 5.06)) for i in range(100)
    ]
    assert waves.lag_s(points, 5 * 10**9, 2 * 10**9) == pytest.approx(0.06, abs=0.001)
    assert waves.lag_s(points, 2 * 10**9, 2 * 10**9) is None  # no step there


def test_when_a_share_of_a_step_is_first_shown() -> None:
    power = [(i * 10**8, min(500.0, max(100.0, 100 + 400 * (i - 50) / 10))) for i in range(100)]
    assert waves.reaches_s(power, 5 * 10**9, 3 * 10**9, 0.5) == pytest.approx(0.5)
    assert waves.reaches_s(power, 2 * 10**9, 3 * 10**9 // 2, 0.5) is None
    assert part_time.updates([(0, 1.0), (10, 1.0), (20, 2.0)]) == [(15, 2.0)]


def test_the_summary_names_failures_and_what_is_left() -> None:
    text = summary.markdown(
        {
            "gpu": {"name": "G", "driver": "1"},
            "started_at": "t",
            "lem_version": "0",
            "kernel": "k",
            "python": "3",
            "parts": [
                {
                    "part": "idle",
                    "status": "failed",
                    "failure": {"kind": "meter", "message": "a|b\nc"},
                    "took_s": 2.0,
                },
                {"part": "models", "status": "skipped", "reason": "needs 120 s, 3 s were left"},
            ],
        }
    )
    assert "| idle | failed (meter): a\\|b | 2 s |" in text
    assert "| models | not yet: needs 120 s, 3 s were left |  |" in text
