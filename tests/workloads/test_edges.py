"""What is under way at a window's edges, by hand and on engines whose every step is known."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.contract.workload import Concurrency, Offline
from lem.workloads.edges import EXACT, Underway, few_turns, uncertainties, underway
from lem.workloads.load import Log, Response
from lem.workloads.requests import Request
from lem.workloads.sources import arriving
from lem.workloads.steady import Counts, Phase, count
from lem.workloads.stock import FirstTokens, Stock

from .engines import Clock, SlotEngine, StaticEngine

SECOND = 10**9


def response(sent: int, tokens: list[int], end: int | None, inputs: int = 5) -> Response:
    r = Response(Request("r", [1] * inputs, len(tokens), ""), sent)
    r.token_ns, r.end_ns = tokens, end
    r.status = "open" if end is None else "done"
    return r


TWO_SLOTS = [
    response(0, [10, 20, 30], 31),
    response(0, [12, 22, 40], 41, inputs=7),
    response(5, [45, 50], 51, inputs=11),
    response(6, [48, 60], 61, inputs=13),
]


@pytest.mark.parametrize(
    ("t_ns", "expected"),
    [
        (5, Underway(0, 2, 12)),  # the third was sent, but two slots hold two
        (10, Underway(1, 1, 7)),
        (25, Underway(2, 0, 0)),  # two wait in a queue
        (35, Underway(1, 1, 11)),
        (44, Underway(0, 2, 24)),
        (48, Underway(2, 0, 0)),
        (70, Underway(0, 0, 0)),
    ],
)
def test_who_was_under_way(t_ns: int, expected: Underway) -> None:
    assert underway(TWO_SLOTS, [t_ns]) == [expected]


def test_uncertainties_by_hand() -> None:
    (found,) = uncertainties(TWO_SLOTS, [count(TWO_SLOTS, 25, 35)], False)
    # Two were decoded at the start and one at the end: half a token on average, and its scatter.
    assert found.output_tokens == pytest.approx(2 * math.sqrt((2**2 + 1**2) / 12 + 0.5**2))
    assert found.input_tokens == pytest.approx(2 * 11 / math.sqrt(3))
    assert found.requests == pytest.approx(2 * math.sqrt((2 + 2) / 12))
    assert uncertainties(TWO_SLOTS, [count(TWO_SLOTS, 25, 35)], True) == [EXACT]


def windows(
    outputs: list[int],
    slots: int,
    window_s: float,
    clients: int | None = None,
    first_tokens: bool = False,
    prefill_s: float = 0.025,
) -> tuple[list[Counts], list[Response], Clock]:
    clock = Clock()
    log = Log(clock)
    arrival = Offline() if clients is None else Concurrency(concurrency=clients)
    stock = Stock([Request(f"r{i}", [1] * 50, n, "") for i, n in enumerate(outputs)])
    phase = Phase(
        arriving(arrival, FirstTokens(stock) if first_tokens else stock, log),
        log,
        atomic=False,
        window_s=window_s,
        on_edge=clock,
        clock=clock,
    )
    SlotEngine(clock, slots, prefill_s=prefill_s).serve(phase, log)
    return phase.windows, list(log.responses.values()), clock


@given(
    outputs=st.lists(st.integers(5, 60), min_size=200, max_size=200),
    slots=st.integers(1, 8),
    clients=st.none() | st.integers(1, 16),
    begin=st.floats(0.2, 0.4),
    length=st.floats(0.2, 0.5),
)
def test_steps_made_lie_within_what_is_stated(
    outputs: list[int], slots: int, clients: int | None, begin: float, length: float
) -> None:
    """Between any two moments an engine at 0.1 s a step does (end − start) ÷ 0.1 s steps' worth of
    work for each slot. Without time for prefill, tokens that are counted differ from that by
    under one for each slot at each edge: within √3 ÷ 2 of the stated U, as for any rectangle, and
    twice where both edges are."""
    _, responses, _ = windows(outputs, slots, 60.0, clients, prefill_s=0.0)
    span = max(r.end_ns or 0 for r in responses)
    start, end = round(begin * span), round((begin + length) * span)
    found = count(responses, start, end)
    (u,) = uncertainties(responses, [found], False)
    busy = min(slots, clients or slots)
    work = busy * (end - start) / (0.1 * SECOND)
    assert abs(found.output_tokens - work) <= math.sqrt(3) * u.output_tokens / math.sqrt(2) + busy


def test_a_prefill_only_window_counts_prompts() -> None:
    (window,), responses, _ = windows([30] * 400, 4, 20.0, first_tokens=True, prefill_s=0.25)
    assert {len(r.token_ns) for r in responses} == {1}
    assert window.output_tokens == window.requests
    assert window.input_tokens == 50 * window.requests
    # 4 × 0.25 s prefill, then a step of 0.1 s that ends all four.
    assert window.input_tokens / window.duration_s == pytest.approx(200 / 1.1, rel=0.02)
    (u,) = uncertainties(responses, [window], False)
    assert 0 < u.input_tokens / window.input_tokens < 0.1


def test_a_prefill_only_window_of_static_batches() -> None:
    clock = Clock()
    log = Log(clock)
    stock = Stock([Request(f"r{i}", [1] * 50, 30, "") for i in range(40)])
    phase = Phase(
        arriving(Offline(), FirstTokens(stock), log), log, atomic=True, window_s=3.0, clock=clock
    )
    StaticEngine(clock, 4).serve(phase, log)
    (window,) = phase.windows
    assert (window.requests, window.output_tokens, window.input_tokens) == (12, 12, 600)
    assert window.duration_s == pytest.approx(3.3)


UNEQUAL = [16 + 37 * i % 113 for i in range(2000)]


@pytest.mark.parametrize(
    ("outputs", "slots", "window_s", "expected"),
    [
        (UNEQUAL, 16, 2.0, True),
        (UNEQUAL, 16, 60.0, False),
        (UNEQUAL, 1, 2.0, False),
        ([30] * 2000, 16, 2.0, False),
    ],
)
def test_few_turns_are_noticed(
    outputs: list[int], slots: int, window_s: float, expected: bool
) -> None:
    (window,), responses, _ = windows(outputs, slots, window_s)
    assert few_turns(responses, window) is expected


def test_three_turns_are_enough() -> None:
    """Prefill weighs a tenth of the energy of an answer, as in docs/method.md: with three turns of
    16 slots the mean over request lists is right to 1 %."""

    def cost(found: Counts) -> float:
        return (found.output_tokens + 0.16 * found.input_tokens) / found.output_tokens

    truth = 1 + 0.16 * 50 / (sum(UNEQUAL) / len(UNEQUAL))
    costs = []
    for first in range(0, 1000, 50):
        (window,), responses, _ = windows(UNEQUAL[first:], 16, 30.0)
        if not few_turns(responses, window):
            costs.append(cost(window))
    assert len(costs) >= 15
    assert sum(costs) / len(costs) == pytest.approx(truth, rel=0.01)
