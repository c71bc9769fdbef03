"""Metrics against figures worked out by hand."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.agent.metrics import compute, energy_by_class, idle_power_by_class
from lem.contract.metrics import METRICS
from lem.contract.record import Distribution, EnergyReading, Idle, Metrics, Value, Window

SECOND = 1_000_000_000


def reading(device: str, energy_j: float | None, **more: Any) -> EnergyReading:
    kind = device.rstrip("0123456789")
    meter = {"gpu": "nvml", "cpu": "rapl", "dram": "rapl"}.get(kind, "estimate")
    if energy_j is not None and "uncertainty_j" not in more:
        parts = more.get("budget_j", {})
        more["uncertainty_j"] = 2 * math.sqrt(sum(u * u for u in parts.values()))
    more = {"uncertainty_j": None, "device_class": kind} | more
    return EnergyReading(meter=meter, device=device, energy_j=energy_j, **more)


def gpu(index: int, energy_j: float, tick: float, gain: float) -> EnergyReading:
    return reading(f"gpu{index}", energy_j, budget_j={"tick": tick, "gain": gain})


WINDOWS = [
    Window(
        start_ns=0,
        end_ns=10 * SECOND,
        requests=4,
        input_tokens=300,
        output_tokens=100,
        energy=[gpu(0, 2000, 1, 30), gpu(1, 1000, 2, 15), reading("cpu0", 500, uncertainty_j=20)],
        cpu_time_s=8.0,
    ),
    Window(
        start_ns=10 * SECOND,
        end_ns=20 * SECOND,
        requests=6,
        input_tokens=350,
        output_tokens=150,
        energy=[gpu(0, 2100, 1, 31), gpu(1, 1100, 2, 17), reading("cpu0", 520, uncertainty_j=20)],
        cpu_time_s=7.0,
    ),
]
IDLE = [
    Idle(
        start_ns=-5 * SECOND,
        end_ns=0,
        energy=[gpu(0, 300, 3, 4), gpu(1, 200, 4, 2), reading("cpu0", 100, uncertainty_j=4)],
    ),
    Idle(
        start_ns=20 * SECOND,
        end_ns=25 * SECOND,
        energy=[gpu(0, 310, 3, 4), gpu(1, 190, 4, 2), reading("cpu0", 110, uncertainty_j=4)],
    ),
]
DIST = Distribution(n=10, mean=0.1, p50=0.1, p90=0.2, p99=0.3)


def computed(windows: list[Window] = WINDOWS, idle: list[Idle] = IDLE) -> Metrics:
    latencies = dict.fromkeys(("ttft_s", "itl_s", "tpot_s", "e2e_latency_s"), DIST)
    return compute(windows, idle, latencies, {"gpu": 777.0}, {"gpu": 2.0e9, "cpu": 1.0e9})


def by_class(metrics: Metrics, name: str) -> dict[str, Value]:
    found = metrics[name]
    assert isinstance(found, dict)
    return found


GPU_U = 2 * math.sqrt(1 + 4 + 1 + 4 + (30 + 15 + 31 + 17) ** 2)
"""Expanded uncertainty of the GPUs' 6200 J: ticks are independent, the gain is one cause."""
CPU_U = 40.0
"""Two readings of U = 20 J without a budget: taken as one cause, the cautious way."""
IDLE_GPU_U = 2 * math.sqrt(9 + 16 + 9 + 16 + (4 + 2 + 4 + 2) ** 2)


