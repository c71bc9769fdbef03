"""What whoever watches is told while a run measures."""

import time
from pathlib import Path
from typing import Any

import pytest

from lem.agent import commentary as module
from lem.agent.commentary import FOLLOWED, Commentary
from lem.agent.events import Events
from lem.contract.event import Event
from lem.contract.record import MeterInfo
from lem.meters.sampler import PowerRead
from lem.workloads.load import Log
from lem.workloads.requests import Request
from lem.workloads.spoken import pieces


def info(meter: str, device: str, device_class: str, **more: Any) -> MeterInfo:
    return MeterInfo(
        meter=meter,
        device=device,
        device_class=device_class,
        quantity="power_w",
        unit="W",
        description="",
        **more,
    )


GPU = info("nvml", "gpu0", "gpu")
PROCESSES = info("estimate", "processes", "estimated")


class Meter:
    """Stands in for a sampler."""

    def __init__(self, power: dict[tuple[str, str], float], *infos: MeterInfo) -> None:
        self.power = power
        self.infos = list(infos)

    def power_now(self) -> dict[tuple[str, str], PowerRead]:
        return {key: PowerRead(watts, 1000, 10**8) for key, watts in self.power.items()}


class Watched:
    """A commentary with its events, and a log that tells it."""

    def __init__(self, folder: Path, every_s: float) -> None:
        self.path = folder / "events.ndjson"
        self.events = Events(self.path)
        self.commentary = Commentary(self.events, every_s)
        self.log = Log(watch=self.commentary.answered, follow=self.commentary.answering)
        self.said: dict[str, list[str]] = {}

    def begin(self, *names: str, streams: bool = True) -> None:
        self.log.sent([Request(n, [1], 5, "") for n in names])
        for name in names:
            self.said[name] = []
            if streams:
                self.log.answering(name, pieces(self.said[name]))

    def say(self, name: str, text: str) -> None:
        self.said[name].append(text)
        self.log.token(name)

    def end(self, name: str, text: str | None = None) -> None:
        self.log.done(name, "".join(self.said[name]) if text is None else text)

    def told(self, kind: str = "text") -> list[dict[str, Any]]:
        found = [Event.parse(line) for line in self.path.read_bytes().splitlines()]
        return [e.data for e in found if e.kind == kind]

    def tick(self) -> None:
        self.events.emit_all(("text", text) for text in self.commentary._answers())


@pytest.fixture
def live(tmp_path: Path) -> Watched:
    return Watched(tmp_path, 0.1)


def test_usually_an_answer_is_told_whole_and_at_once(tmp_path: Path) -> None:
    watched = Watched(tmp_path, 1.0)
    watched.begin("r0")
    watched.say("r0", "x" * 3000)
    assert watched.told() == []
    watched.end("r0")
    assert watched.told() == [{"request": "r0", "text": "x" * 2000}]


def test_live_an_answer_is_told_as_it_comes(live: Watched) -> None:
    live.begin("r0")
    live.tick()
    live.say("r0", "one ")
    live.say("r0", "two ")
    live.tick()
    live.say("r0", "three")
    live.end("r0")
    live.tick()
    live.tick()
    assert live.told() == [
        {"request": "r0", "text": "one two ", "end": False},
        {"request": "r0", "text": "three", "end": True},
    ]


def test_a_few_at_a_time_and_others_when_those_have_ended(live: Watched) -> None:
    names = [f"r{i}" for i in range(256)]
    live.begin(*names)
    for name in names:
        live.say(name, name)
    live.tick()
    assert {t["request"] for t in live.told()} == set(names[:FOLLOWED])
    for name in names:
        live.end(name)
    live.tick()
    assert [t["request"] for t in live.told() if t["end"]] == names[:FOLLOWED]
    live.begin("later")
    live.say("later", "x")
    live.tick()
    assert live.told()[-1] == {"request": "later", "text": "x", "end": False}


def test_an_answer_that_failed_has_ended_too(live: Watched) -> None:
    live.begin("r0", "r1")
    live.say("r0", "half")
    live.log.failed("r0", "broken")
    live.log.timed_out("r1", "late")
    live.tick()
    assert live.told() == [
        {"request": "r0", "text": "half", "end": True},
        {"request": "r1", "text": "", "end": True},
    ]
    live.begin(*(f"s{i}" for i in range(FOLLOWED)))
    assert len(live.commentary._followed) == FOLLOWED


def test_the_answers_of_an_engine_that_tells_none_before_its_end_come_whole(live: Watched) -> None:
    live.begin(*(f"r{i}" for i in range(50)), streams=False)
    for i in range(50):
        live.end(f"r{i}", "x" * 50)
    live.tick()
    told = live.told()
    # The newest few: a batch that ends at once may have hundreds.
    assert [t["request"] for t in told] == [f"r{i}" for i in range(50 - FOLLOWED, 50)]
    assert all(t["end"] is True for t in told)


