"""From a made-up trace to the figures of a record."""

import math
from typing import Any

import pytest

from lem.agent.assemble import assemble, distributions
from lem.contract.record import MeterInfo, Value
from lem.contract.workload import Concurrency, Poisson, Slo
from lem.meters.protocol import Sample
from lem.workloads.load import Response
from lem.workloads.requests import Request
from lem.workloads.steady import Counts, count

S = 1_000_000_000
START = 1000 * S
INFO = MeterInfo(
    meter="estimate",
    device="processes",
    device_class="estimated",
    quantity="cpu_time_ns",
    unit="ns",
    description="CPU time of the run's processes",
)


def trace(*stretches: tuple[float, float], every_s: float = 0.5) -> list[Sample]:
    """CPU time of a process that uses so many cores for so many seconds, at 10 W a core."""
    samples: list[Sample] = []
    t, used = START, 0.0

    def read() -> None:
        samples.append(Sample(t, "estimate", "processes", "cpu_time_ns", used * S))
        samples.append(Sample(t, "estimate", "processes", "watts_per_core", 10.0))

    read()
    for seconds, cores in stretches:
        for _ in range(round(seconds / every_s)):
            t += round(every_s * S)
            used += every_s * cores
            read()
    return samples


def response(name: str, sent_s: float, *token_s: float, tokens: int = 5) -> Response:
    at = [START + round(t * S) for t in token_s]
    request = Request(name, list(range(tokens)), len(at), "")
    return Response(request, START + round(sent_s * S), at, at[-1], "done")


RESPONSES = [
    response("before", 0.0, 2.0, 3.0),
    response("one", 5.0, 6.0, 7.0, 9.0),
    response("two", 5.5, 8.0, 8.5, 10.0, tokens=7),
    response("after", 14.0, 16.0, 17.0),
]


def counts(start_s: float, end_s: float) -> Counts:
    return count(RESPONSES, START + round(start_s * S), START + round(end_s * S))


def figures(
    samples: list[Sample], *windows: Counts, idle: Any = ((0, 4), (16, 20)), **more: Any
) -> Any:
    spans = [(START + a * S, START + b * S) for a, b in idle]
    return assemble([INFO], samples, windows, spans, RESPONSES, {"cpu": 1e9}, **more)


STEADY = trace((4, 0.1), (12, 0.5), (4, 0.1))
"""Idle for 4 s at 1 W, 12 s of work at 5 W, idle for 4 s at 1 W."""


REQUESTS_U = 2 * math.sqrt(2 / 12)
"""At 5 s one request had just been sent, at 15 s another waited: each somewhere between begun and
done."""


def test_energy_is_power_times_time() -> None:
    found = figures(STEADY, counts(5, 15))
    (window,) = found.windows
    (reading,) = window.energy
    assert reading.energy_j == pytest.approx(50, rel=1e-6)
    assert reading.uncertainty_j == pytest.approx(25, rel=0.01)
    assert window.cpu_time_s == pytest.approx(5, rel=1e-6)
    assert (window.requests, window.output_tokens, window.input_tokens) == (2, 6, 12)
    assert [i.energy[0].energy_j for i in found.idle] == pytest.approx([4, 4], rel=1e-6)
    metrics = found.metrics
    assert metrics["energy_per_output_token_j"]["estimated"].value == pytest.approx(50 / 6)
    above = metrics["energy_above_idle_per_output_token_j"]["estimated"].value
    assert above == pytest.approx((50 - 10) / 6)
    assert metrics["cpu_time_per_output_token_s"].value == pytest.approx(5 / 6)
    assert metrics["idle_power_w"]["estimated"].value == pytest.approx(1)
    assert metrics["peak_power_w"]["estimated"].value == pytest.approx(5)
    assert metrics["output_throughput_tokens_per_s"] == Value(value=0.6, uncertainty=0.0)
    requests = metrics["request_throughput_per_s"]
    assert requests.value == pytest.approx(0.2)
    assert requests.uncertainty == pytest.approx(REQUESTS_U / 10)
    assert window.input_tokens_uncertainty == pytest.approx(2 * 5 * math.sqrt(2 / 12))
    whole = figures(STEADY, counts(5, 15), whole_batches=True)
    assert whole.windows[0].requests_uncertainty == whole.windows[0].input_tokens_uncertainty == 0
    assert metrics["peak_memory_bytes"] == {"cpu": Value(value=1e9)}
    assert found.flags == {"estimated"}


