"""What a run took, for limits and quotas."""

from pathlib import Path

import pytest

from lem.contract.record import EnergyReading, Record
from lem.runner.energy import joules, seconds
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
