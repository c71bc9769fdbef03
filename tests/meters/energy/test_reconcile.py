"""Which meter counts, and what follows where two see the same energy."""

from typing import Any

import pytest

from lem.contract.record import EnergyReading, MeterInfo, Reconciliation
from lem.meters.energy import reconcile


def info(meter: str, device: str, device_class: str, **more: Any) -> MeterInfo:
    return MeterInfo(
        meter=meter,
        device=device,
        device_class=device_class,
        quantity="",
        unit="",
        description="",
        **more,
    )


def read(
    of: MeterInfo, energy_j: float | None, gain: float = 0.02, tick_j: float = 0.0
) -> EnergyReading:
    if energy_j is None:
        return EnergyReading(
            meter=of.meter,
            device=of.device,
            device_class=of.device_class,
            energy_j=None,
            uncertainty_j=None,
            flags=["counter_frozen"],
        )
    budget = {"gain": gain * energy_j, "tick": tick_j}
    return EnergyReading(
        meter=of.meter,
        device=of.device,
        device_class=of.device_class,
        energy_j=energy_j,
        uncertainty_j=2 * (budget["gain"] ** 2 + tick_j**2) ** 0.5,
        budget_j=budget,
    )


GPU = [info("nvml", f"gpu{i}", "gpu") for i in range(2)]
ACCELERATOR = [info("pm_counters", f"accel{i}", "gpu") for i in range(2)]
PACKAGE = info("rapl", "package-0", "cpu")
CORE = info("rapl", "core-0", "sensor", part_of="package-0")
PSYS = info("rapl", "psys", "node")
NODE = info("pm_counters", "node", "node")
CPU = info("pm_counters", "cpu", "cpu")
WALL = info("external", "wall", "node", relative_uncertainty=0.02)
ESTIMATE = info("estimate", "processes", "estimated")


def of(found: list[Reconciliation], what: str, relation: str) -> Reconciliation:
    (one,) = [r for r in found if r.what == what and r.relation == relation]
    return one


def test_one_meter_counts_for_each_class() -> None:
    everything = [*GPU, *ACCELERATOR, PACKAGE, CORE, PSYS, NODE, CPU, WALL, ESTIMATE]
    assert reconcile.counted(everything) == [*GPU, PACKAGE, WALL]
    assert reconcile.counted([*ACCELERATOR, CPU, NODE, PSYS]) == [*ACCELERATOR, CPU, NODE]
    assert reconcile.counted([PACKAGE, PSYS]) == [PACKAGE, PSYS]


def test_boards_of_two_makers_are_added_up() -> None:
    """Neither maker's library sees the other's boards."""
    amd = info("amd", "gpu0", "gpu")
    assert reconcile.counted([*GPU, amd]) == [*GPU, amd]
    assert reconcile.counted([amd, *ACCELERATOR]) == [amd]
    three = [*ACCELERATOR, info("pm_counters", "accel2", "gpu")]
    windows = [[*(read(g, 1000) for g in GPU), read(amd, 500), *(read(a, 850) for a in three)]]
    r = of(reconcile.reconciled([*GPU, amd, *three], windows), "gpu", "same")
    assert (r.first.meter, r.first.energy_j, r.second.energy_j) == ("nvml+amd", 2500, 2550)
    assert r.first.uncertainty_j == pytest.approx((80**2 + 20**2) ** 0.5), (
        "makers err by themselves"
    )
    assert r.agrees is True


def test_a_processors_own_graphics_are_not_taken_for_the_nvidia_board() -> None:
    inside = info("hwmon", "hwmon2-amdgpu-power1", "gpu")
    board = [GPU[0], inside]
    assert reconcile.counted(board) == [GPU[0]]
    assert reconcile.reconciled(board, [[read(GPU[0], 3000), read(inside, 20)]]) == []
    amd = info("amd", "gpu0", "gpu")
    windows = [[read(amd, 3000), read(inside, 3050)]]
    assert of(reconcile.reconciled([amd, inside], windows), "gpu", "same").agrees is True


def test_a_wall_meter_whose_uncertainty_nobody_states_gives_way() -> None:
    unstated = info("external", "wall", "node")
    assert reconcile.counted([unstated, PSYS]) == [PSYS]
    assert reconcile.counted([unstated, PACKAGE]) == [unstated, PACKAGE]


def test_an_estimate_counts_only_where_nothing_is_measured() -> None:
    sensor = info("hwmon", "hwmon0-BAT0-power1", "sensor")
    assert reconcile.counted([ESTIMATE, sensor]) == [ESTIMATE]
    assert reconcile.counted([ESTIMATE, PACKAGE]) == [PACKAGE]


def test_a_meter_from_another_package_comes_after_the_known_ones() -> None:
    other = info("acme", "gpu0", "gpu")
    assert reconcile.counted([other, *GPU]) == GPU
    assert reconcile.counted([other, info("acme", "fpga", "fpga")])[1].device_class == "fpga"


def test_totals_that_agree() -> None:
    """2 kJ with U 40 J each against 2.05 kJ: ratio 0.976 ± 0.056, within."""
    windows = [[read(GPU[0], 1000), read(GPU[1], 1000), *(read(a, 1025) for a in ACCELERATOR)]]
    r = of(reconcile.reconciled([*GPU, *ACCELERATOR], windows), "gpu", "same")
    assert (r.first.meter, r.second.meter) == ("nvml", "pm_counters")
    assert (r.first.energy_j, r.second.energy_j) == (2000, 2050)
    assert r.first.uncertainty_j == pytest.approx(80), "gains add linearly"
    assert r.ratio == pytest.approx(2000 / 2050)
    assert r.uncertainty == pytest.approx(2000 / 2050 * (2 * 0.04**2) ** 0.5)
    assert r.agrees is True
    assert reconcile.flags([r], 60) == set()


