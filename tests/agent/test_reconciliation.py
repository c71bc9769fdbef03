"""A record of a machine with many meters: what counts, what is compared, again from its files."""

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from lem.agent.assemble import Figures, assemble
from lem.contract.failure import Failure
from lem.contract.record import MeterInfo, Reconciliation, Record, View
from lem.meters import readings
from lem.meters.energy import reconcile
from lem.meters.protocol import Sample
from lem.meters.sampling import trace
from lem.report.meters import side_by_side
from lem.workloads.load import Response
from lem.workloads.requests import Request
from lem.workloads.steady import Counts, count

from .conftest import MakeJob, agent

S = 10**9


def info(meter: str, device: str, device_class: str, quantity: str, **more: Any) -> MeterInfo:
    return MeterInfo(
        meter=meter,
        device=device,
        device_class=device_class,
        quantity=quantity,
        unit="",
        description="",
        **more,
    )


WATTS = {
    ("rapl", "package-0"): 120.0,
    ("rapl", "core-0"): 70.0,
    ("rapl", "dram-0"): 15.0,
    ("pm_counters", "node"): 900.0,
    ("pm_counters", "cpu"): 126.0,
    ("pm_counters", "memory"): 15.0,
    ("pm_counters", "accel0"): 520.0,
    ("amd", "gpu0"): 500.0,
    ("external", "wall"): 1000.0,
}
INFOS = [
    info("rapl", "package-0", "cpu", "energy_uj", relative_uncertainty=0.05),
    info("rapl", "core-0", "sensor", "energy_uj", part_of="package-0"),
    info("rapl", "dram-0", "dram", "energy_uj"),
    info("pm_counters", "node", "node", "energy_j", update_period_s=0.1),
    info("pm_counters", "cpu", "cpu", "energy_j", update_period_s=0.1),
    info("pm_counters", "memory", "dram", "energy_j", update_period_s=0.1),
    info("pm_counters", "accel0", "gpu", "energy_j", update_period_s=0.1),
    info("amd", "gpu0", "gpu", "energy_uj", update_period_s=0.1),
    info(
        "external", "wall", "node", "power_w", update_period_s=1.0, relative_uncertainty=0.01
    ),
    info("estimate", "processes", "estimated", "cpu_time_ns"),
]  # fmt: skip


