"""Other programs' work: what of a reading may be theirs."""

import os
from pathlib import Path

import pytest

from lem.contract.record import MeterInfo
from lem.meters import readings
from lem.meters.energy import foreign
from lem.meters.energy.foreign import Load
from lem.meters.protocol import Sample

STAT = """cpu  4705 150 1120 16250 520 30 45 70 400 10
cpu0 1393 32 572 8100 200 15 20 30 200 5
intr 114930548
"""


def test_busy_time_is_what_the_kernel_says_without_idle_waiting_and_stolen(tmp_path: Path) -> None:
    """user, nice, system, irq, softirq of proc(5), in hundredths of a second."""
    (tmp_path / "stat").write_text(STAT)
    assert foreign.busy_ns(tmp_path, 100) == (4705 + 150 + 1120 + 30 + 45) * 10_000_000


@pytest.mark.parametrize("text", ["", "cpu 1 2", "cpu0 1 2 3 4 5 6 7", "cpu a b c d e f g"])
def test_a_damaged_stat_tells_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "stat").write_text(text)
    assert foreign.busy_ns(tmp_path, 100) is None
    assert foreign.busy_ns(tmp_path / "nowhere", 100) is None


def test_this_machine_has_a_stat() -> None:
    first = foreign.busy_ns(Path("/proc"), os.sysconf("SC_CLK_TCK"))
    assert first is not None and first > 0


@pytest.mark.parametrize(
    ("busy_s", "foreign_s", "energy_j", "part"),
    [
        # A desktop: the run has 90 % of the busy time, 10 s at 60 W.
        (10.0, 1.0, 600.0, 25 / 600),
        # The same on a small machine that draws 15 W: in proportion is the smaller bound.
        (10.0, 1.0, 150.0, 0.1),
        # A server of 128 cores, 10 s at 200 W; the run spins on one core, services use a third of
        # the busy time: half a core, at most 12.5 W.
        (15.0, 5.0, 2000.0, 125 / 2000),
        # Another job on 32 cores of it.
        (330.0, 320.0, 4000.0, 320 / 330),
        (10.0, 0.0, 600.0, 0.0),
        (0.0, 0.0, 600.0, 0.0),
        (10.0, 4.0, 0.0, 0.4),
    ],
)
def test_the_smaller_bound_counts(
    busy_s: float, foreign_s: float, energy_j: float, part: float
) -> None:
    assert foreign.share(Load(busy_s, foreign_s), energy_j) == pytest.approx(part)


@pytest.mark.parametrize(
    ("part", "flags"),
    [(0.0, []), (0.05, []), (0.051, ["shared_device"]), (0.21, ["foreign_load"])],
)
def test_thresholds(part: float, flags: list[str]) -> None:
    assert foreign.flags(part) == flags


def info(meter: str, device: str, device_class: str, quantity: str) -> MeterInfo:
    return MeterInfo(
        meter=meter,
        device=device,
        device_class=device_class,
        quantity=quantity,
        unit="",
        description="",
    )


PACKAGE = info("rapl", "package-0", "cpu", "energy_uj")


def trace(package_w: float, busy: float, own: float, sampler: float = 0.001) -> list[Sample]:
    """12 s at constant power; ``busy``, ``own``: cores in use, on average."""
    samples = [Sample(0, "rapl", "package-0", "max_energy_range_uj", 262e9)]
    for i in range(240):
        t = i * 0.05
        t_ns = int(t * 1e9)
        samples.append(Sample(t_ns, "rapl", "package-0", "energy_uj", package_w * t * 1e6))
        if i % 20 == 0:
            samples += [
                Sample(t_ns, "estimate", "processes", "cpu_time_ns", own * t * 1e9),
                Sample(t_ns, "estimate", "processes", "host_busy_ns", busy * t * 1e9),
                Sample(t_ns, "estimate", "processes", "watts_per_core", 10),
                Sample(t_ns, "sampler", "self", "cpu_time_ns", sampler * t * 1e9),
            ]
    return samples


@pytest.mark.parametrize(
    ("busy", "own", "flags"),
    [
        (2.0, 1.98, []),
        (2.0, 1.7, ["shared_device"]),
        (2.0, 1.0, ["foreign_load"]),
    ],
)
def test_a_package_that_others_use_is_flagged(busy: float, own: float, flags: list[str]) -> None:
    """60 W: 0.3 cores of others may be 7.5 W, a whole one 25 W."""
    (r,) = readings.readings([PACKAGE], trace(60, busy, own), 10**9, 11 * 10**9)
    assert r.energy_j == pytest.approx(600, rel=1e-3)
    assert r.flags == flags


def test_the_sampler_is_nobody_elses() -> None:
    samples = trace(60, busy=2.0, own=1.0, sampler=1.0)
    (r,) = readings.readings([PACKAGE], samples, 10**9, 11 * 10**9)
    assert r.flags == []


def test_without_a_count_nothing_is_claimed() -> None:
    samples = [s for s in trace(60, 2.0, 1.0) if s.quantity != "host_busy_ns"]
    (r,) = readings.readings([PACKAGE], samples, 10**9, 11 * 10**9)
    assert r.flags == []
    assert readings.host_load(samples, 10**9, 11 * 10**9) is None


def test_an_estimate_is_of_the_runs_own_time_whoever_else_works() -> None:
    own = info("estimate", "processes", "estimated", "cpu_time_ns")
    (r,) = readings.readings([own], trace(60, 2.0, 1.0), 10**9, 11 * 10**9)
    assert r.flags == ["estimated"]
    assert r.energy_j == pytest.approx(100, rel=1e-3)
