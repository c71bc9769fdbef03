"""Where CPU time is read from, and what is made of it."""

import os
from pathlib import Path

import pytest

from lem.errors import MeterUnavailable
from lem.meters import readings
from lem.meters.estimate import Estimate, group_cpu_time_ns, own_group
from lem.meters.protocol import MeterSettings, Sample


def version_2(root: Path, top: bool) -> Path:
    root.mkdir(parents=True)
    (root / "cpu.stat").write_text("usage_usec 1234567\nuser_usec 1\nsystem_usec 2\n")
    if not top:
        (root / "cgroup.type").write_text("domain\n")
    return root


def version_1(root: Path, top: bool) -> Path:
    (root / "cpuacct").mkdir(parents=True)
    (root / "cpuacct/cpuacct.usage").write_text("987654321\n")
    if top:
        (root / "cpuacct/release_agent").write_text("\n")
    return root


@pytest.mark.parametrize("make", [version_1, version_2])
def test_a_containers_own_group_counts_and_the_hosts_does_not(tmp_path: Path, make: object) -> None:
    assert callable(make)
    own, host = make(tmp_path / "own", top=False), make(tmp_path / "host", top=True)
    assert own_group(MeterSettings(cgroup_root=own), root=1) is not None
    assert own_group(MeterSettings(cgroup_root=host), root=1) is None


def test_a_run_beside_others_in_its_group_uses_the_tree(tmp_path: Path) -> None:
    """The process launcher's run: not the first process of its container."""
    root = version_2(tmp_path / "own", top=False)
    assert own_group(MeterSettings(cgroup_root=root), root=4711) is None


def test_both_versions_files(tmp_path: Path) -> None:
    assert group_cpu_time_ns(version_1(tmp_path / "1", False) / "cpuacct/cpuacct.usage") == (
        987_654_321
    )
    assert group_cpu_time_ns(version_2(tmp_path / "2", False) / "cpu.stat") == 1_234_567_000
    damaged = tmp_path / "cpu.stat"
    damaged.write_text("usage_usec\n")
    assert group_cpu_time_ns(damaged) is None
    assert group_cpu_time_ns(tmp_path / "none") is None


def test_a_process_that_is_not_there() -> None:
    with pytest.raises(MeterUnavailable, match="process 99999999"):
        Estimate().open(MeterSettings(process=99999999))


def test_two_seconds_of_one_core_at_ten_watts() -> None:
    """2 s of CPU time in 4 s: 20 J, ±10 J; half a core on average, one at its peak."""
    meter = Estimate()
    device = meter.open(MeterSettings(process=os.getpid()))[0]
    meter.close()
    info = readings.info_of(device)
    used_s = [0, 0, 1, 2, 2, 2]
    samples = [
        Sample(i * 10**9, "estimate", "processes", quantity, value)
        for i, used in enumerate(used_s)
        for quantity, value in (("cpu_time_ns", used * 1e9), ("watts_per_core", 10.0))
    ]
    r = meter.energy(info, samples, 10**9, 5 * 10**9)
    assert r.energy_j == pytest.approx(20)
    assert r.uncertainty_j == pytest.approx(10, rel=1e-3)
    assert (r.flags, r.device_class) == (["estimated"], "estimated")
    assert readings.cpu_time_s(samples, 10**9, 5 * 10**9) == pytest.approx(2)
    assert readings.peak_power_w([info], samples, 0, 5 * 10**9)["estimated"] == pytest.approx(10)


def test_cpu_time_beyond_the_trace_is_not_made_up() -> None:
    samples = [Sample(i * 10**9, "estimate", "processes", "cpu_time_ns", i) for i in range(4)]
    assert readings.cpu_time_s(samples, 0, 60 * 10**9) is None
    assert readings.cpu_time_s([], 0, 10**9) is None


@pytest.mark.parametrize(("longest_s", "flagged"), [(1.1, False), (3.5, True)])
def test_edges_that_come_oftener_than_readings_make_no_gap_of_them(
    longest_s: float, flagged: bool
) -> None:
    """Windows of 0.2 s, read at their edges, before a stretch that is read once a second."""
    meter = Estimate()
    info = readings.info_of(meter.open(MeterSettings(process=os.getpid()))[0])
    meter.close()
    times_s = [*(0.2 * i for i in range(12)), 2.2 + longest_s, 3.2 + longest_s]
    samples = [
        s
        for t in times_s
        for s in (
            Sample(round(t * 1e9), "estimate", "processes", "cpu_time_ns", t * 5e8),
            Sample(round(t * 1e9), "estimate", "processes", "watts_per_core", 10.0),
        )
    ]
    flags = meter.energy(info, samples, 2 * 10**9, int((2.2 + longest_s) * 1e9)).flags
    assert ("sampler_gap" in flags) is flagged