def samples(
    busy: float = 1.0, own: float = 0.95, watts: dict[tuple[str, str], float] | None = None
) -> list[Sample]:
    """40 s at constant power (the wall's last digit moves), read 20 times a second."""
    watts = WATTS | (watts or {})
    rng = random.Random(7)
    found: list[Sample] = []
    for i in range(800):
        t = i * 0.05
        t_ns = int(t * S) + rng.randrange(100_000)
        for of in INFOS:
            power = watts.get((of.meter, of.device))
            if of.quantity == "energy_uj":
                found.append(Sample(t_ns, of.meter, of.device, of.quantity, power * t * 1e6))  # type: ignore[operator]
            elif of.quantity == "energy_j":
                shown = math.floor(power * (i // 2) * 0.1)  # type: ignore[operator]
                found.append(Sample(t_ns, of.meter, of.device, of.quantity, shown))
            elif of.quantity == "power_w" and i % 20 == 0:
                told = power + (0.25 if i % 40 else -0.25)  # type: ignore[operator]
                found.append(Sample(t_ns, of.meter, of.device, of.quantity, told))
        if i % 20 == 0:
            found += [
                Sample(t_ns, "rapl", d, "max_energy_range_uj", 262e9)
                for d in ("package-0", "core-0", "dram-0")
            ]
            found += [
                Sample(t_ns, "estimate", "processes", "cpu_time_ns", own * t * S),
                Sample(t_ns, "estimate", "processes", "host_busy_ns", busy * t * S),
                Sample(t_ns, "estimate", "processes", "watts_per_core", 10),
                Sample(t_ns, "sampler", "self", "cpu_time_ns", 0.001 * t * S),
            ]
    return sorted(found, key=lambda s: s.t_ns)


def answers() -> list[Response]:
    at = [6 * S + i * S // 10 for i in range(300)]
    return [Response(Request("a", [1] * 5, len(at), ""), 5 * S, at, at[-1], "done")]


def figures(found: list[Sample]) -> Figures:
    responses = answers()
    windows: list[Counts] = [count(responses, a * S, (a + 10) * S) for a in (8, 20)]
    return assemble(INFOS, found, windows, [(2 * S, 5 * S)], responses, {})


def of(found: Figures, what: str, relation: str, meter: str) -> Reconciliation:
    (one,) = [
        r
        for r in found.reconciliation
        if (r.what, r.relation) == (what, relation) and meter in (r.first.meter, r.second.meter)
    ]
    return one


def test_each_class_has_one_meters_figure_and_never_two() -> None:
    found = figures(samples())
    powers = found.metrics["mean_power_w"]
    assert isinstance(powers, dict)
    assert {c: round(v.value) for c, v in powers.items()} == {
        "gpu": 500, "cpu": 120, "dram": 15, "node": 1000,
    }  # fmt: skip
    for window in found.windows:
        assert {(r.meter, r.device) for r in window.energy} == {
            ("amd", "gpu0"), ("rapl", "package-0"), ("rapl", "dram-0"), ("external", "wall"),
        }  # fmt: skip


def test_every_pair_of_views_is_in_the_record() -> None:
    found = figures(samples())
    assert of(found, "gpu", "same", "pm_counters").ratio == pytest.approx(500 / 520, rel=3e-3)
    assert of(found, "cpu", "same", "pm_counters").ratio == pytest.approx(120 / 126, rel=3e-3)
    assert of(found, "node", "same", "pm_counters").ratio == pytest.approx(1000 / 900, rel=3e-3)
    wall = of(found, "wall_to_gpu", "contains", "external")
    assert wall.ratio == pytest.approx(2.0, rel=3e-3)
    assert wall.uncertainty is not None and 0.13 < wall.uncertainty < 0.16
    assert of(found, "package-0", "contains", "rapl").ratio == pytest.approx(120 / 70, rel=3e-3)
    assert wall.agrees is True
    # 1000 W ± 1 % at the wall against 900 W ± 5 % inside: what a supply loses.
    assert of(found, "node", "same", "pm_counters").agrees is False
    assert "meters_disagree" in found.flags and "meters_contradict" not in found.flags


def test_it_is_the_same_from_the_files(tmp_path: Path) -> None:
    """Trace and windows as they are on the disk give the same comparison again."""
    written = samples()
    found = figures(written)
    writer = trace.TraceWriter(tmp_path / "trace.csv.gz")
    writer.add(written)
    writer.close()
    golden = Path(__file__).parents[1] / "contract/golden/record.v1.json"
    raw = json.loads(golden.read_text())
    raw |= {
        "meters": [i.model_dump() for i in INFOS],
        "windows": [w.model_dump() for w in found.windows],
        "reconciliation": [r.model_dump() for r in found.reconciliation],
    }
    record = Record.parse(json.dumps(raw).encode(), "record.json")
    record.write(tmp_path / "record.json")
    read = Record.read(tmp_path / "record.json")
    again = reconcile.reconciled(
        read.meters,
        [
            readings.every(read.meters, trace.read(tmp_path / "trace.csv.gz"), w.start_ns, w.end_ns)
            for w in read.windows
        ],
    )
    assert again == read.reconciliation
    assert len(again) == 11


def test_two_meters_that_contradict_exclude_the_run() -> None:
    found = figures(samples(watts={("pm_counters", "accel0"): 200.0}))
    assert of(found, "gpu", "same", "pm_counters").agrees is False
    assert "meters_contradict" in found.flags


def test_other_programs_work_takes_the_cpus_figures_and_leaves_the_gpus() -> None:
    """Four cores of somebody else: at most 100 W of 120 W, and 10 % of the wall's 1000 W."""
    found = figures(samples(busy=5.0, own=0.95))
    per_token = found.metrics["energy_per_output_token_j"]
    assert isinstance(per_token, dict)
    assert set(per_token) == {"gpu", "node"}
    assert {"not_attributed", "shared_device"} <= found.flags
    assert "foreign_load" not in found.flags
    flagged = {r.device: r.flags for r in found.windows[0].energy}
    assert flagged["package-0"] == flagged["dram-0"] == ["foreign_load"]
    assert flagged["wall"] == ["power_integrated", "shared_device"]
    assert flagged["gpu0"] == []
    assert found.windows[0].foreign_cpu_time_s == pytest.approx(40.5, rel=0.01)
    cpu = next(r for r in found.windows[0].energy if r.device == "package-0")
    assert cpu.energy_j == pytest.approx(1200, rel=1e-2), "what the package drew is still told"


def test_where_nothing_else_is_measured_the_run_does_not_count() -> None:
    only = [i for i in INFOS if i.device in ("package-0", "dram-0")]
    responses = answers()
    window = count(responses, 8 * S, 18 * S)
    found = assemble(only, samples(busy=5.0), [window], [], responses, {})
    assert "foreign_load" in found.flags and "not_attributed" not in found.flags
    assert "energy_per_output_token_j" not in found.metrics


def test_shown_for_a_person() -> None:
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(side_by_side(figures(samples()).reconciliation))
    text = console.export_text()
    assert "node ÷ GPU (wall factor)" in text
    assert "no: more apart than U" in text
    assert "external wall" in text and "pm_counters accel0" in text


def test_a_view_without_devices_is_shown() -> None:
    """A record from elsewhere may have one."""
    view = View(meter="m", devices=[], energy_j=1.0, uncertainty_j=None)
    found = Reconciliation(
        relation="contains",
        what="gpu",
        first=view,
        second=view,
        ratio=None,
        uncertainty=None,
        agrees=None,
    )
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(side_by_side([found]))
    assert "contains gpu" in console.export_text()


MEASURE = {"windows": 1, "window_s": 1.5, "idle_s": 0.2, "warm_up_cap_s": 0.1}


@pytest.mark.slow
def test_a_run_on_a_machine_with_a_wall_meter(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine's own file names it; the campaign says nothing of it."""
    file = tmp_path / "meters.toml"
    file.write_text(
        '[[external]]\nname = "wall"\ncommand = ["echo", "212"]\nunit = "W"\n'
        "uncertainty = 0.02\nperiod_s = 0.1\n"
    )
    monkeypatch.setenv("LEM_METERS", str(file))
    path = make_job(measure=MEASURE)
    done = agent("run", path)
    assert done.returncode == 0, done.stderr
    record = Record.read(path.parent / "record.json")
    (reading,) = record.windows[0].energy
    seconds = (record.windows[0].end_ns - record.windows[0].start_ns) / 1e9
    assert (reading.meter, reading.device) == ("external", "wall")
    assert reading.energy_j == pytest.approx(212 * seconds, rel=1e-6)
    assert reading.uncertainty_j == pytest.approx(0.02 * 212 * seconds, rel=1e-6)
    assert record.windows[0].foreign_cpu_time_s is not None
    assert "never_changed" in record.flags, "nothing shows that this meter lives"
    assert "echo" not in (path.parent / "record.json").read_text(), "commands stay on the machine"


@pytest.mark.slow
def test_a_wall_meter_that_does_not_answer_stops_the_run(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "meters.toml"
    file.write_text('[[external]]\ncommand = ["false"]\nunit = "W"\n')
    monkeypatch.setenv("LEM_METERS", str(file))
    path = make_job(measure=MEASURE)
    assert agent("run", path).returncode == 1
    failure = Failure.read(path.parent / "failure.json")
    assert failure.kind == "meter"
    assert "external: wall: false ended with 1" in failure.message
