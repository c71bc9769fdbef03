"""pm_counters, hwmon and IPMI: their faults, and the arithmetic of slow sensors."""

import math
import random
import time
from pathlib import Path

import pytest

from lem.contract.flags import worst
from lem.contract.record import EnergyReading, MeterInfo
from lem.errors import MeterUnavailable
from lem.meters import ipmi, readings
from lem.meters.energy import slow
from lem.meters.hwmon import Hwmon
from lem.meters.ipmi import Ipmi
from lem.meters.pm_counters import PmCounters
from lem.meters.protocol import MeterSettings, Sample
from tests.meters.rigs import put
from tests.meters.slow_rigs import DCMI, tool


def info(meter: str, device: str, quantity: str, device_class: str = "node") -> MeterInfo:
    return MeterInfo(
        meter=meter,
        device=device,
        device_class=device_class,
        quantity=quantity,
        unit="",
        description="",
        update_period_s=0.1,
    )


NODE = info("pm_counters", "node", "energy_j")


def series_of(
    values: list[float], quantity: str = "energy_j", period_s: float = 0.05
) -> list[Sample]:
    return [
        Sample(int(i * period_s * 1e9), "pm_counters", "node", quantity, v)
        for i, v in enumerate(values)
    ]


def node(samples: list[Sample], start_s: float, end_s: float) -> EnergyReading:
    ordered = sorted(samples, key=lambda s: s.t_ns)
    return PmCounters().energy(NODE, ordered, int(start_s * 1e9), int(end_s * 1e9))