def test_figures_by_hand() -> None:
    m = computed()
    per_token = by_class(m, "energy_per_output_token_j")
    assert set(per_token) == {"cpu", "gpu"}
    assert per_token["gpu"].value == pytest.approx(6200 / 250)
    assert per_token["gpu"].uncertainty == pytest.approx(GPU_U / 250)
    assert per_token["cpu"].value == pytest.approx(1020 / 250)
    assert per_token["cpu"].uncertainty == pytest.approx(CPU_U / 250)
    assert by_class(m, "energy_per_total_token_j")["gpu"].value == pytest.approx(6200 / 900)
    assert by_class(m, "energy_per_request_j")["gpu"].value == pytest.approx(620)
    assert by_class(m, "mean_power_w")["gpu"].value == pytest.approx(310)
    assert by_class(m, "mean_power_w")["gpu"].uncertainty == pytest.approx(GPU_U / 20)
    assert by_class(m, "idle_power_w")["gpu"].value == pytest.approx(100)
    assert by_class(m, "idle_power_w")["gpu"].uncertainty == pytest.approx(IDLE_GPU_U / 10)
    assert by_class(m, "idle_power_w")["cpu"].value == pytest.approx(21)
    assert m["output_throughput_tokens_per_s"] == Value(value=12.5)
    assert m["request_throughput_per_s"] == Value(value=0.5)
    assert m["cpu_time_per_output_token_s"] == Value(value=15 / 250)
    assert m["peak_power_w"] == {"gpu": Value(value=777)}
    assert by_class(m, "peak_memory_bytes")["cpu"] == Value(value=1e9)
    assert m["ttft_s"] == DIST


def test_above_idle_by_hand() -> None:
    found = by_class(computed(), "energy_above_idle_per_output_token_j")
    assert found["gpu"].value == pytest.approx((6200 - 100 * 20) / 250)
    assert found["cpu"].value == pytest.approx((1020 - 21 * 20) / 250)
    expected = math.hypot(GPU_U, IDLE_GPU_U / 10 * 20) / 250
    assert found["gpu"].uncertainty == pytest.approx(expected)


def test_every_metric_is_described_and_has_the_shape_it_is_said_to_have() -> None:
    m = computed()
    # Goodput is added where objectives are set (assemble).
    assert set(m) == set(METRICS) - {"goodput_per_s"}
    shapes = {"by_class": dict, "value": Value, "distribution": Distribution}
    for name, value in m.items():
        assert isinstance(value, shapes[METRICS[name].shape]), name


def test_a_reading_that_cannot_be_trusted_takes_its_class_out_of_everything() -> None:
    lost = reading("gpu1", None, flags=["counter_frozen"])
    second = WINDOWS[1].model_copy(update={"energy": [WINDOWS[1].energy[0], lost]})
    m = computed([WINDOWS[0], second])
    for name, value in m.items():
        if name.startswith("energy") or name == "mean_power_w":
            assert isinstance(value, dict) and "gpu" not in value, name
    assert by_class(m, "idle_power_w")["gpu"].value == pytest.approx(100)


def test_a_device_that_is_missing_in_one_window_takes_its_class_out() -> None:
    second = WINDOWS[1].model_copy(update={"energy": WINDOWS[1].energy[:1]})
    assert "energy_per_output_token_j" not in computed([WINDOWS[0], second])


def test_classes_are_never_added_up() -> None:
    total = sum(v.value for v in by_class(computed(), "energy_per_output_token_j").values())
    assert total == pytest.approx((6200 + 1020) / 250)
    assert set(by_class(computed(), "energy_per_output_token_j")) == {"gpu", "cpu"}


def test_without_idle_there_is_no_figure_above_idle() -> None:
    m = computed(idle=[])
    assert "energy_above_idle_per_output_token_j" not in m and "idle_power_w" not in m
    assert "energy_per_output_token_j" in m


def test_a_lost_idle_reading_leaves_the_class_out_above_idle_only() -> None:
    lost = IDLE[1].model_copy(update={"energy": [reading("gpu0", None), *IDLE[1].energy[1:]]})
    m = computed(idle=[IDLE[0], lost])
    assert set(by_class(m, "energy_above_idle_per_output_token_j")) == {"cpu"}
    assert set(by_class(m, "energy_per_output_token_j")) == {"cpu", "gpu"}


@pytest.mark.parametrize(
    ("flag", "classes"), [("foreign_gpu_process", {"cpu"}), ("sampler_gap", {"cpu", "gpu"})]
)
def test_a_device_that_others_used_was_not_idle(flag: str, classes: set[str]) -> None:
    used = [r.model_copy(update={"flags": [flag]}) for r in IDLE[1].energy[:1]]
    second = IDLE[1].model_copy(update={"energy": [*used, *IDLE[1].energy[1:]]})
    m = computed(idle=[IDLE[0], second])
    assert set(by_class(m, "idle_power_w")) == classes
    assert set(by_class(m, "energy_above_idle_per_output_token_j")) == classes


