"""The NVML meter against the played board: every way a counter can mislead."""

import math
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from lem.agent.metrics import energy_by_class
from lem.contract.record import EnergyReading, MeterInfo
from lem.errors import MeterUnavailable
from lem.meters import nvml_energy, readings
from lem.meters.energy import series
from lem.meters.neighbours import Neighbours
from lem.meters.nvml import Nvml
from lem.meters.protocol import MeterSettings, Sample
from tests.meters import played

Begin = Callable[[played.Play], played.Play]
STEADY = ((played.NEVER, 300.0, 300.0),)


def watch(
    seconds: float, settings: MeterSettings | None = None
) -> tuple[list[MeterInfo], list[Sample]]:
    """Read the played board in this process every 20 ms."""
    meter = Nvml()
    infos = [readings.info_of(d) for d in meter.open(settings or MeterSettings())]
    samples: list[Sample] = []
    end_ns = time.monotonic_ns() + int(seconds * 1e9)
    while time.monotonic_ns() < end_ns:
        samples += meter.read("full")
        time.sleep(0.02)
    meter.close()
    return infos, samples


def energy(
    infos: Sequence[MeterInfo], samples: Sequence[Sample], start_ns: int, end_ns: int
) -> EnergyReading:
    return readings.readings(infos, samples, start_ns, end_ns)[0]


def said(r: EnergyReading) -> list[str]:
    """The flags, but for pauses of this process, which a busy test machine may cause."""
    return [f for f in r.flags if f != "sampler_gap"]


def reading_of(begin: Begin, seconds: float = 1.6, **options: float) -> EnergyReading:
    """The reading of nearly the whole time, with these faults."""
    play = begin(played.Play(STEADY, options))
    infos, samples = watch(seconds)
    start_ns = play.t0_ns + 250_000_000
    return energy(infos, samples, start_ns, start_ns + int((seconds - 0.5) * 1e9))


@pytest.mark.parametrize("tick_ms", [20, 100, 150])
def test_energy_is_right_whatever_the_tick(play: Begin, tick_ms: float) -> None:
    """Arbitrary edges, a load that changes: the error is within what is stated without gain."""
    steps = [(0.6, 120.0, 120.0), (1.3, 400.0, 400.0), (played.NEVER, 150.0, 150.0)]
    what = play(played.Play(steps, {"tick_ms": tick_ms}))
    infos, samples = watch(2.2)
    for start_s, end_s in ((0.4, 1.8), (0.45, 1.77), (0.51, 1.83)):
        start_ns, end_ns = (what.t0_ns + int(s * 1e9) for s in (start_s, end_s))
        r = energy(infos, samples, start_ns, end_ns)
        assert r.energy_j is not None and said(r) == []
        # Half-widths, √3 × standard uncertainties, at worst all on the same side of both edges.
        bound_j = math.sqrt(6) * (r.budget_j["tick"] + r.budget_j["sampling"])
        assert abs(r.energy_j - what.energy_j(start_ns, end_ns)) <= bound_j
        assert bound_j < 0.5 * r.energy_j


@pytest.mark.parametrize("gain", [0.95, 1.05])
def test_a_board_five_per_cent_off_is_within_the_stated_uncertainty(
    play: Begin, gain: float
) -> None:
    r = reading_of(play, gain=gain)
    assert r.energy_j is not None and r.uncertainty_j is not None
    assert abs(r.energy_j - 300 * 1.1) <= r.uncertainty_j
    assert r.budget_j["gain"] == pytest.approx(0.034 * r.energy_j)


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"freeze_s": 0.0}, "counter_frozen"),
        ({"freeze_s": 0.7}, "counter_frozen"),
        ({"freeze_s": 0.4, "thaw_s": 1.2}, "counter_frozen"),
        ({"backwards_s": 0.8}, "counter_backwards"),
        ({"start_mj": 5000.0, "wrap_mj": 200_000.0}, "counter_backwards"),
        ({"jump_s": 0.8, "jump_mj": 5e6}, "counter_implausible"),
        ({"lost_s": 0.8}, "meter_lost"),
        ({"unsupported_s": 0.8}, "meter_lost"),
    ],
)
def test_a_counter_that_misleads_gives_no_figure(
    play: Begin, options: dict[str, float], flag: str
) -> None:
    r = reading_of(play, **options)
    assert r.energy_j is None and r.uncertainty_j is None
    assert flag in r.flags


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"throttle_s": 0.5, "throttle_bits": 0x20}, "throttled"),
        ({"limit_change_s": 0.7, "second_limit_w": 500}, "power_limit_changed"),
        ({"clock_change_s": 0.7}, "clocks_changed"),
        ({"mig": 1}, "shared_device"),
    ],
)
def test_conditions_are_flagged_beside_the_figure(
    play: Begin, options: dict[str, float], flag: str
) -> None:
    r = reading_of(play, **options)
    assert r.energy_j == pytest.approx(330, rel=0.05)
    assert said(r) == [flag]


