"""Whole batches on a played GPU that draws power while they run, and less and less for a while
after: the energy of the windows against the energy that was played."""

import math
import time
from pathlib import Path
from typing import Any

import pytest
from lem_tick import Tick, TickEngine

from lem.agent.assemble import Figures, assemble
from lem.agent.events import Events
from lem.agent.measure import Measured, measure
from lem.contract.job import Job
from lem.meters.sampling import trace
from lem.workloads.load import Sink, Source
from tests.meters import played

from .conftest import MakeJob

IDLE_W, WORK_W, TAIL_W, TAU_S = 90.0, 420.0, 130.0, 0.35
BATCH_S = 0.6
AHEAD_S = 0.004
"""The board is told of a batch a little before it begins."""


class Heater(TickEngine):
    """Each batch draws WORK_W for BATCH_S; the power then falls to IDLE_W."""

    def __init__(self, config: Path) -> None:
        super().__init__({"static": True}, 4)
        self._config = config
        self._t0_ns = time.monotonic_ns()
        self._segments: list[tuple[float, ...]] = []
        self._last: tuple[float, ...] = (IDLE_W, IDLE_W, 0.0)
        self.play()

    def play(self) -> played.Play:
        options = {"phase_ms": 23, "live": 1}
        found = played.Play(
            [*self._segments, (played.NEVER, *self._last)], options, (), self._t0_ns
        )
        found.write(self._config)
        return found

    def serve(self, source: Source, sink: Sink) -> None:
        while (batch := source.take(4, 0)) is not None:
            begin_s = (time.monotonic_ns() - self._t0_ns) / 1e9 + AHEAD_S
            self._segments += [
                (begin_s, *self._last),
                (begin_s + BATCH_S, WORK_W, WORK_W, 0.0),
            ]
            self._last = (IDLE_W + TAIL_W, IDLE_W, TAU_S)
            self.play()
            for step in range(6):
                at_s = begin_s + BATCH_S * (step + 1) / 6
                time.sleep(max(0.0, at_s - (time.monotonic_ns() - self._t0_ns) / 1e9))
                for request in batch:
                    if step < request.output_tokens:
                        sink.token(request.id)
            for request in batch:
                sink.done(request.id, "warm ")


def run(job: Job, engine: Heater, folder: Path) -> tuple[Measured, Figures]:
    with Events(folder / "events.ndjson") as events:
        found = measure(job, Tick(), engine, folder, events)
    figures = assemble(
        found.infos,
        trace.read(folder / "trace.csv.gz"),
        found.windows,
        found.idle,
        found.responses,
        {},
        whole_batches=found.whole_batches,
        prefill=found.prefill,
    )
    return found, figures


@pytest.mark.slow
def test_batches_of_a_gpu_whose_power_fades_after_them(
    make_job: MakeJob,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    library = played.build_library(tmp_path_factory.mktemp("nvml"))
    config = tmp_path / "played.txt"
    for name, value in played.environment(library, config).items():
        monkeypatch.setenv(name, value)
    measurement: dict[str, Any] = {
        "windows": 2,
        "window_s": 1.0,
        "idle_s": 1.0,
        "settle_s": 2.5,
        "warm_up_cap_s": 1.0,
        "meters": ["nvml"],
    }
    path = make_job(measure=measurement, gpus=[0])
    engine = Heater(config)
    found, figures = run(Job.read(path), engine, path.parent)
    truth = engine.play()
    assert found.whole_batches and len(figures.windows) == 2
    for window in figures.windows:
        # Two batches of 4 × 6 tokens, and nothing under way at either edge.
        assert (window.requests, window.output_tokens) == (8, 48)
        assert window.output_tokens_uncertainty == 0
    for stretch in (*figures.windows, *figures.idle):
        (reading,) = stretch.energy
        real_j = truth.energy_j(stretch.start_ns, stretch.end_ns)
        assert reading.energy_j is not None, reading.flags
        chance_j = math.hypot(*(u for n, u in reading.budget_j.items() if n != "gain"))
        assert abs(reading.energy_j - real_j) <= 4 * chance_j + 1e-4 * real_j
        # A busy machine may see a tick late, which U then says; it is no licence for any figure.
        assert chance_j <= 0.1 * real_j
    # The rests lie between the windows, not in them: their power would be far too low.
    power = figures.metrics["mean_power_w"]
    assert isinstance(power, dict)
    assert power["gpu"].value > 0.9 * WORK_W
    # What faded after the work had faded before the idle phases began.
    for idle in figures.idle:
        seconds = (idle.end_ns - idle.start_ns) / 1e9
        assert truth.energy_j(idle.start_ns, idle.end_ns) / seconds < 1.005 * IDLE_W
