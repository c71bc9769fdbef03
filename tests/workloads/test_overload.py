"""Overload told from chance: on counts by hand and on simulated queues of known load."""

import heapq
import random

import pytest

from lem.workloads import overload
from lem.workloads.load import Response
from lem.workloads.requests import Request

SECOND = 10**9


def response(sent_s: float, end_s: float | None) -> Response:
    found = Response(Request("r", [1], 1, ""), round(sent_s * SECOND))
    found.end_ns = None if end_s is None else round(end_s * SECOND)
    return found


def test_growth_by_hand() -> None:
    # Every 0.1 s one comes; every second one is answered, 0.05 s later, the others never.
    found = [response(i / 10, i / 10 + 0.05 if i % 2 else None) for i in range(1, 401)]
    grown = overload.growth(found, 0, 40 * SECOND)
    # 20 in each twentieth come, 10 end: neither count scatters.
    assert grown == overload.Growth(400, 200, 0.0)
    assert grown.overloaded
    answered = [response(i / 10, i / 10 + 0.05) for i in range(1, 401)]
    assert overload.growth(answered, 0, 40 * SECOND) == overload.Growth(400, 399, pytest.approx(1))


@pytest.mark.parametrize(
    ("grown", "expected"),
    [
        (overload.Growth(9, 0, 0.0), False),  # too few to tell
        (overload.Growth(24, 9, 10.0), False),  # of few more is asked for
        (overload.Growth(24, 7, 10.0), True),
        (overload.Growth(60, 45, 10.0), True),
        (overload.Growth(1000, 971, 1.0), False),  # too little to matter
        (overload.Growth(1000, 960, 40.0), False),  # chance
        (overload.Growth(1000, 940, 40.0), True),
    ],
)
def test_the_three_conditions(grown: overload.Growth, expected: bool) -> None:
    assert grown.overloaded is expected


@pytest.mark.parametrize(
    ("grown", "flags"),
    [
        (overload.Growth(39, 38, 5.0), {"overload_unknown"}),
        (overload.Growth(40, 39, 5.0), set()),
        (overload.Growth(39, 5, 5.0), {"overloaded"}),
    ],
)
def test_that_there_were_too_few_to_tell_is_said(grown: overload.Growth, flags: set[str]) -> None:
    assert grown.flags == flags


def queue(load: float, servers: int, requests: int, seed: int) -> overload.Growth:
    """M/M/c, mean answer 1 s, first come first served; the stretch begins after ramp-up, as that of
    a run does, and holds so many requests on average."""
    draw = random.Random(seed)
    rate = load * servers
    length_s = requests / rate
    free = [0.0] * servers
    found: list[Response] = []
    now = 0.0
    while now < 3 * length_s + 40:
        now += draw.expovariate(rate)
        end = max(now, heapq.heappop(free)) + draw.expovariate(1.0)
        heapq.heappush(free, end)
        found.append(response(now, end))
    first_ns = min(r.end_ns or 0 for r in found)
    turn_ns = max(r.end_ns or 0 for r in found if r.sent_ns <= first_ns)
    start_ns = max(2 * turn_ns, round(length_s / 2 * SECOND))
    return overload.growth(found, start_ns, start_ns + round(length_s * SECOND))


def share(load: float, servers: int, requests: int, n: int = 100) -> float:
    return sum(queue(load, servers, requests, seed).overloaded for seed in range(n)) / n


@pytest.mark.parametrize(
    ("servers", "requests", "most"),
    [(1, 16, 0.05), (8, 24, 0.05), (1, 100, 0.05), (8, 300, 0.02), (64, 300, 0.02)],
)
def test_a_load_of_80_percent_is_rarely_called_overload(
    servers: int, requests: int, most: float
) -> None:
    assert share(0.8, servers, requests) <= most


@pytest.mark.parametrize(
    ("load", "servers", "requests", "least"),
    [
        (1.1, 8, 1000, 0.7),
        (1.3, 1, 300, 0.85),
        (1.3, 64, 300, 0.85),
        (2.0, 8, 60, 0.95),
        (3.0, 8, 24, 0.8),
    ],
)
def test_overload_is_found(load: float, servers: int, requests: int, least: float) -> None:
    assert share(load, servers, requests) >= least


def test_answers_that_end_together_are_no_overload() -> None:
    """16 slots in step: just before they all end, 16 more have come than gone."""
    found = [response(i / 16, (i // 16 + 1) * 1.0 + 0.999) for i in range(1600)]
    grown = overload.growth(found, 10 * SECOND, round(19.99 * SECOND))
    assert grown.sent - grown.ended > 0.05 * grown.sent
    assert not grown.overloaded
