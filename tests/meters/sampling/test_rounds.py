"""What is read while ticks are waited for, on a clock of the test's own."""

import json
from itertools import accumulate, pairwise
from pathlib import Path

import pytest

from lem.meters.protocol import Device, MeterSettings, Pace, Sample
from lem.meters.sampling import rounds, ticks
from lem.meters.sampling.rounds import Rounds

MS = 1_000_000
ORDERS = {
    "interval_s": 0.05,
    "meters": {"ticking": (__name__, "Ticking")},
    "settings": {
        **{name: "/nowhere" for name in MeterSettings.__dataclass_fields__ if "root" in name},
        "gpus": None,
        "process": None,
        "watts_per_busy_core": 1.0,
        "ipmi": None,
        "external": (),
        "extra": {},
    },
}


class Clock:
    """Stands in for the module ``time``; each look takes a microsecond."""

    CLOCK_BOOTTIME = 0

    def __init__(self) -> None:
        self.now_ns = 10**12

    def monotonic_ns(self) -> int:
        self.now_ns += 1000
        return self.now_ns

    def clock_gettime_ns(self, which: int) -> int:
        return self.now_ns

    def process_time_ns(self) -> int:
        return 0

    def sleep(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9)


class Ticking:
    """A counter that moves every ``tick_ms``."""

    name = "ticking"
    clock: Clock
    tick_ms: int

    def __init__(self) -> None:
        self.rounds_ns: list[int] = []

    def open(self, settings: MeterSettings) -> list[Device]:
        return [Device("ticking", "gpu0", "gpu", "energy_mj", "mJ", "")]

    def read(self, pace: Pace = "full") -> list[Sample]:
        now_ns = self.clock.monotonic_ns()
        if pace != "edge":
            self.rounds_ns.append(now_ns)
        value = now_ns // (self.tick_ms * MS)
        return [Sample(now_ns, "ticking", "gpu0", "energy_mj", value)]

    def identity(self, device: str) -> str:
        return "GPU-1"

    def close(self) -> None:
        pass


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Clock:
    made = Clock()
    monkeypatch.setattr(rounds, "time", made)
    monkeypatch.setattr(Ticking, "clock", made, raising=False)
    monkeypatch.setenv("LEM_CACHE", str(tmp_path / "cache"))
    return made


def begin(tmp_path: Path, tick_ms: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Rounds, Ticking]:
    monkeypatch.setattr(Ticking, "tick_ms", tick_ms, raising=False)
    made = Rounds({**ORDERS, "trace": str(tmp_path / "trace.csv.gz")})
    made.introduce(lambda *_, **__: None)
    (meter,) = made._meters
    assert isinstance(meter, Ticking)
    return made, meter


@pytest.mark.parametrize("tick_ms", [100, 1000])
def test_regular_rounds_go_on_while_a_foretold_tick_is_slept_for(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tick_ms: int
) -> None:
    made, meter = begin(tmp_path, tick_ms, monkeypatch)
    for _ in range(6):
        made._poll_until(1, clock.now_ns + 3_000 * MS)
    assert made._periods()
    meter.rounds_ns.clear()
    start_ns = clock.now_ns
    assert made._poll_until(4, start_ns + 10_000 * MS)
    seen_ns = [start_ns, *meter.rounds_ns, clock.now_ns]
    assert max(b - a for a, b in pairwise(seen_ns)) < 60 * MS
    made.close()


def test_an_edge_is_found_although_a_wrong_period_was_remembered(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks.remember(tmp_path / "cache/ticks.json", ticks.boot_id(), {"GPU-1": 0.02})
    made, _ = begin(tmp_path, 200, monkeypatch)
    assert made._all_known()
    said: list[str] = []
    made._obey("mark 1", said.append)
    edge_ns = json.loads(said[0])["mark 1"]
    assert min(edge_ns % (200 * MS), -edge_ns % (200 * MS)) < 2 * MS
    made._obey("rest 1 4 0", said.append)
    assert json.loads(said[1])["periods"]["ticking/gpu0"] == pytest.approx(0.2, abs=2e-3)
    made.close()
    kept = ticks.remembered(tmp_path / "cache/ticks.json", ticks.boot_id())
    assert kept["GPU-1"] == pytest.approx(0.2, abs=2e-3)


def test_rounds_do_not_fall_into_step_with_a_tick() -> None:
    """At even intervals of 50 ms all would come at two moments of a tick of 100 ms."""
    pauses = [0.05 * rounds.dithered(n) for n in range(1, 61)]
    assert sum(pauses) == pytest.approx(60 * 0.05, rel=0.01), "as many as were asked for"
    assert 0.04 <= min(pauses) < 0.042 and 0.058 < max(pauses) <= 0.06
    phases = [t % 0.1 for t in accumulate(pauses)]
    assert max(sum(abs(t - phase) < 0.001 for t in phases) for phase in phases) < 12
