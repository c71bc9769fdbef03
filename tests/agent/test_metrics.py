"""Metrics against figures worked out by hand."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.agent.metrics import compute, energy_by_class, idle_power_by_class
from lem.contract.metrics import METRICS
from lem.contract.record import Distribution, EnergyReading, Idle, Metrics, Value, Window
from lem.meters.energy.combine import Term, expanded_j

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
        cpu_time_uncertainty_s=0.3,
        input_tokens_uncertainty=9.0,
        output_tokens_uncertainty=3.0,
        requests_uncertainty=0.3,
    ),
    Window(
        start_ns=10 * SECOND,
        end_ns=20 * SECOND,
        requests=6,
        input_tokens=350,
        output_tokens=150,
        energy=[gpu(0, 2100, 1, 31), gpu(1, 1100, 2, 17), reading("cpu0", 520, uncertainty_j=20)],
        cpu_time_s=7.0,
        cpu_time_uncertainty_s=0.4,
        input_tokens_uncertainty=12.0,
        output_tokens_uncertainty=4.0,
        requests_uncertainty=0.4,
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


PREFILL = Window(
    start_ns=21 * SECOND,
    end_ns=31 * SECOND,
    requests=26,
    input_tokens=2600,
    output_tokens=26,
    energy=[gpu(0, 2400, 1, 36), gpu(1, 1600, 2, 24), reading("cpu0", 480, uncertainty_j=19)],
    input_tokens_uncertainty=52.0,
    output_tokens_uncertainty=1.0,
    requests_uncertainty=1.0,
)
OF_OBJECTIVES = ("goodput_per_s", "energy_per_good_request_j", "slo_attainment_share")
OF_PREFILL = ("energy_prefill_per_input_token_j", "energy_decode_per_output_token_j")


def computed(
    windows: list[Window] = WINDOWS, idle: list[Idle] = IDLE, prefill: Window | None = PREFILL
) -> Metrics:
    latencies = dict.fromkeys(("ttft_s", "itl_s", "tpot_s", "e2e_latency_s"), DIST)
    memory = {"gpu": 2.0e9, "cpu": 1.0e9}
    return compute(windows, idle, latencies, {"gpu": 777.0}, memory, prefill)


def by_class(metrics: Metrics, name: str) -> dict[str, Value]:
    found = metrics[name]
    assert isinstance(found, dict)
    return found


GPU_U = 2 * math.sqrt(1 + 4 + 1 + 4 + (30 + 31 + 15 + 17) ** 2)
"""Expanded uncertainty of the GPUs' 6200 J: ticks are chance, gain may be one cause in all."""
CPU_U = 40.0
"""Two readings of U = 20 J without a budget: taken as one cause, the cautious way."""
IDLE_GPU_U = 2 * math.sqrt(9 + 16 + 9 + 16 + (4 + 4 + 2 + 2) ** 2)
OUTPUT_U, INPUT_U, REQUESTS_U = 5.0, 15.0, 0.5
"""Of 250 output tokens, 650 input tokens and 10 requests: those of the windows in squares."""


def test_figures_by_hand() -> None:
    m = computed()
    per_token = by_class(m, "energy_per_output_token_j")
    assert set(per_token) == {"cpu", "gpu"}
    assert per_token["gpu"].value == pytest.approx(6200 / 250)
    assert per_token["gpu"].uncertainty == pytest.approx(
        6200 / 250 * math.hypot(GPU_U / 6200, OUTPUT_U / 250)
    )
    assert per_token["cpu"].value == pytest.approx(1020 / 250)
    assert per_token["cpu"].uncertainty == pytest.approx(
        1020 / 250 * math.hypot(CPU_U / 1020, OUTPUT_U / 250)
    )
    per_total = by_class(m, "energy_per_total_token_j")["gpu"]
    assert per_total.value == pytest.approx(6200 / 900)
    assert per_total.uncertainty == pytest.approx(
        6200 / 900 * math.hypot(GPU_U / 6200, math.hypot(OUTPUT_U, INPUT_U) / 900)
    )
    per_request = by_class(m, "energy_per_request_j")["gpu"]
    assert per_request.value == pytest.approx(620)
    assert per_request.uncertainty == pytest.approx(620 * math.hypot(GPU_U / 6200, REQUESTS_U / 10))
    assert by_class(m, "mean_power_w")["gpu"].value == pytest.approx(310)
    assert by_class(m, "mean_power_w")["gpu"].uncertainty == pytest.approx(GPU_U / 20)
    assert by_class(m, "idle_power_w")["gpu"].value == pytest.approx(100)
    assert by_class(m, "idle_power_w")["gpu"].uncertainty == pytest.approx(IDLE_GPU_U / 10)
    assert by_class(m, "idle_power_w")["cpu"].value == pytest.approx(21)
    assert m["output_throughput_tokens_per_s"] == Value(value=12.5, uncertainty=OUTPUT_U / 20)
    assert m["request_throughput_per_s"] == Value(value=0.5, uncertainty=REQUESTS_U / 20)
    cpu_time = m["cpu_time_per_output_token_s"]
    assert isinstance(cpu_time, Value)
    assert cpu_time.value == pytest.approx(15 / 250)
    assert cpu_time.uncertainty == pytest.approx(15 / 250 * math.hypot(0.5 / 15, OUTPUT_U / 250))
    assert m["peak_power_w"] == {"gpu": Value(value=777)}
    assert by_class(m, "peak_memory_bytes")["cpu"] == Value(value=1e9)
    assert m["ttft_s"] == DIST


