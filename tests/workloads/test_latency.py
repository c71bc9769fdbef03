"""Latency figures against numpy and against a worked example."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.contract.record import Distribution
from lem.contract.workload import Slo
from lem.workloads import latency
from lem.workloads.load import Response
from lem.workloads.requests import Request

MS = 10**6


def response(sent: int, tokens: list[int], status: str = "done") -> Response:
    r = Response(Request("r", [1], len(tokens), ""), sent * MS)
    r.token_ns = [t * MS for t in tokens]
    r.end_ns = (tokens[-1] if tokens else sent) * MS
    r.status = status
    return r


FAST = response(0, [100, 110, 130])
SLOW = response(50, [450, 550, 650, 750])
SINGLE = response(700, [710])
FAILED = response(0, [5], "failed")
ALL = [FAST, SLOW, SINGLE, FAILED]


def test_definitions_on_a_worked_example() -> None:
    assert latency.ttft_s(ALL) == pytest.approx([0.100, 0.400, 0.010])
    assert latency.itl_s(ALL) == pytest.approx([0.010, 0.020, 0.1, 0.1, 0.1])
    assert latency.tpot_s(ALL) == pytest.approx([0.015, 0.1])
    assert latency.e2e_s(ALL) == pytest.approx([0.130, 0.700, 0.010])


def test_goodput_counts_requests_that_meet_every_objective() -> None:
    assert latency.judged(ALL, Slo()) is None
    assert latency.judged(ALL, Slo(ttft_ms=150)) == (2, 4)
    assert latency.judged(ALL, Slo(ttft_ms=500, itl_ms=50)) == (2, 4)
    assert latency.judged(ALL, Slo(ttft_ms=500, tpot_ms=100)) == (3, 4)
    assert latency.judged(ALL, Slo(e2e_ms=700)) == (3, 4)
    assert latency.judged(ALL, Slo(e2e_ms=130, ttft_ms=99)) == (1, 4)
    assert latency.judged([*ALL, response(0, [7], "timed_out")], Slo(e2e_ms=1e9)) == (3, 5)


def test_tokens_of_one_chunk_make_no_gap_but_count_in_tpot() -> None:
    """Four tokens in two chunks 60 ms apart: one gap of 60 ms, 20 ms per token."""
    chunked = response(0, [100, 100, 160, 160])
    assert latency.itl_s([chunked]) == pytest.approx([0.060])
    assert latency.tpot_s([chunked]) == pytest.approx([0.020])
    assert latency.gaps_ns(chunked) == [0, 60 * MS, 0]


@pytest.mark.parametrize("slo", [Slo(ttft_ms=60), Slo(itl_ms=25), Slo(e2e_ms=150), Slo()])
@given(
    tokens=st.lists(st.integers(0, 100), min_size=1, max_size=6),
    now=st.integers(0, 700),
    fails=st.booleans(),
)
def test_what_is_said_to_be_missed_is_missed_in_the_end(
    slo: Slo, tokens: list[int], now: int, fails: bool
) -> None:
    times = [sum(tokens[: i + 1]) for i in range(len(tokens))]
    whole = response(0, times, "failed" if fails else "done")
    seen = response(0, [t for t in times if t <= now], "open")
    seen.request = whole.request
    seen.end_ns = None
    if latency.missed(seen, slo, now * MS):
        assert not latency.meets(whole, slo)
    assert latency.missed(whole, slo, now * MS) is not latency.meets(whole, slo)


def test_within_takes_those_that_ended_in_the_window() -> None:
    assert latency.within(ALL, 130 * MS, 710 * MS) == [SINGLE]
    assert latency.within(ALL, 129 * MS, 750 * MS) == [FAST, SLOW, SINGLE]


@given(
    st.lists(st.floats(0, 1e6, allow_nan=False), min_size=1, max_size=200),
    st.sampled_from([0.5, 0.9, 0.95, 0.99]),
)
def test_quantiles_are_numpys(values: list[float], q: float) -> None:
    expected = float(numpy.quantile(values, q))
    assert latency.quantile(sorted(values), q) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_summary_fits_the_record() -> None:
    found = latency.summary([3.0, 1.0, 2.0])
    assert found is not None
    assert (found.n, found.mean, found.p50) == (3, 2.0, 2.0)
    assert Distribution(**found._asdict()).p90 == pytest.approx(2.8)
    assert Distribution(**found._asdict()).p95 == pytest.approx(2.9)
    assert latency.summary([]) is None