def ten_hertz(watts: float, seconds: float) -> list[float]:
    """Read 20 times a second, brought up to date 10 times, whole joules."""
    return [math.floor(watts * (i // 2) * 0.1) for i in range(int(seconds * 20))]


def test_ten_updates_a_second_in_whole_joules() -> None:
    """997 W for 10 s: the last digit and the age of a value are in the uncertainty."""
    r = node(series_of(ten_hertz(997.0, 12)), 1.0, 11.0)
    assert r.energy_j == pytest.approx(9970, abs=1)
    # Each edge: 997 W × (25 ms + 0.1 ms of polling + 50 ms of age) at most, ÷ √3, and a last digit.
    most = math.hypot(math.sqrt(2) * 997 * 0.0753 / math.sqrt(3), 1 / math.sqrt(6))
    assert 1 / math.sqrt(6) < r.budget_j["tick"] < most
    assert r.flags == []


def test_little_power_moves_whole_joules_seldom() -> None:
    """6 W tick about every 0.17 s; that is not frozen."""
    r = node(series_of(ten_hertz(6.0, 12)), 1.0, 11.0)
    assert r.energy_j == pytest.approx(60, abs=2)
    assert r.uncertainty_j is not None and abs(r.energy_j - 60) < r.uncertainty_j


@pytest.mark.parametrize(
    ("values", "flag"),
    [
        ([500.0] * 240, "counter_frozen"),
        ([*ten_hertz(900, 6), *ten_hertz(900, 6)], "counter_backwards"),
        ([v + (1e7 if i > 120 else 0) for i, v in enumerate(ten_hertz(900, 12))],
         "counter_implausible"),
    ],
)  # fmt: skip
def test_a_faulty_counter_gives_no_figure(values: list[float], flag: str) -> None:
    r = node(series_of(values), 1.0, 11.0)
    assert (r.energy_j, r.flags) == (None, [flag])


def test_updates_that_stop_are_noticed_by_their_own_count() -> None:
    """The energy moves on in a file that nobody brings up to date: freshness says so."""
    stale = series_of([min(i // 2, 60) for i in range(240)], "freshness")
    r = node([*series_of(ten_hertz(900, 12)), *stale], 1.0, 11.0)
    assert (r.energy_j, r.flags) == (None, ["counter_frozen"])


def test_a_controller_that_started_anew_is_lost() -> None:
    starts = series_of([1.0] * 100 + [2.0] * 140, "startup")
    r = node([*series_of(ten_hertz(900, 12)), *starts], 1.0, 11.0)
    assert (r.energy_j, r.flags) == (None, ["meter_lost"])


def test_a_changed_power_cap_is_flagged() -> None:
    caps = series_of([1.0] * 100 + [2.0] * 140, "generation")
    r = node([*series_of(ten_hertz(900, 12)), *caps], 1.0, 11.0)
    assert r.energy_j == pytest.approx(9000, rel=1e-3)
    assert r.flags == ["power_limit_changed"]


def test_a_pause_of_the_sampler_loses_no_energy() -> None:
    samples = [s for s in series_of(ten_hertz(900, 12)) if not 4e9 < s.t_ns < 5e9]
    r = node(samples, 1.0, 11.0)
    assert r.energy_j == pytest.approx(9000, rel=1e-3)
    assert r.flags == ["sampler_gap"]


@pytest.mark.parametrize(
    "text",
    ["", "12", "12 W 1 us", "-12 J 1 us", "12.5 J 1 us", "1e3 J 1 us", "12 J", "x J 1 us", "٣ J"],
)
def test_files_of_another_form_are_no_counters(tmp_path: Path, text: str) -> None:
    put(tmp_path / "energy", text)
    if text == "12 J":  # machines of older kinds tell no time
        assert PmCounters().open(MeterSettings(pm_counters_root=tmp_path))
        return
    with pytest.raises(MeterUnavailable, match="no power-management counters"):
        PmCounters().open(MeterSettings(pm_counters_root=tmp_path))


def test_a_file_that_vanishes_is_a_lost_meter(tmp_path: Path) -> None:
    put(tmp_path / "energy", "5 J 1 us")
    put(tmp_path / "cpu_energy", "5 J 1 us")
    meter = PmCounters()
    meter.open(MeterSettings(pm_counters_root=tmp_path))
    (tmp_path / "energy").unlink()
    found = {(s.device, s.quantity) for s in meter.read("full")}
    assert ("node", "read_error") in found and ("node", "energy_j") not in found
    assert ("cpu", "energy_j") in found


POWER = info("ipmi", "node", "power_w")


def power(values: list[float], period_s: float = 1.0) -> list[Sample]:
    return [
        Sample(int(i * period_s * 1e9), "ipmi", "node", "power_w", v) for i, v in enumerate(values)
    ]


LIVE = [99.0, 100.0] * 3
"""Readings that show how often the sensor is brought up to date, before the window."""


def integrated(samples: list[Sample], start_s: float, end_s: float) -> EnergyReading:
    return Ipmi().energy(POWER, samples, int(start_s * 1e9), int(end_s * 1e9))


def test_a_sensor_that_holds_its_value_is_not_thinned_out() -> None:
    """100 W held for 30 s, then 400 W: 3 kJ + 12 kJ. A trapezoid over the changes alone would draw
    a ramp from one to the other."""
    lively = [v for _ in range(20) for v in (*[400.0] * 20, *[401.0] * 20)]
    values = [v for v in LIVE for _ in range(20)] + [100.0] * 600 + lively
    r = integrated(power(values, 0.05), 6.0, 75.0)
    assert r.energy_j == pytest.approx(3000 + 39 * 400.5, rel=1e-3)
    assert r.flags == ["power_integrated"]


def test_a_sensor_that_stopped_early_on_is_not_relied_on() -> None:
    """A second before 30 s at 900 W: 6 kJ come back instead of 27 kJ."""
    values = [200.0 + i % 2 for i in range(200)] + [200.0] * 800
    r = integrated(power(values, 0.05), 11.0, 41.0)
    assert r.energy_j == pytest.approx(6000, rel=0.01)
    assert r.flags == ["never_changed", "power_integrated"] and worst(r.flags) == "exclude"


def test_a_sensor_that_never_changes_is_not_relied_on() -> None:
    """Steady power and a sensor that has stopped look alike."""
    r = integrated(power([250.0] * 40), 5.0, 35.0)
    assert r.energy_j == pytest.approx(7500)
    assert r.flags == ["never_changed", "power_integrated"] and worst(r.flags) == "exclude"


def test_a_sensor_whose_updates_were_hardly_seen_gives_no_figure() -> None:
    r = integrated(power([250.0] * 20 + [400.0] * 20), 5.0, 35.0)
    assert (r.energy_j, r.flags) == (None, ["power_integrated", "too_few_updates"])


def test_a_sensor_slower_than_it_is_asked_is_found_out() -> None:
    """Brought up to date every 15 s, asked once a second, so known to be 14 s or more: 56 s are
    four updates, 55 s are not."""
    values = [100.0 + 7 * (i // 15) for i in range(120)]
    assert integrated(power(values), 20.0, 75.0).flags[-1] == "too_few_updates"
    r = integrated(power(values), 20.0, 80.5)
    # Three steps of 7 W lie around each edge, which may be 14 s off.
    assert r.budget_j["tick"] == pytest.approx(math.hypot(21, 21) * 14 / math.sqrt(3))


def test_a_value_held_for_long_may_come_from_a_sensor_that_has_stopped() -> None:
    """20 of 25 s of the window held, anything from 99 to 400 W meanwhile (a rectangle)."""
    values = [*LIVE, 400.0, 399.0, 400.0, 399.0, 400.0, *[250.0] * 20, 300.0, 301.0, 300.0, 301.0]
    r = integrated(power(values), 8.0, 33.0)
    held = (400 - 99) * 20 / math.sqrt(12)
    assert r.budget_j["sampling"] > held
    shorter = [*LIVE, *values[6:11], *[250.0] * 9, 251.0, *[250.0] * 10, *values[31:]]
    assert integrated(power(shorter), 8.0, 33.0).budget_j["sampling"] < held / 3


def test_steady_power_at_both_edges_costs_no_uncertainty_but_the_gain() -> None:
    r = integrated(power([*LIVE, *[250.0] * 10]), 9.0, 13.0)
    assert r.energy_j == pytest.approx(1000)
    assert r.budget_j["tick"] == r.budget_j["sampling"] == 0
    assert r.uncertainty_j == pytest.approx(2 * ipmi.GAIN * 1000)


def test_a_step_at_an_edge_is_in_the_uncertainty() -> None:
    """The sensor may be a second behind: up to 300 J of the step belong to the other side."""
    r = integrated(power(LIVE + [100.0] * 10 + [400.0] * 20), 15.5, 31.0)
    assert r.budget_j["tick"] == pytest.approx(300 * 1.0 / math.sqrt(3))


def test_scatter_costs_as_the_mean_of_that_many_readings_does() -> None:
    """±30 W from one reading to the next: σ = 30·√2, times √(20 s × 1 s)."""
    r = integrated(power([270.0 if i % 2 else 330.0 for i in range(40)]), 5.0, 25.0)
    assert r.energy_j == pytest.approx(6000, rel=0.01)
    assert r.budget_j["sampling"] == pytest.approx(30 * math.sqrt(2) * math.sqrt(20), rel=0.01)


def test_a_failed_answer_is_a_gap_and_many_are_no_figure() -> None:
    values = [250.0, 250.0, 251.0, 249.0] * 10
    few = [s for s in power(values) if s.t_ns // 10**9 not in (10, 11, 12)]
    r = integrated(few, 5.0, 35.0)
    assert r.energy_j == pytest.approx(7500, rel=1e-3)
    assert r.flags == ["power_integrated", "sampler_gap"]
    many = [s for s in power(values) if not 10 <= s.t_ns // 10**9 < 20]
    assert integrated(many, 5.0, 35.0).energy_j is None


def test_a_reading_that_no_node_draws_gives_no_figure() -> None:
    values = LIVE + [250.0] * 34
    values[20] = 2 * slow.MOST_POWER_W
    r = integrated(power(values), 5.0, 35.0)
    assert (r.energy_j, r.flags) == (None, ["counter_implausible", "power_integrated"])


class Bursts:
    """A load that changes between two powers, and sensors that show it late and seldom."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = random.Random(seed)
        self.low_w, self.high_w = rng.uniform(20, 300), rng.uniform(300, 2500)
        self.period_s, self.duty = rng.uniform(0.2, 8), rng.uniform(0.2, 0.8)
        self.start_s, self.phase_s = rng.uniform(3, 4), rng.uniform(0, 1)

    def high_s(self, t_s: float) -> float:
        whole, rest = divmod(t_s, self.period_s)
        return whole * self.duty * self.period_s + min(rest, self.duty * self.period_s)

    def energy_j(self, t_s: float) -> float:
        return t_s * self.low_w + self.high_s(t_s) * (self.high_w - self.low_w)

    def power_w(self, t_s: float) -> float:
        return self.high_w if t_s % self.period_s < self.duty * self.period_s else self.low_w

    def wobbling_w(self, t_s: float) -> float:
        """… as a sensor tells it, of which no two readings are the same."""
        return self.power_w(t_s) * (1 + 1e-3 * math.sin(37 * t_s))

    def shown_at(self, t_s: float, update_s: float) -> float:
        """When the value was taken that the sensor shows now."""
        return math.floor(t_s / update_s - self.phase_s) * update_s + self.phase_s * update_s

    def times(self, end_s: float) -> list[float]:
        step_s, t_s, found = self.rng.choice([0.05, 0.1]), 0.0, []
        while t_s < end_s + 3:
            found.append(t_s)
            t_s += step_s + self.rng.uniform(0, 0.005)
        return sorted([*found, self.start_s + 0.002, end_s + 0.002])


@pytest.mark.parametrize("length_s", [1.0, 10.0])
def test_played_bursts_on_a_counter_of_ten_updates_a_second(length_s: float) -> None:
    inside, relative = 0, []
    for seed in range(400):
        play = Bursts(seed)
        end_s, lag_s = play.start_s + length_s, play.rng.uniform(0, 0.1)
        values = [
            (t, math.floor(1000 + play.energy_j(max(0.0, play.shown_at(t, 0.1) - lag_s))))
            for t in play.times(end_s)
        ]
        samples = [
            Sample(int(t * 1e9), "pm_counters", "node", "energy_j", value) for t, value in values
        ]
        r = node(samples, play.start_s, end_s)
        truth_j = play.energy_j(end_s) - play.energy_j(play.start_s)
        assert r.energy_j is not None
        known = 2 * math.hypot(*(u for name, u in r.budget_j.items() if name != "gain"))
        inside += abs(r.energy_j - truth_j) <= known
        relative.append(known / truth_j)
    assert inside >= 380
    assert sorted(relative)[200] < 0.2 / length_s


@pytest.mark.parametrize("length_s", [4.0, 10.0])
def test_played_bursts_on_power_once_a_second(length_s: float) -> None:
    about = POWER.model_copy(update={"update_period_s": 1.0})
    inside = told = 0
    for seed in range(1000):
        play = Bursts(seed)
        end_s = play.start_s + length_s
        samples = [
            Sample(int(t * 1e9), "ipmi", "node", "power_w", play.wobbling_w(play.shown_at(t, 1.0)))
            for t in play.times(end_s)
        ]
        r = Ipmi().energy(about, samples, int(play.start_s * 1e9), int(end_s * 1e9))
        truth_j = play.energy_j(end_s) - play.energy_j(play.start_s)
        if r.energy_j is None:
            assert "too_few_updates" in r.flags  # the phase left only three changes
            continue
        told += 1
        inside += abs(r.energy_j - truth_j) <= 2 * math.hypot(
            r.budget_j["tick"], r.budget_j["sampling"]
        )
    assert told >= 950 and inside >= 0.95 * told


def test_a_window_of_fewer_than_four_updates_has_no_figure() -> None:
    about = POWER.model_copy(update={"update_period_s": 1.0})
    for length_s, flags in ((3.9, ["power_integrated", "too_few_updates"]), (4.0, [])):
        values = power(LIVE + [250.0, 251.0] * 15)
        r = Ipmi().energy(about, values, 11 * 10**9, int((11 + length_s) * 1e9))
        assert (r.energy_j is None) == bool(flags)
        assert r.flags == (flags or ["power_integrated"])


@pytest.mark.parametrize(
    ("text", "watts"),
    [
        (DCMI.format(watts=132), 132.0),
        (DCMI.format(watts=0), None),
        (DCMI.format(watts=132).replace("activated", "deactivated"), None),
        (DCMI.format(watts=132) * 2, None),
        (DCMI.format(watts=70_000), None),
        (DCMI.format(watts=132).replace("Instantaneous", "Instant"), None),
        ("132", None),
        ("", None),
    ],
)
def test_ipmitool_is_believed_only_in_its_own_form(text: str, watts: float | None) -> None:
    assert ipmi.parse(text) == watts


def test_ipmi_that_is_not_allowed_names_a_fix_that_allows_no_more(tmp_path: Path) -> None:
    refused = tmp_path / "ipmitool"
    refused.write_text(
        "#!/bin/sh\necho 'Could not open device at /dev/ipmi0: Permission denied' >&2\nexit 1\n"
    )
    refused.chmod(0o755)
    with pytest.raises(MeterUnavailable, match="Permission denied") as caught:
        Ipmi().open(MeterSettings(ipmi=(str(refused), "dcmi", "power", "reading")))
    assert "NOPASSWD: /usr/bin/ipmitool dcmi power reading" in (caught.value.hint or "")


def test_ipmi_without_a_driver_names_the_module(tmp_path: Path) -> None:
    missing = tmp_path / "ipmitool"
    missing.write_text(
        "#!/bin/sh\necho 'Could not open device at /dev/ipmi0: No such file or directory' >&2\n"
        "exit 1\n"
    )
    missing.chmod(0o755)
    with pytest.raises(MeterUnavailable) as caught:
        Ipmi().open(MeterSettings(ipmi=(str(missing),)))
    assert caught.value.hint == "sudo modprobe -a ipmi_si ipmi_devintf"


def test_an_answer_that_stops_coming_is_no_reading(tmp_path: Path) -> None:
    says = tmp_path / "reading"
    says.write_text(DCMI.format(watts=300))
    meter = Ipmi()
    meter.open(MeterSettings(ipmi=tool(tmp_path, says)))
    says.write_text("controller busy\n")
    end_s, samples = time.monotonic() + 20, list(meter.read("full"))
    while time.monotonic() < end_s and not any(s.quantity == "read_error" for s in samples):
        time.sleep(0.05)
        samples += meter.read("steady")
    meter.close()
    assert samples[-1].quantity == "read_error"


def test_ipmi_is_read_only_on_request() -> None:
    from lem import plugins
    from lem.meters.sampler import by_default

    assert set(plugins.names("meters")) - set(by_default()) == {"ipmi"}


def test_hwmon_classes_follow_the_driver_and_the_label(tmp_path: Path) -> None:
    for name, text in (
        ("hwmon0/name", "BAT0"),
        ("hwmon0/power1_input", "9000000"),
        ("hwmon1/name", "ibmpowernv"),
        ("hwmon1/power1_input", "700000000"),
        ("hwmon1/power1_label", "System"),
        ("hwmon1/power2_input", "90000000"),
        ("hwmon1/power2_label", "Fan"),
        ("hwmon2/name", "xe"),
        ("hwmon2/energy1_input", "5000"),
        ("hwmon2/energy1_label", "card"),
        ("hwmon2/power1_input", "60000000"),
        ("hwmon2/power1_label", "card"),
        ("hwmon2/energy2_input", "4000"),
        ("hwmon2/energy2_label", "pkg"),
        ("hwmon3/name", "amdgpu"),
        ("hwmon3/power1_average", "30000000"),
        ("hwmon3/power1_label", "PPT"),
        ("hwmon4/name", "power_meter"),
        ("hwmon4/power1_average", "nothing"),
    ):
        put(tmp_path / name, text)
    devices = Hwmon().open(MeterSettings(hwmon_root=tmp_path))
    assert {(d.device, d.device_class, d.quantity) for d in devices} == {
        ("hwmon0-BAT0-power1", "sensor", "power_uw"),
        ("hwmon1-ibmpowernv-System", "node", "power_uw"),
        ("hwmon1-ibmpowernv-Fan", "sensor", "power_uw"),
        ("hwmon2-xe-card", "gpu", "energy_uj"),
        ("hwmon2-xe-pkg", "sensor", "energy_uj"),
        ("hwmon3-amdgpu-PPT", "gpu", "power_uw"),
    }
    counted = readings.counted([readings.info_of(d) for d in devices])
    assert {i.device for i in counted} == {
        "hwmon1-ibmpowernv-System", "hwmon2-xe-card", "hwmon3-amdgpu-PPT",
    }  # fmt: skip


def test_sensors_of_unknown_place_are_read_once_a_second(tmp_path: Path) -> None:
    for name, text in (
        ("hwmon0/name", "ina226"),
        ("hwmon0/power1_input", "9000000"),
        ("hwmon1/name", "power_meter"),
        ("hwmon1/power1_average", "700000000"),
    ):
        put(tmp_path / name, text)
    meter = Hwmon()
    meter.open(MeterSettings(hwmon_root=tmp_path))
    assert len(meter.read("full")) == 2
    assert {s.device for s in meter.read("steady")} == {"hwmon1-power_meter-power1"}


def test_no_sensor_at_all(tmp_path: Path) -> None:
    with pytest.raises(MeterUnavailable, match="no power or energy sensor"):
        Hwmon().open(MeterSettings(hwmon_root=tmp_path))
