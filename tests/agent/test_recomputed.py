"""Every figure of a record, worked out anew from the files beside it.

Nothing of lem's own arithmetic is used here: the files are read with ``json``, ``csv`` and
``gzip``, and each metric's formula is written out once more. Energy is held against the trace, and
for the played GPU against the power that was really played.
"""

import csv
import gzip
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.meters import played

from .conftest import MakeJob, agent

MEASURE = {
    "windows": 2,
    "window_s": 0.6,
    "idle_s": 0.4,
    "settle_s": 0.1,
    "warm_up_cap_s": 0.2,
    "sample_interval_s": 0.02,
}
PHASES = {
    "load": 0,
    "cool_down": 1,
    "warm_up": 2,
    "settle": 3,
    "idle": 4,
    "window": 5,
    "prefill": 6,
}
SLO = {"ttft_ms": 60.0, "tpot_ms": 30.0, "e2e_ms": 400.0}
Rows = list[tuple[int, float]]


@dataclass(frozen=True)
class Request:
    status: str
    sent: int
    tokens: list[int]
    inputs: int
    end: int


@dataclass(frozen=True)
class Folder:
    """A run's files, as anybody can read them."""

    record: dict[str, Any]
    trace: list[tuple[int, str, str, str, float]]
    requests: list[Request]

    @classmethod
    def read(cls, path: Path) -> "Folder":
        with gzip.open(path / "trace.csv.gz", "rt") as f:
            trace = [
                (int(t), meter, device, quantity, float(value))
                for t, meter, device, quantity, value in list(csv.reader(f))[1:]
            ]
        requests = []
        with gzip.open(path / "responses.csv.gz", "rt") as f:
            for row in csv.DictReader(f):
                gaps = [int(g) for g in row["itl_ns"].split()]
                first = [int(row["first_ns"])] if row["first_ns"] else []
                tokens = list(accumulate([*first, *gaps]))
                assert len(tokens) == int(row["output_tokens"])
                requests.append(
                    Request(
                        row["status"],
                        int(row["sent_ns"]),
                        tokens,
                        int(row["input_tokens"]),
                        int(row["end_ns"]),
                    )
                )
        record = json.loads((path / "record.json").read_text())
        return cls(record, sorted(trace), requests)

    def of(self, meter: str, device: str, quantity: str) -> Rows:
        return [(t, v) for t, m, d, q, v in self.trace if (m, d, q) == (meter, device, quantity)]

    @property
    def windows(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.record["windows"]
        return found

    def seconds(self, stretches: Sequence[dict[str, Any]]) -> float:
        return sum(s["end_ns"] - s["start_ns"] for s in stretches) / 1e9


# What the counters say, by straight lines between their points.


def ticks(rows: Rows) -> Rows:
    """(middle between the last old and the first new value, new value)."""
    return [((a[0] + b[0]) / 2, b[1]) for a, b in pairwise(rows) if b[1] != a[1]]  # type: ignore[misc]


def cpu_time(folder: Folder) -> Rows:
    """Of readings within 5 ms of each other the last."""
    points: Rows = []
    for t, v in folder.of("estimate", "processes", "cpu_time_ns"):
        if points and t - points[-1][0] < 5_000_000:
            points.pop()
        points.append((t, v))
    return points


def at(points: Rows, t: float) -> float:
    before = [p for p in points if p[0] <= t][-1:] or points[:1]
    after = [p for p in points if p[0] > t][:1] or points[-1:]
    if before == after:
        return before[0][1]
    (ta, a), (tb, b) = before[0], after[0]
    return a + (b - a) * (t - ta) / (tb - ta)


def energy_j(folder: Folder, reading: dict[str, Any], stretch: dict[str, Any]) -> float:
    start, end = stretch["start_ns"], stretch["end_ns"]
    if reading["meter"] == "nvml":
        points = ticks(folder.of("nvml", reading["device"], "energy_mj"))
        return (at(points, end) - at(points, start)) / 1e3
    used = cpu_time(folder)
    watts = folder.of("estimate", "processes", "watts_per_core")[-1][1]
    return (at(used, end) - at(used, start)) / 1e9 * watts


def loose_j(folder: Folder, reading: dict[str, Any], stretch: dict[str, Any]) -> float:
    """What straight lines may be off by because a tick was not polled for: half of the time between
    the readings on both sides of it × mean power, for the two ticks around each edge."""
    if reading["meter"] != "nvml":
        return 0.0
    rows = folder.of("nvml", reading["device"], "energy_mj")
    steps = [((a[0] + b[0]) / 2, (b[0] - a[0]) / 2) for a, b in pairwise(rows) if b[1] != a[1]]
    watts = reading["energy_j"] / folder.seconds([stretch])
    half_ns = 0.0
    for edge in (stretch["start_ns"], stretch["end_ns"]):
        before = [half for t, half in steps if t <= edge][-1:]
        after = [half for t, half in steps if t > edge][:1]
        half_ns += max(*before, *after, 0.0, 0.0)
    return half_ns / 1e9 * watts


# What was counted.


def inside(folder: Folder, stretch: dict[str, Any]) -> list[Request]:
    return [r for r in folder.requests if stretch["start_ns"] < r.end <= stretch["end_ns"]]


def counts(folder: Folder, stretch: dict[str, Any]) -> tuple[int, int, int]:
    a, b = stretch["start_ns"], stretch["end_ns"]
    return (
        sum(r.status == "done" for r in inside(folder, stretch)),
        sum(r.inputs for r in folder.requests if r.tokens and a < r.tokens[0] <= b),
        sum(a < t <= b for r in folder.requests for t in r.tokens),
    )


def count_u(folder: Folder, stretch: dict[str, Any]) -> tuple[float, float, float]:
    """Expanded, of the three: what was under way at an edge is anything between begun and done."""
    if folder.record["whole_batches"]:
        return 0.0, 0.0, 0.0
    slots = max(
        sum(r.tokens[0] <= q.tokens[0] < r.end for r in folder.requests) for q in folder.requests
    )
    edges = []
    for t in (stretch["start_ns"], stretch["end_ns"]):
        decoding = [r for r in folder.requests if r.tokens[0] <= t < r.end]
        waiting = sorted(
            (r for r in folder.requests if r.sent <= t < r.tokens[0]), key=lambda r: r.sent
        )
        prefilling = waiting[: max(slots - len(decoding), 0)]
        both = len(decoding) + len(prefilling)
        edges.append((both, sum(r.inputs for r in prefilling), len(decoding)))
    (n, i, o), (n2, i2, o2) = edges
    # Where more is under way at one edge than at the other, half of that is counted or is not.
    return (
        2 * math.sqrt((n + n2) / 12 + (n - n2) ** 2 / 4),
        2 * math.sqrt((i**2 + i2**2) / 12 + (i - i2) ** 2 / 4),
        2 * math.sqrt((o**2 + o2**2) / 12 + (o - o2) ** 2 / 4),
    )


# The metrics. Each test has one energy device, whose gain and model are the same in every reading.


def budget(terms: Sequence[tuple[float, dict[str, Any]]]) -> float:
    """U of Σ factor × reading: gain and offset with their signs, a model apart for each sign, the
    rest in squares."""
    common = {
        part: sum(f * r["budget_j"].get(part, 0.0) for f, r in terms) for part in ("gain", "offset")
    }
    models = [
        sum(f * r["budget_j"].get("model", 0.0) for f, r in terms if (f > 0) == positive)
        for positive in (True, False)
    ]
    chance = [
        f * u
        for f, r in terms
        for part, u in r["budget_j"].items()
        if part not in ("gain", "offset", "model")
    ]
    return 2 * math.sqrt(math.fsum(u * u for u in (*common.values(), *models, *chance)))


class Again:
    """The metrics once more."""

    def __init__(self, folder: Folder, device_class: str) -> None:
        self.folder, self.device_class = folder, device_class
        record = folder.record
        self.readings = [self.only(w["energy"]) for w in folder.windows]
        self.resting = [self.only(i["energy"]) for i in record["idle"]]
        self.energy = math.fsum(r["energy_j"] for r in self.readings)
        self.seconds = folder.seconds(folder.windows)
        self.idle_s = folder.seconds(record["idle"])
        every = [counts(folder, w) for w in folder.windows]
        us = [count_u(folder, w) for w in folder.windows]
        self.requests, self.inputs, self.outputs = (sum(c) for c in zip(*every, strict=True))
        self.requests_u, self.inputs_u, self.outputs_u = (
            math.hypot(*u) for u in zip(*us, strict=True)
        )

    def only(self, energy: list[dict[str, Any]]) -> dict[str, Any]:
        (found,) = (r for r in energy if r["device_class"] == self.device_class)
        return found

    def per(self, value: float, u: float, n: int, n_u: float) -> dict[str, Any]:
        each = value / n
        return self.of(each, abs(each) * math.hypot(u / value, n_u / n) if value else u / n)

    def of(self, value: float, u: float | None) -> dict[str, Any]:
        return {self.device_class: {"value": value, "uncertainty": u}}

    def terms(self, factor: float, readings: list[dict[str, Any]]) -> list[tuple[float, Any]]:
        return [(factor, r) for r in readings]

    def energy_per_output_token_j(self) -> Any:
        u = budget(self.terms(1, self.readings))
        return self.per(self.energy, u, self.outputs, self.outputs_u)

    def energy_per_total_token_j(self) -> Any:
        u = budget(self.terms(1, self.readings))
        n_u = math.hypot(self.inputs_u, self.outputs_u)
        return self.per(self.energy, u, self.inputs + self.outputs, n_u)

    def energy_per_request_j(self) -> Any:
        u = budget(self.terms(1, self.readings))
        return self.per(self.energy, u, self.requests, self.requests_u)

    def energy_above_idle_per_output_token_j(self) -> Any:
        factor = -self.seconds / self.idle_s
        terms = [*self.terms(1, self.readings), *self.terms(factor, self.resting)]
        value = math.fsum(f * r["energy_j"] for f, r in terms)
        idle = self.folder.record["idle"]
        watts = [
            r["energy_j"] / self.folder.seconds([i])
            for i, r in zip(idle, self.resting, strict=True)
        ]
        # Anything between the two phases' power, equally likely, and k = 2.
        drift = (max(watts) - min(watts)) / math.sqrt(3) * self.seconds
        return self.per(value, math.hypot(budget(terms), drift), self.outputs, self.outputs_u)

    def prefill(self) -> tuple[dict[str, Any], int, float]:
        window = self.folder.record["prefill"]
        _, inputs, _ = counts(self.folder, window)
        return self.only(window["energy"]), inputs, count_u(self.folder, window)[1]

    def energy_prefill_per_input_token_j(self) -> Any:
        reading, inputs, inputs_u = self.prefill()
        return self.per(reading["energy_j"], budget([(1, reading)]), inputs, inputs_u)

    def energy_decode_per_output_token_j(self) -> Any:
        reading, inputs, inputs_u = self.prefill()
        share = self.inputs / inputs
        spent = share * reading["energy_j"]
        share_u = spent * math.hypot(inputs_u / inputs, self.inputs_u / self.inputs)
        u = math.hypot(budget([*self.terms(1, self.readings), (-share, reading)]), share_u)
        return self.per(self.energy - spent, u, self.outputs, self.outputs_u)

    def cpu_time_per_output_token_s(self) -> Any:
        value = sum(w["cpu_time_s"] for w in self.folder.windows)
        u = math.hypot(*(w["cpu_time_uncertainty_s"] for w in self.folder.windows))
        return self.per(value, u, self.outputs, self.outputs_u)[self.device_class]

    def mean_power_w(self) -> Any:
        u = budget(self.terms(1, self.readings))
        return self.of(self.energy / self.seconds, u / self.seconds)

    def idle_power_w(self) -> Any:
        value = math.fsum(r["energy_j"] for r in self.resting)
        return self.of(value / self.idle_s, budget(self.terms(1, self.resting)) / self.idle_s)

    def peak_power_w(self) -> Any:
        spans = [(w["start_ns"], w["end_ns"]) for w in self.folder.windows]
        return self.of(max(p for t, p in self.power() if any(a <= t <= b for a, b in spans)), None)

    def power(self) -> Rows:
        (device,) = {r["device"] for r in self.readings}
        (meter,) = {r["meter"] for r in self.readings}
        if meter == "nvml":
            for quantity in ("power_instant_mw", "power_mw", "power_average_mw"):
                if rows := self.folder.of(meter, device, quantity):
                    return [(t, v / 1e3) for t, v in rows]
        # Mean power over at least 40 ms.
        points = cpu_time(self.folder)
        watts = self.folder.of("estimate", "processes", "watts_per_core")[-1][1]
        found: Rows = []
        last = points[0]
        for p in points[1:]:
            if p[0] - last[0] >= 40_000_000:
                power_w = (p[1] - last[1]) / (p[0] - last[0]) * watts
                found.append((last[0] + (p[0] - last[0]) // 2, power_w))
                last = p
        return found

    def peak_memory_bytes(self) -> Any:
        rows = [
            (d, v)
            for _, m, d, q, v in self.folder.trace
            if (m, q) == ("agent", "peak_memory_bytes")
        ]
        return {d: {"value": v, "uncertainty": None} for d, v in rows}

    def rate(self, n: float, u: float) -> Any:
        return {"value": n / self.seconds, "uncertainty": u / self.seconds}

    def output_throughput_tokens_per_s(self) -> Any:
        return self.rate(self.outputs, self.outputs_u)

    def request_throughput_per_s(self) -> Any:
        return self.rate(self.requests, self.requests_u)

    def ended(self) -> list[Request]:
        found = [r for w in self.folder.windows for r in inside(self.folder, w)]
        return [r for r in found if r.status == "done"]

    def good(self) -> int:
        return sum(
            r.tokens[0] - r.sent <= SLO["ttft_ms"] * 1e6
            and (r.tokens[-1] - r.tokens[0]) / (len(r.tokens) - 1) <= SLO["tpot_ms"] * 1e6
            and r.tokens[-1] - r.sent <= SLO["e2e_ms"] * 1e6
            for r in self.ended()
        )

    def goodput_per_s(self) -> Any:
        return self.rate(self.good(), self.requests_u)

    def energy_per_good_request_j(self) -> Any:
        u = budget(self.terms(1, self.readings))
        return self.per(self.energy, u, self.good(), self.requests_u)

    def slo_attainment_share(self) -> Any:
        every = [r for w in self.folder.windows for r in inside(self.folder, w)]
        return {"value": self.good() / len(every), "uncertainty": None}

    def total_throughput_tokens_per_s(self) -> Any:
        n_u = math.hypot(self.inputs_u, self.outputs_u)
        return self.rate(self.inputs + self.outputs, n_u)

    def within(self, t: int) -> bool:
        return any(w["start_ns"] < t <= w["end_ns"] for w in self.folder.windows)

    def ttft_s(self) -> Any:
        return distribution(
            [(r.tokens[0] - r.sent) / 1e9 for r in self.folder.requests if self.within(r.tokens[0])]
        )

    def itl_s(self) -> Any:
        gaps = [g for r in self.folder.requests for g in pairwise(r.tokens)]
        return distribution([(b - a) / 1e9 for a, b in gaps if b > a and self.within(b)])

    def tpot_s(self) -> Any:
        return distribution(
            [(r.tokens[-1] - r.tokens[0]) / 1e9 / (len(r.tokens) - 1) for r in self.ended()]
        )

    def e2e_latency_s(self) -> Any:
        return distribution([(r.tokens[-1] - r.sent) / 1e9 for r in self.ended()])


def distribution(values: list[float]) -> Any:
    v = sorted(values)

    def quantile(q: float) -> float:
        place = q * (len(v) - 1)
        return at([(i, x) for i, x in enumerate(v)], place)

    return {
        "n": len(v),
        "mean": sum(v) / len(v),
        "p50": quantile(0.5),
        "p90": quantile(0.9),
        "p95": quantile(0.95),
        "p99": quantile(0.99),
    }


def flat(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {path: value}
    return {k: v for name, part in value.items() for k, v in flat(part, f"{path}.{name}").items()}


def hold(folder: Folder, device_class: str, sampled: float) -> None:
    """Every window, idle phase and metric. ``sampled``: relative, how far straight lines through
    the trace may be from what the meter's own model makes of it."""
    record = folder.record
    alone = [] if record["prefill"] is None else [record["prefill"]]
    for stretch in [*folder.windows, *record["idle"], *alone]:
        (reading,) = stretch["energy"]
        found = energy_j(folder, reading, stretch)
        parts = reading["budget_j"]
        chance = [u for name, u in parts.items() if name not in ("gain", "offset", "model")]
        loose = loose_j(folder, reading, stretch) + sampled * found
        assert abs(found - reading["energy_j"]) <= 3 * math.hypot(*chance) + loose
        assert reading["uncertainty_j"] == pytest.approx(2 * math.hypot(*parts.values()))
    for window in [*folder.windows, *alone]:
        requests, inputs, outputs = counts(folder, window)
        assert (window["requests"], window["input_tokens"], window["output_tokens"]) == (
            requests,
            inputs,
            outputs,
        )
        assert outputs > 0
        ends = [r.status for r in inside(folder, window)]
        assert (window["failed"], window["timed_out"]) == (
            ends.count("failed"),
            ends.count("timed_out"),
        )
        assert window["sent"] == sum(
            window["start_ns"] <= r.sent < window["end_ns"] for r in folder.requests
        )
        stated = [window[f"{n}_uncertainty"] for n in ("requests", "input_tokens", "output_tokens")]
        assert stated == pytest.approx(count_u(folder, window))
        used = cpu_time(folder)
        cpu_s = (at(used, window["end_ns"]) - at(used, window["start_ns"])) / 1e9
        assert abs(cpu_s - window["cpu_time_s"]) <= 1.5 * window["cpu_time_uncertainty_s"] + 1e-3
    ends = [r.status for r in folder.requests]
    told = {s: ends.count(s) for s in ("done", "failed", "timed_out")}
    assert record["requests"] == {"sent": len(ends), **told}
    again = Again(folder, device_class)
    missing = [name for name in record["metrics"] if not hasattr(again, name)]
    assert missing == []
    for name, stated in record["metrics"].items():
        compute: Callable[[], Any] = getattr(again, name)
        wanted = {k: v for k, v in flat(compute()).items() if v is not None}
        assert {k: v for k, v in flat(stated).items() if v is not None} == pytest.approx(
            wanted, rel=1e-9, abs=1e-12
        ), name
    # Phases stand in the trace in the order in which they came.
    noted = [int(v) for _, v in folder.of("agent", "run", "phase")]
    last = ["prefill"] if alone else []
    order = ["warm_up", "settle", "idle", "window", *last, "settle", "idle"]
    assert noted == [PHASES[p] for p in order]
    begun = [t for t, v in folder.of("agent", "run", "phase") if v == PHASES["window"]]
    assert begun[0] <= folder.windows[0]["start_ns"]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return played.build_library(tmp_path_factory.mktemp("nvml"))


def ran(make_job: MakeJob, **changes: Any) -> Folder:
    environment = changes.pop("environment", {})
    measure = MEASURE | {"prefill_window": True} | changes.pop("measure", {})
    arrival = changes.pop("arrival", {"kind": "concurrency", "concurrency": 4})
    workload = {
        "requests": 30,
        "dataset": {"kind": "random", "input_tokens": 8, "output_tokens": 6},
        "arrival": arrival,
        "slo": changes.pop("slo", SLO),
    }
    path = make_job(measure=measure, workload=workload, **changes)
    done = agent("run", path, **environment)
    assert done.returncode == 0, done.stderr
    return Folder.read(path.parent)


def test_what_a_cache_of_prompts_found_is_told_of_the_windows_alone(make_job: MakeJob) -> None:
    folder = ran(make_job, measure={"prefill_window": False})
    told = folder.record["environment"]["engine_resolved"]
    asked = sum(r.inputs for r in folder.requests)
    assert told["prefix_cache_query_tokens"] == asked
    assert told["prefix_cache_hit_rate"] == pytest.approx(0.25, abs=0.01)


OF_PREFILL = {"energy_prefill_per_input_token_j", "energy_decode_per_output_token_j"}
OF_EVERY_RUN = {
    "energy_per_output_token_j",
    "energy_per_total_token_j",
    "energy_per_request_j",
    "energy_above_idle_per_output_token_j",
    "energy_prefill_per_input_token_j",
    "energy_decode_per_output_token_j",
    "cpu_time_per_output_token_s",
    "mean_power_w",
    "idle_power_w",
    "peak_power_w",
    "peak_memory_bytes",
    "output_throughput_tokens_per_s",
    "total_throughput_tokens_per_s",
    "request_throughput_per_s",
    "goodput_per_s",
    "energy_per_good_request_j",
    "slo_attainment_share",
    "ttft_s",
    "itl_s",
    "tpot_s",
    "e2e_latency_s",
}


@pytest.mark.slow
@pytest.mark.parametrize("static", [False, True])
def test_a_run_on_a_played_gpu(
    make_job: MakeJob, library: Path, tmp_path: Path, static: bool
) -> None:
    """Under load the played power jumps about, since edges are ticks; around whole batches the
    device is at rest, so there it is level (a device that works all the time is not idle)."""
    level = [(played.NEVER, 250.0, 250.0)]
    bursts = played.bursts(90.0, 410.0, period_s=0.73, duty=0.6, length_s=60)
    what = played.Play(level if static else bursts, {"phase_ms": 37})
    config = what.write(tmp_path / "played.txt")
    folder = ran(
        make_job,
        args={"static": static},
        gpus=[0],
        measure={"meters": ["nvml"]},
        environment=played.environment(library, config),
    )
    assert set(folder.record["metrics"]) == OF_EVERY_RUN
    assert folder.record["whole_batches"] is static
    hold(folder, "gpu", 1e-3)
    for stretch in [*folder.windows, *folder.record["idle"], folder.record["prefill"]]:
        (reading,) = stretch["energy"]
        truth = what.energy_j(stretch["start_ns"], stretch["end_ns"])
        parts = reading["budget_j"]
        free_of_gain = math.hypot(*(u for name, u in parts.items() if name != "gain"))
        assert abs(reading["energy_j"] - truth) <= 4 * free_of_gain + 1e-3 * truth
    edges = [(w["start_ns"], w["end_ns"]) for w in folder.windows]
    assert (edges[0][1] < edges[1][0]) if static else (edges[0][1] == edges[1][0])
    assert all(w["temperature_c"] == {"gpu0": 55} for w in folder.windows)
    warm_up = folder.record["warm_up"]
    assert warm_up["windows"] >= 1
    assert ("warm_up_capped" in folder.record["flags"]) is not warm_up["settled"]


@pytest.mark.slow
@pytest.mark.parametrize("static", [False, True])
def test_a_run_whose_energy_is_estimated(make_job: MakeJob, static: bool) -> None:
    folder = ran(make_job, args={"static": static}, measure={"meters": ["estimate"]})
    assert set(folder.record["metrics"]) == OF_EVERY_RUN
    hold(folder, "estimated", 1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "arrival",
    [
        {"kind": "poisson", "rate": 60.0},
        {"kind": "gamma", "rate": 60.0, "burstiness": 0.5},
        {"kind": "constant", "rate": 60.0},
    ],
    ids=lambda a: str(a["kind"]),
)
def test_a_run_under_an_open_load(make_job: MakeJob, arrival: dict[str, Any]) -> None:
    """Eight slots answer about 800 a second at most: far from overload."""
    folder = ran(
        make_job,
        arrival=arrival,
        engine={"max_batch_size": 8},
        measure={"meters": ["estimate"], "window_s": 1.0, "prefill_window": False},
    )
    assert set(folder.record["metrics"]) == OF_EVERY_RUN - OF_PREFILL
    hold(folder, "estimated", 1e-3)
    first, second = folder.windows
    assert first["end_ns"] == second["start_ns"]
    for window in folder.windows:
        assert window["end_ns"] - window["start_ns"] == pytest.approx(1e9, rel=0.2)
    assert "overloaded" not in folder.record["flags"]
    assert folder.record["metric_semantics_version"] == 4


@pytest.mark.slow
def test_prefill_under_a_schedule_is_that_of_an_engine_at_work(make_job: MakeJob) -> None:
    """At eight requests a second the windows are hardly any work; prefill alone is as fast as the
    engine can, so that pauses are no part of what it costs."""
    folder = ran(
        make_job,
        arrival={"kind": "constant", "rate": 8.0},
        measure={"meters": ["estimate"], "window_s": 1.0},
    )
    prefill, (first, *_) = folder.record["prefill"], folder.windows
    assert first["requests"] <= 10
    assert prefill["requests"] > 5 * first["requests"]
    assert "energy_prefill_per_input_token_j" in folder.record["metrics"]
    assert "energy_decode_per_output_token_j" not in folder.record["metrics"]


@pytest.mark.slow
def test_a_run_that_cannot_keep_up_is_said_to_be_overloaded(make_job: MakeJob) -> None:
    """One slot, at least 6 ms an answer: 166 a second at most, and 400 come."""
    folder = ran(
        make_job,
        arrival={"kind": "poisson", "rate": 400.0},
        engine={"max_batch_size": 1},
        measure={"meters": ["estimate"], "window_s": 0.5, "prefill_window": False},
    )
    assert "overloaded" in folder.record["flags"]
    assert folder.record["requests"]["sent"] == folder.record["requests"]["done"]


@pytest.mark.slow
def test_a_run_that_searches_for_its_rate(make_job: MakeJob) -> None:
    """Four slots at 5 ms a step, six steps an answer: about 130 a second at most."""
    search = {"search": "goodput", "low": 4.0, "high": 2000.0, "trial_s": 0.8}
    folder = ran(
        make_job,
        arrival={"kind": "poisson", "rate": search},
        args={"token_ms": 5},
        measure={"meters": ["estimate"], "window_s": 1.0, "prefill_window": False},
        limits={"load_s": 30.0, "run_s": 300.0},
        slo={"ttft_ms": 400.0},
    )
    found = folder.record["rate_search"]
    assert found["bound_hit"] is None
    assert 10 < found["rate_per_s"] < 300
    assert folder.record["metrics"]["goodput_rate_per_s"]["value"] == found["rate_per_s"]
    kept = [t["rate_per_s"] for t in found["trials"] if t["kept"]]
    assert found["rate_per_s"] in kept
    seconds = folder.seconds(folder.windows)
    sent = sum(w["sent"] for w in folder.windows)
    assert sent / seconds == pytest.approx(found["rate_per_s"], rel=0.5)
    # Nothing of the trials is in the files that the figures come from.
    assert folder.record["requests"]["sent"] == len(folder.requests) < 8 * found["rate_per_s"]


@pytest.mark.slow
@pytest.mark.parametrize(("below_c", "missed"), [(60.0, False), (40.0, True)])
def test_cooling_down_comes_first(
    make_job: MakeJob, library: Path, tmp_path: Path, below_c: float, missed: bool
) -> None:
    """The played GPU has 55 °C for ever."""
    config = played.Play().write(tmp_path / "played.txt")
    measure = {
        "windows": 1,
        "window_s": 0.05,
        "idle_s": 0.0,
        "warm_up_cap_s": 0.05,
        "meters": ["nvml"],
        "cool_down": {"below_c": below_c, "cap_s": 1.5},
    }
    path = make_job(measure=measure, gpus=[0])
    done = agent("run", path, **played.environment(library, config))
    assert done.returncode == 0, done.stderr
    folder = Folder.read(path.parent)
    assert ("cool_down_missed" in folder.record["flags"]) is missed
    (first, *_), begun = folder.of("agent", "run", "phase"), folder.of("agent", "run", "phase")
    assert first[1] == PHASES["cool_down"]
    waited_s = (begun[1][0] - first[0]) / 1e9
    assert (waited_s >= 1.5) is missed