def test_running_at_the_power_limit_is_not_throttling(play: Begin) -> None:
    assert said(reading_of(play, throttle_s=0.0, throttle_bits=0x04)) == []


def test_a_tick_that_changes_its_rate_is_followed(play: Begin) -> None:
    r = reading_of(play, seconds=2.5, tick_ms=40, tick_change_s=1.0, second_tick_ms=160)
    assert r.energy_j == pytest.approx(600, rel=0.05)
    assert said(r) == []


def test_other_processes_on_the_board(play: Begin) -> None:
    """Our own process is not foreign, the machine's first one is."""
    settings = MeterSettings(process=os.getpid())
    for pids, expected in (((os.getpid(),), []), ((os.getpid(), 1), ["foreign_gpu_process"])):
        what = play(played.Play(STEADY, pids=pids))
        infos, samples = watch(0.8, settings)
        r = energy(infos, samples, what.t0_ns + 300_000_000, what.t0_ns + 600_000_000)
        assert said(r) == expected


def test_without_a_counter_power_is_integrated_with_a_larger_uncertainty(play: Begin) -> None:
    what = play(
        played.Play(
            [(0.8, 100.0, 300.0), (played.NEVER, 300.0, 300.0)],
            {"no_energy": 1, "power_update_ms": 100, "power_average_ms": 50, "power_noise_w": 1},
        )
    )
    infos, samples = watch(2.0)
    assert infos[0].quantity == "power_mw"
    start_ns, end_ns = what.t0_ns + 300_000_000, what.t0_ns + 1_700_000_000
    r = energy(infos, samples, start_ns, end_ns)
    assert r.energy_j is not None and r.uncertainty_j is not None
    assert said(r) == ["power_integrated"]
    assert abs(r.energy_j - what.energy_j(start_ns, end_ns)) <= r.uncertainty_j
    assert r.uncertainty_j > 0.3 * r.energy_j


def test_more_windows_make_integrated_power_no_more_certain() -> None:
    """What polling misses of a board's power, it misses in every window: three of them together
    are as uncertain, relatively, as one: 2·√(0.195² + 0.034²) of the energy."""
    info = MeterInfo(
        meter="nvml",
        device="gpu0",
        device_class="gpu",
        quantity="power_mw",
        unit="mW",
        description="",
    )
    samples = [Sample(i * 50_000_000, "nvml", "gpu0", "power_mw", 300_000) for i in range(1300)]
    windows = [
        [Nvml().energy(info, samples, start * 10**9, (start + 10) * 10**9)] for start in (5, 20, 40)
    ]
    total = energy_by_class(windows)["gpu"]
    assert total.value == pytest.approx(9000)
    assert total.uncertainty == pytest.approx(2 * math.hypot(0.195, 0.034) * 9000)


def test_a_board_that_tells_nothing_has_no_figure(play: Begin) -> None:
    play(played.Play(STEADY, {"no_energy": 1, "no_power": 1}))
    infos, samples = watch(0.2)
    r = energy(infos, samples, samples[0].t_ns, samples[-1].t_ns)
    assert r.energy_j is None
    assert said(r) == ["no_meter"]


def test_a_counter_in_another_unit_disagrees_with_power() -> None:
    """Counting ten times too fast over 12 s, but within what the board may draw at its peak."""
    info = MeterInfo(
        meter="nvml",
        device="gpu0",
        device_class="gpu",
        quantity="energy_mj",
        unit="mJ",
        description="",
    )
    samples = []
    for i in range(150):
        t_ns = i * 100_000_000
        samples.append(Sample(t_ns, "nvml", "gpu0", "energy_mj", 1e6 + 100_000 * i))
        samples.append(Sample(t_ns, "nvml", "gpu0", "power_mw", 100_000))
    r = Nvml().energy(info, samples, 1_000_000_000, 13_000_000_000)
    assert r.energy_j is None
    assert r.flags == ["counter_disagrees"]


def test_reasons_why_it_cannot_be_used(play: Begin) -> None:
    play(played.Play(options={"init_error": 9}))
    with pytest.raises(MeterUnavailable, match="NVML"):
        Nvml().open(MeterSettings())
    play(played.Play())
    with pytest.raises(MeterUnavailable, match="GPU 3 is not here; NVML sees 1"):
        Nvml().open(MeterSettings(gpus=(3,)))


