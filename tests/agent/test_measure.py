"""The measured part of a run, in this process, with an engine made for the test."""

from pathlib import Path

import pytest
from lem_tick import Tick, TickEngine

from lem.agent.events import Events
from lem.agent.measure import Measured, measure
from lem.contract.base import Scalar
from lem.contract.job import Job
from tests.meters import rigs

from .conftest import MakeJob


class Hungry(TickEngine):
    """Its quality probe takes more memory than its work."""

    peak_bytes = 1000

    def facts(self) -> dict[str, Scalar]:
        return {"peak_memory_bytes.cpu": self.peak_bytes}

    def nll(self, token_ids: list[int]) -> float | None:
        self.peak_bytes = 9000
        return super().nll(token_ids)


def measured(path: Path) -> Measured:
    with Events(path.parent / "events.ndjson") as events:
        return measure(Job.read(path), Tick(), Hungry({}, 4), path.parent, events)


@pytest.mark.slow
def test_the_quality_probe_does_not_count_as_peak_memory(make_job: MakeJob) -> None:
    brief = {"windows": 1, "window_s": 0.05, "idle_s": 0, "warm_up_cap_s": 0.05}
    found = measured(make_job(measure={**brief, "quality": ["nll"], "meters": ["estimate"]}))
    assert found.quality.nll_per_token is not None
    assert found.facts["peak_memory_bytes.cpu"] == 1000


@pytest.mark.slow
def test_the_energy_of_gpu_work_is_not_estimated_from_cpu_time(make_job: MakeJob) -> None:
    brief = {"windows": 1, "window_s": 0.05, "idle_s": 0, "warm_up_cap_s": 0.05}
    alone = measured(make_job(measure={**brief, "meters": ["estimate"]}))
    assert [i.device_class for i in alone.infos] == ["estimated"]
    beside = measured(make_job("gpu", measure={**brief, "meters": ["estimate"]}, gpus=[0]))
    assert beside.infos == []


@pytest.mark.slow
def test_a_run_on_a_gpu_that_nothing_measures_does_not_count(
    make_job: MakeJob, tmp_path: Path
) -> None:
    """What the processor drew meanwhile is not what the run cost."""
    root = rigs.powercap(tmp_path / "powercap")
    brief = {"windows": 1, "window_s": 0.05, "idle_s": 0, "warm_up_cap_s": 0.05}
    found = measured(make_job(measure=brief, gpus=[0], powercap_root=str(root)))
    assert {i.device_class for i in found.infos} >= {"cpu"}
    assert "no_meter" in found.flags
    assert "libnvidia-ml" in found.unavailable["nvml"]