def test_above_idle_by_hand() -> None:
    found = by_class(computed(), "energy_above_idle_per_output_token_j")
    assert found["gpu"].value == pytest.approx((6200 - 100 * 20) / 250)
    assert found["cpu"].value == pytest.approx((1020 - 21 * 20) / 250)
    # Idle phases of 10 s in all are subtracted twice; a board's gain is common to both sides.
    ticks = 1 + 4 + 1 + 4 + 2**2 * (9 + 16 + 9 + 16)
    gains = (30 + 31 - 2 * (4 + 4) + 15 + 17 - 2 * (2 + 2)) ** 2
    relative = math.hypot(2 * math.sqrt(ticks + gains) / 4200, OUTPUT_U / 250)
    # Both phases were at 100 W, so drift adds nothing.
    assert found["gpu"].uncertainty == pytest.approx(4200 / 250 * relative)


def test_idle_power_that_changed_makes_what_is_above_it_less_certain() -> None:
    """60 W before and 66 W after: during the windows anything between, so ±3 W ÷ √3 × 20 s."""
    name = "energy_above_idle_per_output_token_j"
    phase = [gpu(0, 300, 0, 0), gpu(1, 200, 0, 0)]
    after = [gpu(0, 330, 0, 0), gpu(1, 200, 0, 0)]
    even = [IDLE[0].model_copy(update={"energy": phase}), IDLE[1]]
    even[1] = IDLE[1].model_copy(update={"energy": phase})
    drifting = [even[0], IDLE[1].model_copy(update={"energy": after})]
    exact = [w.model_copy(update={"output_tokens_uncertainty": 0.0}) for w in WINDOWS]
    calm, moved = (by_class(computed(exact, i, None), name)["gpu"] for i in (even, drifting))
    assert calm.uncertainty is not None and moved.uncertainty is not None
    drift = 2 * 3 / math.sqrt(3) * 20 / 250
    assert moved.uncertainty == pytest.approx(math.hypot(calm.uncertainty, drift))


def test_every_metric_is_described_and_has_the_shape_it_is_said_to_have() -> None:
    m = computed()
    # A rate that was searched for, and what answers to questions took, are added elsewhere.
    elsewhere = {"goodput_rate_per_s", "energy_per_answer_j", "energy_per_correct_answer_j"}
    assert set(m) == set(METRICS) - elsewhere - set(OF_OBJECTIVES)
    assert set(computed(prefill=None)) == set(m) - set(OF_PREFILL)
    judged = [w.model_copy(update={"good": 1}) for w in WINDOWS]
    m = computed(judged)
    assert set(m) == set(METRICS) - elsewhere
    shapes = {"by_class": dict, "value": Value, "distribution": Distribution}
    for name, value in m.items():
        assert isinstance(value, shapes[METRICS[name].shape]), name


def test_a_reading_that_cannot_be_trusted_takes_its_class_out_of_everything() -> None:
    lost = reading("gpu1", None, flags=["counter_frozen"])
    second = WINDOWS[1].model_copy(update={"energy": [WINDOWS[1].energy[0], lost]})
    m = computed([WINDOWS[0], second], prefill=None)
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
    assert m["output_throughput_tokens_per_s"] == Value(value=12.5, uncertainty=0.25)


