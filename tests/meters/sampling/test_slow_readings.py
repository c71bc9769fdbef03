"""Edges on counters whose readings take long, on a clock of the test's own: where the tick truly
was, against what the trace says of it."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from lem.meters.energy import series
from lem.meters.protocol import Device, MeterSettings, Pace, Sample
from lem.meters.sampling import rounds
from lem.meters.sampling.rounds import Rounds

from .test_rounds import MS, ORDERS, Clock

APART_MS = 37
"""The boards' ticks come so long after each other."""


class Call(NamedTuple):
    """How long a reading takes, and a share of them longest, in ms."""

    usual: float
    longest: float = 0.0
    share: float = 0.0


FAST, H200 = Call(0.03), Call(3.2, 16.7, 0.02)


class Boards:
    """Read one after the other; the driver looks at a counter at any time within the call."""

    name = "slow"
    clock: Clock
    calls: Sequence[Call]
    tick_ms: int

    def __init__(self) -> None:
        self._rng = random.Random(1)

    def open(self, settings: MeterSettings) -> list[Device]:
        names = [f"gpu{i}" for i in range(len(self.calls))]
        return [Device("slow", name, "gpu", "energy_mj", "mJ", "") for name in names]

    def read(self, pace: Pace = "full") -> list[Sample]:
        found = []
        for i, call in enumerate(self.calls):
            before_ns = self.clock.monotonic_ns()
            ms = call.usual * self._rng.uniform(0.9, 1.1)
            if self._rng.random() < call.share:
                ms = self._rng.uniform(call.usual, call.longest)
            looked_ns = before_ns + ms * MS * self._rng.random()
            self.clock.now_ns += int(ms * MS)
            value = (looked_ns + i * APART_MS * MS) // (self.tick_ms * MS)
            after_ns = self.clock.monotonic_ns()
            found += series.timed("slow", f"gpu{i}", "energy_mj", value, before_ns, after_ns)
        return found

    def close(self) -> None:
        pass


class Edges(NamedTuple):
    half_ms: list[float]
    """How far from the edge the trace says that the tick may have been, at most."""
    off_ms: list[float]
    """How far it was."""
    learned_ms: list[float]


def edges(
    calls: Sequence[Call], tick_ms: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Edges:
    """Of 100 marks, a second of regular rounds before each."""
    clock = Clock()
    monkeypatch.setattr(rounds, "time", clock)
    monkeypatch.setenv("LEM_CACHE", str(folder / "cache"))
    for name, value in (("clock", clock), ("calls", calls), ("tick_ms", tick_ms)):
        monkeypatch.setattr(Boards, name, value, raising=False)
    meters = {"slow": (__name__, "Boards")}
    made = Rounds({**ORDERS, "meters": meters, "trace": str(folder / "trace.csv.gz")})
    made.introduce(lambda *_, **__: None)
    monkeypatch.setattr(made, "_flush", lambda: None)
    first_ns = clock.now_ns
    while clock.now_ns < first_ns + rounds.LEARN_S * 1e9 and not made._all_known():
        made._poll(made._meters[0])
        clock.sleep(rounds.POLL_S)
    told: list[str] = []
    for n in range(100):
        for i in range(20):
            made._read("steady")
            clock.sleep(0.05 * rounds.dithered(20 * n + i))
        made._obey(f"mark {n}", lambda line, **_: told.append(line))
    at_ns = [json.loads(line)[f"mark {n}"] for n, line in enumerate(told)]
    half_ms, off_ms = [], []
    for i in range(len(calls)):
        own = [s for s in made._pending if s.device == f"gpu{i}"]
        points = {p.t_ns: p for p in series.tick_points(own, "energy_mj", 1.0)}
        for edge_ns in at_ns:
            if edge_ns in points:
                phase_ns = (edge_ns + i * APART_MS * MS) % (tick_ms * MS)
                off_ms.append(min(phase_ns, tick_ms * MS - phase_ns) / MS)
                half_ms.append(points[edge_ns].half_ns / MS)
    return Edges(half_ms, off_ms, [1e3 * p for p in made._periods().values()])


CASES = [
    ((FAST,), 100, 1.0),
    ((H200,), 100, 5.0),
    ((H200,), 20, 5.0),
    ((Call(5.0, 16.7, 0.02),), 100, 10.0),
    # Of boards that are read one after the other …
    ((H200, FAST), 100, 6.0),
    ((FAST, H200), 100, 6.0),
    # … and where nothing is learned, because readings in a row are too far apart.
    ((Call(14.0, 18.0, 0.1),), 100, 18.0),
    ((H200,) * 8, 100, 25.0),
]


@pytest.mark.parametrize(("calls", "tick_ms", "within_ms"), CASES)
def test_an_edge_is_as_uncertain_as_it_says_and_seldom_more_than_need_be(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    calls: Sequence[Call],
    tick_ms: int,
    within_ms: float,
) -> None:
    found = edges(calls, tick_ms, tmp_path, monkeypatch)
    assert len(found.half_ms) == 100, "every edge is a tick"
    assert all(off <= half for off, half in zip(found.off_ms, found.half_ms, strict=True))
    assert sorted(found.half_ms)[89] < within_ms


@pytest.mark.parametrize("calls", [(H200,), (H200, FAST), (FAST, H200)])
def test_a_period_is_learned_once_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls: Sequence[Call]
) -> None:
    found = edges(calls, 100, tmp_path, monkeypatch)
    assert found.learned_ms == pytest.approx([100.0] * len(calls), rel=0.03)


def test_of_readings_too_far_apart_nothing_is_learned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert edges((Call(14.0),), 100, tmp_path, monkeypatch).learned_ms == []