def test_latencies_are_of_what_happened_in_the_window() -> None:
    found = figures(STEADY, counts(5, 15)).metrics
    assert found["ttft_s"].n == 2
    assert found["ttft_s"].mean == pytest.approx((1.0 + 2.5) / 2)
    assert found["e2e_latency_s"].mean == pytest.approx((4.0 + 4.5) / 2)
    assert found["itl_s"].n == 4
    assert found["itl_s"].mean == pytest.approx((1 + 2 + 0.5 + 1.5) / 4)
    assert found["tpot_s"].mean == pytest.approx((1.5 + 1.0) / 2)


def test_waiting_during_ramp_up_is_no_latency_of_the_window() -> None:
    """Both first tokens came before 8.2 s: what ended in the window waited for them outside."""
    found = figures(STEADY, counts(8.2, 15)).metrics
    assert "ttft_s" not in found
    # Gaps that ended in the window: 7 → 9 s, 8 → 8.5 s and 8.5 → 10 s; not 6 → 7 s.
    assert found["itl_s"].n == 3
    assert found["itl_s"].mean == pytest.approx((2 + 0.5 + 1.5) / 3)
    assert found["e2e_latency_s"].mean == pytest.approx((4.0 + 4.5) / 2)


def test_two_windows_are_taken_together() -> None:
    whole = figures(STEADY, counts(5, 15)).metrics
    parts = figures(STEADY, counts(5, 9.5), counts(9.5, 15)).metrics
    for name in ("energy_per_output_token_j", "mean_power_w"):
        assert parts[name]["estimated"].value == pytest.approx(whole[name]["estimated"].value)
    assert parts["ttft_s"] == whole["ttft_s"]


def test_a_window_that_the_trace_does_not_cover_has_no_energy() -> None:
    found = figures(STEADY, counts(5, 40))
    (reading,) = found.windows[0].energy
    assert reading.energy_j is None
    assert {"no_coverage", "no_meter"} <= found.flags
    assert found.windows[0].cpu_time_s is None
    assert "energy_per_output_token_j" not in found.metrics
    assert "cpu_time_per_output_token_s" not in found.metrics


def test_no_trace_at_all() -> None:
    found = figures([], counts(5, 15))
    assert "no_meter" in found.flags
    assert not [n for n in found.metrics if "energy" in n or "power" in n]
    assert "ttft_s" in found.metrics


def test_power_before_the_window_is_no_peak_of_it() -> None:
    """20 W during ramp-up, up to the window's very edge; 5 W in it."""
    ramp = trace((4, 0.1), (1, 2.0), (11, 0.5), (4, 0.1))
    found = figures(ramp, counts(5, 15)).metrics["peak_power_w"]
    assert found["estimated"].value == pytest.approx(5)


def test_a_short_window_is_flagged() -> None:
    assert "short_window" in figures(STEADY, counts(5, 14.9)).flags
    assert "short_window" not in figures(STEADY, counts(5, 15)).flags


def test_idle_power_that_drifts_beyond_what_is_stated_is_flagged() -> None:
    """1 W before and 5 W after: 4 W apart, and ±50 % of each explains 3 W."""
    drifted = trace((4, 0.1), (12, 0.5), (4, 0.5))
    assert "idle_drift" in figures(drifted, counts(5, 15)).flags
    near = trace((4, 0.1), (12, 0.5), (4, 0.2))
    assert "idle_drift" not in figures(near, counts(5, 15)).flags


def test_idle_phases_without_length_are_left_out() -> None:
    found = figures(STEADY, counts(5, 15), idle=((4, 4), (16, 20)))
    assert len(found.idle) == 1


def test_the_figures_do_not_depend_on_the_order_of_responses() -> None:
    spans = [(START, START + 4 * S)]
    a = assemble([INFO], STEADY, [counts(5, 15)], spans, RESPONSES, {})
    b = assemble([INFO], STEADY, [counts(5, 15)], spans, RESPONSES[::-1], {})
    assert a == b


def test_latencies_of_nothing() -> None:
    always = [(0, 2 * START)]
    assert distributions([], always) == {}
    one = [response("one token", 0, 1)]
    assert set(distributions(one, always)) == {"ttft_s", "e2e_latency_s"}


def test_a_closed_loop_whose_clients_were_idle_is_said_so() -> None:
    """In 5 to 15 s two were open at most, for 8.5 of 20 s: two clients were not busy."""
    flags = figures(STEADY, counts(5, 15), arrival=Concurrency(concurrency=2)).flags
    assert "target_not_held" in flags
    # Of eight clients the log never saw all: they waited elsewhere.
    flags = figures(STEADY, counts(5, 15), arrival=Concurrency(concurrency=8)).flags
    assert "target_not_held" not in flags


