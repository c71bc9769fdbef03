"""What of power a sampler tells: of which devices, and for how long."""

from pathlib import Path

import pytest

from lem.meters.protocol import Device, Pace, Sample
from lem.meters.sampling import rounds
from lem.meters.sampling.rounds import Rounds
from tests.meters.sampling.test_rounds import MS, ORDERS, Clock


class Given:
    """Reads what a test lays out."""

    name = "given"
    devices: tuple[Device, ...]
    laid: list[Sample]

    def open(self, settings: object) -> list[Device]:
        return list(self.devices)

    def read(self, pace: Pace = "full") -> list[Sample]:
        found, self.laid[:] = list(self.laid), []
        return found

    def close(self) -> None:
        pass


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Clock:
    made = Clock()
    monkeypatch.setattr(rounds, "time", made)
    monkeypatch.setenv("LEM_CACHE", str(tmp_path / "cache"))
    return made


def device(meter: str, name: str, period_s: float | None = None) -> Device:
    return Device(meter, name, "node", "power_w", "W", "", period_s)


def begun(folder: Path, monkeypatch: pytest.MonkeyPatch, *devices: Device) -> Rounds:
    monkeypatch.setattr(Given, "devices", devices, raising=False)
    monkeypatch.setattr(Given, "laid", [], raising=False)
    meters = {"given": (__name__, "Given")}
    return Rounds({**ORDERS, "meters": meters, "trace": str(folder / "trace.csv.gz")})


def told(made: Rounds, clock: Clock) -> dict[tuple[str, str], float]:
    """With each reading its own time is told, and the period of its meter."""
    found = {}
    for m, d, watts, t_ns, period_ns in made._told(clock.now_ns)["power"]:
        assert t_ns <= clock.now_ns and period_ns >= made._interval_ns
        found[m, d] = watts
    return found


def test_power_that_is_old_is_told_no_more(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = begun(tmp_path, monkeypatch, device("given", "a"), device("given", "slow", 10.0))
    both = [("given", "a"), ("given", "slow")]
    Given.laid += [Sample(clock.now_ns, *key, "power_w", 50) for key in both]
    made._read("steady")
    for after_ms, expected in ((2900, both), (200, both[1:]), (26_000, both[1:]), (1000, [])):
        clock.now_ns += after_ms * MS
        assert list(told(made, clock)) == expected
    Given.laid.append(Sample(clock.now_ns, "given", "a", "power_w", 60))
    made._read("steady")
    assert told(made, clock) == {("given", "a"): 60}


def test_a_reading_that_failed_ends_what_was_told_before(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = begun(tmp_path, monkeypatch, device("given", "a"), device("given", "counter"))
    a, counter = ("given", "a"), ("given", "counter")

    def counts(joules: float) -> Sample:
        clock.now_ns += 1000 * MS
        return Sample(clock.now_ns, *counter, "energy_j", joules)

    Given.laid += [Sample(clock.now_ns, *a, "power_w", 50), counts(0), counts(70)]
    made._read("steady")
    assert told(made, clock) == {a: 50, counter: pytest.approx(70)}
    Given.laid += [Sample(clock.now_ns, *key, "read_error", 1) for key in (a, counter)]
    made._read("steady")
    assert told(made, clock) == {}
    # A counter that comes back has no power yet: what went by meanwhile is not of one moment.
    Given.laid += [Sample(clock.now_ns, *a, "power_w", 51), counts(500)]
    made._read("steady")
    assert told(made, clock) == {a: 51}
    Given.laid += [counts(580)]
    made._read("steady")
    assert told(made, clock)[counter] == pytest.approx(80)


def test_devices_of_two_meters_with_one_name_are_two(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = begun(tmp_path, monkeypatch, device("ipmi", "node"), device("pm_counters", "node"))
    begin_ns = clock.now_ns
    for n in range(3):
        clock.now_ns = begin_ns + n * 1000 * MS
        Given.laid += [
            Sample(clock.now_ns, "ipmi", "node", "power_w", 400),
            Sample(clock.now_ns, "pm_counters", "node", "energy_j", 300 * n),
        ]
        made._read("steady")
    expected = {("ipmi", "node"): 400, ("pm_counters", "node"): pytest.approx(300, rel=1e-3)}
    assert told(made, clock) == expected
