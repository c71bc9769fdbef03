"""The measured part of a run, in this process, with an engine made for the test."""

from pathlib import Path
from typing import Any

import pytest
from lem_tick import Tick, TickEngine

from lem.agent import operating_point
from lem.agent.assemble import distributions
from lem.agent.events import Events
from lem.agent.measure import Measured, measure, shuffled
from lem.contract.base import Scalar
from lem.contract.job import Job
from lem.contract.workload import Concurrency, Poisson, Search, TraceArrival, Workload
from lem.errors import RunFailed
from lem.workloads.load import Log, Sink, Source
from lem.workloads.requests import Request
from lem.workloads.stock import Stock
from tests.meters import rigs

from .conftest import WORKLOAD, MakeJob


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
    brief = {"windows": 1, "window_s": 1.5, "idle_s": 0, "warm_up_cap_s": 0.05}
    told = {"measure": {**brief, "meters": ["estimate"]}, "commentary_s": 0.05}
    alone = measured(path := make_job(**told))
    assert [i.device_class for i in alone.infos] == ["estimated"]
    assert '"sample"' in (path.parent / "events.ndjson").read_text()
    beside = measured(path := make_job("gpu", **told, gpus=[0]))
    assert beside.infos == []
    # Nor is it shown meanwhile.
    assert '"sample"' not in (path.parent / "events.ndjson").read_text()


@pytest.mark.slow
def test_a_run_on_a_gpu_that_nothing_measures_does_not_count(
    make_job: MakeJob, tmp_path: Path
) -> None:
    """What the processor drew meanwhile is not what the run cost."""
    root = rigs.powercap(tmp_path / "powercap")
    # Long enough that power is told on a busy machine, too.
    brief = {"windows": 1, "window_s": 1.5, "idle_s": 0, "warm_up_cap_s": 0.05}
    told = {"measure": brief, "powercap_root": str(root), "commentary_s": 0.05}
    measured(path := make_job("alone", **told))
    assert '"sample"' in (path.parent / "events.ndjson").read_text()
    found = measured(path := make_job(**told, gpus=[0]))
    assert '"sample"' not in (path.parent / "events.ndjson").read_text()
    assert {i.device_class for i in found.infos} >= {"cpu"}
    assert "no_meter" in found.flags
    assert "libnvidia-ml" in found.unavailable["nvml"]


class Marking(TickEngine):
    """Answers the requests of its first phases with far too many tokens, and remembers them."""

    def __init__(self, marked_phases: int) -> None:
        super().__init__({"token_ms": 1}, 8)
        self.phases, self.marked_phases = 0, marked_phases
        self.marked: set[str] = set()

    def serve(self, source: Source, sink: Sink) -> None:
        self.phases += 1
        if self.phases <= self.marked_phases:
            super().serve(Marked(source, self.marked), sink)
        else:
            super().serve(source, sink)


class Marked:
    def __init__(self, inner: Source, marked: set[str]) -> None:
        self.inner, self.marked = inner, marked

    def take(self, room: int, busy: int) -> list[Request] | None:
        taken = self.inner.take(room, busy)
        self.marked |= {r.id for r in taken or ()}
        return None if taken is None else [r._replace(output_tokens=97) for r in taken]

    def due_ns(self) -> int | None:
        return self.inner.due_ns()


@pytest.mark.slow
@pytest.mark.parametrize(
    "arrival",
    [
        {"kind": "offline"},
        {"kind": "concurrency", "concurrency": 4},
        {"kind": "poisson", "rate": 40.0},
    ],
    ids=lambda a: str(a["kind"]),
)
def test_warm_up_leaks_into_no_metric(make_job: MakeJob, arrival: dict[str, Any]) -> None:
    brief = {"windows": 1, "window_s": 0.5, "idle_s": 0, "warm_up_cap_s": 0.4}
    path = make_job(
        measure={**brief, "meters": ["estimate"]},
        workload=Workload.model_validate({**WORKLOAD, "arrival": arrival}).model_dump(),
    )
    engine = Marking(1)
    with Events(path.parent / "events.ndjson") as events:
        found = measure(Job.read(path), Tick(), engine, path.parent, events)
    assert len(engine.marked) >= 3
    answered = {r.request.id for r in found.responses}
    assert answered and not answered & engine.marked
    assert {len(r.token_ns) for r in found.responses} == {6}
    (window,) = found.windows
    in_window = [t for r in found.responses for t in r.token_ns]
    assert window.output_tokens == sum(window.start_ns < t <= window.end_ns for t in in_window)
    latencies = distributions(found.responses, [(window.start_ns, window.end_ns)])
    # An answer of 97 tokens takes 97 ms at the least, one of 6 tokens has 5 gaps.
    assert latencies["itl_s"].n <= 5 * len(found.responses)
    assert latencies["e2e_latency_s"].n == window.requests


@pytest.mark.slow
def test_an_engine_that_loses_a_request_has_failed(make_job: MakeJob) -> None:
    class Losing(TickEngine):
        def serve(self, source: Source, sink: Sink) -> None:
            for _ in range(3):
                source.take(2, 0)

    path = make_job()
    with (
        Events(path.parent / "events.ndjson") as events,
        pytest.raises(RunFailed, match=r"lost \d+ of \d+ requests"),
    ):
        measure(Job.read(path), Tick(), Losing({}, 4), path.parent, events)


def listed(*times: float) -> list[Request]:
    talk = [Request(f"a{i}", [1], 1, "", after=f"a{i - 1}" if i else None) for i in range(3)]
    rest = [Request(f"r{i}", [1], 1, "", at_s=t) for i, t in enumerate(times)]
    return [*rest[:4], *talk, *rest[4:]]


def test_a_blocks_order_keeps_conversations_whole(make_job: MakeJob) -> None:
    given = listed(*range(20))
    orders = [[r.id for r in shuffled(Job.read(make_job(block=b)), given)] for b in range(4)]
    assert len({tuple(o) for o in orders}) == 4
    for order in orders:
        assert sorted(order) == sorted(r.id for r in given)
        at = order.index("a0")
        assert order[at : at + 3] == ["a0", "a1", "a2"]
    again = shuffled(Job.read(make_job(block=0, run_id="f" * 24)), given)
    assert [r.id for r in again] == orders[0]


def test_a_trace_is_replayed_in_its_own_order(make_job: MakeJob) -> None:
    arrival = {"kind": "trace", "path": "t.jsonl"}
    workload = Workload.model_validate({**WORKLOAD, "arrival": arrival}).model_dump()
    given = listed(*range(20))
    assert shuffled(Job.read(make_job(workload=workload)), given) == given


def test_a_trace_without_times_cannot_be_replayed(make_job: MakeJob) -> None:
    job = Job.read(make_job())
    stock = Stock([Request("r0", [1], 1, "")])
    with pytest.raises(RunFailed, match="no times to replay"):
        operating_point.source(job, TraceArrival(path="t"), "window", stock, Log())


def test_before_a_search_clients_warm_up(make_job: MakeJob) -> None:
    sought = Poisson(rate=Search())
    assert operating_point.warming(sought) == Concurrency(concurrency=8)
    assert operating_point.warming(Poisson(rate=2)) == Poisson(rate=2)
    job = Job.read(
        make_job(
            workload={**WORKLOAD, "arrival": {"kind": "poisson", "rate": {"search": "goodput"}}}
        )
    )
    with pytest.raises(RunFailed, match=r"needs workload\.slo"):
        operating_point.find_rate(job, Stock(listed(1.0)), Log(), lambda source: None)