def test_totals_that_disagree_are_a_finding_and_a_factor_is_no_run() -> None:
    for energy_j, flag in ((1200.0, "meters_disagree"), (2200.0, "meters_contradict")):
        windows = [[*(read(g, 1000) for g in GPU), *(read(a, energy_j) for a in ACCELERATOR)]]
        found = reconcile.reconciled([*GPU, *ACCELERATOR], windows)
        assert of(found, "gpu", "same").agrees is False
        assert reconcile.flags(found, 60) == {flag}
        assert reconcile.flags(found, 5) == set(), "too short to judge"


def test_windows_add_up() -> None:
    windows = [
        [read(PACKAGE, 100, tick_j=3), read(CPU, 101)],
        [read(PACKAGE, 300, tick_j=4), read(CPU, 303)],
    ]
    r = of(reconcile.reconciled([PACKAGE, CPU], windows), "cpu", "same")
    assert (r.first.energy_j, r.second.energy_j) == (400, 404)
    assert r.first.uncertainty_j == pytest.approx(2 * (8**2 + 5**2) ** 0.5)


def test_what_cannot_be_trusted_is_compared_with_nothing() -> None:
    windows = [[*(read(g, 1000) for g in GPU), read(ACCELERATOR[0], 1000)]]
    windows[0].append(read(ACCELERATOR[1], None))
    r = of(reconcile.reconciled([*GPU, *ACCELERATOR], windows), "gpu", "same")
    assert (r.ratio, r.uncertainty, r.agrees, r.second.energy_j) == (None, None, None, None)
    assert r.second.flags == ["counter_frozen"]
    assert reconcile.flags([r], 60) == set()


def test_different_numbers_of_boards_are_not_compared() -> None:
    """A run on one of two GPUs: the node's counters see both."""
    windows = [[read(GPU[0], 1000), *(read(a, 1000) for a in ACCELERATOR)]]
    found = reconcile.reconciled([GPU[0], *ACCELERATOR], windows)
    assert [r for r in found if r.relation == "same"] == []


def test_all_packages_are_compared_with_the_nodes_one_figure() -> None:
    second = info("rapl", "package-1", "cpu")
    windows = [[read(PACKAGE, 500), read(second, 500), read(CPU, 1010)]]
    r = of(reconcile.reconciled([PACKAGE, second, CPU], windows), "cpu", "same")
    assert r.agrees is True


def test_the_factor_from_the_gpus_to_the_wall() -> None:
    windows = [[*(read(g, 1000, gain=0.034) for g in GPU), read(PACKAGE, 400), read(WALL, 3200)]]
    found = reconcile.reconciled([*GPU, PACKAGE, WALL], windows)
    r = of(found, "wall_to_gpu", "contains")
    assert r.ratio == pytest.approx(1.6)
    assert r.uncertainty == pytest.approx(1.6 * (0.04**2 + 0.068**2) ** 0.5)
    assert r.agrees is True
    assert of(found, "cpu", "contains").ratio == pytest.approx(8)
    assert reconcile.flags(found, 60) == set()


def test_a_part_that_exceeds_the_whole_is_impossible() -> None:
    windows = [[*(read(g, 1000) for g in GPU), read(WALL, 1700)]]
    found = reconcile.reconciled([*GPU, WALL], windows)
    assert of(found, "wall_to_gpu", "contains").agrees is False
    assert reconcile.flags(found, 60) == {"meters_contradict"}


def test_a_core_is_part_of_its_package() -> None:
    windows = [[read(PACKAGE, 500), read(CORE, 300)]]
    r = of(reconcile.reconciled([PACKAGE, CORE], windows), "package-0", "contains")
    assert (r.first.devices, r.second.devices) == (["package-0"], ["core-0"])
    assert r.ratio == pytest.approx(500 / 300) and r.agrees is True


def test_psys_may_well_not_contain_a_graphics_card() -> None:
    windows = [[*(read(g, 1000) for g in GPU), read(PACKAGE, 100), read(PSYS, 180)]]
    found = reconcile.reconciled([*GPU, PACKAGE, PSYS], windows)
    assert {r.what for r in found} == {"cpu"}


def test_without_a_stated_uncertainty_there_is_a_ratio_and_no_verdict() -> None:
    unstated = info("external", "wall", "node")
    reading = read(unstated, 1500).model_copy(
        update={"uncertainty_j": None, "budget_j": {"tick": 1.0}}
    )
    found = reconcile.reconciled([PACKAGE, unstated], [[read(PACKAGE, 500), reading]])
    r = of(found, "cpu", "contains")
    assert (r.ratio, r.uncertainty, r.agrees) == (pytest.approx(3), None, None)


def test_a_measured_stretch_adds_no_class_up_twice() -> None:
    """Both meters were asked for by name; both are told, one makes the sum."""
    from lem.meters.session import Meter

    meter = Meter(["nvml", "pm_counters"])
    meter._readings = [*(read(g, 1000) for g in GPU), *(read(a, 1050) for a in ACCELERATOR)]
    meter._counted = {(i.meter, i.device) for i in reconcile.counted([*GPU, *ACCELERATOR])}
    assert meter.energy_j == 2000
    assert len(meter.readings) == 4
