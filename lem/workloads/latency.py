"""Latency figures from what a log remembers.

Definitions as in ``lem/contract/metrics.py``. Only requests that were answered (status ``done``)
count. Tools differ in what they call ITL: here it is the gap between two chunks of a stream, and
the tokens of one chunk, which share a time stamp, make no gap; TPOT is a mean over an answer's
tokens. Quantiles interpolate linearly between order statistics (definition 7 of Hyndman & Fan,
1996, doi:10.1080/00031305.1996.10473566; numpy's default).
"""

import math
from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise
from operator import sub
from typing import NamedTuple

from lem.contract.workload import Slo
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
    p95: float
    p99: float


def within(responses: Iterable[Response], start_ns: int, end_ns: int) -> list[Response]:
    """Those that ended in (``start_ns``, ``end_ns``]."""
    return [r for r in responses if r.end_ns is not None and start_ns < r.end_ns <= end_ns]


def ttft_s(responses: Iterable[Response], span_ns: Span = ALWAYS) -> list[float]:
    """Time to first token of each request: from when it was due (``sent_ns``) until its first
    token, which came in ``span_ns``."""
    return [
        (r.token_ns[0] - r.sent_ns) / 1e9
        for r in _answered(responses)
        if span_ns[0] < r.token_ns[0] <= span_ns[1]
    ]


def itl_s(responses: Iterable[Response], span_ns: Span = ALWAYS) -> list[float]:
    """Every gap between two successive chunks of a request, the second of which came in
    ``span_ns``."""
    found: list[float] = []
    for r in _answered(responses):
        # Time stamps rise. The first token ends no gap.
        first = max(1, bisect_right(r.token_ns, span_ns[0]))
        inside = r.token_ns[first - 1 : bisect_right(r.token_ns, span_ns[1])]
        found += [gap / 1e9 for gap in map(sub, inside[1:], inside) if gap > 0]
    return found


def tpot_s(responses: Iterable[Response]) -> list[float]:
    """Time per output token after the first, of each request with at least two."""
    return [
        (r.token_ns[-1] - r.token_ns[0]) / 1e9 / (len(r.token_ns) - 1)
        for r in _answered(responses)
        if len(r.token_ns) > 1
    ]


def e2e_s(responses: Iterable[Response]) -> list[float]:
    """End-to-end latency of each request: from when it was due until its last token."""
    return [(r.token_ns[-1] - r.sent_ns) / 1e9 for r in _answered(responses)]


def gaps_ns(response: Response) -> list[int]:
    """Nanoseconds between successive tokens; one fewer than there are tokens."""
    return [b - a for a, b in pairwise(response.token_ns)]


class Judged(NamedTuple):
    good: int
    """Met every objective that is set."""
    ended: int
    """Done, failed or timed out."""


def judged(responses: Iterable[Response], slo: Slo) -> Judged | None:
    """How many of the requests that have ended met every objective; None where none is set."""
    if not slo.any:
        return None
    ended = [r for r in responses if r.end_ns is not None]
    return Judged(sum(meets(r, slo) for r in ended), len(ended))


def meets(response: Response, slo: Slo) -> bool:
    """Whether a request was answered and kept every limit that is set.

    The limit on ITL or TPOT, two names of one limit, is held against a request's TPOT, as
    DistServe does (arXiv 2401.09670); an answer of one token has none and keeps it. Failed and
    timed-out requests meet nothing.
    """
    if response.status != "done" or not response.token_ns:
        return False
    first_ms = (response.token_ns[0] - response.sent_ns) / 1e6
    whole_ms = (response.token_ns[-1] - response.sent_ns) / 1e6
    each_ms = (tpot_s([response]) or [0.0])[0] * 1e3
    limits = ((first_ms, slo.ttft_ms), (each_ms, slo.tpot_limit_ms), (whole_ms, slo.e2e_ms))
    return all(limit is None or found <= limit for found, limit in limits)


def missed(response: Response, slo: Slo, now_ns: int) -> bool:
    """Whether a request can no longer meet every objective, whatever still comes by ``now_ns``."""
    if response.end_ns is not None:
        return not meets(response, slo)
    if not response.token_ns:
        waited_ms = (now_ns - response.sent_ns) / 1e6
        limits = [limit for limit in (slo.ttft_ms, slo.e2e_ms) if limit is not None]
        return bool(limits) and waited_ms > min(limits)
    first_ns, most = response.token_ns[0], response.request.output_tokens
    # Its last token is not before now where one is yet to come, and there are at most so many.
    last_ns = response.token_ns[-1] if len(response.token_ns) >= most else now_ns
    found = [
        (first_ns - response.sent_ns, slo.ttft_ms),
        (last_ns - response.sent_ns, slo.e2e_ms),
        ((last_ns - first_ns) / max(most - 1, 1), slo.tpot_limit_ms),
    ]
    return any(limit is not None and ns / 1e6 > limit for ns, limit in found)


def summary(values: list[float]) -> Summary | None:
    """Mean and quantiles; None for no values."""
    if not values:
        return None
    v = sorted(values)
    mean = math.fsum(v) / len(v)
    return Summary(len(v), mean, *(quantile(v, q) for q in (0.5, 0.9, 0.95, 0.99)))


def quantile(ordered: list[float], q: float) -> float:
    """The ``q`` quantile (0 to 1) of values in rising order, interpolated linearly."""
    place = (len(ordered) - 1) * q
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def _answered(responses: Iterable[Response]) -> list[Response]:
    return [r for r in responses if r.status == "done" and r.token_ns]
