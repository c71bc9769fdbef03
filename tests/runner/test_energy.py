"""What a run took, for limits and quotas."""

from pathlib import Path

import pytest

from lem.contract.failure import Failure
from lem.contract.record import EnergyReading, Gpu, Record
from lem.runner.energy import Spending, assumed_w, joules, seconds
from tests import records


def reading(name: str, joules: float) -> EnergyReading:
    return EnergyReading(
        meter="m", device=name, device_class=name, energy_j=joules, uncertainty_j=None
    )


def record(tmp_path: Path, **energy: float) -> Record:
    records.campaign(tmp_path, {1: [0.01]})
    one = Record.read(next(tmp_path.rglob("record.json")))
    window = one.windows[0].model_copy(
        update={
            "start_ns": 0,
            "end_ns": 10**10,
            "energy": [reading(name, value) for name, value in energy.items()],
        }
    )
    times = {"started_at": "2026-11-27T10:00:00+00:00", "ended_at": "2026-11-27T10:01:40+00:00"}
    return one.model_copy(update={**times, "windows": [window], "meters": []})


def test_the_whole_run_counts_at_the_power_of_its_windows(tmp_path: Path) -> None:
    one = record(tmp_path, gpu=1000, cpu=500)
    assert seconds(one) == 100
    assert joules(one) == pytest.approx(15_000)


def test_a_node_contains_its_parts_and_sensors_are_nothing(tmp_path: Path) -> None:
    assert joules(record(tmp_path, node=2000, gpu=1000, cpu=500)) == pytest.approx(20_000)
    assert joules(record(tmp_path, gpu=1000, sensor=9000)) == pytest.approx(10_000)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def gpu(watts: float, device: str = "gpu0", kind: str = "gpu") -> dict[str, object]:
    return {"device": device, "class": kind, "power_w": watts}


def test_a_run_is_paid_while_it_goes_on(tmp_path: Path) -> None:
    clock = Clock()
    spending = Spending(clock)
    spending.begin()
    paid = 0.0
    clock.now = 20  # it loads, and nothing tells its power
    for _ in range(20):
        spending.sample(gpu(100))
        spending.sample(gpu(5, "cpu0", "cpu"))
        spending.sample(gpu(40, "room", "sensor"))
        clock.now += 1
        paid += spending.due()
    # As if it had been so from its beginning.
    assert paid == pytest.approx(105 * 40, rel=0.2)
    clock.now = 100
    one = record(tmp_path, gpu=1000, cpu=50)  # 105 W in its windows, 100 s
    assert paid + spending.end(one) == pytest.approx(10_500)
    assert spending.due() == 0


@pytest.mark.parametrize("ends", ["broken off", "failed"])
def test_what_has_no_figures_pays_by_what_was_seen(tmp_path: Path, ends: str) -> None:
    clock = Clock()
    spending = Spending(clock)
    spending.begin()
    for _ in range(10):
        spending.sample(gpu(200))
        clock.now += 1
    failure = None
    if ends == "failed":
        failure = Failure.read(Path(__file__).parents[1] / "contract/golden/failure.v1.json")
        times = {"started_at": "2026-11-27T10:00:00+00:00", "ended_at": "2026-11-27T10:00:10+00:00"}
        failure = failure.model_copy(update=times)
    assert spending.end(failure) == pytest.approx(2000)
    # The next one fails before anything is told: it counts at the highest mean power so far.
    spending.begin()
    clock.now += 10
    assert spending.due() == pytest.approx(2000)
    assert spending.end(failure) == 0
    assert spending.end(None) == 0  # nothing goes on


def test_what_nothing_reads_counts_as_all_that_the_machine_may_draw(tmp_path: Path) -> None:
    """A campaign whose meters read nothing is not for nothing."""
    clock = Clock()
    spending = Spending(clock, assumed_w=300)
    for one in (record(tmp_path / "a"), record(tmp_path / "b", gpu=0)):  # 100 s each
        spending.begin()
        assert spending.end(one) == pytest.approx(30_000)
    spending.begin()
    clock.now += 10
    assert spending.end(None) == pytest.approx(3000)
    # What was read once counts instead.
    spending.begin()
    assert spending.end(record(tmp_path / "c", gpu=1000)) == pytest.approx(10_000)
    spending.begin()
    assert spending.end(record(tmp_path / "d")) == pytest.approx(10_000)


def test_what_a_machine_may_draw() -> None:
    board = Gpu(index=0, name="x", uuid="GPU-0", driver="1", memory_bytes=1, power_limit_w=250)
    unknown = board.model_copy(update={"power_limit_w": None})
    assert assumed_w([board, board, unknown], 8) == 500 + 700
    assert assumed_w([], 8) == 80


def test_no_agent_s_word_makes_it_less_or_endless() -> None:
    clock = Clock()
    spending = Spending(clock)
    spending.begin()
    for watts in (-5, float("nan"), float("inf"), "much", True, None, 1e300):
        spending.sample({"device": "gpu0", "class": "gpu", "power_w": watts})
        clock.now += 1
    assert 0 <= spending.end(None) <= 7e6
    for n in range(1000):
        spending.sample(gpu(1, f"gpu{n}"))
