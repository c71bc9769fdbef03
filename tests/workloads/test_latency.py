"""Latency figures against numpy and against a worked example."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lem.contract.record import Distribution
from lem.contract.spec import Slo
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
    assert latency.goodput_per_s(ALL, Slo(), 2.0) is None
    assert latency.goodput_per_s(ALL, Slo(ttft_ms=150), 2.0) == 1.0
    assert latency.goodput_per_s(ALL, Slo(ttft_ms=500, itl_ms=50), 2.0) == 1.0
    assert latency.goodput_per_s(ALL, Slo(ttft_ms=500, itl_ms=100), 2.0) == 1.5


def test_within_takes_those_that_ended_in_the_window() -> None:
    assert latency.within(ALL, 130 * MS, 710 * MS) == [SINGLE]
    assert latency.within(ALL, 129 * MS, 750 * MS) == [FAST, SLOW, SINGLE]


@given(
    st.lists(st.floats(0, 1e6, allow_nan=False), min_size=1, max_size=200),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_quantiles_are_numpys(values: list[float], q: float) -> None:
    expected = float(numpy.quantile(values, q))
    assert latency.quantile(sorted(values), q) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_summary_fits_the_record() -> None:
    found = latency.summary([3.0, 1.0, 2.0])
    assert found is not None
    assert (found.n, found.mean, found.p50) == (3, 2.0, 2.0)
    assert Distribution(**found._asdict()).p90 == pytest.approx(2.8)
    assert latency.summary([]) is None
