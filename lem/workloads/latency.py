"""Latency figures from what a log remembers.

Definitions as in ``lem/contract/metrics.py``. Only requests that were answered (status ``done``)
count. Quantiles interpolate linearly between order statistics (definition 7 of Hyndman & Fan,
1996, doi:10.1080/00031305.1996.10473566; numpy's default).
"""

import math
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from lem.contract.spec import Slo
from lem.workloads.load import Response

Span = tuple[float, float]
"""After the first and up to the second moment, nanoseconds of the monotonic clock."""
ALWAYS: Span = (-math.inf, math.inf)


class Summary(NamedTuple):
    """A distribution in the unit of its values; the fields of ``contract.record.Distribution``."""

    n: int
    mean: float
    p50: float
    p90: float
    p99: float


def within(responses: Iterable[Response], start_ns: int, end_ns: int) -> list[Response]:
    """Those that ended in (``start_ns``, ``end_ns``]."""
    return [r for r in responses if r.end_ns is not None and start_ns < r.end_ns <= end_ns]


def ttft_s(responses: Iterable[Response], span_ns: Span = ALWAYS) -> list[float]:
    """Time to first token of each request: sent → first token, which came in ``span_ns``."""
    return [
        (r.token_ns[0] - r.sent_ns) / 1e9
        for r in _answered(responses)
        if span_ns[0] < r.token_ns[0] <= span_ns[1]
    ]


def itl_s(responses: Iterable[Response], span_ns: Span = ALWAYS) -> list[float]:
    """Every gap between two successive tokens of a request, the second of which came in
    ``span_ns``."""
    return [
        (b - a) / 1e9
        for r in _answered(responses)
        for a, b in pairwise(r.token_ns)
        if span_ns[0] < b <= span_ns[1]
    ]


def tpot_s(responses: Iterable[Response]) -> list[float]:
    """Time per output token after the first, of each request with at least two."""
    return [
        (r.token_ns[-1] - r.token_ns[0]) / 1e9 / (len(r.token_ns) - 1)
        for r in _answered(responses)
        if len(r.token_ns) > 1
    ]


def e2e_s(responses: Iterable[Response]) -> list[float]:
    """End-to-end latency of each request: sent → last token."""
    return [(r.token_ns[-1] - r.sent_ns) / 1e9 for r in _answered(responses)]


def gaps_ns(response: Response) -> list[int]:
    """Nanoseconds between successive tokens; one fewer than there are tokens."""
    return [b - a for a, b in pairwise(response.token_ns)]


def goodput_per_s(responses: Iterable[Response], slo: Slo, duration_s: float) -> float | None:
    """Requests per second that met every objective that is set; None where none is.

    The ITL objective is held against a request's mean gap (its TPOT), as DistServe does
    (arXiv 2401.09670). Failed requests meet nothing.
    """
    if (slo.ttft_ms is None and slo.itl_ms is None) or duration_s <= 0:
        return None
    return sum(_meets(r, slo) for r in _answered(responses)) / duration_s


def summary(values: list[float]) -> Summary | None:
    """Mean and quantiles; None for no values."""
    if not values:
        return None
    v = sorted(values)
    mean = math.fsum(v) / len(v)
    return Summary(len(v), mean, quantile(v, 0.5), quantile(v, 0.9), quantile(v, 0.99))


def quantile(ordered: list[float], q: float) -> float:
    """The ``q`` quantile (0 to 1) of values in rising order, interpolated linearly."""
    place = (len(ordered) - 1) * q
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _answered(responses: Iterable[Response]) -> list[Response]:
    return [r for r in responses if r.status == "done" and r.token_ns]


def _meets(response: Response, slo: Slo) -> bool:
    first = ttft_s([response])[0] * 1e3
    gap = (tpot_s([response]) or [0.0])[0] * 1e3
    return (slo.ttft_ms is None or first <= slo.ttft_ms) and (
        slo.itl_ms is None or gap <= slo.itl_ms
    )
