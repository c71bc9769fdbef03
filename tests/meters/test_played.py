"""The oracle itself: what the played library shows is what the closed form says."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, pstdev

import pynvml
import pytest

from tests.meters import played

Begin = Callable[[played.Play], played.Play]
STEP = played.step(0.5, 1.5, 80.0, 400.0, tail_w=90.0, tau_s=0.3)


@pytest.fixture
def counter(play: Begin) -> Callable[[played.Play], list[tuple[int, int]]]:
    """Polls the counter through nvidia-ml-py for a while: (time in ns, mJ)."""

    def watch(what: played.Play, seconds: float = 0.6) -> list[tuple[int, int]]:
        play(what)
        pynvml.nvmlInit()
        board = pynvml.nvmlDeviceGetHandleByIndex(0)
        seen = []
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            before_ns = time.monotonic_ns()
            value = pynvml.nvmlDeviceGetTotalEnergyConsumption(board)
            if time.monotonic_ns() - before_ns < 500_000:
                seen.append((before_ns, value))
            time.sleep(0.0005)
        pynvml.nvmlShutdown()
        return seen

    return watch


def test_energy_is_the_area_under_the_power() -> None:
    """Against a sum of small rectangles."""
    for segments in (STEP, played.bursts(90, 400, 0.7, 0.4, 3), [(1.0, 50, 250), (2.0, 250, 60)]):
        dt = 1e-3
        middles = [(i + 0.5) * dt for i in range(1800)]
        power = [
            (played.energy_until(segments, t + 1e-7) - played.energy_until(segments, t - 1e-7))
            / 2e-7
            for t in middles
        ]
        assert sum(power) * dt == pytest.approx(played.energy_until(segments, 1.8), abs=1.0)
    tail = played.energy_until(STEP, 10) - played.energy_until(STEP, 1.5)
    assert tail == pytest.approx(80 * 8.5 + 90 * 0.3, rel=1e-9)


@pytest.mark.parametrize("tick_ms", [20.0, 70.0, 200.0])
def test_the_counter_ticks_and_shows_the_energy_of_its_last_tick(
    counter: Callable[..., list[tuple[int, int]]], tick_ms: float
) -> None:
    what = played.Play(STEP, {"tick_ms": tick_ms, "phase_ms": 13})
    # In the middle of the trace, whatever the machine does.
    what = played.Play(STEP, what.options, t0_ns=time.monotonic_ns() - 1_300_000_000)
    values = dict.fromkeys(v for _, v in counter(what))
    ticks = [13e-3 + k * tick_ms / 1e3 for k in range(200)]
    expected = {int(5e9 + 1e3 * played.energy_until(STEP, t)) for t in ticks}
    assert len(values) >= 2
    assert all(any(abs(v - e) <= 1 for e in expected) for v in values)


def test_python_and_c_agree_on_every_kind_of_segment(
    counter: Callable[..., list[tuple[int, int]]],
) -> None:
    """A tick of 1 ms: the counter follows the truth closely."""
    what = played.Play(STEP, {"tick_ms": 1}, t0_ns=time.monotonic_ns() - 1_250_000_000)
    seen = counter(what, 1.0)
    first = seen[0]
    for t_ns, value in seen[1:]:
        assert (value - first[1]) / 1e3 == pytest.approx(
            what.energy_j(first[0], t_ns), abs=400 * 2.5e-3
        )


def test_part_time_sampling_shows_what_the_sensor_saw(
    counter: Callable[..., list[tuple[int, int]]],
) -> None:
    """Power that is high in just the quarter of each period in which the sensor looks is counted
    four times: 25 ms of 500 W in every 100 ms are 50 J a second more than 100 W × …, not 12.5."""
    segments = []
    for k in range(60):
        segments += [(k * 0.1 + 0.075, 100.0, 100.0), (k * 0.1 + 0.1, 500.0, 500.0)]
    what = played.Play(segments, {"duty": 0.25}, t0_ns=time.monotonic_ns() - 1_000_000_000)
    seen = counter(what)
    shown = {round((v - 5_000_000_000) / 1e3) for _, v in seen}
    assert all(j % 50 == 0 for j in shown)
    assert len(shown) > 3


def test_noise_has_no_bias_and_is_the_same_each_time(play: Begin) -> None:
    """300 ticks of 100 W, each shown 3 J off on average, looked at twice."""
    off_j: list[list[float]] = [[], []]
    for k in range(10, 310):
        for turn in off_j:
            # 50 ms after tick k, whenever that may be.
            t0_ns = time.monotonic_ns() - int((0.1 * k + 0.05) * 1e9)
            play(played.Play(options={"noise_mj": 3000, "seed": 4}, t0_ns=t0_ns))
            pynvml.nvmlInit()
            board = pynvml.nvmlDeviceGetHandleByIndex(0)
            value = pynvml.nvmlDeviceGetTotalEnergyConsumption(board)
            late = time.monotonic_ns() - t0_ns >= (k + 1) * 10**8
            pynvml.nvmlShutdown()
            turn.append(float("nan") if late else (value - 5e9) / 1e3 - 10 * k)
    both = [(a, b) for a, b in zip(*off_j, strict=True) if a == a and b == b]
    assert len(both) > 200
    assert all(a == b for a, b in both)
    first = [a for a, _ in both]
    assert abs(fmean(first)) < 4 * 3 / len(first) ** 0.5
    assert pstdev(first) == pytest.approx(3, rel=0.2)


def test_sensor_noise_adds_up_over_the_ticks(play: Begin) -> None:
    """1 W in each 100 ms is 0.1 J × √n after n ticks: over 40 seeds and 400 ticks, 2 J."""
    off_j = []
    for seed in range(40):
        t0_ns = time.monotonic_ns() - 40_050_000_000
        play(played.Play(options={"noise_w": 1, "seed": seed}, t0_ns=t0_ns))
        pynvml.nvmlInit()
        board = pynvml.nvmlDeviceGetHandleByIndex(0)
        off_j.append((pynvml.nvmlDeviceGetTotalEnergyConsumption(board) - 5e9) / 1e3)
        ticks = (time.monotonic_ns() - t0_ns) // 10**8
        off_j[-1] -= 10 * ticks
        pynvml.nvmlShutdown()
    # A tick that came between the two readings is 10 J off.
    near = [j for j in off_j if abs(j) < 9]
    assert len(near) > 30
    assert pstdev(near) == pytest.approx(2, rel=0.4)


def test_two_boards_with_their_own_traces_and_ticks(play: Begin, tmp_path: Path) -> None:
    what = play(
        played.Play(
            [(played.NEVER, 100.0, 100.0)],
            {"devices": 2, "tick_ms": 1},
            t0_ns=time.monotonic_ns() - 10**9,
            boards={1: played.Board([(played.NEVER, 300.0, 300.0)], {"tick_ms": 250})},
        )
    )
    pynvml.nvmlInit()
    boards = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in (0, 1)]
    start = [pynvml.nvmlDeviceGetTotalEnergyConsumption(b) for b in boards]
    start_ns = time.monotonic_ns()
    time.sleep(0.6)
    end = [pynvml.nvmlDeviceGetTotalEnergyConsumption(b) for b in boards]
    end_ns = time.monotonic_ns()
    pynvml.nvmlShutdown()
    assert what.energy_j(start_ns, end_ns, 1) == pytest.approx(
        3 * what.energy_j(start_ns, end_ns, 0)
    )
    assert (end[0] - start[0]) / 1e3 == pytest.approx(what.energy_j(start_ns, end_ns), rel=0.05)
    assert (end[1] - start[1]) / 1e3 == pytest.approx(
        300 * 0.25 * round((end[1] - start[1]) / 75e3)
    )


def test_power_fields_have_scopes(play: Begin) -> None:
    play(played.Play([(played.NEVER, 200.0, 200.0)], {"fields": 15, "module_w": 120}, t0_ns=10**9))
    pynvml.nvmlInit()
    board = pynvml.nvmlDeviceGetHandleByIndex(0)
    asked = [(185, 0), (186, 0), (185, 1), (186, 2), (83, 0)]
    values = pynvml.nvmlDeviceGetFieldValues(board, asked)
    assert [v.nvmlReturn for v in values] == [0, 0, 0, 3, 0]
    assert [v.value.uiVal for v in values[:3]] == pytest.approx([200_000, 200_000, 320_000], abs=1)
    counter = pynvml.nvmlDeviceGetTotalEnergyConsumption(board)
    assert abs(values[4].value.ullVal - counter) <= 20_000 * 10
    pynvml.nvmlShutdown()


def test_the_least_library_has_what_it_says_and_no_more(tmp_path: Path) -> None:
    library = played.build_least_library(tmp_path)
    code = (
        "import pynvml as n\n"
        "n.nvmlInit()\n"
        "b = n.nvmlDeviceGetHandleByIndex(0)\n"
        "print(n.nvmlDeviceGetName(b), n.nvmlDeviceGetTotalEnergyConsumption(b) > 0)\n"
        "try: n.nvmlDeviceGetTemperature(b, 0)\n"
        "except n.NVMLError as e: print(type(e).__name__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"LD_LIBRARY_PATH": str(library.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split("\n")[:2] == [
        "Somebody's GPU True",
        "NVMLError_FunctionNotFound",
    ]