def container(tmp_path: Path, computing: int) -> MeterSettings:
    """A process id namespace of its own, in which so many processes use CUDA."""
    proc = tmp_path / "proc"
    for i in range(1 + computing):
        pid, parent = 1 + i, min(i, 1)
        (proc / str(pid) / "fd").mkdir(parents=True)
        fields = ["S", str(parent), *["0"] * 17, "55", *["0"] * 20]
        (proc / str(pid) / "stat").write_text(f"{pid} (a) b) {' '.join(fields)}\n")
        if i:
            (proc / str(pid) / "fd/3").symlink_to("/dev/nvidia-uvm")
    (proc / "self/ns").mkdir(parents=True)
    (proc / "self/ns/pid").symlink_to("pid:[4026532999]")
    return MeterSettings(proc_root=proc, process=1)


@pytest.mark.parametrize(
    ("listed", "own", "foreign"),
    [((90001, 90002), 1, 1), ((90001,), 1, 0), ((90001, 90002, 90003), 0, 3)],
)
def test_in_a_container_foreign_processes_are_counted_not_named(
    play: Begin, tmp_path: Path, listed: tuple[int, ...], own: int, foreign: int
) -> None:
    play(played.Play(STEADY, pids=listed))
    _, samples = watch(0.1, container(tmp_path, own))
    assert {s.value for s in series.of(samples, "foreign_processes")} == {foreign}


@pytest.mark.parametrize("listed", [(), (90001,)])
def test_a_list_shorter_than_what_the_run_does_itself_says_nothing(
    play: Begin, tmp_path: Path, listed: tuple[int, ...]
) -> None:
    play(played.Play(STEADY, pids=listed))
    infos, samples = watch(0.4, container(tmp_path, 2))
    assert not series.of(samples, "foreign_processes")
    assert "neighbours_unknown" in energy(infos, samples, samples[0].t_ns, samples[-1].t_ns).flags


def test_on_two_boards_together_what_is_listed_beyond_the_runs_own_is_foreign(
    tmp_path: Path,
) -> None:
    """One of the run's two processes is on each board; a stranger is on the second."""
    listed = {"gpu0": frozenset({1001}), "gpu1": frozenset({1002, 2000})}
    neighbours = Neighbours(container(tmp_path, 2), "/dev/nvidia-uvm")
    assert neighbours.count(listed) == {"gpu0": 1, "gpu1": 1}
    assert neighbours.count(listed | {"gpu1": frozenset({1002})}) == {"gpu0": 0, "gpu1": 0}


def test_a_driver_that_lists_nothing_leaves_neighbours_unknown(
    play: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pynvml

    def refuse(handle: object) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetComputeRunningProcesses", refuse)
    play(played.Play(STEADY))
    infos, samples = watch(0.4)
    assert not series.of(samples, "foreign_processes")
    assert "neighbours_unknown" in energy(infos, samples, samples[0].t_ns, samples[-1].t_ns).flags


def test_a_desktop_on_the_board_is_told_of(play: Begin) -> None:
    play(played.Play(STEADY, {"graphics_pid": 4242}))
    infos, samples = watch(0.4)
    assert "shared_device" in energy(infos, samples, samples[0].t_ns, samples[-1].t_ns).flags


@pytest.mark.parametrize(
    ("read_s", "flagged"),
    [
        ([(0.5, 1)], True),
        ([(0.5, 1), (1.2, 0)], False),
        ([(0.5, 0), (2.5, 1)], True),
        ([(0.1, 1), (0.5, 0), (2.5, 0), (3.0, 1)], False),
        ([], False),
    ],
)
def test_others_are_looked_for_around_a_window_that_was_too_short_to_see_them(
    read_s: list[tuple[float, int]], flagged: bool
) -> None:
    """A window from 1 to 2 s; processes are listed once a second, at other times."""
    info = MeterInfo(
        meter="nvml",
        device="gpu0",
        device_class="gpu",
        quantity="energy_mj",
        unit="mJ",
        description="",
    )
    counter = [Sample(i * 10**8, "nvml", "gpu0", "energy_mj", i * 1e4) for i in range(40)]
    seen = [Sample(int(t * 1e9), "nvml", "gpu0", "foreign_processes", n) for t, n in read_s]
    found = nvml_energy.energy(info, sorted([*counter, *seen]), 10**9, 2 * 10**9)
    assert ("foreign_gpu_process" in found.flags) is flagged