def test_nothing_is_divided_by_zero() -> None:
    none = [w.model_copy(update={"output_tokens": 0, "requests": 0}) for w in WINDOWS]
    m = computed(none)
    assert not {"energy_per_output_token_j", "energy_per_request_j"} & set(m)
    assert "cpu_time_per_output_token_s" not in m
    assert by_class(m, "energy_per_total_token_j")["gpu"].value == pytest.approx(6200 / 650)


def test_an_unknown_cpu_time_is_not_taken_as_zero() -> None:
    second = WINDOWS[1].model_copy(update={"cpu_time_s": None})
    assert "cpu_time_per_output_token_s" not in computed([WINDOWS[0], second])


def test_an_unknown_uncertainty_is_not_taken_as_zero() -> None:
    def without(w: Window) -> Window:
        energy = [r.model_copy(update={"uncertainty_j": None}) for r in w.energy]
        return w.model_copy(update={"energy": energy})

    m = computed([without(WINDOWS[0]), WINDOWS[1]])
    for name in ("energy_per_output_token_j", "energy_above_idle_per_output_token_j"):
        assert by_class(m, name)["gpu"].uncertainty is None
        assert by_class(m, name)["gpu"].value > 0


def test_no_meter_no_energy() -> None:
    bare = [w.model_copy(update={"energy": []}) for w in WINDOWS]
    m = compute(bare, [], {}, {}, {})
    assert not [n for n in m if "energy" in n or "power" in n]
    assert m["output_throughput_tokens_per_s"] == Value(value=12.5)


@pytest.mark.parametrize(
    ("part", "expected"),
    [("gain", 2 * 4 * 3.0), ("offset", 24.0), ("model", 24.0), ("tick", 12.0), ("sampling", 12.0)],
)
def test_one_cause_adds_linearly_and_chance_in_squares(part: str, expected: float) -> None:
    """Four equal readings with a standard uncertainty of 3 J each: 2·4·3 or 2·√4·3."""
    stretches = [[reading(f"gpu{i}", 100, budget_j={part: 3.0}) for i in (0, 1)] for _ in (0, 1)]
    assert energy_by_class(stretches)["gpu"].uncertainty == pytest.approx(expected)


def test_causes_of_two_meters_are_independent() -> None:
    one = reading("gpu0", 100, budget_j={"gain": 3.0})
    two = one.model_copy(update={"meter": "other", "device": "gpu1", "budget_j": {"gain": 4.0}})
    assert energy_by_class([[one, two]])["gpu"].uncertainty == pytest.approx(10)


positive = st.floats(0.001, 1e6)


@given(st.lists(st.tuples(positive, positive, positive), min_size=1, max_size=6))
def test_the_sum_is_no_more_certain_than_chance_and_no_less_than_one_cause(
    parts: list[tuple[float, float, float]],
) -> None:
    stretches = [
        [reading("gpu0", e, budget_j={"tick": tick, "gain": gain})] for e, tick, gain in parts
    ]
    total = energy_by_class(stretches)["gpu"]
    each = [s[0].uncertainty_j or 0.0 for s in stretches]
    assert total.value == pytest.approx(math.fsum(e for e, _, _ in parts))
    assert total.uncertainty is not None
    assert total.uncertainty >= math.sqrt(sum(u * u for u in each)) * (1 - 1e-9)
    assert total.uncertainty <= sum(each) * (1 + 1e-9)


def test_idle_power_weighs_phases_by_their_length() -> None:
    short = Idle(start_ns=0, end_ns=SECOND, energy=[reading("gpu0", 50, uncertainty_j=1)])
    long = Idle(start_ns=0, end_ns=9 * SECOND, energy=[reading("gpu0", 900, uncertainty_j=1)])
    assert idle_power_by_class([short, long])["gpu"].value == pytest.approx(95)