def test_text_is_bounded_in_time_and_in_all(live: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    live.begin("r0", "r1")
    live.say("r0", "a" * 5000)
    live.say("r1", "b" * 5000)
    live.tick()
    # 4000 a second are 400 in a tenth of it.
    assert [len(t["text"]) for t in live.told()] == [400]
    live.commentary._left = 10
    live.say("r0", "c" * 100)
    live.tick()
    live.say("r0", "d" * 100)
    live.tick()
    assert [len(t["text"]) for t in live.told()] == [400, 10]
    live.end("r0")
    live.tick()
    assert live.told()[-1] == {"request": "r0", "text": "", "end": True}


def test_a_tokenizer_that_fails_ends_nothing(live: Watched) -> None:
    def broken() -> str:
        raise RuntimeError("no such token")

    live.log.sent([Request("r0", [1], 5, "")])
    live.log.answering("r0", broken)
    live.begin("r1")
    live.say("r1", "x")
    live.tick()
    assert [t["request"] for t in live.told()] == ["r1"]


def test_power_and_tokens_come_as_often_as_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path, 0.05)
    power = {("nvml", "gpu0"): 250.1234, ("estimate", "processes"): 3.0}
    meter = Meter(power, GPU, PROCESSES)
    watched.begin("r0")
    with watched.commentary.on(meter, watched.log):  # type: ignore[arg-type]
        for _ in range(50):
            watched.say("r0", "x")
            time.sleep(0.01)
    samples = watched.told("sample")
    assert 5 <= len(samples) <= 12
    assert samples[0] == {
        "device": "gpu0", "power_w": 250.123, "class": "gpu", "read_ns": 1000, "period_s": 0.1,
    }  # fmt: skip
    progress = watched.told("progress")
    assert progress[-1]["output_tokens"] <= 50
    # 100 a second, less what sleeping too long takes; over all of it, not over the last look.
    assert 20 <= progress[-1]["tokens_per_s"] <= 101
    # What came between the last look and the end is told, too.
    assert sum(len(t["text"]) for t in watched.told()) == 50


def test_rates_are_of_the_last_second(monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import deque

    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    seen = deque([(100.0, 0)])
    total, rates = 0, []
    for step in range(1, 41):
        now[0] = 100 + step / 10
        total += 10 if step <= 20 else 0
        rates.append(module.progress_of(seen, total)["tokens_per_s"])
    assert rates[:20] == pytest.approx([100.0] * 20)
    assert rates[24] == pytest.approx(50, abs=11)
    assert rates[-1] == 0
    assert len(seen) <= 12


def test_edges_of_windows_are_told_with_their_own_time(live: Watched) -> None:
    with live.commentary.on(Meter({}), live.log):  # type: ignore[arg-type]
        live.commentary.window(1000, True, 0)
        live.commentary.window(2000, False, 7)
        live.commentary.window(2000, True, 0)
        time.sleep(0.3)
        # None of them is lost where it ends at once.
        live.commentary.window(3000, False, 8)
    lines = live.path.read_bytes().splitlines()
    edges = [e for e in map(Event.parse, lines) if e.kind == "window"]
    assert [e.t_ns for e in edges] == [1000, 2000, 2000, 3000]
    assert [tuple(e.data.values()) for e in edges] == [
        (0, True, 0), (0, False, 7), (1, True, 0), (1, False, 8),
    ]  # fmt: skip


EVERY_W = {
    ("nvml", "gpu0"): 300.0,
    ("amd", "gpu0"): 200.0,
    ("rapl", "package-0"): 90.0,
    ("rapl", "core-0"): 60.0,
    ("ipmi", "node"): 700.0,
    ("pm_counters", "node"): 690.0,
    ("estimate", "processes"): 10.0,
}
EVERY = [
    GPU,
    info("amd", "gpu0", "gpu"),
    info("rapl", "package-0", "cpu"),
    info("rapl", "core-0", "cpu", part_of="package-0"),
    info("ipmi", "node", "node"),
    info("pm_counters", "node", "node"),
    PROCESSES,
]


def told_of(folder: Path, meter: Meter, infos: list[MeterInfo] | None) -> dict[str, Any]:
    watched = Watched(folder, 0.02)
    with watched.commentary.on(meter, watched.log, infos):  # type: ignore[arg-type]
        time.sleep(0.2)
    return {s["device"]: (s["power_w"], s["class"]) for s in watched.told("sample")}


def test_power_is_told_of_what_a_record_counts_and_of_each_once(tmp_path: Path) -> None:
    assert told_of(tmp_path, Meter(EVERY_W, *EVERY), None) == {
        "nvml-gpu0": (300, "gpu"),
        "amd-gpu0": (200, "gpu"),
        "package-0": (90, "cpu"),
        "node": (690, "node"),
    }


def test_an_estimate_is_told_where_nothing_is_measured(tmp_path: Path) -> None:
    found = told_of(tmp_path, Meter(EVERY_W, PROCESSES), None)
    assert found == {"processes": (10, "estimated")}


def test_no_power_is_told_where_the_record_can_have_no_energy(tmp_path: Path) -> None:
    assert told_of(tmp_path, Meter(EVERY_W, PROCESSES), []) == {}