@pytest.mark.parametrize(
    ("part", "expected"),
    [("gain", 24.0), ("offset", 24.0), ("model", 24.0), ("tick", 12.0), ("sampling", 12.0)],
)
def test_one_cause_adds_linearly_and_chance_in_squares(part: str, expected: float) -> None:
    """Two devices in two windows with a standard uncertainty of 3 J each: in all 2·4·3 or
    2·√4·3."""
    for name in ("gpu", "cpu"):
        stretches = [
            [reading(f"{name}{i}", 100, budget_j={part: 3.0}) for i in (0, 1)] for _ in (0, 1)
        ]
        assert energy_by_class(stretches)[name].uncertainty == pytest.approx(expected)


def test_prefill_and_decode_by_hand() -> None:
    m = computed()
    each = by_class(m, "energy_prefill_per_input_token_j")
    assert each["gpu"].value == pytest.approx(4000 / 2600)
    pure_u = 2 * math.sqrt(1 + 4 + (36 + 24) ** 2)
    assert each["gpu"].uncertainty == pytest.approx(
        4000 / 2600 * math.hypot(pure_u / 4000, 52 / 2600)
    )
    left = by_class(m, "energy_decode_per_output_token_j")
    # 650 of the 2600 input tokens: a quarter of the prefill window's energy.
    assert left["gpu"].value == pytest.approx((6200 - 1000) / 250)
    ticks = 1 + 4 + 1 + 4 + (1 + 4) / 16
    gains = (30 + 31 - 36 / 4 + 15 + 17 - 24 / 4) ** 2
    share_u = 1000 * math.hypot(INPUT_U / 650, 52 / 2600)
    left_u = math.hypot(2 * math.sqrt(ticks + gains), share_u)
    assert left["gpu"].uncertainty == pytest.approx(
        5200 / 250 * math.hypot(left_u / 5200, OUTPUT_U / 250)
    )
    # Together they are the whole.
    whole = by_class(m, "energy_per_output_token_j")["gpu"].value
    assert each["gpu"].value * 650 / 250 + left["gpu"].value == pytest.approx(whole)
    assert left["cpu"].value == pytest.approx((1020 - 480 / 4) / 250)


def test_a_prefill_window_that_cannot_be_trusted_splits_nothing() -> None:
    lost = PREFILL.model_copy(update={"energy": [reading("gpu0", None), *PREFILL.energy[1:]]})
    m = computed(prefill=lost)
    for name in OF_PREFILL:
        assert set(by_class(m, name)) == {"cpu"}
    assert set(by_class(m, "energy_per_output_token_j")) == {"cpu", "gpu"}
    assert not set(OF_PREFILL) & set(
        computed(prefill=PREFILL.model_copy(update={"input_tokens": 0}))
    )


def test_what_a_model_misses_may_not_cancel_in_a_difference() -> None:
    def with_model(r: EnergyReading, part: str) -> EnergyReading:
        return r.model_copy(update={"budget_j": {part: 0.1 * (r.energy_j or 0)}})

    def above(part: str) -> float:
        windows = [
            w.model_copy(update={"energy": [with_model(w.energy[0], part)]}) for w in WINDOWS
        ]
        first = with_model(IDLE[0].energy[0], part)
        idle = [i.model_copy(update={"energy": [first]}) for i in IDLE]
        exact = [w.model_copy(update={"output_tokens_uncertainty": 0.0}) for w in windows]
        u = by_class(computed(exact, idle, None), "energy_above_idle_per_output_token_j")
        return u["gpu"].uncertainty or 0.0

    working, resting = 0.1 * 4100, 0.1 * 600 * 2
    assert above("gain") == pytest.approx(2 * (working - resting) / 250)
    assert above("model") == pytest.approx(2 * math.hypot(working, resting) / 250)


def test_a_count_without_an_uncertainty_leaves_none_to_what_is_divided_by_it() -> None:
    old = [w.model_copy(update={"output_tokens_uncertainty": None}) for w in WINDOWS]
    m = computed(old)
    assert by_class(m, "energy_per_output_token_j")["gpu"].uncertainty is None
    assert by_class(m, "energy_per_request_j")["gpu"].uncertainty is not None
    assert m["output_throughput_tokens_per_s"] == Value(value=12.5)


def test_a_gain_cancels_on_its_own_board_alone() -> None:
    """4 J less 3 J on one board and 1 J less 2 J on the other: 1 J each, which may add up."""
    terms = [
        Term(factor, reading(f"gpu{board}", 100, budget_j={"gain": u}))
        for factor, board, u in ((1, 0, 4.0), (-1, 0, 3.0), (1, 1, 1.0), (-1, 1, 2.0))
    ]
    assert expanded_j(terms) == pytest.approx(4.0)


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