@pytest.mark.parametrize(
    ("status", "flag"), [("failed", "requests_failed"), ("timed_out", "requests_timed_out")]
)
def test_requests_that_were_not_answered_are_flagged_and_miss_their_objectives(
    status: str, flag: str
) -> None:
    broken = Response(Request("broken", [1], 5, ""), START + 6 * S, [], START + 8 * S, status)
    all_of_them = [*RESPONSES, broken]
    window = count(all_of_them, START + 5 * S, START + 15 * S)
    spans = [(START, START + 4 * S), (START + 16 * S, START + 20 * S)]
    found = assemble([INFO], STEADY, [window], spans, all_of_them, {}, Slo(e2e_ms=4200))
    assert flag in found.flags
    (made,) = found.windows
    assert (made.requests, made.failed, made.timed_out) == (
        2,
        status == "failed",
        status == "timed_out",
    )
    # "one" took 4.0 s, "two" 4.5 s, the third was never answered.
    assert made.good == 1
    assert found.metrics["slo_attainment_share"].value == pytest.approx(1 / 3)  # type: ignore[union-attr]
    good = found.metrics["energy_per_good_request_j"]["estimated"]
    assert good.value == pytest.approx(50, rel=1e-6)


def test_a_rate_that_was_found_is_a_metric() -> None:
    found = figures(STEADY, counts(5, 15), rate_per_s=3.5).metrics
    assert found["goodput_rate_per_s"] == Value(value=3.5)


@pytest.mark.parametrize(
    ("slo", "expected"),
    [
        (Slo(), None),
        (Slo(ttft_ms=1500), 0.1),
        (Slo(ttft_ms=3000), 0.2),
        (Slo(ttft_ms=3000, itl_ms=1200), 0.1),
        (Slo(itl_ms=1), 0.0),
    ],
    ids=str,
)
def test_goodput_by_hand(slo: Slo, expected: float | None) -> None:
    """In 10 s: "one" with 1 s to its first token and 1.5 s a token, "two" with 2.5 s and 1 s."""
    spans = [(START, START + 4 * S)]
    found = assemble([INFO], STEADY, [counts(5, 15)], spans, RESPONSES, {}, slo).metrics
    # One request was in prefill at each edge.
    value = None if expected is None else Value(value=expected, uncertainty=REQUESTS_U / 10)
    assert found.get("goodput_per_s") == value


def test_idle_that_is_next_to_nothing_may_drift() -> None:
    """0.01 W before and 0.04 W after, beside 5 W at work."""
    drifted = trace((4, 0.001), (12, 0.5), (4, 0.004))
    assert "idle_drift" not in figures(drifted, counts(5, 15)).flags


def test_temperature_when_a_window_began() -> None:
    warm = [
        Sample(START + round(t * S), "nvml", "gpu0", "temperature_c", c)
        for t, c in ((1, 30), (4.2, 41), (5.1, 43), (15, 60))
    ]
    assert figures(STEADY + warm, counts(5, 15)).windows[0].temperature_c == {"gpu0": 43}
    assert figures(STEADY + warm[:1], counts(5, 15)).windows[0].temperature_c == {}


def test_an_idle_phase_that_is_lost_says_so() -> None:
    found = figures(STEADY, counts(5, 15), idle=((0, 4), (16, 40)))
    assert "idle_untrusted" in found.flags
    assert "idle_power_w" not in found.metrics and "energy_per_output_token_j" in found.metrics
    assert "idle_untrusted" not in figures(STEADY, counts(5, 15)).flags


def test_a_prefill_window_is_no_part_of_the_others() -> None:
    """10 s of work at 5 W; then 3 s of prefill at 10 W, one request of 7 tokens a second."""
    alone = [response(f"p{i}", 16 + i, 17 + i, tokens=7) for i in range(3)]
    samples = trace((4, 0.1), (12, 0.5), (4, 1.0), (4, 0.1))
    window = counts(5, 15)
    everyone = [*RESPONSES[:3], *alone]
    span = count(everyone, START + 16 * S, START + 19 * S)
    given = ([INFO], samples, [window], [(START, START + 4 * S)], everyone, {})
    plain = assemble(*given, whole_batches=True)
    found = assemble(*given, whole_batches=True, prefill=span)
    assert found.prefill is not None and found.prefill.input_tokens == 21
    each = found.metrics["energy_prefill_per_input_token_j"]
    assert each["estimated"].value == pytest.approx(30 / 21)
    left = found.metrics["energy_decode_per_output_token_j"]
    assert left["estimated"].value == pytest.approx((50 - 12 * 30 / 21) / 6)
    for name in plain.metrics:
        assert found.metrics[name] == plain.metrics[name]
    scheduled = assemble(*given, whole_batches=True, prefill=span, arrival=Poisson(rate=1.0))
    assert scheduled.metrics["energy_prefill_per_input_token_j"] == each
    assert "energy_decode_per_output_token_j" not in scheduled.metrics
